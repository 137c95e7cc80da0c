/**
 * Reads what PostgreSQL's catalogue says of one table, and refuses a table that could not keep what is promised.
 */

import { DaybookError } from '../../base/errors.ts'
import { didYouMean } from '../../base/nearest.ts'
import type { FieldValue } from '../../mutation/mutation.ts'
import { isKeyType } from '../key.ts'
import type { Column, LeftOutColumn, TableRequest, TableSchema } from '../schema.ts'
import { parseTableName, quoteIdentifier, quoteLiteral, quoteTable } from '../sql.ts'
import { parseArrayText } from './array-text.ts'
import {
  resolveType,
  type CatalogueType,
  type CatalogueTypes,
  type ResolvedType,
} from './column-types.ts'
import type { Connection, Row } from './connection.ts'
import { decodeField } from './field-text.ts'
import { tableRank } from './table-rank.ts'
import type { PhysicalColumn, PhysicalTable } from './table-statements.ts'

export interface DescribedTable {
  readonly schema: TableSchema
  readonly physical: PhysicalTable
}

/** Throws STORE_MISCONFIGURED with what is wrong and what to do. */
export async function describeTable(
  connection: Connection,
  table: string,
  request: TableRequest,
  signal: AbortSignal,
): Promise<DescribedTable> {
  const found = await findTable(connection, table, signal)
  const [columnResult, typeResult, indexResult] = await connection.query(
    [columnsSql(found.oid), typesSql(found.oid), indexesSql(found.oid)].join(';'),
    signal,
  )
  const types = readTypes(typeResult?.rows ?? [])
  const columns = (columnResult?.rows ?? []).map((row) => readColumn(row, types))
  const indexes = (indexResult?.rows ?? []).map(readIndex)
  const choice = chooseColumns(request, table, columns)
  checkKey(request, table, choice.key, columns, indexes)
  checkPrivileges(table, found, choice)
  const defaults = await constantDefaults(connection, choice.columns, signal)
  const rank = await tableRank(connection, found.oid, signal)
  return assemble(table, found, choice, defaults, rank)
}

interface FoundTable {
  readonly oid: string
  readonly name: string
  readonly role: string
  readonly missingPrivileges: readonly string[]
  /** COPY can write it; see `PhysicalTable`. */
  readonly copies: boolean
}

const kindNames = new Map([
  ['v', 'a view'],
  ['m', 'a materialized view'],
  ['f', 'a foreign table'],
  ['i', 'an index'],
  ['I', 'an index'],
  ['S', 'a sequence'],
  ['c', 'a composite type'],
])

async function findTable(
  connection: Connection,
  table: string,
  signal: AbortSignal,
): Promise<FoundTable> {
  const name = parseTableName(table)
  const [result] = await connection.query(
    `SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind, c.relpersistence, current_user,
       has_table_privilege(c.oid, 'DELETE'), c.relrowsecurity,
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3'))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass(${quoteLiteral(quoteTable(name))})`,
    signal,
  )
  const row = result?.rows[0]
  if (row === undefined) {
    throw misconfigured(
      table,
      `There is no table "${table}".${didYouMean(table, await tableNames(connection, signal))}`,
    )
  }
  const [oid = '', qualified = '', kind = '', persistence, role = '', mayDelete, policies, rules] =
    row.map((value) => value ?? '')
  if (kind !== 'r' && kind !== 'p') {
    throw misconfigured(table, `"${table}" is ${kindNames.get(kind) ?? 'no table'}, not a table.`)
  }
  if (persistence !== 'p') {
    throw misconfigured(
      table,
      `Table "${table}" is ${persistence === 't' ? 'a temporary table' : 'UNLOGGED: a crash of the server empties it'}.`,
      persistence === 't' ? undefined : `Run: ALTER TABLE ${qualified} SET LOGGED`,
    )
  }
  if (rules === 't') {
    throw misconfigured(
      table,
      `Table "${table}" has rules for INSERT or UPDATE: PostgreSQL refuses upserts there.`,
      'Use triggers in their place.',
    )
  }
  return {
    oid,
    name: qualified,
    role,
    missingPrivileges: mayDelete === 't' ? [] : ['DELETE'],
    // COPY cannot write a table with policies.
    copies: kind === 'r' && policies === 'f',
  }
}

