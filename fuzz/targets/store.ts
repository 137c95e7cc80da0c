/** Targets: keys, canonical values, and PostgreSQL's text forms. */

import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { isDaybookError } from '../../src/base/errors.ts'
import type { FieldValue } from '../../src/mutation/mutation.ts'
import { canonicalAmount, canonicalField, canonicalOf } from '../../src/store/columns.ts'
import { documentSchema } from '../../src/store/declared-table.ts'
import { canonicalKey, isKeyType, keyOf, keyParts, maxKeyBytes } from '../../src/store/key.ts'
import {
  arrayText,
  nestedArrayText,
  parseArrayText,
  type ArrayElement,
} from '../../src/store/postgres/array-text.ts'
import { copyFieldText } from '../../src/store/postgres/copy-text.ts'
import { decodeField, encodeField } from '../../src/store/postgres/field-text.ts'
import type { Column, ColumnType, TableSchema } from '../../src/store/schema.ts'
import { roundTimestamp } from '../../src/store/temporal.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { hostileText } from '../values.ts'

const scalarTypes: readonly ColumnType[] = [
  { kind: 'text' },
  { kind: 'text', maxLength: 5 },
  { kind: 'integer', bits: 16 },
  { kind: 'integer', bits: 32 },
  { kind: 'integer', bits: 64 },
  { kind: 'numeric' },
  { kind: 'numeric', precision: 6, scale: 2 },
  { kind: 'numeric', precision: 3, scale: 5 },
  { kind: 'numeric', precision: 3, scale: -2 },
  { kind: 'float', bits: 32, nonFinite: true },
  { kind: 'float', bits: 64, nonFinite: true },
  { kind: 'float', bits: 64, nonFinite: false },
  { kind: 'boolean' },
  { kind: 'timestamptz' },
  { kind: 'timestamptz', precision: 0 },
  { kind: 'timestamp' },
  { kind: 'timestamp', precision: 2 },
  { kind: 'date' },
  { kind: 'time' },
  { kind: 'uuid' },
  { kind: 'json' },
  { kind: 'bytes' },
  { kind: 'enum', values: ['low', 'high', '', 'e\u0301'] },
  { kind: 'opaque' },
]
const types = [
  ...scalarTypes,
  ...scalarTypes.map((element) => ({ kind: 'array', element }) as const),
]

// ── Values ──

const digits = fc.stringMatching(/^[+-]?\d{0,25}(\.\d{0,10})?([eE][+-]?\d{1,3})?$/)
/** Two digits, mostly of the calendar's. */
function two(min: number, max: number): fc.Arbitrary<string> {
  const number = fc.oneof(
    { weight: 30, arbitrary: fc.integer({ min, max }) },
    { weight: 1, arbitrary: fc.nat(99) },
  )
  return number.map((value) => String(value).padStart(2, '0'))
}

const timestamps = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1900, max: 2100 }), fc.nat(9999)),
    two(1, 12),
    two(1, 31),
    two(0, 23),
    two(0, 59),
    two(0, 59),
    fc.stringMatching(/^(\.\d{1,7})?$/),
    fc.constantFrom('', 'Z', 'Z', '+02:00', '-05:30', '+18:00'),
  )
  .map(
    ([year, month, day, hour, minute, second, fraction, zone]) =>
      `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`,
  )
const text = fc.oneof(
  hostileText,
  digits,
  timestamps,
  timestamps.map((timestamp) => timestamp.slice(0, 10)),
  timestamps.map((timestamp) => /T([^Z+-]*)/.exec(timestamp)?.[1] ?? ''),
  fc.integer().map((integer) => `${integer < 0 ? '-' : '+'}00${Math.abs(integer)}`),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.tuple(fc.integer({ min: -9999, max: 9999 }), fc.nat(99)).map(([a, b]) => `${a}.${b}`),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.uuid().map((id) => id.toUpperCase()),
  fc.constantFrom('low', 'high', 'true', '1', '0', 'Infinity', '-Infinity'),
)
const scalar = fc.oneof(
  text,
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.double(),
  fc.boolean(),
  fc.date(),
  fc.uint8Array({ maxLength: 8 }),
)
const given: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(fc.oneof(scalar, fc.constant(null)), { maxLength: 4 }) },
  {
    weight: 1,
    arbitrary: fc.array(fc.array(scalar, { minLength: 2, maxLength: 2 }), { maxLength: 3 }),
  },
  {
    weight: 1,
    arbitrary: fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }),
  },
)

