import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { documentSchema } from '../../src/store/declared-table.ts'
import { canonicalKey, isKeyType, keyOf, keyParts, maxKeyBytes } from '../../src/store/key.ts'
import type { ColumnType, TableSchema } from '../../src/store/schema.ts'

function keyed(...types: readonly ColumnType[]): TableSchema {
  const key = types.map((type, index) => ({
    name: `k${index}`,
    type,
    nullable: false,
    defaultValue: null,
    required: true,
    databaseType: type.kind,
  }))
  return { ...documentSchema, table: 't', key }
}

const text = keyed({ kind: 'text' })
const integer = keyed({ kind: 'integer', bits: 64 })
const pair = keyed({ kind: 'text' }, { kind: 'integer', bits: 32 })
const invalid = expect.objectContaining({ code: 'INVALID_KEY' }) as unknown as Error

describe('canonicalKey', () => {
  test('one text for each row, whoever spells it', () => {
    expect(canonicalKey(text, 'a b')).toBe('a b')
    expect(canonicalKey(integer, '042')).toBe('42')
    expect(canonicalKey(integer, '-9223372036854775808')).toBe('-9223372036854775808')
    expect(canonicalKey(keyed({ kind: 'uuid' }), 'F47AC10B-58CC-4372-A567-0E02B2C3D479')).toBe(
      'f47ac10b-58cc-4372-a567-0e02b2c3d479',
    )
    expect(canonicalKey(keyed({ kind: 'boolean' }), '1')).toBe('true')
    expect(canonicalKey(keyed({ kind: 'timestamptz' }), '2026-01-01T00:00Z')).toBe(
      '2026-01-01T00:00:00.000Z',
    )
    expect(canonicalKey(keyed({ kind: 'numeric', precision: 5, scale: 2 }), '1.5')).toBe('1.50')
  })

  test('composite keys, as an array or as their own canonical text', () => {
    expect(canonicalKey(pair, ['a', '01'])).toBe('["a","1"]')
    expect(canonicalKey(pair, '["a","1"]')).toBe('["a","1"]')
    expect(canonicalKey(pair, ['', '1'])).toBe('["","1"]')
  })

  test('refuses what is no key, and says what one is', () => {
    for (const key of ['', 5, undefined, null, {}, ['a'], 'a\0', '\ud800']) {
      expect(() => canonicalKey(text, key), inspect(key)).toThrow(invalid)
    }
    for (const key of ['', 'abc', '1.5', '9223372036854775808', 42]) {
      expect(() => canonicalKey(integer, key), inspect(key)).toThrow(invalid)
    }
    for (const key of [
      ['a'],
      ['a', '1', '2'],
      ['a', 1],
      ['a', 'b'],
      'a',
      '["a"]',
      '{}',
      5,
      ['a\0', '1'],
    ]) {
      expect(() => canonicalKey(pair, key), inspect(key)).toThrow(invalid)
    }
    expect(() => canonicalKey(keyed({ kind: 'text', maxLength: 2 }), 'abc')).toThrow(invalid)
  })

  test('at most 1,024 bytes of UTF-8', () => {
    expect(canonicalKey(text, 'x'.repeat(maxKeyBytes))).toHaveLength(maxKeyBytes)
    expect(canonicalKey(text, 'Ž'.repeat(512))).toHaveLength(512)
    expect(() => canonicalKey(text, 'Ž'.repeat(513))).toThrow(invalid)
    expect(() => canonicalKey(pair, ['x'.repeat(maxKeyBytes), '1'])).toThrow(invalid)
  })

  test('the key does not appear in the error', () => {
    expect(() => canonicalKey(integer, 'secret')).not.toThrow('secret')
    expect(() => canonicalKey(integer, 'secret')).toThrow('k0')
  })
})

describe('keyParts and keyOf', () => {
  test('are each other’s inverse', () => {
    const part = fc
      .string({ unit: 'grapheme', maxLength: 50 })
      .filter((value) => !value.includes('\0'))
    fc.assert(
      fc.property(part, fc.integer(), (name, number) => {
        const key = canonicalKey(pair, [name, String(number)])
        expect(keyParts(pair, key)).toEqual([name, number])
        expect(keyOf(pair, keyParts(pair, key))).toBe(key)
      }),
    )
  })

  test('parameters have the type of their column', () => {
    expect(keyParts(text, '42')).toEqual(['42'])
    expect(keyParts(integer, '42')).toEqual([42])
    expect(keyParts(integer, '9223372036854775807')).toEqual([9223372036854775807n])
    expect(keyParts(keyed({ kind: 'boolean' }), 'true')).toEqual([true])
  })

  test('a row that no key can name has none', () => {
    expect(keyOf(text, ['a'])).toBe('a')
    expect(keyOf(integer, [42n])).toBe('42')
    for (const parts of [[null], [undefined], [''], ['x'.repeat(2000)], [new Uint8Array(2)]]) {
      expect(keyOf(text, parts)).toBeUndefined()
    }
    expect(keyOf(integer, ['abc'])).toBeUndefined()
  })
})

test('types whose equal values may differ in text are no key types', () => {
  const fit: ColumnType[] = [
    { kind: 'text' },
    { kind: 'integer', bits: 16 },
    { kind: 'uuid' },
    { kind: 'boolean' },
    { kind: 'date' },
    { kind: 'timestamp' },
    { kind: 'timestamptz' },
    { kind: 'enum', values: [] },
    { kind: 'numeric', precision: 4, scale: 2 },
  ]
  const unfit: ColumnType[] = [
    { kind: 'numeric' },
    { kind: 'float', bits: 64, nonFinite: true },
    { kind: 'json' },
    { kind: 'bytes' },
    { kind: 'time' },
    { kind: 'opaque' },
    { kind: 'array', element: { kind: 'text' } },
  ]
  expect(fit.filter((type) => !isKeyType(type))).toEqual([])
  expect(unfit.filter(isKeyType)).toEqual([])
})
