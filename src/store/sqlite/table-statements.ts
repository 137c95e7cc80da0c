/**
 * The statements of one table on one connection: a mutation of one row in, changed rows out, exactly.
 *
 * Rows are written by `INSERT … ON CONFLICT DO UPDATE`, never REPLACE, which deletes the old row and fires cascades.
 * A patch updates its own columns. What SQL would compute inexactly (decimals, JSON by field) is read, computed and
 * written back inside the transaction, which holds the only write lock there is.
 */

import type { StatementSync } from 'node:sqlite'
import { applyMutation } from '../../mutation/coalesce.ts'
import type { Fields, FieldValue, Patch } from '../../mutation/mutation.ts'
import { canonicalOf } from '../columns.ts'
import { rejectedError } from '../failure.ts'
import { keyOf, keyParts } from '../key.ts'
import { packRest, unpackRest, unwrapDocument, wrapDocument } from '../row.ts'
import type { Column, TableSchema } from '../schema.ts'
import { quoteIdentifier } from '../sql.ts'
import { fromSql, type SqlValue, toSql } from './column-types.ts'
import type { Connection } from './connection.ts'

type SqlRow = Readonly<Record<string, SqlValue>>

/** Patches of more different sets of columns than this are prepared again. */
const maxPatchShapes = 200

export class TableStatements {
  readonly #connection: Connection
  readonly #schema: TableSchema
  readonly #columns: readonly Column[]
  readonly #byName: ReadonlyMap<string, Column>
  readonly #writers: readonly ((value: FieldValue) => SqlValue)[]
  readonly #readers: readonly ((value: SqlValue) => FieldValue)[]
  readonly #keyWriters: readonly ((value: FieldValue) => SqlValue)[]
  readonly #plainKey: boolean
  readonly #quotedTable: string
  readonly #keyCondition: string
  readonly #upsert: StatementSync
  readonly #delete: StatementSync
  readonly #get: StatementSync
  readonly #patches = new Map<string, StatementSync>()
  /** Of the call that is running; they are synchronous. */
  readonly #parameters: SqlValue[] = []

