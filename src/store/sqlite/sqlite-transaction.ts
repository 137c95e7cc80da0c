/** One transaction on the writing connection. The database's only write lock is held from begin to end. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Position } from '../../mutation/mutation.ts'
import { StoreFailureError } from '../failure.ts'
import type { LaneCheckpoint, RowMutation, StoreTransaction, TableMutations } from '../store.ts'
import type { Connection } from './connection.ts'
import { classifySqlite } from './failure-table.ts'
import type { TableStatements } from './table-statements.ts'

/** SQLite works on the event loop's own thread: about half a millisecond at a time. */
const sliceRows = 256

export interface TransactionContext {
  readonly connection: Connection
  readonly journal: string
  readonly lane: number
  readonly checkpoint: LaneCheckpoint
  readonly careful: boolean
  /** False where the one connection is shared with readers, who must not see what is not committed. */
  readonly yields: boolean
  readonly signal: AbortSignal
  statementsOf(table: TableMutations): TableStatements
  /** Caches that have had expiring rows: the others need no look at the expiries. */
  readonly expiringCaches: Set<string>
  /** Called once. `doubtful`: the connection is not to be trusted any more. */
  ended(doubtful: boolean): void
}

export class SqliteTransaction implements StoreTransaction {
  readonly checkpoint: LaneCheckpoint
  readonly #context: TransactionContext
  #state: 'open' | 'failed' | 'over' = 'open'
  #doubtful = false
  #rowsInSlice = 0

  constructor(context: TransactionContext) {
    this.#context = context
    this.checkpoint = context.checkpoint
  }

  async write(tables: readonly TableMutations[]): Promise<void> {
    this.#use()
    const { database } = this.#context.connection
    const { careful } = this.#context
    this.#state = 'failed'
    if (careful) database.exec('SAVEPOINT daybook_write')
    try {
      await this.#apply(tables)
    } catch (error) {
      // SQLite may have rolled back all by itself (disk full): then there is no savepoint, and this throws too.
      const rejected = classifySqlite(error).kind === 'rejected'
      this.#doubtful = !rejected
      if (careful && rejected) {
        database.exec('ROLLBACK TO daybook_write; RELEASE daybook_write')
        this.#state = 'open'
      }
      throw error
    }
    if (careful) database.exec('RELEASE daybook_write')
    this.#state = 'open'
  }

  async commit(position: Position): Promise<void> {
    this.#use()
    const { connection, journal, lane } = this.#context
    this.#state = 'over'
    try {
      const { changes } = connection
        .prepare(
          'UPDATE daybook_checkpoints SET position = ? WHERE journal = ? AND lane = ? AND epoch = ?',
        )
        .run(position, journal, lane, this.checkpoint.epoch)
      if (Number(changes) !== 1) throw lostCheckpoint(lane)
      connection.database.exec('COMMIT')
    } catch (error) {
      // A failed COMMIT may leave the transaction open. A constraint that was deferred says so for certain; after
      // anything else a new connection looks at what is in the file.
      connection.rollback()
      this.#context.ended(classifySqlite(error).kind !== 'rejected')
      throw error
    }
    this.#context.ended(false)
  }

  async rollback(): Promise<void> {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#context.connection.rollback()
    this.#context.ended(this.#doubtful)
  }

  /** Upserts parents first, then deletes children first: a child that changes its parent leaves it in time. */
  async #apply(tables: readonly TableMutations[]): Promise<void> {
    for (const table of tables) await this.#applyRows(table, upsertRow)
    for (let index = tables.length - 1; index >= 0; index--) {
      const table = tables[index]
      if (table?.rows.some(isDelete) === true) await this.#applyRows(table, deleteRow)
    }
  }

  async #applyRows(table: TableMutations, apply: typeof upsertRow): Promise<void> {
    const { cache, rows } = table
    const statements = this.#context.statementsOf(table)
    const expiring = this.#context.expiringCaches.has(cache)
    for (const row of rows) {
      if (!apply(statements, cache, row)) continue
      if (expiring || row.expiresAtMs !== undefined) this.#keepExpiry(cache, row)
      if (++this.#rowsInSlice < sliceRows || !this.#context.yields) continue
      this.#rowsInSlice = 0
      await nextTurn()
      this.#context.signal.throwIfAborted()
    }
  }

  #keepExpiry(cache: string, row: RowMutation): void {
    const { connection, expiringCaches } = this.#context
    if (row.expiresAtMs !== undefined && row.mutation.kind !== 'delete') {
      expiringCaches.add(cache)
      connection
        .prepare(
          'INSERT INTO daybook_expiries (cache, key, expires_at_ms) VALUES (?, ?, ?) ' +
            'ON CONFLICT (cache, key) DO UPDATE SET expires_at_ms = excluded.expires_at_ms',
        )
        .run(cache, row.key, row.expiresAtMs)
    } else if (expiringCaches.has(cache)) {
      connection
        .prepare('DELETE FROM daybook_expiries WHERE cache = ? AND key = ?')
        .run(cache, row.key)
    }
  }

  #use(): void {
    if (this.#state === 'open') return
    throw new StoreFailureError({
      kind: 'outage',
      code: 'TRANSACTION_OVER',
      message: 'The transaction is over, or a write in it failed.',
      known: true,
    })
  }
}

/** Each answers whether the row was its to apply. */
function upsertRow(
  statements: TableStatements,
  cache: string,
  { key, mutation }: RowMutation,
): boolean {
  switch (mutation.kind) {
    case 'set':
      statements.set(cache, key, mutation.fields)
      return true
    case 'patch':
      statements.patch(cache, key, mutation)
      return true
    case 'delete':
      return false
  }
}

function deleteRow(
  statements: TableStatements,
  cache: string,
  { key, mutation }: RowMutation,
): boolean {
  if (mutation.kind !== 'delete') return false
  statements.delete(cache, key)
  return true
}

function isDelete(row: RowMutation): boolean {
  return row.mutation.kind === 'delete'
}

function lostCheckpoint(lane: number): StoreFailureError {
  return new StoreFailureError({
    kind: 'outage',
    code: 'CHECKPOINT_LOST',
    message: `The checkpoint of lane ${lane} is not what it was at the beginning of the transaction.`,
    known: true,
  })
}
