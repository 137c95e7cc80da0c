/**
 * The one canonical form of each column type, and the way into it.
 *
 * What a caller gives is taken generously where nothing is lost (a Date, a decimal string, a Buffer) and refused where
 * something would be: rounding, truncation, overflow. Canonical values are returned as they are, and a canonical form
 * reads back from the database as itself. Pure.
 */

import { DaybookError } from '../base/errors.ts'
import { canonicalInteger } from '../mutation/decimal.ts'
import type { Amount, FieldValue } from '../mutation/mutation.ts'
import { canonicalJson, expectedJson, isStorableText } from './json.ts'
import type { Column, ColumnType } from './schema.ts'
import {
  canonicalDate,
  canonicalTime,
  canonicalTimestamp,
  roundTimestamp,
  canonicalTimestamptz,
} from './temporal.ts'

/** The canonical value. Throws INVALID_VALUE with { column, expected }, without the value. */
export function canonicalField(column: Column, value: unknown): FieldValue {
  if (value === null) {
    if (column.nullable) return null
    throw refusal(column, 'a value: the column is NOT NULL')
  }
  const canonical = canonicalOf(column.type, value)
  if (canonical === undefined) throw refusal(column, expectedOf(column.type))
  return canonical
}

/**
 * The canonical amount of an increment: number or bigint for an integer column, a decimal string for a numeric one.
 * Throws INVALID_VALUE for every other column: their increments are resolved to an assignment by the cache.
 */
export function canonicalAmount(column: Column, value: unknown): Amount {
  const type = column.type
  if (type.kind === 'integer') {
    const amount = integerOf(value)
    // From the least to the greatest value of the type, and no further.
    const limit = 1n << BigInt(type.bits)
    if (amount !== undefined && amount > -limit && amount < limit)
      return canonicalInteger(BigInt(amount))
    throw refusal(column, `an integer amount below 2^${type.bits}`)
  }
  if (type.kind === 'numeric') {
    const amount = decimalOf(value, undefined, type.scale)
    if (amount !== undefined) return amount
    throw refusal(
      column,
      `a decimal amount${type.scale === undefined ? '' : ` of ${type.scale} fraction digits`}`,
    )
  }
  throw refusal(column, `an integer or numeric column to increment, not ${column.databaseType}`)
}

/** The canonical form of a value that is not null, or undefined where the type cannot take it without loss. */
export function canonicalOf(type: ColumnType, value: unknown): FieldValue | undefined {
  switch (type.kind) {
    case 'text':
      if (typeof value !== 'string' || !isStorableText(value)) return undefined
      return fits(value, type.maxLength) ? value : undefined
    case 'integer':
      if (typeof value === 'number' && (value | 0) === value && type.bits !== 16) return value | 0
      return inRange(integerOf(value), type.bits)
    case 'boolean':
      return typeof value === 'boolean' ? value : booleanOf(value)
    case 'numeric':
      return decimalOf(value, type.precision, type.scale)
    case 'float':
      return floatOf(value, type.bits, type.nonFinite)
    case 'timestamptz':
      return rounded(canonicalTimestamptz(value), type.precision)
    case 'timestamp':
      return rounded(canonicalTimestamp(value), type.precision)
    case 'date':
      return canonicalDate(value)
    case 'time':
      return canonicalTime(value)
    case 'uuid':
      return typeof value === 'string' && uuidPattern.test(value) ? value.toLowerCase() : undefined
    case 'json':
      return canonicalJson(value)
    case 'bytes':
      return bytesOf(value)
    case 'enum':
      return typeof value === 'string' && type.values.includes(value) ? value : undefined
    case 'array':
      return arrayOf(type.element, value)
    case 'opaque':
      return typeof value === 'string' && isStorableText(value) ? value : undefined
  }
}

function rounded(text: string | undefined, precision: number | undefined): string | undefined {
  return text === undefined || precision === undefined ? text : roundTimestamp(text, precision)
}

