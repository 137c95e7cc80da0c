/**
 * The statements that write and read one table. Each takes whole columns as arrays, so that its text depends on the shape
 * of the rows only, and never on how many there are or what is in them.
 *
 * Arrays come as text[] and are cast in the SELECT list (PostgreSQL has no arrays of arrays), by the type's name without a
 * modifier: an explicit cast to varchar(3) would cut, while the assignment to the column refuses what is too long.
 */

import { assert } from '../../base/assert.ts'
import type {
  Amount,
  Amounts,
  Fields,
  FieldValue,
  Patch,
  Removed,
} from '../../mutation/mutation.ts'
import { rejectedError } from '../failure.ts'
import type { ColumnType } from '../schema.ts'
import { quoteLiteral } from '../sql.ts'
import { arrayText, quoteElement, quoteJson } from './array-text.ts'
import { copyFieldText } from './copy-text.ts'
import { decodeField, encodeField, needsQuotes } from './field-text.ts'

export interface PhysicalColumn {
  readonly name: string
  /** The name, quoted. */
  readonly sql: string
  readonly type: ColumnType
  readonly castName: string
  /** character(n): see `ResolvedType`. */
  readonly blankPadded: boolean
}

export interface PhysicalTable {
  /** The name, quoted, with its schema. */
  readonly sql: string
  /** A further key column that is the same in every statement: the generic table's `cache`. */
  readonly scope: { readonly sql: string; readonly value: string } | undefined
  readonly key: readonly PhysicalColumn[]
  readonly columns: readonly PhysicalColumn[]
  readonly rest: PhysicalColumn | undefined
  /** A key column is GENERATED ALWAYS AS IDENTITY. */
  readonly overridesIdentity: boolean
  readonly blank: Fields
  /** COPY can write it, and an upsert can tell which rows are new. */
  readonly copies: boolean
}

export interface StatementText {
  readonly text: string
  readonly values: readonly string[]
}

/** A row on its way to the table: the parts of its key, and what its mutation carries. */
export interface KeyedFields {
  readonly parts: readonly FieldValue[]
  readonly fields: Fields
}

export interface KeyedPatch extends KeyedFields {
  readonly amounts: Amounts
  readonly removed: Removed | undefined
}

/** The columns that a patch touches: patches of one shape share a statement. */
export interface PatchShape {
  readonly fields: readonly PhysicalColumn[]
  readonly amounts: readonly PhysicalColumn[]
  /** Fields that no column takes. */
  readonly rest: boolean
  /** Such fields go. */
  readonly removes: boolean
}

/** The only field of a document that is not an object; see `store/row.ts`. */
const wrapped = ''

/** Inserts the rows, or makes the ones that exist exactly these. */
export function upsertStatement(table: PhysicalTable, rows: readonly KeyedFields[]): StatementText {
  const { rest } = table
  const written = [...table.key, ...table.columns, ...(rest === undefined ? [] : [rest])]
  const values = [...keyArrays(table, rows), ...fieldArrays(table, rows)]
  return { text: upsertText(table, written), values }
}

