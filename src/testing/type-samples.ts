/** Values that a column of each type must give back exactly as they were written. */

import type { FieldValue } from '../mutation/mutation.ts'
import type { ColumnType } from '../store/schema.ts'

const texts = [
  '',
  'Ada',
  'O\'Brien \\ " ; -- %_',
  'tab\tline\r\n',
  'žluťoučký 漢字 👩‍👩‍👧',
  '\u0001',
  '  ',
  'null',
  '{}',
]
const fractions = ['.000Z', '.123Z', '.123456Z', '.000001Z']

/** Canonical, and none of them null. Opaque columns have none: their form is the database's own. */
export function samplesOf(type: ColumnType): readonly FieldValue[] {
  switch (type.kind) {
    case 'text':
      return texts.filter((text) => Array.from(text).length <= (type.maxLength ?? Infinity))
    case 'integer':
      return integers(type.bits)
    case 'numeric':
      return decimals(type.precision, type.scale)
    case 'float':
      return floats(type)
    case 'boolean':
      return [true, false]
    case 'timestamptz':
      return ['0001-01-01T00:00:00.000Z', ...fractions.map((end) => `2026-11-23T23:59:59${end}`)]
    case 'timestamp':
      return [
        '9999-12-31T23:59:59.999',
        ...fractions.map((end) => `1969-07-20T20:17:40${end.slice(0, -1)}`),
      ]
    case 'date':
      return ['0001-01-01', '1969-12-31', '2024-02-29', '9999-12-31']
    case 'time':
      return ['00:00:00', '23:59:59', '12:30:00.500', '12:30:00.000001']
    case 'uuid':
      return ['00000000-0000-0000-0000-000000000000', 'f47ac10b-58cc-4372-a567-0e02b2c3d479']
    case 'json':
      return jsonSamples
    case 'bytes':
      return [new Uint8Array(), new Uint8Array([0, 255, 10, 92]), new Uint8Array(3000).fill(7)]
    case 'enum':
      return type.values
    case 'array':
      return [[], [null], [...samplesOf(type.element), null]]
    case 'opaque':
      return []
  }
}

const jsonSamples: readonly FieldValue[] = [
  {},
  [],
  'text',
  '',
  0.1,
  -5,
  12345678901234.5,
  0.1234567890123456,
  true,
  { nested: { list: [1, 'two', null, { three: 3.5 }] }, 'key "with" quotes': "it's", '': 1 },
]

function integers(bits: 16 | 32 | 64): FieldValue[] {
  const common = [0, 1, -1, 32767, -32768]
  if (bits === 16) return common
  const wide = [...common, 2147483647, -2147483648]
  if (bits === 32) return wide
  const beyond = [9007199254740993n, 9223372036854775807n, -9223372036854775808n]
  return [...wide, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, ...beyond]
}

function decimals(precision: number | undefined, scale: number | undefined): FieldValue[] {
  if (scale === undefined)
    return ['0', '-1.50', '0.000000000000000000001', '123456789012345678901234567890.5']
  const fraction = (digits: string): string =>
    scale === 0 ? '' : `.${digits.padEnd(scale, '0').slice(0, scale)}`
  const whole = '9'.repeat(Math.max(1, (precision ?? 10) - scale))
  return [`0${fraction('')}`, `-1${fraction('5')}`, `${whole}${fraction('9'.repeat(scale))}`]
}

function floats(type: Extract<ColumnType, { kind: 'float' }>): FieldValue[] {
  const finite = [0, 1, -1.5, 1e10, 0.5, type.bits === 64 ? 0.1 : Math.fround(0.1)]
  const extreme =
    type.bits === 64
      ? [5e-324, 1.7976931348623157e308]
      : [Math.fround(1.2e-38), Math.fround(3.4e38)]
  return [...finite, ...extreme, ...(type.nonFinite ? [Infinity, -Infinity, NaN] : [])]
}
