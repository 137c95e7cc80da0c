/** A layer reads as the value that the patches make, and what it lies over stays as it was. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyMutation } from '../../src/mutation/coalesce.ts'
import { isLayered, layered } from '../../src/mutation/layered-fields.ts'
import type { Fields, Patch } from '../../src/mutation/mutation.ts'

const name = fc.constantFrom('a', 'b', '7', '$type', 'toString', 'constructor', '', 'long name')
const value = fc.oneof(fc.integer(), fc.constant(null), fc.string(), fc.constant([1, 'x']))
const fields = fc.dictionary(name, value, { noNullPrototype: true })
const patch = fc
  .record({
    fields,
    amounts: fc.dictionary(name, fc.integer({ min: -9, max: 9 }), { noNullPrototype: true }),
    removed: fc.uniqueArray(name),
  })
  .map(({ fields: given, amounts, removed }): Patch => {
    const left = removed.filter((one) => !Object.hasOwn(given, one))
    const added = Object.entries(amounts).filter(
      ([one]) => !Object.hasOwn(given, one) && !(left as string[]).includes(one),
    )
    return {
      kind: 'patch',
      fields: given,
      // Numbers are what can be added to.
      amounts: Object.fromEntries(added.map(([one, amount]) => [`n${one}`, amount])),
      removed: Object.fromEntries(left.map((one) => [one, true as const])),
    }
  })

describe('a layer', () => {
  test('reads as the value that the patches make', () => {
    fc.assert(
      fc.property(fields, fc.array(patch, { maxLength: 6 }), (base, patches) => {
        const before = structuredClone(base)
        let [layer, model]: Fields[] = [base, base]
        for (const each of patches) {
          const [below, was] = [layer ?? {}, { ...layer }]
          layer = layered(below, each)
          model = applyMutation(model, each, {}) ?? {}
          expect({ ...layer }).toEqual(model)
          expect({ ...below }).toEqual(was)
          for (const one of ['a', '7', 'toString', 'constructor', 'none']) {
            expect(Object.hasOwn(layer, one)).toBe(Object.hasOwn(model, one))
            expect(layer[one]).toEqual(Object.hasOwn(model, one) ? model[one] : undefined)
          }
          expect(JSON.parse(JSON.stringify(layer))).toEqual(JSON.parse(JSON.stringify(model)))
          const listed: string[] = []
          for (const one in layer) listed.push(one)
          expect(listed.sort()).toEqual(Object.keys(model).sort())
        }
        expect(base).toEqual(before)
      }),
    )
  })

  test('over very many changes is copied once in a while, and cannot be changed itself', () => {
    const base: Fields = { a: 1 }
    let layer = base
    for (let n = 0; n < 1000; n++) {
      layer = layered(layer, { kind: 'patch', fields: { [`f${n}`]: n }, amounts: { a: 1 } })
    }
    expect(layer.a).toBe(1001)
    expect(Object.keys(layer)).toHaveLength(1001)
    expect([isLayered(layer), isLayered(base), isLayered({ ...layer })]).toEqual([
      ...[true, false, false],
    ])
    expect(() => Object.assign(layer, { a: 2 })).toThrow(TypeError)
    expect(() => delete (layer as { a?: number }).a).toThrow(TypeError)
    expect(() => Object.defineProperty(layer, 'b', { value: 1 })).toThrow(TypeError)
  })
})