/** For a hint at what was meant: as a user would write them. */
async function tableNames(connection: Connection, signal: AbortSignal): Promise<string[]> {
  const [result] = await connection.query(
    `SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     LIMIT 10000`,
    signal,
  )
  return (result?.rows ?? []).map(([name]) => name ?? '')
}

interface CatalogueColumn {
  readonly name: string
  /** As SQL writes it, with its modifier. */
  readonly typeName: string
  readonly resolved: ResolvedType
  readonly notNull: boolean
  readonly hasDefault: boolean
  /** SQL of a default that is the same for ever. */
  readonly constantDefault: string | undefined
  readonly identity: 'always' | 'by default' | undefined
  readonly generated: boolean
  readonly deterministic: boolean
  readonly missingPrivileges: readonly string[]
  /** Texts in it are ordered by their bytes. */
  readonly byBytes: boolean
}

/** Whether texts of attribute `a` with collation `co` are ordered by their bytes. The provider is not told before version 15. */
const byBytesSql = `CASE WHEN a.attcollation = 100
    THEN (SELECT d.datcollate IN ('C', 'POSIX') AND coalesce(to_jsonb(d)->>'datlocprovider', 'c') = 'c'
      FROM pg_database d WHERE d.datname = current_database())
    ELSE co.collname IN ('C', 'POSIX') AND co.collprovider = 'c' END`

/** The same, of the generic table: one that was made by another may have the order of a language. */
export async function documentKeysByBytes(
  connection: Connection,
  values: string,
  signal: AbortSignal,
): Promise<boolean> {
  const [result] = await connection.query(
    `SELECT ${byBytesSql} FROM pg_attribute a LEFT JOIN pg_collation co ON co.oid = a.attcollation
      WHERE a.attrelid = to_regclass(${quoteLiteral(values)}) AND a.attname = 'key'`,
    signal,
  )
  return result?.rows[0]?.[0] === 't'
}

/**
 * A default is constant where its expression tree calls immutable functions only: the tree names functions by their oid,
 * and has nodes of their own for the clock, the user, sequences, and casts by way of text.
 */
function columnsSql(oid: string): string {
  return `SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.attidentity, a.attgenerated, d.oid IS NOT NULL,
      CASE WHEN a.attgenerated = '' AND d.adbin::text !~ '\\{(SQLVALUEFUNCTION|NEXTVALUEEXPR|COERCEVIAIO) '
        AND NOT EXISTS (
          SELECT FROM regexp_matches(d.adbin::text, ':(?:op|hash)?funcid (\\d+)', 'g') f(match)
          JOIN pg_proc p ON p.oid = match[1]::oid WHERE p.provolatile <> 'i')
      THEN pg_get_expr(d.adbin, d.adrelid) END,
      coalesce(co.collisdeterministic, true),
      has_column_privilege(a.attrelid, a.attnum, 'SELECT'), has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
      has_column_privilege(a.attrelid, a.attnum, 'UPDATE'), ${byBytesSql}
    FROM pg_attribute a
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation co ON co.oid = a.attcollation
    WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`
}

function readColumn(row: Row, types: CatalogueTypes): CatalogueColumn {
  const [name, typeOid, modifier, typeName, notNull, identity, generated, hasDefault] = row.map(
    (value) => value ?? '',
  )
  const resolved = resolveType(types, typeOid ?? '', Number(modifier))
  return {
    name: name ?? '',
    typeName: typeName ?? '',
    resolved,
    notNull: notNull === 't' || resolved.notNull,
    hasDefault: hasDefault === 't',
    constantDefault: row[8] ?? undefined,
    identity: identity === 'a' ? 'always' : identity === 'd' ? 'by default' : undefined,
    generated: generated !== '',
    deterministic: row[9] === 't',
    missingPrivileges: ['SELECT', 'INSERT', 'UPDATE'].filter((_, index) => row[10 + index] !== 't'),
    byBytes: row[13] === 't',
  }
}

