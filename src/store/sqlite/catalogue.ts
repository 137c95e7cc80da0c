/** What SQLite's catalogue says of a table, as a cache sees it. Throws STORE_MISCONFIGURED with what to do. */

import { DaybookError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest.ts'
import type { FieldValue } from '../../mutation/mutation.ts'
import { canonicalOf } from '../columns.ts'
import { blankOf, documentSchema } from '../declared-table.ts'
import { isKeyType } from '../key.ts'
import type { Column, LeftOutColumn, TableRequest, TableSchema } from '../schema.ts'
import { parseTableName, quoteIdentifier } from '../sql.ts'
import { affinityOf, typeOf } from './column-types.ts'
import type { Connection } from './connection.ts'

/** A row of table_xinfo. */
interface CatalogueColumn {
  readonly name: string
  readonly declared: string
  readonly notNull: boolean
  /** SQL text, or null. */
  readonly defaultSql: string | null
  /** Place in the primary key from 1, or 0. */
  readonly keyPlace: number
  readonly generated: boolean
}

interface CatalogueTable {
  readonly name: string
  readonly columns: readonly CatalogueColumn[]
}

export function describeTable(connection: Connection, request: TableRequest): TableSchema {
  const isUtf8 = encodingOf(connection) === 'UTF-8'
  if (request.table === undefined) return { ...documentSchema, keysByBytes: isUtf8 }
  const table = findTable(connection, request, request.table)
  checkKey(connection, request, table)
  checkNames(request, table)
  const visible = table.columns.filter((column) => isVisible(request, column))
  const columns = visible.map((column) => describeColumn(connection, request, column))
  checkLeftOut(request, table)
  return {
    table: table.name,
    rank: rankOf(connection, table.name),
    key: request.key.map((name) => describeKey(request, columnNamed(table, name))),
    columns,
    rest: restColumn(request, table),
    document: false,
    blank: blankOf(columns),
    // A text of a column without the affinity may be kept as a number, and stand elsewhere then.
    keysByBytes:
      isUtf8 && request.key.length === 1 && isText(columnNamed(table, request.key[0] ?? '')),
    leftOut: leftOutColumns(request, table),
  }
}

/** UTF-16 compares by other bytes. */
function encodingOf(connection: Connection): unknown {
  return connection.prepare('SELECT encoding FROM pragma_encoding').get()?.['encoding']
}

function isText({ declared }: CatalogueColumn): boolean {
  const type = typeOf(declared)
  return affinityOf(declared) === 'TEXT' && !('refused' in type) && type.kind === 'text'
}

function leftOutColumns(request: TableRequest, table: CatalogueTable): LeftOutColumn[] {
  return table.columns
    .filter(
      (column) =>
        !isVisible(request, column) &&
        !request.key.includes(column.name) &&
        column.name !== request.rest,
    )
    .map((column) => ({
      name: column.name,
      databaseType: column.declared,
      why: column.generated
        ? 'generated'
        : request.columns === undefined || isFilled(column)
          ? 'filled'
          : 'unlisted',
    }))
}

function findTable(connection: Connection, request: TableRequest, asked: string): CatalogueTable {
  const name = parseTableName(asked)
  if (name.schema !== undefined && name.schema !== 'main') {
    throw misconfigured(
      request,
      `Table "${asked}" is in an attached database, whose commits would not be atomic.`,
    )
  }
  const tables = connection
    .prepare(
      `SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'`,
    )
    .all() as { name: string; type: string }[]
  const found = tables.find((table) => table.name.toLowerCase() === name.table.toLowerCase())
  if (found === undefined)
    throw missingTable(
      request,
      asked,
      tables.map((table) => table.name),
    )
  if (found.type !== 'table') {
    throw misconfigured(request, `"${asked}" is a ${found.type}, not a table.`)
  }
  return { name: found.name, columns: columnsOf(connection, found.name) }
}

function missingTable(
  request: TableRequest,
  asked: string,
  names: readonly string[],
): DaybookError {
  const known = names.filter((name) => !name.startsWith('daybook_')).sort()
  const nearest = nearestName(asked, known)
  const listed = known.length === 0 ? 'no tables' : known.slice(0, 10).join(', ')
  const hint = nearest === undefined ? `The database has ${listed}.` : `Did you mean "${nearest}"?`
  return misconfigured(request, `There is no table "${asked}".`, hint)
}

function columnsOf(connection: Connection, table: string): CatalogueColumn[] {
  const rows = connection
    .prepare('SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)')
    .all(table) as Record<string, unknown>[]
  return rows.map((row) => ({
    name: row['name'] as string,
    declared: row['type'] as string,
    notNull: row['notnull'] === 1n,
    defaultSql: row['dflt_value'] as string | null,
    keyPlace: Number(row['pk']),
    // 1 is a hidden column of a virtual table; 2 and 3 are generated.
    generated: row['hidden'] !== 0n,
  }))
}

/** The cache's key must name one row, and compare as its canonical text does. */
function checkKey(connection: Connection, request: TableRequest, table: CatalogueTable): void {
  const names = request.key
  for (const name of names) columnNamedIn(request, table, name)
  const primary = table.columns.filter((column) => column.keyPlace > 0)
  const isPrimary = sameSet(
    names,
    primary.map((column) => column.name),
  )
  const [only] = primary
  // A rowid by another name has no index, and compares as a number.
  if (isPrimary && primary.length === 1 && only?.declared.toUpperCase() === 'INTEGER') return
  const index = uniqueIndexes(connection, table.name).find((candidate) =>
    sameSet(names, candidate.columns),
  )
  if (index === undefined) {
    throw misconfigured(
      request,
      `The key (${names.join(', ')}) is no primary key or unique index of table "${table.name}".`,
      `Its primary key is (${primary.map((column) => column.name).join(', ')}).`,
    )
  }
  const nullable = names.filter((name) => !columnNamed(table, name).notNull)
  if (!isPrimary && nullable.length > 0) {
    throw misconfigured(
      request,
      `Key column "${nullable.join(', ')}" of table "${table.name}" may be NULL.`,
    )
  }
  const collation = index.collations.find((name) => name.toUpperCase() !== 'BINARY')
  if (collation !== undefined) {
    throw misconfigured(
      request,
      `The key of table "${table.name}" has the collation ${collation}: different keys would be one row.`,
      'Give the key column the collation BINARY.',
    )
  }
  const other = names.find((name) => !comparesByBytes(connection, table.name, name))
  if (other === undefined) return
  throw misconfigured(
    request,
    `Key column "${other}" of table "${table.name}" has another collation than its index: different keys would be one row.`,
    'Give the key column the collation BINARY.',
  )
}

/** No pragma tells the collation of a column, and statements compare by it, whatever an index has. */
function comparesByBytes(connection: Connection, table: string, column: string): boolean {
  const name = quoteIdentifier(column)
  const statement = connection.database.prepare(
    `SELECT count(*) AS equal FROM (SELECT ${name} FROM ${quoteIdentifier(table)} WHERE 0 UNION ALL SELECT 'a' UNION ALL SELECT 'b')
     WHERE ${name} IN ('A', 'b ')`,
  )
  return statement.get()?.['equal'] === 0
}

function uniqueIndexes(
  connection: Connection,
  table: string,
): { readonly columns: readonly string[]; readonly collations: readonly string[] }[] {
  const names = connection
    .prepare('SELECT name FROM pragma_index_list(?) WHERE "unique" = 1 AND partial = 0')
    .all(table) as { name: string }[]
  return names.map(({ name }) => {
    const parts = connection
      .prepare('SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1')
      .all(name) as { name: string | null; coll: string }[]
    // An expression has no name, and matches no column.
    return {
      columns: parts.map((part) => part.name ?? ''),
      collations: parts.map((part) => part.coll),
    }
  })
}

function checkNames(request: TableRequest, table: CatalogueTable): void {
  const asked = [...(request.columns ?? []), ...(request.rest === undefined ? [] : [request.rest])]
  for (const name of asked) {
    if (columnNamedIn(request, table, name).generated) {
      throw misconfigured(
        request,
        `Column "${name}" of table "${table.name}" is generated: it cannot be written.`,
      )
    }
  }
}

/** A left-out column that must be given would make every insert fail. */
function checkLeftOut(request: TableRequest, table: CatalogueTable): void {
  const missing = table.columns.filter(
    (column) =>
      !isVisible(request, column) &&
      !request.key.includes(column.name) &&
      column.name !== request.rest &&
      !column.generated &&
      column.notNull &&
      column.defaultSql === null &&
      !isRowId(column),
  )
  if (missing.length === 0) return
  const names = missing.map((column) => column.name).join(', ')
  throw misconfigured(
    request,
    `Column ${names} of table "${table.name}" is NOT NULL without a default, and not among the cache's columns.`,
    'Add it to `columns`, or give it a default.',
  )
}

/** Neither key nor rest, and either asked for or not filled by the database itself. */
function isVisible(request: TableRequest, column: CatalogueColumn): boolean {
  if (request.key.includes(column.name) || column.name === request.rest || column.generated)
    return false
  if (request.columns !== undefined) return request.columns.includes(column.name)
  return !isFilled(column)
}

/** By the database, where nothing is given for it. */
function isFilled(column: CatalogueColumn): boolean {
  return isRowId(column) || (column.defaultSql !== null && !isConstant(column.defaultSql))
}

function isRowId(column: CatalogueColumn): boolean {
  return column.keyPlace > 0 && column.declared.toUpperCase() === 'INTEGER'
}

const constantPattern =
  /^[\s(]*(?:[+-]?\s*(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|0x[0-9a-f]+)|'(?:[^']|'')*'|"(?:[^"]|"")*"|x'[0-9a-f]*'|null|true|false)[\s)]*$/i

function isConstant(sql: string): boolean {
  return constantPattern.test(sql)
}

function describeColumn(
  connection: Connection,
  request: TableRequest,
  column: CatalogueColumn,
): Column {
  const type = typeOf(column.declared)
  if ('refused' in type) {
    throw misconfigured(
      request,
      `Column "${column.name}": ${type.refused}.`,
      'Or leave the column out with the `columns` option.',
    )
  }
  return {
    name: column.name,
    type,
    nullable: !column.notNull,
    defaultValue: defaultValue(connection, request, column, type),
    required: column.notNull && (column.defaultSql === null || !isConstant(column.defaultSql)),
    databaseType: column.declared,
  }
}

function defaultValue(
  connection: Connection,
  request: TableRequest,
  column: CatalogueColumn,
  type: Column['type'],
): FieldValue {
  if (column.defaultSql === null || !isConstant(column.defaultSql)) return null
  const raw = evaluate(connection, column.defaultSql)
  if (raw === null) return null
  const parsed = type.kind === 'json' && typeof raw === 'string' ? parseJson(raw) : raw
  const canonical = canonicalOf(type, parsed)
  if (canonical !== undefined) return canonical
  throw misconfigured(
    request,
    `The default of column "${column.name}" is no value of its type ${column.declared}.`,
    'Change the default, or leave the column out with the `columns` option.',
  )
}

/** The text is a literal, as `isConstant` has seen. */
function evaluate(connection: Connection, literal: string): unknown {
  const statement = connection.database.prepare(`SELECT ${singleQuoted(literal)} AS value`)
  statement.setReadBigInts(true)
  return statement.get()?.['value'] ?? null
}

/** A default in double quotes is text for CREATE TABLE, and a column's name for SELECT. */
function singleQuoted(literal: string): string {
  return literal.replace(
    /^([\s(]*)"((?:[^"]|"")*)"/,
    (_, before: string, text: string) =>
      `${before}'${text.replaceAll('""', '"').replaceAll("'", "''")}'`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function describeKey(request: TableRequest, column: CatalogueColumn): Column {
  const type = typeOf(column.declared)
  if ('refused' in type || !isKeyType(type)) {
    throw misconfigured(
      request,
      `Key column "${column.name}" has the type "${column.declared}", whose equal values may differ in text.`,
      'Use a column of a text, integer, uuid, date or timestamp type.',
    )
  }
  return {
    name: column.name,
    type,
    nullable: false,
    defaultValue: null,
    required: true,
    databaseType: column.declared,
  }
}

function restColumn(request: TableRequest, table: CatalogueTable): Column | undefined {
  if (request.rest === undefined) return undefined
  const column = columnNamed(table, request.rest)
  const type = typeOf(column.declared)
  // Text columns hold JSON well, and SQLite's own documentation declares them so.
  if ('refused' in type || (type.kind !== 'json' && type.kind !== 'text')) {
    throw misconfigured(
      request,
      `Column "${column.name}" takes all other fields, so it must be JSON or TEXT.`,
    )
  }
  return {
    name: column.name,
    type: { kind: 'json' },
    nullable: !column.notNull,
    defaultValue: null,
    required: false,
    databaseType: column.declared,
  }
}

/** Parents before children over all foreign keys of the database; within a cycle, in some fixed order. */
function rankOf(connection: Connection, table: string): number {
  const edges = connection
    .prepare(
      `SELECT child.name AS child, lower(fk."table") AS parent
       FROM sqlite_schema AS child LEFT JOIN pragma_foreign_key_list(child.name) AS fk
       WHERE child.type = 'table' ORDER BY child.name, fk.id`,
    )
    .all() as { child: string; parent: string | null }[]
  const parents = new Map<string, string[]>()
  for (const { child, parent } of edges) {
    const known = parents.get(child.toLowerCase()) ?? []
    if (parent !== null) known.push(parent)
    parents.set(child.toLowerCase(), known)
  }
  const order = new Set<string>()
  const visited = new Set<string>()
  const visit = (name: string): void => {
    if (visited.has(name)) return
    visited.add(name)
    for (const parent of parents.get(name) ?? []) visit(parent)
    order.add(name)
  }
  for (const name of parents.keys()) visit(name)
  return [...order].indexOf(table.toLowerCase())
}

function columnNamed(table: CatalogueTable, name: string): CatalogueColumn {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (column === undefined) throw new Error(`Column ${name} was checked before.`)
  return column
}

function columnNamedIn(
  request: TableRequest,
  table: CatalogueTable,
  name: string,
): CatalogueColumn {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (column !== undefined) return column
  const names = table.columns.map((candidate) => candidate.name)
  const nearest = nearestName(name, names)
  const hint = nearest === undefined ? `It has ${names.join(', ')}.` : `Did you mean "${nearest}"?`
  throw misconfigured(request, `Table "${table.name}" has no column "${name}".`, hint)
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name))
}

function misconfigured(request: TableRequest, message: string, hint?: string): DaybookError {
  return new DaybookError('STORE_MISCONFIGURED', message, {
    details: { cache: request.cache, table: request.table },
    ...(hint === undefined ? {} : { hint }),
  })
}
