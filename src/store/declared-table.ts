/**
 * Tables of stores without a catalogue (memory, custom): declared in code, or without any declaration, where a row is
 * whatever fields it has.
 */

import { DaybookError } from '../base/errors.ts'
import { didYouMean } from '../base/nearest.ts'
import type { Fields, FieldValue } from '../mutation/mutation.ts'
import { canonicalField } from './columns.ts'
import { isKeyType } from './key.ts'
import type { Column, ColumnType, TableRequest, TableSchema } from './schema.ts'

export interface ColumnDeclaration {
  readonly type: ColumnType
  /** Default: true. */
  readonly nullable?: boolean
  /** What a `set` that leaves the column out writes. */
  readonly default?: unknown
  /** Memory store only: no two rows share a value other than null. */
  readonly unique?: boolean
  /** Memory store only: the table whose key the column holds, or null. */
  readonly references?: string
}

/** Of one table, by column name. */
export interface TableDeclaration {
  /** The columns that make the key, in the order that caches name them. */
  readonly key: Readonly<Record<string, ColumnType>>
  readonly columns: Readonly<Record<string, ColumnDeclaration>>
}

export type TableDeclarations = Readonly<Record<string, TableDeclaration>>

const text: ColumnType = { kind: 'text' }
const json: ColumnType = { kind: 'json' }

/** The generic table of caches that name none. */
export const documentSchema: TableSchema = {
  table: 'daybook_values',
  rank: -1,
  key: [columnOf('key', { type: text, nullable: false })],
  columns: [],
  rest: columnOf('value', { type: json, nullable: false }),
  document: true,
  blank: {},
}

/** Throws STORE_MISCONFIGURED where the request does not fit the declarations. */
export function declaredTable(tables: TableDeclarations, request: TableRequest): TableSchema {
  if (request.table === undefined) return documentSchema
  const names = Object.keys(tables)
  const declaration = Object.hasOwn(tables, request.table) ? tables[request.table] : undefined
  if (declaration !== undefined) return fromDeclaration(tables, declaration, request.table, request)
  if (names.length > 0) {
    throw misconfigured(
      request,
      `There is no table "${request.table}".${didYouMean(request.table, names)}`,
    )
  }
  return undeclaredTable(request, request.table)
}

/** Any fields: they all go under `rest`, as they came. */
function undeclaredTable(request: TableRequest, table: string): TableSchema {
  return {
    table,
    rank: 0,
    key: request.key.map((name) => columnOf(name, { type: text, nullable: false })),
    columns: [],
    rest: columnOf(request.rest ?? '', { type: json, nullable: false }),
    document: false,
    blank: {},
  }
}

function fromDeclaration(
  tables: TableDeclarations,
  declaration: TableDeclaration,
  table: string,
  request: TableRequest,
): TableSchema {
  const known = Object.keys(declaration.columns)
  const declaredKey = Object.keys(declaration.key)
  if (declaredKey.join() !== request.key.join()) {
    throw misconfigured(
      request,
      `The key of table "${table}" is ${declaredKey.join(', ')}, in this order.`,
    )
  }
  for (const name of [
    ...(request.columns ?? []),
    ...(request.rest === undefined ? [] : [request.rest]),
  ]) {
    if (!known.includes(name) && !declaredKey.includes(name)) {
      throw misconfigured(
        request,
        `Table "${table}" has no column "${name}".${didYouMean(name, known)}`,
      )
    }
  }
  const columns = known
    .filter((name) => name !== request.rest && (request.columns?.includes(name) ?? true))
    .map((name) => columnOf(name, declaration.columns[name] as ColumnDeclaration))
  return {
    table,
    rank: rankOf(tables, table),
    key: request.key.map((name) => keyColumn(request, name, declaration.key[name] as ColumnType)),
    columns,
    rest: restColumn(declaration, request),
    document: false,
    blank: blankOf(columns),
  }
}

/** Every column at its default. */
export function blankOf(columns: readonly Column[]): Fields {
  const blank: Record<string, FieldValue> = {}
  for (const column of columns) blank[column.name] = column.defaultValue
  return blank
}

function columnOf(name: string, declaration: ColumnDeclaration): Column {
  const nullable = declaration.nullable ?? true
  const bare = {
    name,
    type: declaration.type,
    nullable,
    databaseType: declaration.type.kind,
    defaultValue: null,
    required: false,
  }
  if (declaration.default === undefined) return { ...bare, required: !nullable }
  return { ...bare, defaultValue: canonicalField(bare, declaration.default) }
}

function keyColumn(request: TableRequest, name: string, type: ColumnType): Column {
  if (isKeyType(type)) return columnOf(name, { type, nullable: false })
  throw misconfigured(request, `Column "${name}" of type ${type.kind} cannot be a key.`)
}

function restColumn(declaration: TableDeclaration, request: TableRequest): Column | undefined {
  if (request.rest === undefined) return undefined
  const column = declaration.columns[request.rest]
  if (column?.type.kind === 'json') return columnOf(request.rest, column)
  throw misconfigured(
    request,
    `Column "${request.rest}" takes all other fields, so it must be JSON.`,
  )
}

/** Depth-first over `references`: a table ranks above all that it refers to. */
function rankOf(tables: TableDeclarations, table: string): number {
  const order: string[] = []
  const visited = new Set<string>()
  const visit = (name: string): void => {
    const declaration = tables[name]
    if (declaration === undefined || visited.has(name)) return
    visited.add(name)
    for (const column of Object.values(declaration.columns)) {
      if (column.references !== undefined) visit(column.references)
    }
    order.push(name)
  }
  for (const name of Object.keys(tables)) visit(name)
  return order.indexOf(table)
}

function misconfigured(request: TableRequest, message: string): DaybookError {
  return new DaybookError('STORE_MISCONFIGURED', message, {
    details: { cache: request.cache, table: request.table },
  })
}
