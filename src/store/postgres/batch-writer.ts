/**
 * Writes the mutations of a batch: deletes of children before their parents', then all else with parents first, one
 * statement for each table and shape.
 */

import type { Clock } from '../../base/clock.ts'
import type { FieldValue } from '../../mutation/mutation.ts'
import { keyParts } from '../key.ts'
import type { TableSchema } from '../schema.ts'
import type { RowMutation, TableMutations } from '../store.ts'
import type { Connection, StatementResult } from './connection.ts'
import { classifyPostgresError } from './failures.ts'
import type { ExpiryTable } from './expiry-table.ts'
import type { PhysicalTables } from './physical-tables.ts'
import { InsertPathChooser } from './insert-path.ts'
import type { StatementNames } from './statement-names.ts'
import {
  copyStatement,
  countedUpsertStatement,
  deleteStatement,
  joinStatements,
  patchInsertStatement,
  patchShape,
  patchUpdateStatement,
  upsertStatement,
  type KeyedFields,
  type KeyedPatch,
  type PatchShape,
  type PhysicalTable,
  type StatementText,
} from './table-statements.ts'

/** Rows that are encoded at a time. */
const sliceRows = 500

export class BatchWriter {
  readonly #tables: PhysicalTables
  readonly #names: StatementNames
  readonly #expiries: ExpiryTable
  readonly #choosers = new WeakMap<PhysicalTable, InsertPathChooser>()
  readonly #clock: Clock
  #turn = Promise.resolve()

  constructor(tables: PhysicalTables, names: StatementNames, expiries: ExpiryTable, clock: Clock) {
    this.#tables = tables
    this.#names = names
    this.#expiries = expiries
    this.#clock = clock
  }