/** The columns' types, with those under domains and in arrays. */
function typesSql(oid: string): string {
  return `WITH RECURSIVE used(oid) AS (
      SELECT atttypid FROM pg_attribute WHERE attrelid = ${oid} AND attnum > 0 AND NOT attisdropped
      UNION
      SELECT part FROM used JOIN pg_type t ON t.oid = used.oid,
        unnest(ARRAY[t.typbasetype, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END]) part WHERE part <> 0)
    SELECT t.oid, t.typname, n.nspname = 'pg_catalog', t.typtype, t.typbasetype, t.typtypmod, t.typnotnull,
      CASE WHEN t.typcategory = 'A' AND t.typtype = 'b' THEN t.typelem ELSE 0 END, t.typdelim, format_type(t.oid, -1),
      (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
    FROM used JOIN pg_type t ON t.oid = used.oid JOIN pg_namespace n ON n.oid = t.typnamespace`
}

function readTypes(rows: readonly Row[]): CatalogueTypes {
  return new Map(
    rows.map((row): [string, CatalogueType] => {
      const [oid, name, builtIn, kind, base, baseModifier, notNull, element, delimiter, castName] =
        row.map((value) => value ?? '') as [string, ...string[]]
      return [
        oid,
        {
          oid,
          name: name ?? '',
          builtIn: builtIn === 't',
          kind: kind ?? '',
          base: base ?? '0',
          baseModifier: Number(baseModifier),
          notNull: notNull === 't',
          element: element ?? '0',
          delimiter: delimiter ?? ',',
          castName: castName ?? 'text',
          labels: parseLabels(row[10]),
        },
      ]
    }),
  )
}

function parseLabels(text: string | null | undefined): string[] {
  return parseArrayText(text ?? '{}').map((label) => (typeof label === 'string' ? label : ''))
}

interface CatalogueIndex {
  readonly name: string
  readonly primary: boolean
  readonly columns: readonly string[]
  /** Why no key can rest on it, where that is so. */
  readonly unfit: string | undefined
}

function indexesSql(oid: string): string {
  return `SELECT i.indexrelid::regclass, i.indisprimary,
      (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
      CASE WHEN NOT i.indisvalid THEN 'is not valid' WHEN i.indpred IS NOT NULL THEN 'is partial'
        WHEN i.indexprs IS NOT NULL THEN 'is on an expression' WHEN NOT i.indimmediate THEN 'is deferrable'
        WHEN EXISTS (SELECT FROM unnest(i.indcollation::oid[]) u JOIN pg_collation c ON c.oid = u
          WHERE NOT c.collisdeterministic) THEN 'has a nondeterministic collation' END
    FROM pg_index i WHERE i.indrelid = ${oid} AND i.indisunique ORDER BY NOT i.indisprimary, 1`
}

function readIndex([name, primary, columns, unfit]: Row): CatalogueIndex {
  return {
    name: name ?? '',
    primary: primary === 't',
    columns: parseLabels(columns),
    unfit: unfit ?? undefined,
  }
}

interface ColumnChoice {
  readonly key: readonly CatalogueColumn[]
  readonly columns: readonly CatalogueColumn[]
  readonly rest: CatalogueColumn | undefined
  readonly leftOut: readonly CatalogueColumn[]
}

