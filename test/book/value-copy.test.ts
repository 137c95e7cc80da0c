import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { estimateBytes, estimateGrowth } from '../../src/book/value-copy.ts'
import type { Fields, FieldValue } from '../../src/mutation/mutation.ts'

const value: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.integer(),
  fc.string({ maxLength: 40 }),
  fc.constant(null),
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.string({ maxLength: 5 }), { maxLength: 4 }),
  fc.record({ nested: fc.string({ maxLength: 20 }) }),
)
const fields: fc.Arbitrary<Fields> = fc.dictionary(fc.string({ maxLength: 6 }), value, {
  maxKeys: 12,
})

describe('what fields take in memory', () => {
  test('grows by what a patch changes, so that it need not be counted anew', () => {
    fc.assert(
      fc.property(fields, fields, fc.constantFrom('own', 'columns'), (before, patch, names) => {
        const after = { ...before, ...patch }
        const growth = estimateGrowth(before, after, Object.keys(patch), names)
        expect(estimateBytes(before, names) + growth).toBe(estimateBytes(after, names))
      }),
    )
  })

  test('counts names where they are a document’s own, and in what is nested', () => {
    const long = 'x'.repeat(100)
    expect(estimateBytes({ [long]: 1 }, 'own')).toBeGreaterThan(100)
    expect(estimateBytes({ [long]: 1 }, 'columns')).toBeLessThan(100)
    expect(estimateBytes({ data: { [long]: 1 } }, 'columns')).toBeGreaterThan(100)
  })
})