  /** `tables` come parents first. `copies`: large sets of new rows may be copied, which is faster. */
  async write(
    connection: Connection,
    tables: readonly TableMutations[],
    copies: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const run = (statement: StatementText): Promise<StatementResult> =>
      connection.execute(this.#names.named(statement), signal)
    const sorted = tables.map((table) =>
      sortRows(this.#tables.of(table.schema, table.cache), table),
    )
    for (const { physical, deletes } of sorted.toReversed()) {
      if (deletes.length > 0) await run(deleteStatement(physical, deletes))
    }
    for (const { physical, sets, patches } of sorted) {
      if (sets.length > 0 && !(copies && mayCopy(physical, sets)))
        await run(await this.#inSlices(physical, sets, upsertStatement))
      else if (sets.length > 0) await this.#insert(connection, physical, sets, signal)
      for (const { shape, rows } of patches.values()) await patch(physical, shape, rows, run)
    }
    for (const table of tables) {
      for (const statement of this.#expiries.statements(table)) await run(statement)
    }
  }

  /** By the path that is likely to be the fastest; whichever it is, the effect is that of an upsert. */
  async #insert(
    connection: Connection,
    physical: PhysicalTable,
    sets: readonly KeyedFields[],
    signal: AbortSignal,
  ): Promise<void> {
    const chooser = this.#chooser(physical)
    const path = chooser.next()
    if (path === 'copy' && (await this.#copyNew(connection, physical, sets, signal))) {
      chooser.allNew()
      return
    }
    const encode = path === 'counted' ? countedUpsertStatement : upsertStatement
    const statement = await this.#inSlices(physical, sets, encode)
    const { rows } = await connection.execute(this.#names.named(statement), signal)
    if (path === 'counted' && Number(rows[0]?.[0]) === sets.length) chooser.allNew()
    else if (path !== 'upsert') chooser.notAllNew()
  }

  async #copyNew(
    connection: Connection,
    physical: PhysicalTable,
    sets: readonly KeyedFields[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const slices = await this.#encoded(sets, (slice) => copyStatement(physical, slice))
    const rows = slices.map((slice) => slice.rows).join('')
    return copyNew(connection, slices[0]?.text ?? '', rows, signal)
  }

  async #inSlices(
    physical: PhysicalTable,
    sets: readonly KeyedFields[],
    encode: (physical: PhysicalTable, rows: readonly KeyedFields[]) => StatementText,
  ): Promise<StatementText> {
    return joinStatements(await this.#encoded(sets, (slice) => encode(physical, slice)))
  }

  /**
   * A slice in each turn of the loop, whichever lanes have some: thousands of rows of several lanes one after the other
   * would hold up everyone who waits for a reply.
   */
  async #encoded<T>(
    sets: readonly KeyedFields[],
    encode: (rows: readonly KeyedFields[]) => T,
  ): Promise<T[]> {
    if (sets.length <= sliceRows) return [encode(sets)]
    const slices: T[] = []
    for (let at = 0; at < sets.length; at += sliceRows) {
      this.#turn = this.#turn.then(() => new Promise((resolve) => this.#clock.defer(resolve)))
      await this.#turn
      slices.push(encode(sets.slice(at, at + sliceRows)))
    }
    return slices
  }

  #chooser(physical: PhysicalTable): InsertPathChooser {
    let chooser = this.#choosers.get(physical)
    if (chooser === undefined) {
      chooser = new InsertPathChooser()
      this.#choosers.set(physical, chooser)
    }
    return chooser
  }
}

/** Below this, a copy saves nothing. */
const leastCopied = 100

function mayCopy(physical: PhysicalTable, sets: readonly KeyedFields[]): boolean {
  return physical.copies && sets.length >= leastCopied
}

interface SortedRows {
  readonly physical: PhysicalTable
  readonly deletes: readonly { readonly parts: readonly FieldValue[] }[]
  readonly sets: readonly KeyedFields[]
  readonly patches: ReadonlyMap<string, { readonly shape: PatchShape; readonly rows: KeyedPatch[] }>
}

function sortRows(physical: PhysicalTable, { schema, rows }: TableMutations): SortedRows {
  const deletes: { parts: readonly FieldValue[] }[] = []
  const sets: KeyedFields[] = []
  const patches = new Map<string, { shape: PatchShape; rows: KeyedPatch[] }>()
  const partsOf = partsReader(schema)
  for (const row of rows) {
    const parts = partsOf(row)
    const { mutation } = row
    if (mutation.kind === 'set') sets.push({ parts, fields: mutation.fields })
    else if (mutation.kind === 'delete') deletes.push({ parts })
    else {
      const { fields, amounts, removed } = mutation
      const { id, shape } = patchShape(physical, mutation)
      const group = patches.get(id)
      const patch = { parts, fields, amounts, removed }
      if (group === undefined) patches.set(id, { shape, rows: [patch] })
      else group.rows.push(patch)
    }
  }
  return { physical, deletes, sets, patches }
}

/** The commonest key, one column of text, is its own only part. */
function partsReader(schema: TableSchema): (row: RowMutation) => readonly FieldValue[] {
  return schema.key.length === 1 && schema.key[0]?.type.kind === 'text'
    ? ({ key }) => [key]
    : ({ key }) => keyParts(schema, key)
}

/**
 * An insert alone would check the NOT NULL columns that the patch does not touch before it looks for the row, so rows
 * that exist are updated first.
 */
async function patch(
  physical: PhysicalTable,
  shape: PatchShape,
  rows: readonly KeyedPatch[],
  run: (statement: StatementText) => Promise<StatementResult>,
): Promise<void> {
  const update = patchUpdateStatement(physical, shape, rows)
  const updated = update === undefined ? undefined : await run(update)
  if (updated?.rowCount === rows.length) return
  const found = new Set((updated?.rows ?? []).map(([ordinal]) => Number(ordinal) - 1))
  const missing = rows.filter((_, index) => !found.has(index))
  if (missing.length > 0) await run(patchInsertStatement(physical, shape, missing))
}

const copyPoint = 'daybook_copy'

/** False where the server refused the rows: none of them is there then, and an upsert tells why. */
async function copyNew(
  connection: Connection,
  text: string,
  rows: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await connection.copy(
      `SAVEPOINT ${copyPoint}; ${text}; RELEASE SAVEPOINT ${copyPoint}`,
      rows,
      signal,
    )
    return true
  } catch (error) {
    if (classifyPostgresError(error).kind !== 'rejected') throw error
    await connection.query(
      `ROLLBACK TO SAVEPOINT ${copyPoint}; RELEASE SAVEPOINT ${copyPoint}`,
      signal,
    )
    return false
  }
}