function chooseColumns(
  request: TableRequest,
  table: string,
  columns: readonly CatalogueColumn[],
): ColumnChoice {
  const byName = new Map(columns.map((column) => [column.name, column]))
  const find = (name: string): CatalogueColumn => {
    const column = byName.get(name)
    if (column !== undefined) return column
    throw misconfigured(
      table,
      `Table "${table}" has no column "${name}".${didYouMean(name, byName.keys())}`,
    )
  }
  const key = request.key.map(find)
  const rest = request.rest === undefined ? undefined : find(request.rest)
  if (rest !== undefined && rest.resolved.type.kind !== 'json') {
    throw misconfigured(
      table,
      `Column "${rest.name}" is to take the fields of no other column, so it must be json or jsonb, not ${rest.typeName}.`,
    )
  }
  const listed = request.columns?.map(find)
  const chosen = (listed ?? columns.filter(isPlain)).filter(
    (column) => !key.includes(column) && column !== rest,
  )
  for (const column of [...chosen, ...key]) checkWritable(table, column, key.includes(column))
  const taken = new Set([...key, ...chosen, rest])
  return { key, columns: chosen, rest, leftOut: columns.filter((column) => !taken.has(column)) }
}

/** Not filled by the database itself. */
function isPlain(column: CatalogueColumn): boolean {
  if (column.generated || column.identity !== undefined) return false
  return !column.hasDefault || column.constantDefault !== undefined
}

function checkWritable(table: string, column: CatalogueColumn, isKey: boolean): void {
  // An identity can be given when a row is inserted, but not be changed: enough for a key.
  if (column.generated || (column.identity === 'always' && !isKey)) {
    throw misconfigured(
      table,
      `Column "${column.name}" is GENERATED ALWAYS: only the database writes it.`,
      'Leave it out of the cache’s columns.',
    )
  }
}

function checkKey(
  request: TableRequest,
  table: string,
  key: readonly CatalogueColumn[],
  columns: readonly CatalogueColumn[],
  indexes: readonly CatalogueIndex[],
): void {
  const fits = (index: CatalogueIndex): boolean =>
    index.columns.length === key.length && key.every(({ name }) => index.columns.includes(name))
  const candidates = indexes.filter(fits)
  const nullable = key.filter((column) => !column.notNull).map((column) => column.name)
  if (!candidates.some((index) => index.unfit === undefined) || nullable.length > 0) {
    throw misconfigured(
      table,
      `The key ${request.key.join(', ')} is neither the primary key of table "${table}" nor a unique index over columns that are NOT NULL.`,
      keyHint(candidates, nullable, indexes, columns),
    )
  }
  for (const column of key) checkKeyColumn(table, column)
}

function keyHint(
  candidates: readonly CatalogueIndex[],
  nullable: readonly string[],
  indexes: readonly CatalogueIndex[],
  columns: readonly CatalogueColumn[],
): string {
  const [unfit] = candidates.filter((index) => index.unfit !== undefined)
  if (unfit !== undefined) return `Index ${unfit.name} ${unfit.unfit}.`
  if (candidates.length > 0) return `NULL is allowed in ${nullable.join(', ')}.`
  const notNull = new Set(columns.filter((column) => column.notNull).map((column) => column.name))
  const usable = indexes
    .filter(
      (index) => index.unfit === undefined && index.columns.every((name) => notNull.has(name)),
    )
    .map((index) => (index.primary ? 'primary key ' : '') + index.columns.join(', '))
  return usable.length === 0
    ? 'The table has no key that could be used: add a primary key.'
    : `There is: ${usable.join('; ')}.`
}

function checkKeyColumn(table: string, column: CatalogueColumn): void {
  const { resolved } = column
  const refuse = (why: string): never => {
    throw misconfigured(
      table,
      `Column "${column.name}" (${column.typeName}) of table "${table}" cannot be part of a key: ${why}.`,
    )
  }
  if (resolved.blankPadded) refuse('its blanks at the end do not count')
  if (resolved.caseInsensitive || !column.deterministic) {
    refuse('texts that differ are equal in it, so a key would not name one row')
  }
  if (!isKeyType(resolved.type)) refuse('its values have no text that is theirs alone')
}

