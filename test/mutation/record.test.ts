import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isDaybookError } from '../../src/base/errors.ts'
import type {
  Amounts,
  Entry,
  Fields,
  FieldValue,
  Mutation,
  Removed,
} from '../../src/mutation/mutation.ts'
import {
  decodeRecord,
  encodeRecord,
  recordLength,
  visitRecords,
} from '../../src/mutation/record.ts'

function entryOf(mutation: Mutation, rest: Partial<Entry> = {}): Entry {
  return {
    position: 7,
    lane: 3,
    cache: 'users',
    key: '42',
    hash: 0xfedcba98 | 0,
    mutation,
    continues: false,
    expiresAtMs: undefined,
    retryOf: undefined,
    bytes: 0,
    ...rest,
  }
}

function roundTrip(entry: Entry, buffer: Buffer = Buffer.alloc(1 << 20), offset = 0): Entry {
  const bytes = encodeRecord(entry, buffer, offset)
  expect(bytes).toBeGreaterThan(0)
  expect(recordLength(buffer, offset)).toBe(bytes)
  return decodeRecord(buffer, offset, entry.position)
}

function expectSame(entry: Entry, buffer?: Buffer, offset?: number): void {
  const decoded = roundTrip(entry, buffer, offset)
  // Tells -0 from 0 and undefined from absent, and does not mind a field named `constructor`.
  assert.deepStrictEqual({ ...decoded, bytes: 0 }, entry)
}

const fieldName = fc.oneof(
  fc.constantFrom('a', '$', '$bigint', '$$bytes', '$number', 'toString', 'constructor', 'é'),
  fc.string().filter((name) => name !== '__proto__'),
)

const fieldValue: fc.Arbitrary<FieldValue> = fc.letrec<{ value: FieldValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<FieldValue>(null, true, false, 0, -0, NaN, Infinity, -Infinity),
    fc.double(),
    fc.integer(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud800', '__proto__', '"', '\u0000', '{"$bigint":"1"}'),
    fc.bigInt(),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fieldName, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value

const fields: fc.Arbitrary<Fields> = fc.dictionary(fieldName, fieldValue, {
  maxKeys: 6,
  noNullPrototype: true,
})
const amounts: fc.Arbitrary<Amounts> = fc.dictionary(
  fieldName,
  fc.oneof(fc.integer(), fc.bigInt(), fc.constantFrom('1.50', '-0.1')),
  { maxKeys: 3, noNullPrototype: true },
)
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), fields }, { noNullPrototype: true }),
  fc.string({ unit: 'binary' }).map((text) => ({ kind: 'set' as const, fields: { '': text } })),
  fc.record({ kind: fc.constant('delete' as const) }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant('patch' as const), fields, amounts }, { noNullPrototype: true }),
  fc.record(
    { kind: fc.constant('patch' as const), fields, amounts, removed: removedFields() },
    { noNullPrototype: true },
  ),
)

function removedFields(): fc.Arbitrary<Removed> {
  return fc.dictionary(fieldName, fc.constant(true as const), {
    maxKeys: 4,
    noNullPrototype: true,
  })
}

