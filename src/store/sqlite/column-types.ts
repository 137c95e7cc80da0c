/**
 * SQLite's declared types, and how a canonical value is stored in each.
 *
 * SQLite keeps any value in any column, moved a little by the column's affinity. A type is taken from the declared
 * name; where the affinity would change a canonical value, the column is refused.
 */

import { canonicalInteger } from '../../mutation/decimal.ts'
import type { FieldValue } from '../../mutation/mutation.ts'
import { canonicalOf } from '../columns.ts'
import type { Column, ColumnType } from '../schema.ts'

/** What node:sqlite binds and reads. */
export type SqlValue = null | number | bigint | string | Uint8Array

type Affinity = 'INTEGER' | 'TEXT' | 'BLOB' | 'REAL' | 'NUMERIC'

/** SQLite's own rules, in its order. */
export function affinityOf(declared: string): Affinity {
  const name = declared.toUpperCase()
  if (name.includes('INT')) return 'INTEGER'
  if (/CHAR|CLOB|TEXT/.test(name)) return 'TEXT'
  if (name.includes('BLOB') || name === '') return 'BLOB'
  return /REAL|FLOA|DOUB/.test(name) ? 'REAL' : 'NUMERIC'
}

/** Binary floating point keeps this many decimal digits. */
const exactDigits = 15

const text: ColumnType = { kind: 'text' }
const json: ColumnType = { kind: 'json' }
const integer: ColumnType = { kind: 'integer', bits: 64 }
const float: ColumnType = { kind: 'float', bits: 64, nonFinite: false }
const boolean: ColumnType = { kind: 'boolean' }
const bytes: ColumnType = { kind: 'bytes' }
const timestamp: ColumnType = { kind: 'timestamp' }
const timestamptz: ColumnType = { kind: 'timestamptz' }
const opaque: ColumnType = { kind: 'opaque' }

/** Lengths are not enforced by SQLite, so they are not by us. */
const byName = new Map<string, ColumnType>([
  ['BOOLEAN', boolean],
  ['BOOL', boolean],
  ['DATE', { kind: 'date' }],
  ['TIME', { kind: 'time' }],
  ['TIMESTAMP', timestamp],
  ['TIMESTAMP WITHOUT TIME ZONE', timestamp],
  ['DATETIME', timestamp],
  ['TIMESTAMPTZ', timestamptz],
  ['TIMESTAMP WITH TIME ZONE', timestamptz],
  ['UUID', { kind: 'uuid' }],
  ['JSON', json],
  ['JSONB', json],
  ['JSON_TEXT', json],
  ['BLOB', bytes],
  ['BYTEA', bytes],
  ['BINARY', bytes],
  ['VARBINARY', bytes],
])

const declaredPattern = /^\s*([^()]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*(.*?))?\s*$/

/** The column's type, or why it cannot be kept without loss. */
export function typeOf(declared: string): ColumnType | { readonly refused: string } {
  const match = declaredPattern.exec(declared.toUpperCase())
  const name = `${match?.[1] ?? ''} ${match?.[4] ?? ''}`.trim().replaceAll(/\s+/g, ' ')
  if (/^(NUMERIC|DECIMAL|DEC|DECIMAL_TEXT|NUMERIC_TEXT)$/.test(name)) {
    return decimalType(name, match?.[2], match?.[3])
  }
  const named = byName.get(name)
  if (named !== undefined) return named
  switch (affinityOf(declared)) {
    case 'INTEGER':
      return integer
    case 'TEXT':
      return text
    case 'REAL':
      return float
    case 'BLOB':
    case 'NUMERIC':
      return opaque
  }
}

function decimalType(
  name: string,
  precisionText: string | undefined,
  scaleText: string | undefined,
): ColumnType | { readonly refused: string } {
  const precision = precisionText === undefined ? undefined : Number(precisionText)
  const scale =
    scaleText === undefined ? (precision === undefined ? undefined : 0) : Number(scaleText)
  if (affinityOf(name) === 'NUMERIC' && (precision === undefined || precision > exactDigits)) {
    return {
      refused:
        `SQLite would keep ${name} as binary floating point, exact to ${exactDigits} digits only: ` +
        `declare it DECIMAL_TEXT(p, s) or NUMERIC(p, s) with p ≤ ${exactDigits}`,
    }
  }
  return { kind: 'numeric', precision, scale }
}

/** A canonical value as a parameter. */
export function toSql(column: Column): (value: FieldValue) => SqlValue {
  const { kind } = column.type
  if (kind === 'boolean') return (value) => (value === null ? null : Number(value))
  if (kind === 'json') return affinityOf(column.databaseType) === 'NUMERIC' ? numericJson : jsonText
  return (value) => value as SqlValue
}

function jsonText(value: FieldValue): string | null {
  return value === null ? null : JSON.stringify(value)
}

/** A bare JSON number would be parsed by the affinity; bound as a number it stays exactly itself. */
function numericJson(value: FieldValue): string | number | null {
  return typeof value === 'number' ? value : jsonText(value)
}

/**
 * What the database holds, in canonical form. Other programs' spellings are brought into it where they are
 * unambiguous; what is not of the column's type at all is given as it is.
 */
export function fromSql(column: Column): (value: SqlValue) => FieldValue {
  const type = column.type
  if (type.kind === 'text' || type.kind === 'opaque') return asIs
  if (type.kind === 'json') return fromJson
  if (type.kind === 'numeric') return (value) => fromNumeric(type, value)
  if (type.kind === 'bytes') {
    return (value) => (value instanceof Uint8Array ? new Uint8Array(value) : asIs(value))
  }
  if (type.kind === 'integer' || type.kind === 'float') {
    return (value) =>
      typeof value === 'string' ? (canonicalOf(type, value) ?? value) : asIs(value)
  }
  return (value) => (value === null ? null : (canonicalOf(type, value) ?? asIs(value)))
}

/** Sums that other programs made in floating point are right to as many digits as it keeps. */
function fromNumeric(type: ColumnType, value: SqlValue): FieldValue {
  if (value === null) return null
  const canonical = canonicalOf(type, value)
  if (canonical !== undefined || typeof value !== 'number') return canonical ?? asIs(value)
  return canonicalOf(type, value.toPrecision(exactDigits)) ?? value
}

function asIs(value: SqlValue): FieldValue {
  return typeof value === 'bigint' ? canonicalInteger(value) : value
}

function fromJson(value: SqlValue): FieldValue {
  if (typeof value !== 'string') return asIs(value)
  try {
    return JSON.parse(value) as FieldValue
  } catch {
    return value
  }
}