function columnOf(type: ColumnType): Column {
  const rest = { nullable: true, defaultValue: null, required: false, databaseType: type.kind }
  return { name: 'c', type, ...rest }
}

export const valuesTarget = fuzzTarget(
  fc.record({ type: fc.constantFrom(...types), value: given }),
  {
    name: 'values',
    doc: 'A value has one canonical form, which is its own, or is refused; PostgreSQL’s text gives it back.',
    cases: 5_000,
    outcomes: ['canonical', 'refused'],
    check: ({ type, value }) => {
      const column = columnOf(type)
      amountIsStable(column, value)
      let canonical: FieldValue
      try {
        canonical = canonicalField(column, value)
      } catch (error) {
        if (!isDaybookError(error, 'INVALID_VALUE')) throw error
        return 'refused'
      }
      assert.deepStrictEqual(canonicalField(column, canonical), canonical, 'its own canonical form')
      const encoded = encodeField(type, canonical)
      if (encoded !== null) {
        assert.ok(encoded.isWellFormed() && !encoded.includes('\0'), 'text that a server can take')
        assert.equal(copied(copyFieldText(encoded)), encoded, 'COPY gives the text back')
        const server = asServerWrites(type, encoded)
        assert.deepStrictEqual(decodeField(type, server), canonical, 'PostgreSQL gives it back')
      }
      return 'canonical'
    },
  },
)

function amountIsStable(column: Column, value: unknown): void {
  try {
    const amount = canonicalAmount(column, value)
    assert.deepStrictEqual(canonicalAmount(column, amount), amount, 'an amount is its own')
  } catch (error) {
    if (!isDaybookError(error, 'INVALID_VALUE')) throw error
  }
}

/** Booleans are the one scalar that PostgreSQL writes otherwise than it takes it. */
function asServerWrites(type: ColumnType, encoded: string): string {
  if (type.kind === 'boolean') return encoded === 'true' ? 't' : 'f'
  if (type.kind !== 'array' || type.element.kind !== 'boolean') return encoded
  return encoded.replaceAll('"true"', 't').replaceAll('"false"', 'f')
}

// ── Keys ──

function keyed(keyTypes: readonly ColumnType[]): TableSchema {
  const key = keyTypes.map((type, index) => ({ ...columnOf(type), name: `k${index}` }))
  return { ...documentSchema, table: 't', key }
}

const keyTypes = types.filter(isKeyType)

export const keysTarget = fuzzTarget(
  fc.array(fc.constantFrom(...keyTypes), { minLength: 1, maxLength: 3 }).chain((columns) => {
    const parts = columns.map((type) => fc.oneof(textFor(type), textFor(type), text))
    const [only] = parts
    const key = parts.length === 1 && only !== undefined ? only : fc.tuple(...parts)
    return fc.record({ columns: fc.constant(columns), one: fc.oneof(key, given), other: key })
  }),
  {
    name: 'keys',
    doc: 'A key has one canonical text, which names the same row, and no other row’s key has it.',
    cases: 5_000,
    outcomes: ['key', 'refused'],
    check: ({ columns, one, other }) => {
      const schema = keyed(columns)
      const key = checkedKey(schema, one)
      const otherKey = checkedKey(schema, other)
      if (key === undefined) return 'refused'
      if (otherKey !== undefined) {
        const same = isDeepStrictEqual(keyParts(schema, key), keyParts(schema, otherKey))
        assert.equal(key === otherKey, same, 'equal keys are equal rows, and the other way round')
      }
      return 'key'
    },
  },
)

/** Several spellings of values that the type takes. */
function textFor(type: ColumnType): fc.Arbitrary<string> {
  switch (type.kind) {
    case 'text':
      return fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 })
    case 'integer':
      return fc.tuple(fc.constantFrom('', '+', '00'), fc.nat(99)).map(([sign, n]) => `${sign}${n}`)
    case 'numeric':
      return fc.constantFrom('0', '-0', '1.5', '1.50', '15e-1', '.5', '+12.00', '0.001', '1200')
    case 'timestamp':
    case 'timestamptz':
      return timestamps
    case 'date':
      return timestamps.map((timestamp) => timestamp.slice(0, 10))
    case 'uuid':
      return fc.tuple(fc.uuid(), fc.boolean()).map(([id, up]) => (up ? id.toUpperCase() : id))
    case 'boolean':
      return fc.constantFrom('true', 'false', '1', '0')
    case 'enum':
      return fc.constantFrom(...type.values)
    case 'float':
    case 'time':
    case 'json':
    case 'bytes':
    case 'array':
    case 'opaque':
      return text
  }
}

