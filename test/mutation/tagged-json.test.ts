import assert from 'node:assert/strict'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { fromTaggedJson, toTaggedJson } from '../../src/mutation/tagged-json.ts'

const name = fc.oneof(
  fc.string(),
  fc.constantFrom('$bigint', '$bytes', '$number', '$$bigint', '$', '__proto__', 'constructor'),
)

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, NaN, Infinity, -Infinity, -0, 2n ** 70n),
    fc.double(),
    fc.bigInt(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array(),
    fc.array(tie('any')),
    fc.array(fc.tuple(name, tie('any'))).map((members) => Object.fromEntries(members)),
  ),
})).any

test('every canonical value comes back exactly as it was, in one line', () => {
  fc.assert(
    fc.property(value, (original) => {
      const text = toTaggedJson(original)
      expect(text).not.toContain('\n')
      assert.deepStrictEqual(fromTaggedJson(text), original)
    }),
  )
})

test('a member named __proto__ stays a member and reaches no prototype', () => {
  const read = fromTaggedJson('{"__proto__":{"admin":true}}') as Record<string, unknown>
  expect(Object.keys(read)).toEqual(['__proto__'])
  expect(read.admin).toBeUndefined()
})

test('bytes that are a view of a larger buffer are stored as the view', () => {
  const view = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
  expect(fromTaggedJson(toTaggedJson(view))).toStrictEqual(new Uint8Array([2, 3]))
})

test('a member that is undefined is left out', () => {
  expect(toTaggedJson({ kept: null, gone: undefined })).toBe('{"kept":null}')
})

test.each(['', '{', '{"$bigint":"12x"}'])('refuses %j with a SyntaxError', (text) => {
  expect(() => fromTaggedJson(text)).toThrow(SyntaxError)
})