  constructor(connection: Connection, schema: TableSchema) {
    this.#connection = connection
    this.#schema = schema
    this.#columns = schema.rest === undefined ? schema.columns : [...schema.columns, schema.rest]
    this.#byName = new Map(schema.columns.map((column) => [column.name, column]))
    this.#writers = this.#columns.map(toSql)
    this.#readers = this.#columns.map(fromSql)
    this.#keyWriters = schema.key.map(toSql)
    this.#plainKey = schema.key.length === 1 && schema.key[0]?.type.kind === 'text'
    this.#quotedTable = quoteIdentifier(schema.table)
    const keyNames = keyColumnsOf(schema)
    this.#keyCondition = keyNames.map((name) => `${quoteIdentifier(name)} = ?`).join(' AND ')
    this.#upsert = connection.database.prepare(upsertSql(schema, keyNames, this.#columns))
    this.#delete = connection.database.prepare(
      `DELETE FROM ${this.#quotedTable} WHERE ${this.#keyCondition}`,
    )
    const selected = this.#columns.map((column) => quoteIdentifier(column.name)).join(', ')
    this.#get = connection.database.prepare(
      `SELECT ${selected === '' ? '1' : selected} FROM ${this.#quotedTable} WHERE ${this.#keyCondition}`,
    )
    this.#get.setReadBigInts(true)
  }

  /** The row in canonical form. */
  get(cache: string, key: string): Fields | undefined {
    const row = this.#get.get(...this.#keyParameters(cache, key)) as SqlRow | undefined
    return row === undefined ? undefined : this.#fieldsOf(row)
  }

  set(cache: string, key: string, fields: Fields): void {
    const parameters = this.#keyParameters(cache, key)
    const columns = this.#columns
    const last = this.#schema.rest === undefined ? columns.length : columns.length - 1
    for (let index = 0; index < last; index++) {
      const writer = this.#writers[index]
      parameters.push(writer?.(fields[columns[index]?.name ?? ''] ?? null) ?? null)
    }
    if (this.#schema.rest !== undefined) parameters.push(this.#restValue(this.#schema.rest, fields))
    this.#upsert.run(...parameters)
  }

  delete(cache: string, key: string): void {
    this.#delete.run(...this.#keyParameters(cache, key))
  }

  patch(cache: string, key: string, patch: Patch): void {
    if (!this.#isPlain(patch)) {
      this.#patchComputed(cache, key, patch)
      return
    }
    const parameters = this.#parameters
    parameters.length = 0
    for (const name in patch.fields) {
      const column = this.#byName.get(name)
      if (column !== undefined) parameters.push(toSql(column)(patch.fields[name] ?? null))
    }
    // A bigint is bound as an integer; a number would make it a sum of floating point.
    for (const name in patch.amounts) {
      const amount = BigInt(patch.amounts[name] ?? 0)
      for (let count = 0; count < sumParameters; count++) parameters.push(amount)
    }
    this.#pushKey(parameters, cache, key)
    const { changes } = this.#patchStatement(patch).run(...parameters)
    if (changes === 0) this.#insertPatch(cache, key, patch)
  }

  /** Keys in order; those that no canonical key can name are passed over. */
  keys(cache: string, after: string | undefined, limit: number): string[] {
    const found: string[] = []
    let from = after === undefined ? undefined : this.#keyValues(after)
    while (found.length < limit) {
      const rows = this.#keyRows(cache, from, limit)
      for (const row of rows) {
        const key = keyOf(this.#schema, row)
        if (key !== undefined && found.length < limit) found.push(key)
      }
      if (rows.length < limit) break
      from = rows.at(-1)
    }
    return found
  }

  /** No decimal, JSON or emptiness in it: SQL does it exactly. */
  #isPlain(patch: Patch): boolean {
    if (patch.removed !== undefined) return false
    let empty = true
    for (const name in patch.fields) {
      if (!this.#byName.has(name)) return false
      empty = false
    }
    for (const name in patch.amounts) {
      if (this.#byName.get(name)?.type.kind !== 'integer') return false
      empty = false
    }
    return !empty
  }

  #patchComputed(cache: string, key: string, patch: Patch): void {
    const before = this.get(cache, key)
    if (before === undefined) {
      this.#insertPatch(cache, key, patch)
      return
    }
    for (const name in patch.amounts) this.#checkAmount(name, before[name] ?? null)
    const after = this.#checkedSums(
      patch,
      applyMutation(before, patch, this.#schema.blank) ?? before,
    )
    this.#update(cache, key, patch, after)
  }

  /** The columns that the patch names, at their new values; and the rest column if any of its fields are. */
  #update(cache: string, key: string, patch: Patch, after: Fields): void {
    const names = new Set(
      [patch.fields, patch.amounts, patch.removed ?? {}].flatMap((part) => Object.keys(part)),
    )
    const columns = this.#schema.columns.filter((column) => names.has(column.name))
    const { rest } = this.#schema
    const touchesRest = rest !== undefined && [...names].some((name) => !this.#byName.has(name))
    const parameters = columns.map((column) => toSql(column)(after[column.name] ?? null))
    if (touchesRest) parameters.push(this.#restValue(rest, after))
    const assigned = touchesRest ? [...columns, rest] : columns
    if (assigned.length === 0) return
    const assignments = assigned.map((column) => `${quoteIdentifier(column.name)} = ?`).join(', ')
    this.#pushKey(parameters, cache, key)
    this.#prepared(
      `UPDATE ${this.#quotedTable} SET ${assignments} WHERE ${this.#keyCondition}`,
    ).run(...parameters)
  }

  #insertPatch(cache: string, key: string, patch: Patch): void {
    const { blank } = this.#schema
    this.set(cache, key, this.#checkedSums(patch, applyMutation(undefined, patch, blank) ?? blank))
  }

  /** Another program may have left something in the column that is no number. */
  #checkAmount(name: string, base: FieldValue): void {
    const column = this.#byName.get(name)
    if (column === undefined || base === null || canonicalOf(column.type, base) !== undefined)
      return
    throw rejectedError('NOT_A_NUMBER', `Column ${name} does not hold a number to increment.`)
  }

  #checkedSums(patch: Patch, fields: Fields): Fields {
    for (const name in patch.amounts) {
      const column = this.#byName.get(name)
      const sum = fields[name] ?? null
      if (column === undefined || sum === null || canonicalOf(column.type, sum) !== undefined)
        continue
      throw rejectedError('OUT_OF_RANGE', `The increment takes column ${name} out of its range.`)
    }
    return fields
  }

  #patchStatement(patch: Patch): StatementSync {
    const assignments: string[] = []
    for (const name in patch.fields) assignments.push(`${quoteIdentifier(name)} = ?`)
    for (const name in patch.amounts) {
      assignments.push(`${quoteIdentifier(name)} = ${guardedSum(name)}`)
    }
    return this.#prepared(
      `UPDATE ${this.#quotedTable} SET ${assignments.join(', ')} WHERE ${this.#keyCondition}`,
    )
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#patches.get(sql)
    if (statement === undefined) {
      if (this.#patches.size >= maxPatchShapes) this.#patches.clear()
      statement = this.#connection.database.prepare(sql)
      this.#patches.set(sql, statement)
    }
    return statement
  }

  #keyRows(cache: string, from: readonly SqlValue[] | undefined, limit: number): SqlValue[][] {
    const names = this.#schema.key.map((column) => quoteIdentifier(column.name))
    const listed = names.join(', ')
    const conditions = [
      ...(this.#schema.document ? ['cache = ?'] : []),
      // SQLite allows NULL in most primary keys; no comparison would go on from one.
      ...names.map((name) => `${name} IS NOT NULL`),
      ...(from === undefined ? [] : [`(${listed}) > (${names.map(() => '?').join(', ')})`]),
    ]
    const where = `WHERE ${conditions.join(' AND ')}`
    const statement = this.#connection.prepare(
      `SELECT ${listed} FROM ${this.#quotedTable} ${where} ORDER BY ${listed} LIMIT ?`,
    )
    const parameters: SqlValue[] = [
      ...(this.#schema.document ? [cache] : []),
      ...(from ?? []),
      limit,
    ]
    return (statement.all(...parameters) as SqlRow[]).map((row) => Object.values(row))
  }

  #fieldsOf(row: SqlRow): Fields {
    const { rest, columns, document, blank } = this.#schema
    const fields: Record<string, FieldValue> = { ...blank }
    for (let index = 0; index < columns.length; index++) {
      const name = columns[index]?.name ?? ''
      fields[name] = this.#readers[index]?.(row[name] ?? null) ?? null
    }
    if (rest === undefined) return fields
    const held = this.#readers[columns.length]?.(row[rest.name] ?? null) ?? null
    if (document) return wrapDocument(held)
    unpackRest(this.#schema, fields, held)
    return fields
  }

  #restValue(rest: Column, fields: Fields): SqlValue {
    if (this.#schema.document) return JSON.stringify(unwrapDocument(fields))
    const others = packRest(this.#schema, fields)
    return others === undefined ? (rest.nullable ? null : '{}') : JSON.stringify(others)
  }

  #keyParameters(cache: string, key: string): SqlValue[] {
    this.#parameters.length = 0
    this.#pushKey(this.#parameters, cache, key)
    return this.#parameters
  }

  #pushKey(parameters: SqlValue[], cache: string, key: string): void {
    if (this.#schema.document) parameters.push(cache)
    if (this.#plainKey) parameters.push(key)
    else parameters.push(...this.#keyValues(key))
  }

  #keyValues(key: string): SqlValue[] {
    return keyParts(this.#schema, key).map((part, index) => this.#keyWriters[index]?.(part) ?? null)
  }
}

/** The generic table holds all caches that have no table of their own. */
function keyColumnsOf(schema: TableSchema): string[] {
  const names = schema.key.map((column) => column.name)
  return schema.document ? ['cache', ...names] : names
}

function upsertSql(
  schema: TableSchema,
  keyNames: readonly string[],
  columns: readonly Column[],
): string {
  const names = columns.map((column) => quoteIdentifier(column.name))
  const keys = keyNames.map(quoteIdentifier)
  const all = [...keys, ...names]
  const assignments = names.map((name) => `${name} = excluded.${name}`).join(', ')
  return (
    `INSERT INTO ${quoteIdentifier(schema.table)} (${all.join(', ')}) VALUES (${all.map(() => '?').join(', ')}) ` +
    `ON CONFLICT (${keys.join(', ')}) DO ${assignments === '' ? 'NOTHING' : `UPDATE SET ${assignments}`}`
  )
}

/**
 * SQLite turns a sum beyond 64 bits into floating point. Where the sum is no integer, abs() is given the least integer,
 * and fails with "integer overflow". The amount is bound once for each of `sumParameters`: older versions of Node cannot
 * bind numbered parameters by their place.
 */
function guardedSum(name: string): string {
  const sum = `coalesce(${quoteIdentifier(name)}, 0) + ?`
  return `iif(typeof(${sum}) = 'integer', ${sum}, abs(-9223372036854775807 - (typeof(${sum}) <> 'integer')))`
}

const sumParameters = 3