function checkedKey(schema: TableSchema, given: unknown): string | undefined {
  let key: string
  try {
    key = canonicalKey(schema, given)
  } catch (error) {
    if (!isDaybookError(error, 'INVALID_KEY')) throw error
    return undefined
  }
  assert.ok(key !== '' && Buffer.byteLength(key) <= maxKeyBytes, 'a key within its bounds')
  assert.ok(key.isWellFormed() && !key.includes('\0'), 'a key that every database takes')
  assert.equal(canonicalKey(schema, key), key, 'its own canonical form')
  const parts = keyParts(schema, key)
  assert.ok(!parts.includes(null), 'no part of a key is null')
  assert.equal(keyOf(schema, parts), key, 'the row that it names has this key')
  for (const [index, column] of schema.key.entries()) {
    assert.deepStrictEqual(canonicalOf(column.type, parts[index]), parts[index], 'a canonical part')
  }
  return key
}

// ── PostgreSQL's arrays, and timestamps ──

const { elements } = fc.letrec<{ elements: ArrayElement[] }>((tie) => ({
  elements: fc.array(fc.oneof({ maxDepth: 3 }, fc.constant(null), text, tie('elements')), {
    maxLength: 4,
  }),
}))

export const arrayTextTarget = fuzzTarget(
  fc.record({ elements, damages: fc.array(anyDamage, { maxLength: 2 }) }),
  {
    name: 'array-text',
    doc: 'An array comes back from its text; a damaged text gives an array, or a SyntaxError.',
    cases: 3_000,
    outcomes: ['round trip', 'parsed', 'refused'],
    check: (given) => {
      const written = nestedArrayText(given.elements)
      const flat = given.elements.map((element) => (typeof element === 'string' ? element : null))
      assert.deepStrictEqual(parseArrayText(arrayText(flat, true)), flat)
      if (given.damages.length === 0) {
        assert.deepStrictEqual(parseArrayText(written), given.elements)
        return 'round trip'
      }
      const bytes = given.damages.reduce<Uint8Array>(damaged, Buffer.from(written))
      try {
        const parsed = parseArrayText(Buffer.from(bytes).toString())
        assert.deepStrictEqual(parseArrayText(nestedArrayText(parsed)), parsed)
        return 'parsed'
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
        return 'refused'
      }
    },
  },
)

export const timestampsTarget = fuzzTarget(fc.record({ text: timestamps, precision: fc.nat(6) }), {
  name: 'timestamps',
  doc: 'A timestamp is the instant that it says, and is rounded once, to the nearest.',
  cases: 5_000,
  outcomes: ['canonical', 'refused'],
  check: ({ text, precision }) => {
    const canonical = canonicalOf({ kind: 'timestamptz' }, text)
    if (typeof canonical !== 'string') return 'refused'
    // Date knows milliseconds: the digits beyond are compared as text.
    const milliseconds = /\.(\d{3})\d*/
    const instant = Date.parse(text.replace(milliseconds, '.$1'))
    assert.equal(Date.parse(canonical.replace(milliseconds, '.$1')), instant, 'the same instant')
    const [, fraction = '0'] = /\.(\d+)/.exec(text) ?? []
    const [, kept = '0'] = /\.(\d+)/.exec(canonical) ?? []
    assert.equal(Number(`0.${kept}`), Number(`0.${fraction}`), 'the same fraction')
    const rounded = roundTimestamp(canonical, precision)
    if (rounded === undefined) return 'refused'
    assert.equal(roundTimestamp(rounded, precision), rounded, 'rounded once')
    const away = Math.abs(Date.parse(rounded) - Date.parse(canonical))
    assert.ok(away <= 10 ** (3 - precision) / 2 + 1, `rounded by ${away} ms`)
    return 'canonical'
  },
})

/** What COPY's text format says. */
function copied(line: string): string {
  assert.ok(!/[\t\n\r]/.test(line), 'a field without separators')
  const unescaped: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '\\': '\\' }
  return line.replace(/\\(.)/g, (_, character: string) => unescaped[character] ?? '?')
}