function upsertText(table: PhysicalTable, written: readonly PhysicalColumn[]): string {
  const updated = written.slice(table.key.length)
  const action =
    updated.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${updated.map(({ sql }) => `${sql} = excluded.${sql}`).join(', ')}`
  const selected = written.map((column, index) => castElement(column, index))
  return `${insertHead(table, written, selected)} FROM ${unnestOf(written)} ON CONFLICT (${conflictTarget(table)}) DO ${action}`
}

/** The same, and returns how many of the rows were new. */
export function countedUpsertStatement(
  table: PhysicalTable,
  rows: readonly KeyedFields[],
): StatementText {
  const { text, values } = upsertStatement(table, rows)
  // An updated row carries the lock of this transaction, a new one carries none.
  return {
    text: `WITH written AS (${text} RETURNING t.xmax = 0 AS fresh) SELECT count(*) FILTER (WHERE fresh) FROM written`,
    values,
  }
}

/** One statement in place of several of the same text. */
export function joinStatements(statements: readonly StatementText[]): StatementText {
  const [first, ...others] = statements
  assert(first !== undefined, 'statements to join are there')
  if (others.length === 0) return first
  const values = first.values.map((_, index) => {
    const inner = statements.map((statement) => statement.values[index]?.slice(1, -1))
    return `{${inner.join(',')}}`
  })
  return { text: first.text, values }
}

/** New rows, for COPY. */
export function copyStatement(
  table: PhysicalTable,
  rows: readonly KeyedFields[],
): { readonly text: string; readonly rows: string } {
  const { rest } = table
  const columns = [...table.key, ...table.columns, ...(rest === undefined ? [] : [rest])]
  const names = columns.map(({ sql }) => sql)
  if (table.scope !== undefined) names.push(table.scope.sql)
  return {
    text: `COPY ${table.sql} (${names.join(', ')}) FROM STDIN`,
    rows: copyText(table, rows),
  }
}

/** Removes the rows. */
export function deleteStatement(
  table: PhysicalTable,
  rows: readonly { readonly parts: readonly FieldValue[] }[],
): StatementText {
  return {
    text: `DELETE FROM ${table.sql} AS t USING ${unnestOf(table.key)} WHERE ${keyMatch(table)}`,
    values: keyArrays(table, rows),
  }
}

/** The shape of a patch, and a text that is the same for the same shape. Throws for a column that is not there. */
export function patchShape(
  table: PhysicalTable,
  { fields, amounts, removed }: Patch,
): { readonly shape: PatchShape; readonly id: string } {
  const shape: PatchShape = {
    fields: table.columns.filter((column) => Object.hasOwn(fields, column.name)),
    amounts: table.columns.filter((column) => Object.hasOwn(amounts, column.name)),
    rest: hasMore(fields, table.columns),
    removes: removed !== undefined,
  }
  if (shape.rest && table.rest === undefined) throw unknownColumn(table, fields)
  if (removed !== undefined && table.rest === undefined) throw unknownColumn(table, removed)
  if (hasMore(amounts, shape.amounts)) throw unknownColumn(table, amounts)
  const names = [shape.fields, shape.amounts].map((columns) => columns.map(({ sql }) => sql).join())
  return { shape, id: `${names.join('+')}${shape.rest ? '*' : ''}${shape.removes ? '-' : ''}` }
}

/**
 * Updates the rows that exist, and returns the ordinals (from 1) of their keys. undefined for a patch that changes
 * nothing.
 */
export function patchUpdateStatement(
  table: PhysicalTable,
  shape: PatchShape,
  rows: readonly KeyedPatch[],
): StatementText | undefined {
  const given = givenColumns(table, shape)
  const keyLength = table.key.length
  const sets = shape.fields.map(
    (column, index) => `${column.sql} = ${castElement(column, keyLength + index)}`,
  )
  for (const [index, column] of shape.amounts.entries()) {
    const amount = castElement(amountColumn(column), keyLength + shape.fields.length + index)
    sets.push(`${column.sql} = coalesce(t.${column.sql}, 0) + ${amount}`)
  }
  if (table.rest !== undefined && (shape.rest || shape.removes)) {
    const patched = patchedJson(table.rest, `t.${table.rest.sql}`, {
      added: shape.rest ? `d.c${restIndex(shape, given)}::jsonb` : undefined,
      removed: shape.removes ? `d.c${given.length - 1}::text[]` : undefined,
    })
    sets.push(`${table.rest.sql} = ${patched}`)
  }
  if (sets.length === 0) return undefined
  return {
    text: `UPDATE ${table.sql} AS t SET ${sets.join(', ')} FROM ${unnestOf(given, true)} WHERE ${keyMatch(table)} RETURNING d.i`,
    values: patchArrays(table, shape, rows),
  }
}

/**
 * Inserts the patches over the table's blank row. A row that appears meanwhile is patched; what the patch takes away stays
 * in it, as if the row had come after it.
 */
export function patchInsertStatement(
  table: PhysicalTable,
  shape: PatchShape,
  rows: readonly KeyedPatch[],
): StatementText {
  const { key, rest } = table
  const columns: PhysicalColumn[] = [...key]
  const selected = key.map((column, index) => castElement(column, index))
  const updates: string[] = []
  for (const column of table.columns) {
    columns.push(column)
    const field = shape.fields.indexOf(column)
    const amount = shape.amounts.indexOf(column)
    const blank = blankLiteral(table, column)
    if (field >= 0) {
      selected.push(castElement(column, key.length + field))
      updates.push(`${column.sql} = excluded.${column.sql}`)
    } else if (amount >= 0) {
      const index = key.length + shape.fields.length + amount
      selected.push(`coalesce(${blank}, 0) + ${castElement(amountColumn(column), index)}`)
      const added = `(excluded.${column.sql} - coalesce(${blank}, 0))`
      updates.push(`${column.sql} = coalesce(t.${column.sql}, 0) + ${added}`)
    } else {
      selected.push(blank)
    }
  }
  const given = givenColumns(table, shape)
  if (rest !== undefined) {
    columns.push(rest)
    const value = shape.rest ? `d.c${restIndex(shape, given)}` : `'{}'`
    selected.push(`${value}::${rest.castName}`)
    if (shape.rest) {
      const added = `excluded.${rest.sql}::jsonb`
      updates.push(`${rest.sql} = ${patchedJson(rest, `t.${rest.sql}`, { added })}`)
    }
  }
  const action = updates.length === 0 ? 'NOTHING' : `UPDATE SET ${updates.join(', ')}`
  return {
    text: `${insertHead(table, columns, selected)} FROM ${unnestOf(given)} ON CONFLICT (${conflictTarget(table)}) DO ${action}`,
    values: patchArrays(table, shape, rows),
  }
}

/**
 * One row at least: the lanes' checkpoints of the journal as 'lane:position,…', then the ordinal of a key (NULL where no key
 * has a row) and the row's columns. One statement sees one snapshot.
 */
export function loadStatement(
  table: PhysicalTable,
  checkpoints: string,
  journal: string,
  keys: readonly { readonly parts: readonly FieldValue[] }[],
): StatementText {
  const read = [...table.columns, ...(table.rest === undefined ? [] : [table.rest])]
  const selected = read.map(({ sql }) => `, t.${sql}`).join('')
  return {
    text: `SELECT p.positions, r.* FROM (SELECT string_agg(lane || ':' || position, ',') AS positions
      FROM ${checkpoints} WHERE journal = ${quoteLiteral(journal)}) p LEFT JOIN (SELECT d.i${selected}
      FROM ${unnestOf(table.key, true)} JOIN ${table.sql} AS t ON ${keyMatch(table)}) r ON true`,
    values: keyArrays(table, keys),
  }
}

/** The key columns of the rows after `after`, in the table's order. */
export function keysStatement(
  table: PhysicalTable,
  after: readonly FieldValue[] | undefined,
  limit: number,
): StatementText {
  const names = table.key.map(({ sql }) => `t.${sql}`).join(', ')
  const conditions: string[] = []
  if (table.scope !== undefined)
    conditions.push(`t.${table.scope.sql} = ${quoteLiteral(table.scope.value)}`)
  if (after !== undefined) {
    const bounds = table.key.map((column, index) => `$${index + 2}::${column.castName}`)
    conditions.push(`(${names}) > (${bounds.join(', ')})`)
  }
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const parts = (after ?? []).map((part, index) => encodePart(table, index, part))
  return {
    text: `SELECT ${names} FROM ${table.sql} AS t${where} ORDER BY ${names} LIMIT $1`,
    values: [String(limit), ...parts],
  }
}

function encodePart(table: PhysicalTable, index: number, part: FieldValue): string {
  const column = table.key[index]
  return column === undefined ? '' : (encodeField(column.type, part) ?? '')
}

/** The fields of what `loadStatement` selected, from `offset` on: every column, and what the rest column holds. */
export function readFields(
  table: PhysicalTable,
  row: readonly (string | null)[],
  offset: number,
): Fields {
  const fields: Record<string, FieldValue> = {}
  for (let index = 0; index < table.columns.length; index++) {
    const column = table.columns[index] as PhysicalColumn
    const text = row[offset + index]
    fields[column.name] = text === null || text === undefined ? null : decode(column, text)
  }
  const packed = row[offset + table.columns.length]
  if (table.rest !== undefined && packed !== null && packed !== undefined) {
    unpackRest(fields, decode(table.rest, packed), table.scope !== undefined)
  }
  return fields
}

function decode(column: PhysicalColumn, text: string): FieldValue {
  return decodeField(column.type, column.blankPadded ? text.replace(/ +$/, '') : text)
}

function unpackRest(fields: Record<string, FieldValue>, rest: FieldValue, document: boolean): void {
  if (typeof rest === 'object' && rest !== null && !Array.isArray(rest)) {
    for (const [name, value] of Object.entries(rest as Fields)) {
      // A column's own field wins over what someone put in the rest under its name.
      if (name !== '__proto__' && !Object.hasOwn(fields, name)) fields[name] = value
    }
  } else if (document) {
    fields[wrapped] = rest
  }
}

function insertHead(
  table: PhysicalTable,
  columns: readonly PhysicalColumn[],
  selected: readonly string[],
): string {
  const { scope } = table
  const names = [...(scope === undefined ? [] : [scope.sql]), ...columns.map(({ sql }) => sql)]
  const values = [...(scope === undefined ? [] : [quoteLiteral(scope.value)]), ...selected]
  const overriding = table.overridesIdentity ? ' OVERRIDING SYSTEM VALUE' : ''
  return `INSERT INTO ${table.sql} AS t (${names.join(', ')})${overriding} SELECT ${values.join(', ')}`
}

function conflictTarget(table: PhysicalTable): string {
  const names = table.key.map(({ sql }) => sql)
  return [...(table.scope === undefined ? [] : [table.scope.sql]), ...names].join(', ')
}

function keyMatch(table: PhysicalTable): string {
  const matches = table.key.map(
    (column, index) => `t.${column.sql} = ${castElement(column, index)}`,
  )
  if (table.scope !== undefined)
    matches.push(`t.${table.scope.sql} = ${quoteLiteral(table.scope.value)}`)
  return matches.join(' AND ')
}

/** `unnest($1::text[], …) AS d(c0, …)`, with the ordinal `i` where asked for. */
function unnestOf(columns: readonly PhysicalColumn[], ordinality = false): string {
  const parameters = columns.map((column, index) => `$${index + 1}::${elementType(column)}[]`)
  const names = columns.map((_, index) => `c${index}`)
  if (ordinality) names.push('i')
  return `unnest(${parameters.join(', ')})${ordinality ? ' WITH ORDINALITY' : ''} AS d(${names.join(', ')})`
}

/** Types without quotes have arrays of their own; the server reads these faster than by way of text. */
function elementType(column: PhysicalColumn): string {
  return needsQuotes(column.type) ? 'text' : column.castName
}

function castElement(column: PhysicalColumn, index: number): string {
  const sent = elementType(column)
  return sent === column.castName ? `d.c${index}` : `d.c${index}::${column.castName}`
}

/** A sum may pass the column's range on the way; the assignment refuses it then. */
function amountColumn(column: PhysicalColumn): PhysicalColumn {
  const { type } = column
  if (type.kind === 'integer' && type.bits < 64) {
    return { ...column, type: { kind: 'integer', bits: 64 }, castName: 'bigint' }
  }
  if (type.kind !== 'integer' && type.kind !== 'numeric') {
    throw rejectedError('NOT_A_NUMBER', `Column "${column.name}" cannot be incremented.`)
  }
  return { ...column, type: { kind: 'numeric' }, castName: 'numeric' }
}

/**
 * Merged at the top level, and without the names of `removed`. What is no object has none of them, and is replaced where
 * something is added.
 */
function patchedJson(
  column: PhysicalColumn,
  current: string,
  {
    added,
    removed,
  }: { readonly added?: string | undefined; readonly removed?: string | undefined },
): string {
  const json = `${current}::jsonb`
  const merged = added === undefined ? json : `${json} || ${added}`
  const left = removed === undefined ? merged : withoutNames(merged, removed)
  const patched = `CASE WHEN jsonb_typeof(${json}) = 'object' THEN ${left} ELSE ${added ?? json} END`
  return column.castName === 'jsonb' ? patched : `(${patched})::${column.castName}`
}

/** `-` compares each name with each field: 100,000 fields and 10,000 names take three seconds, and joined 0.2. */
const maxSubtracted = 32

function withoutNames(json: string, names: string): string {
  const left = `SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(${json}) AS f
    WHERE NOT EXISTS (SELECT FROM unnest(${names}) AS n (name) WHERE n.name = f.key)`
  return `CASE WHEN cardinality(${names}) <= ${maxSubtracted} THEN (${json}) - ${names} ELSE (${left}) END`
}

/** An array of arrays is none of text[]: each row's names are the text of one. */
const removedNames: PhysicalColumn = {
  name: '',
  sql: '',
  type: { kind: 'text' },
  castName: 'text[]',
  blankPadded: false,
}

function removedText({ removed = {} }: KeyedPatch): string {
  return arrayText(Object.keys(removed), true)
}

function blankLiteral(table: PhysicalTable, column: PhysicalColumn): string {
  const text = encodeField(column.type, table.blank[column.name] ?? null)
  return `${text === null ? 'NULL' : quoteLiteral(text)}::${column.castName}`
}

/** What a patch of the shape sends: the key, its fields, its amounts, its rest, and the names that go. */
function givenColumns(table: PhysicalTable, shape: PatchShape): PhysicalColumn[] {
  const { rest } = table
  return [
    ...table.key,
    ...shape.fields,
    ...shape.amounts.map(amountColumn),
    ...(shape.rest && rest !== undefined ? [rest] : []),
    ...(shape.removes ? [removedNames] : []),
  ]
}

/** Where the rest is among them: the names that go come last. */
function restIndex(shape: PatchShape, given: readonly PhysicalColumn[]): number {
  return given.length - (shape.removes ? 2 : 1)
}

function keyArrays(
  table: PhysicalTable,
  rows: readonly { readonly parts: readonly FieldValue[] }[],
): string[] {
  return table.key.map((column, index) => arrayOf(column, rows, (row) => row.parts[index] ?? null))
}

function fieldArrays(table: PhysicalTable, rows: readonly KeyedFields[]): string[] {
  let taken = 0
  const values = table.columns.map((column) => {
    const blank = table.blank[column.name] ?? null
    const read = fieldReader(column.name)
    return arrayOf(column, rows, ({ fields }) => {
      const value = read(fields)
      if (value === undefined) return blank
      taken++
      return value
    })
  })
  if (table.rest !== undefined) return [...values, restArray(table, rows)]
  let given = 0
  for (const { fields } of rows) given += Object.keys(fields).length
  if (given !== taken) throw unknownColumn(table, ...rows.map(({ fields }) => fields))
  return values
}

/** undefined where the fields do not have it. */
function fieldReader(name: string): (fields: Fields) => FieldValue | undefined {
  // Such a name is there in every object, by inheritance.
  return name in Object.prototype
    ? (fields) => (Object.hasOwn(fields, name) ? fields[name] : undefined)
    : (fields) => fields[name]
}

function copyText(table: PhysicalTable, rows: readonly KeyedFields[]): string {
  const { key, columns, rest, scope } = table
  const readers = columns.map(({ name }) => fieldReader(name))
  const packed = rest === undefined ? undefined : restPacker(table)
  const end = scope === undefined ? '\n' : `\t${copyFieldText(scope.value)}\n`
  let text = ''
  for (const { parts, fields } of rows) {
    for (let index = 0; index < key.length; index++) {
      if (index > 0) text += '\t'
      text += copyField(key[index] as PhysicalColumn, parts[index] ?? null)
    }
    let taken = 0
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index] as PhysicalColumn
      const value = readers[index]?.(fields)
      if (value !== undefined) taken++
      text +=
        '\t' + copyField(column, value === undefined ? (table.blank[column.name] ?? null) : value)
    }
    if (packed !== undefined) text += '\t' + copyFieldText(packed(fields))
    else if (Object.keys(fields).length !== taken) throw unknownColumn(table, fields)
    text += end
  }
  return text
}

function copyField(column: PhysicalColumn, value: FieldValue): string {
  const plain = typeof value === 'string' && column.type.kind !== 'json'
  return copyFieldText(plain ? value : encodeField(column.type, value))
}

function patchArrays(
  table: PhysicalTable,
  shape: PatchShape,
  rows: readonly KeyedPatch[],
): string[] {
  const arrays = keyArrays(table, rows)
  for (const column of shape.fields) {
    arrays.push(arrayOf(column, rows, ({ fields }) => fields[column.name] ?? null))
  }
  for (const column of shape.amounts) {
    const sent = amountColumn(column)
    arrays.push(arrayOf(sent, rows, ({ amounts }): Amount => amounts[column.name] ?? 0))
  }
  if (shape.rest && table.rest !== undefined) arrays.push(restArray(table, rows))
  if (shape.removes) arrays.push(arrayOf(removedNames, rows, removedText))
  return arrays
}

function restArray(table: PhysicalTable, rows: readonly KeyedFields[]): string {
  const packed = restPacker(table)
  let text = '{'
  for (let index = 0; index < rows.length; index++) {
    if (index > 0) text += ','
    text += quoteJson(packed((rows[index] as KeyedFields).fields))
  }
  return text + '}'
}

/** As text, for a document can be JSON's null, which is not SQL's. */
function restPacker(table: PhysicalTable): (fields: Fields) => string {
  const taken = new Set(table.columns.map((column) => column.name))
  const document = table.scope !== undefined
  return (fields) => JSON.stringify(packRest(fields, taken, document))
}

/** The fields that no column takes, as one value. */
function packRest(fields: Fields, taken: ReadonlySet<string>, document: boolean): FieldValue {
  // Nothing inherits such a name, and asking whether it is an own one takes 0.2 µs of each row.
  const wraps = fields[wrapped] !== undefined
  if (taken.size === 0 && !wraps) return fields
  if (taken.size === 0 && document && Object.keys(fields).length === 1)
    return fields[wrapped] ?? null
  const others = Object.entries(fields).filter(([name]) => !taken.has(name))
  if (!document) return Object.fromEntries(others)
  // A document that is no object stands for itself; once merged into, only what was merged counts.
  const members = others.filter(([name]) => name !== wrapped)
  return members.length === 0 && others.length === 1
    ? (fields[wrapped] ?? null)
    : Object.fromEntries(members)
}

/** The hottest loop of a flush: one column of a batch as the text of an array. */
function arrayOf<T>(
  column: PhysicalColumn,
  rows: readonly T[],
  valueOf: (row: T) => FieldValue,
): string {
  const { type } = column
  const quoted = needsQuotes(type)
  let text = '{'
  for (let index = 0; index < rows.length; index++) {
    if (index > 0) text += ','
    const value = valueOf(rows[index] as T)
    if (value === null) text += 'NULL'
    else if (type.kind === 'json') text += quoteJson(JSON.stringify(value))
    else if (typeof value === 'string') text += quoted ? quoteElement(value) : value
    else if (quoted) text += quoteElement(encodeField(type, value) ?? '')
    else text += encodeField(type, value) ?? ''
  }
  return text + '}'
}

function hasMore(fields: object, columns: readonly PhysicalColumn[]): boolean {
  let known = 0
  for (const column of columns) if (Object.hasOwn(fields, column.name)) known++
  return Object.keys(fields).length > known
}

function unknownColumn(table: PhysicalTable, ...rows: readonly object[]): Error {
  const known = new Set(table.columns.map((column) => column.name))
  const names = new Set(rows.flatMap((fields) => Object.keys(fields)))
  const unknown = [...names].filter((name) => !known.has(name)).map((name) => `"${name}"`)
  return rejectedError(
    'UNKNOWN_COLUMN',
    `Table ${table.sql} of this cache has no column ${unknown.join(', ')}.`,
  )
}
