/** Canonical fields, entries and dead letters, as fast-check makes them. */

import fc from 'fast-check'
import type { DeadLetter } from '../src/flush/dead-letter.ts'
import type { Amounts, Entry, Fields, FieldValue, Mutation } from '../src/mutation/mutation.ts'

/** Text that has broken parsers before. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(
    '',
    '\0',
    '\ud800',
    '\udc00\ud800',
    '\u2028',
    '\ufeff',
    '\u202egnp.exe',
    'e\u0301',
    '\u00e9',
    'İ',
    '__proto__',
    'constructor',
    'toString',
    '$bigint',
    '{"$bytes":"AA=="}',
    'NULL',
    '\\N',
    '{}',
    '"',
    "'; --",
    '\\',
    '\t\r\n',
    'NaN',
    '-0',
    '1e400',
  ),
)

const fieldName = fc.oneof(
  fc.constantFrom('a', '$', '$bigint', '$$bytes', '$number', 'toString', 'constructor', 'é'),
  hostileText.filter((name) => name !== '__proto__'),
)

const { value } = fc.letrec<{ value: FieldValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<FieldValue>(null, true, false, 0, -0, NaN, Infinity, -Infinity),
    fc.double(),
    fc.integer(),
    hostileText,
    fc.bigInt(),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fieldName, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))
export const fieldValue: fc.Arbitrary<FieldValue> = value

const fields: fc.Arbitrary<Fields> = fc.dictionary(fieldName, fieldValue, {
  maxKeys: 6,
  noNullPrototype: true,
})
const amounts: fc.Arbitrary<Amounts> = fc.dictionary(
  fieldName,
  fc.oneof(fc.integer(), fc.bigInt(), fc.constantFrom('1.50', '-0.1')),
  { maxKeys: 3, noNullPrototype: true },
)

const plain = { noNullPrototype: true } as const
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), fields }, plain),
  fc.record({ kind: fc.constant('delete' as const) }, plain),
  fc.record({ kind: fc.constant('patch' as const), fields, amounts }, plain),
)

export const entry: fc.Arbitrary<Entry> = fc.record(
  {
    position: fc.integer({ min: 1, max: 2 ** 50 }),
    lane: fc.integer({ min: 0, max: 65_535 }),
    cache: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
    key: fc.string({ unit: 'grapheme', minLength: 1 }),
    hash: fc.integer(),
    mutation,
    continues: fc.boolean(),
    expiresAtMs: fc.option(fc.integer({ min: 0 }), { nil: undefined }),
    retryOf: fc.option(fc.stringMatching(/^\d{1,3}-\d{1,15}(\.\d{1,15})?$/), { nil: undefined }),
    bytes: fc.constant(0),
  },
  plain,
)

/** At this position; ids are given by positions, so these differ from letter to letter. */
export function letterAt(position: number): fc.Arbitrary<DeadLetter> {
  return fc.record(
    {
      id: fc.constant(`0-${position}`),
      cache: fc.constantFrom('users', 'orders'),
      key: hostileText,
      lane: fc.constant(0),
      position: fc.constant(position),
      mutation,
      reason: fc.constantFrom('rejected' as const, 'parked' as const),
      failure: fc.record(
        { kind: fc.constant('rejected' as const), code: hostileText, message: hostileText },
        plain,
      ),
      attempts: fc.nat(9),
      deadAtMs: fc.nat(),
    },
    plain,
  )
}