/** What the type takes, for messages. */
export function expectedOf(type: ColumnType): string {
  switch (type.kind) {
    case 'text':
      return `text${type.maxLength === undefined ? '' : ` of at most ${type.maxLength} characters`} (no NUL or lone surrogates)`
    case 'integer':
      return `an integer of ${type.bits} bits (a number where it is safe, else a bigint or digits)`
    case 'numeric':
      return type.scale === undefined
        ? 'a decimal (a string, number or bigint)'
        : `a decimal of at most ${type.precision ?? maxDigits} digits, ${type.scale} of them after the point`
    case 'float':
      return `a ${type.nonFinite ? '' : 'finite '}number of ${type.bits} bits`
    case 'boolean':
      return 'a boolean'
    case 'timestamptz':
      return 'a valid Date, or ISO 8601 text with an offset, to the microsecond'
    case 'timestamp':
      return 'ISO 8601 text, to the microsecond, or a valid Date (taken as UTC)'
    case 'date':
      return "a date as 'YYYY-MM-DD', or a Date at midnight UTC"
    case 'time':
      return "a time as 'HH:MM:SS', to the microsecond"
    case 'uuid':
      return 'a UUID'
    case 'json':
      return expectedJson
    case 'bytes':
      return 'a Uint8Array'
    case 'enum':
      return `one of ${type.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'array':
      return `an array (nested ones of equal length, not empty), each element null or ${expectedOf(type.element)}`
    case 'opaque':
      return "text, in the database's own form of the type"
  }
}

function refusal(column: Column, expected: string): DaybookError {
  return new DaybookError('INVALID_VALUE', `Column "${column.name}" takes ${expected}.`, {
    details: { column: column.name, expected },
  })
}

function fits(text: string, maxLength: number | undefined): boolean {
  if (maxLength === undefined || text.length <= maxLength) return true
  // Databases count code points; each takes one or two UTF-16 units.
  if (text.length > 2 * maxLength) return false
  return Array.from(text).length <= maxLength
}

const integerPattern = /^[+-]?\d{1,40}$/

function integerOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value + 0 : undefined
  if (typeof value === 'bigint') return canonicalInteger(value)
  if (typeof value !== 'string' || !integerPattern.test(value)) return undefined
  // BigInt refuses a plus sign.
  return canonicalInteger(BigInt(value.replace('+', '')))
}

function inRange(
  value: number | bigint | undefined,
  bits: 16 | 32 | 64,
): number | bigint | undefined {
  if (value === undefined) return undefined
  if (bits === 64)
    return typeof value === 'number' || BigInt.asIntN(64, value) === value ? value : undefined
  const limit = 2 ** (bits - 1)
  return value >= -limit && value < limit ? value : undefined
}

function booleanOf(value: unknown): boolean | undefined {
  if (value === 1 || value === 'true' || value === '1' || value === 1n) return true
  if (value === 0 || value === 'false' || value === '0' || value === 0n) return false
  return undefined
}

/** Of a numeric column without a precision, and of exponents: more is a mistake or an attack. */
const maxDigits = 1000
const decimalPattern = /^([+-])?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/

function decimalOf(
  value: unknown,
  precision: number | undefined,
  scale: number | undefined,
): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint')
    return undefined
  const text = String(value)
  if (text.length > 2 * maxDigits + 10) return undefined
  const match = decimalPattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return undefined
  // The value is 0.digits × 10^point; then both sides of the point are cut out of the digits.
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (Math.abs(point) > maxDigits || digits.length - point > maxDigits) return undefined
  const left =
    digits
      .slice(0, Math.max(point, 0))
      .padEnd(point, '0')
      .replace(/^0+(?=.)/, '') || '0'
  const right = point < 0 ? '0'.repeat(-point) + digits : digits.slice(point)
  const atScale = scale === undefined ? right : fractionAtScale(right, Math.max(scale, 0))
  if (atScale === undefined || !fitsPrecision(left, atScale, precision, scale)) return undefined
  const zero = !/[1-9]/.test(left) && !/[1-9]/.test(atScale)
  return (sign === '-' && !zero ? '-' : '') + left + (atScale === '' ? '' : `.${atScale}`)
}

/** Exactly `scale` digits, or undefined where that would round. */
function fractionAtScale(fraction: string, scale: number): string | undefined {
  if (fraction.length <= scale) return fraction.padEnd(scale, '0')
  return /[1-9]/.test(fraction.slice(scale)) ? undefined : fraction.slice(0, scale)
}

function fitsPrecision(
  whole: string,
  fraction: string,
  precision: number | undefined,
  scale = 0,
): boolean {
  if (precision === undefined) return true
  let digits = (whole + fraction).replace(/^0+/, '')
  if (scale < 0 && digits !== '') {
    // A negative scale counts in tens: the last digits must be zeros, and are not part of the precision.
    if (/[1-9]/.test(digits.slice(scale))) return false
    digits = digits.slice(0, scale)
  }
  return digits.length <= precision
}

const numberPattern = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const nonFiniteNames = new Set(['NaN', 'Infinity', '-Infinity'])

function floatOf(value: unknown, bits: 32 | 64, nonFinite: boolean): number | undefined {
  const given = numberOf(value)
  if (given === undefined) return undefined
  if (!Number.isFinite(given)) return nonFinite ? given : undefined
  if (bits === 64) return given + 0
  const rounded = Math.fround(given)
  // PostgreSQL calls both an overflow and an underflow out of range.
  if (!Number.isFinite(rounded) || (rounded === 0 && given !== 0)) return undefined
  return rounded + 0
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? Number(value) : undefined
  if (typeof value !== 'string') return undefined
  if (nonFiniteNames.has(value)) return Number(value)
  if (!numberPattern.test(value)) return undefined
  const number = Number(value)
  return Number.isFinite(number) ? number : undefined
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A copy, and never a Buffer: Buffers print and compare differently. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  return value instanceof ArrayBuffer ? new Uint8Array(value.slice(0)) : undefined
}

/** PostgreSQL's own limit. */
const maxDimensions = 6

function arrayOf(element: ColumnType, value: unknown): FieldValue[] | undefined {
  if (!Array.isArray(value)) return undefined
  const shape = shapeOf(element, value)
  return shape === undefined ? undefined : copyElements(element, value, shape)
}

/** The lengths of the nested arrays, by the first of each level; undefined where no database has such an array. */
function shapeOf(element: ColumnType, value: readonly unknown[]): number[] | undefined {
  const shape = [value.length]
  let first: unknown = value[0]
  // An array inside an array of JSON is a JSON value.
  while (Array.isArray(first) && element.kind !== 'json' && element.kind !== 'array') {
    if (first.length === 0 || shape.length === maxDimensions) return undefined
    shape.push(first.length)
    first = first[0]
  }
  return shape
}

function copyElements(
  element: ColumnType,
  values: readonly unknown[],
  [length, ...inner]: readonly number[],
): FieldValue[] | undefined {
  if (values.length !== length) return undefined
  const result: FieldValue[] = []
  for (let index = 0; index < values.length; index++) {
    const copied = copyElement(element, values[index], inner)
    if (copied === undefined) return undefined
    result.push(copied)
  }
  return result
}

function copyElement(
  element: ColumnType,
  value: unknown,
  inner: readonly number[],
): FieldValue | undefined {
  if (inner.length > 0)
    return Array.isArray(value) ? copyElements(element, value, inner) : undefined
  return value === null ? null : canonicalOf(element, value)
}
