import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fields } from '../../src/mutation/mutation.ts'
import { overlay } from '../../src/mutation/overlay.ts'

const name = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.nat(1000).map(String),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
)

function fieldsOf(pairs: readonly (readonly [string, number])[]): Fields {
  return Object.fromEntries(pairs)
}

const fields = (maxLength: number): fc.Arbitrary<Fields> =>
  fc.array(fc.tuple(name, fc.integer()), { minLength: 0, maxLength }).map(fieldsOf)

describe('fields laid over others', () => {
  test('are what a spread makes of them, in its order, whatever their names and however many', () => {
    const base = fc.oneof(
      fields(10),
      fc.array(fc.tuple(name, fc.integer()), { minLength: 200, maxLength: 400 }).map(fieldsOf),
    )
    let large = 0
    fc.assert(
      fc.property(base, fields(80), (below, above) => {
        if (Object.keys(below).length > 100) large++
        const made = overlay(below, above)
        expect(Object.entries(made)).toEqual(Object.entries({ ...below, ...above }))
        expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
      }),
    )
    expect(large).toBeGreaterThan(10)
  })

  test('leave both as they were', () => {
    const base = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`name ${n}`, n]))
    const over = { 'name 1': 'other', new: 1 }
    const before = structuredClone([base, over])
    const made = overlay(base, over)
    made['name 2'] = 'changed'
    expect([base, over]).toEqual(before)
  })
})