describe('a record', () => {
  test('gives every entry back exactly, at any offset', () => {
    const shared = Buffer.from(new SharedArrayBuffer(1 << 20))
    const entry = fc.record(
      {
        position: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        lane: fc.integer({ min: 0, max: 65_535 }),
        cache: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
        key: fc.string({ unit: 'grapheme', minLength: 1 }),
        hash: fc.integer(),
        mutation,
        continues: fc.boolean(),
        expiresAtMs: fc.option(fc.integer({ min: 0 }), { nil: undefined }),
        retryOf: fc.option(fc.uuid(), { nil: undefined }),
        bytes: fc.constant(0),
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(entry, fc.nat(100), (entry, offset) => expectSame(entry, shared, offset)),
      { numRuns: 2_000 },
    )
  })

  test.each<[string, FieldValue]>([
    ['negative zero', -0],
    ['not a number', NaN],
    ['an integer beyond 2^53', 9_007_199_254_740_993n],
    ['bytes', new Uint8Array([0, 255, 128])],
    ['an object that looks like a tag', { $bigint: '1' }],
    ['a tag’s name beside a value that needs tagging', { $bigint: '1', n: 1n, $$x: [-0] }],
    ['a lone surrogate', '\ud83d'],
  ])('keeps %s', (_name, value) => {
    expectSame(entryOf({ kind: 'set', fields: { value } }))
  })

  test('that sets a text, and nothing else, has the text as it is', () => {
    const buffer = Buffer.alloc(200)
    const text = '"Zoë"\n\0'
    const entry = entryOf({ kind: 'set', fields: { '': text } }, { cache: 'c', key: 'k' })
    const bytes = encodeRecord(entry, buffer, 0)
    expect(buffer.toString('utf8', 14, bytes)).toBe(`ck${text}`)
    expectSame(entry)
  })

  test.each<[string, Fields]>([
    ['an empty text', { '': '' }],
    ['a lone surrogate, which has no UTF-8', { '': 'a\ud83d' }],
    ['a text among other fields', { '': 'a', b: 'c' }],
    ['a document that is a number', { '': 1 }],
    ['JSON as a text', { '': '{"a":1}' }],
  ])('keeps %s', (_name, fields) => {
    expectSame(entryOf({ kind: 'set', fields }))
  })

  test('is written as plain JSON where JSON says it all', () => {
    const buffer = Buffer.alloc(200)
    const bytes = encodeRecord(
      entryOf({ kind: 'set', fields: { $a: 1, b: null } }, { cache: 'c', key: 'k' }),
      buffer,
      0,
    )
    expect(buffer.toString('utf8', 14, bytes)).toBe('ck{"$a":1,"b":null}')
  })

  test('asks for the room that it needs, and takes it', () => {
    const entry = entryOf({ kind: 'set', fields: { text: 'é'.repeat(100_000) } })
    const needed = -encodeRecord(entry, Buffer.alloc(1_000), 500)
    expect(needed).toBeGreaterThan(200_000)
    expect(needed).toBeLessThan(201_000)
    expectSame(entry, Buffer.alloc(needed))
  })

  test('never writes beyond what it returns', () => {
    const buffer = Buffer.alloc(400, 0xaa)
    const bytes = encodeRecord(entryOf({ kind: 'delete' }), buffer, 0)
    expect(buffer.subarray(bytes).every((byte) => byte === 0xaa)).toBe(true)
  })

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
  ])('refuses %s', (_name, value) => {
    const fields = { value } as Fields
    expect(() => encodeRecord(entryOf({ kind: 'set', fields }), Buffer.alloc(100), 0)).toThrow(
      expect.objectContaining({ code: 'INVALID_VALUE' }),
    )
  })

  test('refuses a field named __proto__ on the way in and on the way out', () => {
    const nested = JSON.parse('{"a":{"__proto__":1}}') as Fields
    for (const fields of [nested, nested.a as Fields]) {
      expect(() => encodeRecord(entryOf({ kind: 'set', fields }), Buffer.alloc(200), 0)).toThrow(
        expect.objectContaining({ code: 'INVALID_VALUE' }),
      )
    }
    const buffer = Buffer.alloc(200)
    encodeRecord(entryOf({ kind: 'set', fields: { a: { __Proto__: 1 } } }), buffer, 0)
    buffer.write('__proto__', buffer.indexOf('__Proto__'))
    expect(() => decodeRecord(buffer, 0, 1)).toThrow(
      expect.objectContaining({ code: 'INVALID_VALUE' }),
    )
  })

  test('refuses a key or cache name beyond the lengths of the format', () => {
    const buffer = Buffer.alloc(1 << 20)
    for (const rest of [{ key: 'k'.repeat(65_536) }, { cache: 'é'.repeat(128) }]) {
      let thrown: unknown
      try {
        encodeRecord(entryOf({ kind: 'delete' }, rest), buffer, 0)
      } catch (error) {
        thrown = error
      }
      expect(isDaybookError(thrown, 'INVALID_KEY')).toBe(true)
    }
    expectSame(entryOf({ kind: 'delete' }, { key: 'k'.repeat(65_535), cache: 'c'.repeat(255) }))
  })

  test('refuses a length that leads out of the batch', () => {
    const buffer = Buffer.alloc(100)
    const bytes = encodeRecord(entryOf({ kind: 'delete' }), buffer, 0)
    expect(() => decodeRecord(buffer.subarray(0, bytes - 1), 0, 1)).toThrow('ends within its batch')
    buffer.writeUInt16LE(60_000, 12)
    expect(() => decodeRecord(buffer, 0, 1)).toThrow('fit its length')
  })

  test('is visited without being decoded', () => {
    const buffer = Buffer.alloc(1_000)
    let end = 0
    const lengths: number[] = []
    for (const lane of [5, 6, 7]) {
      const bytes = encodeRecord(
        entryOf({ kind: 'delete' }, { lane, hash: lane * 10 }),
        buffer,
        end,
      )
      lengths.push(bytes)
      end += bytes
    }
    const seen: number[][] = []
    visitRecords(buffer, 0, end, 100, (position, lane, hash, bytes) => {
      seen.push([position, lane, hash, bytes])
    })
    expect(seen).toEqual([
      [100, 5, 50, lengths[0]],
      [101, 6, 60, lengths[1]],
      [102, 7, 70, lengths[2]],
    ])
  })
})
