/** PostgreSQL's types as the catalogue has them, to Daybook's. Pure. */

import type { ColumnType } from '../schema.ts'

/** One row of pg_type, with what it refers to in the same map. */
export interface CatalogueType {
  readonly oid: string
  readonly name: string
  readonly builtIn: boolean
  /** b: base, c: composite, d: domain, e: enum, r: range, m: multirange. */
  readonly kind: string
  /** The type under a domain, with its modifier. '0' for others. */
  readonly base: string
  readonly baseModifier: number
  readonly notNull: boolean
  /** The element of a true array. '0' for others. */
  readonly element: string
  readonly delimiter: string
  /** As SQL writes it, without a modifier: an explicit cast to it neither cuts nor rounds. */
  readonly castName: string
  readonly labels: readonly string[]
}

export type CatalogueTypes = ReadonlyMap<string, CatalogueType>

export interface ResolvedType {
  readonly type: ColumnType
  /** Of the type that is left once domains are looked through. */
  readonly castName: string
  /** A domain on the way is NOT NULL. */
  readonly notNull: boolean
  /** character(n): blanks at the end do not count, and are not read. */
  readonly blankPadded: boolean
  /** citext: 'A' equals 'a', so its text does not name a row. */
  readonly caseInsensitive: boolean
}

export function resolveType(types: CatalogueTypes, oid: string, modifier: number): ResolvedType {
  const found = types.get(oid)
  if (found === undefined) return plain({ kind: 'opaque' }, 'text')
  if (found.kind === 'd') {
    const base = resolveType(types, found.base, found.baseModifier)
    return { ...base, notNull: base.notNull || found.notNull }
  }
  if (found.kind === 'e') return plain({ kind: 'enum', values: found.labels }, found.castName)
  if (found.element !== '0') return resolveArray(types, found, modifier)
  if (!found.builtIn) return resolveExtension(found)
  return {
    ...plain(builtInType(found.name, modifier), found.castName),
    blankPadded: found.name === 'bpchar',
  }
}

function plain(type: ColumnType, castName: string): ResolvedType {
  return { type, castName, notNull: false, blankPadded: false, caseInsensitive: false }
}

function resolveArray(types: CatalogueTypes, found: CatalogueType, modifier: number): ResolvedType {
  const element = resolveType(types, found.element, modifier)
  const known = found.delimiter === ',' && element.type.kind !== 'array'
  return plain(
    known ? { kind: 'array', element: element.type } : { kind: 'opaque' },
    found.castName,
  )
}

function resolveExtension(found: CatalogueType): ResolvedType {
  const isText = found.name === 'citext'
  return {
    ...plain({ kind: isText ? 'text' : 'opaque' }, found.castName),
    caseInsensitive: isText,
  }
}

/** The header that PostgreSQL counts in the modifiers of character and numeric types. */
const headerBytes = 4

function builtInType(name: string, modifier: number): ColumnType {
  switch (name) {
    case 'text':
      return { kind: 'text' }
    case 'varchar':
    case 'bpchar':
      return modifier < 0 ? { kind: 'text' } : { kind: 'text', maxLength: modifier - headerBytes }
    case 'int2':
      return { kind: 'integer', bits: 16 }
    case 'int4':
      return { kind: 'integer', bits: 32 }
    case 'int8':
      return { kind: 'integer', bits: 64 }
    case 'numeric':
      return numericType(modifier)
    case 'float4':
      return { kind: 'float', bits: 32, nonFinite: true }
    case 'float8':
      return { kind: 'float', bits: 64, nonFinite: true }
    case 'bool':
      return { kind: 'boolean' }
    case 'timestamptz':
    case 'timestamp':
      return modifier < 0 ? { kind: name } : { kind: name, precision: modifier }
    case 'date':
    case 'time':
    case 'uuid':
      return { kind: name }
    case 'json':
    case 'jsonb':
      return { kind: 'json' }
    case 'bytea':
      return { kind: 'bytes' }
    default:
      return { kind: 'opaque' }
  }
}

function numericType(modifier: number): ColumnType {
  if (modifier < 0) return { kind: 'numeric' }
  const packed = modifier - headerBytes
  // The scale is a signed number of 11 bits.
  return {
    kind: 'numeric',
    precision: (packed >> 16) & 0xffff,
    scale: ((packed & 0x7ff) ^ 1024) - 1024,
  }
}