function checkPrivileges(table: string, found: FoundTable, choice: ColumnChoice): void {
  const used = [
    ...choice.key,
    ...choice.columns,
    ...(choice.rest === undefined ? [] : [choice.rest]),
  ]
  const missing = new Set([
    ...used.flatMap((column) => column.missingPrivileges),
    ...found.missingPrivileges,
  ])
  if (missing.size === 0) return
  const list = [...missing].join(', ')
  throw new DaybookError(
    'STORE_MISCONFIGURED',
    `Role "${found.role}" lacks ${list} on table "${table}".`,
    {
      details: { table, privileges: [...missing] },
      hint: `Run: GRANT ${list} ON ${found.name} TO ${quoteIdentifier(found.role)}`,
    },
  )
}

/** By column name, as the server evaluates them. */
async function constantDefaults(
  connection: Connection,
  columns: readonly CatalogueColumn[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, FieldValue>> {
  const constant = columns.filter((column) => column.constantDefault !== undefined)
  if (constant.length === 0) return new Map()
  const expressions = constant.map((column) => `(${column.constantDefault})::${column.typeName}`)
  const [result] = await connection.query(`SELECT ${expressions.join(', ')}`, signal)
  const values = result?.rows[0] ?? []
  return new Map(
    constant.map((column, index) => [column.name, decode(column, values[index] ?? null)]),
  )
}

function decode(column: CatalogueColumn, text: string | null): FieldValue {
  return text === null ? null : decodeField(column.resolved.type, text)
}

function assemble(
  table: string,
  found: FoundTable,
  choice: ColumnChoice,
  defaults: ReadonlyMap<string, FieldValue>,
  rank: number,
): DescribedTable {
  const column = (from: CatalogueColumn): Column => {
    const nullable = !from.notNull
    return {
      name: from.name,
      type: from.resolved.type,
      nullable,
      defaultValue: defaults.get(from.name) ?? null,
      required: !nullable && (defaults.get(from.name) ?? null) === null,
      databaseType: from.typeName,
    }
  }
  const columns = choice.columns.map(column)
  const blank: Record<string, FieldValue> = {}
  for (const { name, defaultValue } of columns) blank[name] = defaultValue
  const schema: TableSchema = {
    table,
    rank,
    key: choice.key.map(column),
    columns,
    rest: choice.rest === undefined ? undefined : column(choice.rest),
    document: false,
    blank,
    keysByBytes: choice.key.every(isTextByBytes) && choice.key.length === 1,
    leftOut: choice.leftOut.map(leftOutColumn),
  }
  const physical: PhysicalTable = {
    sql: found.name,
    scope: undefined,
    key: choice.key.map(physicalColumn),
    columns: choice.columns.map(physicalColumn),
    rest: choice.rest === undefined ? undefined : physicalColumn(choice.rest),
    overridesIdentity: choice.key.some((from) => from.identity === 'always'),
    blank,
    copies: found.copies,
  }
  return { schema, physical }
}

function isTextByBytes({ resolved, byBytes }: CatalogueColumn): boolean {
  return byBytes && resolved.type.kind === 'text'
}

function leftOutColumn(from: CatalogueColumn): LeftOutColumn {
  const isGenerated = from.generated || from.identity === 'always'
  const why = isGenerated ? 'generated' : isPlain(from) ? 'unlisted' : 'filled'
  return { name: from.name, databaseType: from.typeName, why }
}

function physicalColumn(from: CatalogueColumn): PhysicalColumn {
  return {
    name: from.name,
    sql: quoteIdentifier(from.name),
    type: from.resolved.type,
    castName: from.resolved.castName,
    blankPadded: from.resolved.blankPadded,
  }
}

function misconfigured(table: string, message: string, hint?: string): DaybookError {
  return new DaybookError('STORE_MISCONFIGURED', message, {
    details: { table },
    ...(hint === undefined ? {} : { hint }),
  })
}
