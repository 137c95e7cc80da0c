/**
 * Between what users write and read, and the canonical fields of a row.
 *
 * A row has every column of the cache, in the schema's order, so rows of one table share one shape. With a `rest`
 * column the fields that no column takes stand beside the columns; the store packs them into that column and unpacks
 * them on load. A document (a cache without a table) is any JSON value: the members of an object are its fields, and
 * anything else is the one field ''. Pure.
 */

import { DaybookError } from '../base/errors.ts'
import { didYouMean } from '../base/nearest.ts'
import type { Amount, Amounts, Fields, FieldValue } from '../mutation/mutation.ts'
import { canonicalAmount, canonicalField } from './columns.ts'
import { canonicalJson, expectedJson } from './json.ts'
import { keyParts, textOf } from './key.ts'
import type { Column, TableSchema } from './schema.ts'

/** Everything here throws INVALID_VALUE for what the table cannot take, naming the columns. */
export interface RowCodec {
  /** For a `set`: every column, with its default or null where the value leaves it out (or has it undefined). */
  row(value: unknown, key: string): Fields
  /** For a merge: the given columns only. A field that is undefined is left out. */
  patch(value: unknown, key: string): Fields
  /** For an increment, of integer and numeric columns. */
  amounts(value: unknown): Amounts
  /** The value as users read it: the fields themselves, or what a document wraps. Not a copy. */
  unwrap(fields: Fields): unknown
  /** No field is an object, an array or bytes: a shallow copy is a whole one. */
  isFlat(fields: Fields): boolean
}

/** The only field of a document that is not an object. */
const wrapped = ''

export function rowCodec(schema: TableSchema): RowCodec {
  return schema.document ? documentCodec(schema) : tableCodec(schema)
}

function tableCodec(schema: TableSchema): RowCodec {
  const { columns, rest } = schema
  const names = columns.map((column) => column.name)
  const byName = new Map(columns.map((column) => [column.name, column]))
  const keyNames = new Set(schema.key.map((column) => column.name))
  const template = templateOf(schema)
  const alwaysFlat = rest === undefined && columns.every((column) => isFlatType(column))
  const required = columns.some((column) => column.required)
  /** Names that every object inherits need an own-property check; the others are read at once. */
  const plainNames = names.every((name) => !(name in Object.prototype))

  const takeOther = (
    target: Record<string, FieldValue>,
    name: string,
    value: unknown,
    key: string,
  ): void => {
    if (keyNames.has(name)) checkKeyField(schema, name, value, key)
    else if (rest === undefined) throw unknownField(schema, name)
    else target[name] = restField(rest, name, value)
  }

  /** Any object: in the order of its own fields. */
  const takeAll = (target: Record<string, FieldValue>, value: object, key: string): void => {
    for (const name of Object.keys(value)) {
      const field = (value as Record<string, unknown>)[name]
      if (field === undefined) continue
      const column = byName.get(name)
      if (column === undefined) takeOther(target, name, field, key)
      else target[name] = canonicalField(column, field)
    }
  }

  const row = (value: unknown, key: string): Fields => {
    const source = requireObject(schema, value)
    const target: Record<string, FieldValue> = { ...template }
    if (plainNames && isPlain(source)) {
      let own = Object.keys(source).length
      for (let index = 0; index < columns.length; index++) {
        const name = names[index] as string
        const field = source[name]
        if (field === undefined) continue
        target[name] = canonicalField(columns[index] as Column, field)
        own--
      }
      // Fields are left over: unknown ones, key columns, or undefined.
      if (own !== 0) takeAll(target, source, key)
    } else {
      takeAll(target, source, key)
    }
    if (required) checkRequired(schema, source)
    return target
  }

  const patch = (value: unknown, key: string): Fields => {
    const target: Record<string, FieldValue> = {}
    takeAll(target, requireObject(schema, value), key)
    return target
  }

  const amounts = (value: unknown): Amounts => {
    const target: Record<string, Amount> = {}
    const source = requireObject(schema, value)
    for (const name of Object.keys(source)) {
      const amount = source[name]
      if (amount === undefined) continue
      const column = byName.get(name)
      if (column === undefined) throw notIncrementable(schema, name)
      target[name] = canonicalAmount(column, amount)
    }
    return requireAmounts(schema, target)
  }

  return {
    row,
    patch,
    amounts,
    unwrap: (fields) => fields,
    isFlat: alwaysFlat ? () => true : hasNoObject,
  }
}

function documentCodec(schema: TableSchema): RowCodec {
  const fieldsOf = (value: unknown): Fields => {
    const canonical = canonicalJson(value)
    if (canonical === undefined) throw invalid(schema, `A value is ${expectedJson}.`)
    if (!isFields(canonical)) return { [wrapped]: canonical }
    if (Object.hasOwn(canonical, wrapped)) {
      throw invalid(schema, 'A value has no member with an empty name.', { column: wrapped })
    }
    return canonical
  }
  return {
    row: (value) => fieldsOf(isPlainObject(value) ? withoutUndefined(value) : value),
    patch: (value) => fieldsOf(withoutUndefined(requireObject(schema, value))),
    amounts: (value) => {
      const [name = ''] = Object.keys(requireObject(schema, value))
      throw notIncrementable(schema, name)
    },
    unwrap: unwrapDocument,
    isFlat: hasNoObject,
  }
}

/** The JSON value of a document. A merge over a value that is no object makes it one, of the merge's fields alone. */
export function unwrapDocument(fields: Fields): FieldValue {
  if (!Object.hasOwn(fields, wrapped)) return fields
  const { [wrapped]: value, ...others } = fields
  for (const _ in others) return others
  return value ?? null
}

/** The fields of a document, from its JSON value as a store holds it. */
export function wrapDocument(value: FieldValue): Fields {
  return isFields(value) ? value : { [wrapped]: value }
}

/** What goes into the rest column: the fields that no column takes; undefined where there are none. */
export function packRest(schema: TableSchema, fields: Fields): Fields | undefined {
  let others: Record<string, FieldValue> | undefined
  for (const name in fields) {
    if (Object.hasOwn(schema.blank, name)) continue
    others ??= {}
    others[name] = fields[name] ?? null
  }
  return others
}

/** Adds what the rest column holds to the fields of a row that was loaded. A name of a column stays the column's. */
export function unpackRest(
  schema: TableSchema,
  fields: Record<string, FieldValue>,
  held: FieldValue,
): void {
  if (!isFields(held)) return
  for (const name of Object.keys(held)) {
    if (name !== '__proto__' && !Object.hasOwn(schema.blank, name))
      fields[name] = held[name] ?? null
  }
}

/** Defaults in the schema's order: spreading it makes every row of the table the same shape. */
function templateOf(schema: TableSchema): Fields {
  const template: Record<string, FieldValue> = {}
  for (const column of schema.columns) {
    if (column.name === '__proto__') {
      throw new DaybookError(
        'STORE_MISCONFIGURED',
        `Table "${schema.table}" has a column named __proto__.`,
      )
    }
    template[column.name] = column.defaultValue
  }
  return template
}

function restField(rest: Column, name: string, value: unknown): FieldValue {
  if (name === rest.name) {
    throw new DaybookError(
      'INVALID_VALUE',
      `Field "${name}" has the name of the column that takes all other fields.`,
      {
        details: { column: name },
        hint: `Give its members as fields of the value itself.`,
      },
    )
  }
  const canonical = name === '__proto__' ? undefined : canonicalJson(value)
  if (canonical !== undefined && canonicalJson(name) !== undefined) return canonical
  throw new DaybookError('INVALID_VALUE', `Field "${name}" takes ${expectedJson}.`, {
    details: { column: name, expected: expectedJson },
  })
}

function checkKeyField(schema: TableSchema, name: string, value: unknown, key: string): void {
  const index = schema.key.findIndex((column) => column.name === name)
  const column = schema.key[index] as Column
  const part = keyParts(schema, key)[index] as FieldValue
  if (textOf(canonicalField(column, value)) === textOf(part)) return
  throw invalid(schema, `Column "${name}" of the value differs from the key.`, { column: name })
}

function checkRequired(schema: TableSchema, value: Readonly<Record<string, unknown>>): void {
  const missing = schema.columns.filter(
    (column) =>
      column.required && (!Object.hasOwn(value, column.name) || value[column.name] === undefined),
  )
  if (missing.length === 0) return
  const names = missing.map((column) => column.name)
  throw invalid(schema, `A value of table "${schema.table}" lacks ${names.join(', ')}.`, {
    columns: names,
  })
}

function unknownField(schema: TableSchema, name: string): DaybookError {
  const known = schema.columns.map((column) => column.name)
  return new DaybookError(
    'INVALID_VALUE',
    `Table "${schema.table}" of this cache has no column "${name}".${didYouMean(name, known)}`,
    {
      details: { table: schema.table, column: name },
      hint: 'Add the column, or give the cache a `rest` column. One that the database fills by itself, such as by now(), is there if `columns` lists it; a generated one is not.',
    },
  )
}

function notIncrementable(schema: TableSchema, name: string): DaybookError {
  return invalid(
    schema,
    `"${name}" is no column of table "${schema.table}" that can be incremented.`,
    {
      column: name,
    },
  )
}

function requireAmounts(schema: TableSchema, amounts: Amounts): Amounts {
  for (const _ in amounts) return amounts
  throw invalid(schema, 'An increment names at least one column.')
}

function requireObject(schema: TableSchema, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw invalid(schema, `A value of table "${schema.table}" is an object of its columns.`)
}

function invalid(
  schema: TableSchema,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): DaybookError {
  return new DaybookError('INVALID_VALUE', message, {
    details: { table: schema.table, ...details },
  })
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && isPlain(value)
}

/** Optional properties are often there as undefined: at the top level that is as good as absent. */
function withoutUndefined(
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  for (const name in value) {
    if (value[name] === undefined) {
      return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
    }
  }
  return value
}

function isFields(value: FieldValue): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isFlatType(column: Column): boolean {
  const kind = column.type.kind
  return kind !== 'json' && kind !== 'array' && kind !== 'bytes'
}

function hasNoObject(fields: Fields): boolean {
  for (const name in fields) {
    const field = fields[name]
    if (typeof field === 'object' && field !== null) return false
  }
  return true
}
