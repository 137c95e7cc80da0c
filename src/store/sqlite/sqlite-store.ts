/**
 * SQLite through Node's own module. One connection writes, one reads, so that a load never waits for a flush; an
 * in-memory database has one connection for both, and its loads wait.
 */

import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { DaybookError } from '../../base/errors.ts'
import { fencedError, StoreFailureError } from '../failure.ts'
import { Mutex } from '../mutex.ts'
import type { TableRequest, TableSchema } from '../schema.ts'
import type {
  Claim,
  Claimed,
  LaneCheckpoint,
  Loaded,
  Store,
  StoreCall,
  StoreFailure,
  StoreTransaction,
} from '../store.ts'
import { describeTable } from './catalogue.ts'
import {
  type Connection,
  createOwnTables,
  memoryPath,
  openReader,
  openWriter,
} from './connection.ts'
import { classifySqlite, resultCodeOf } from './failure-table.ts'
import { SqliteTransaction } from './sqlite-transaction.ts'
import { TableStatements } from './table-statements.ts'

export interface SqliteOptions {
  /** Of the database file, which is made where it is missing; or ':memory:', which nothing survives. */
  readonly path: string
  /** How long a flush waits for other programs' write locks before it counts as a conflict. Default 5,000. */
  readonly busyTimeoutMs?: number
}

/** A store on an SQLite database, yours or a new one. */
export function sqlite(options: SqliteOptions): Store {
  return new SqliteStore(options)
}

interface Connections {
  readonly writer: Connection
  readonly reader: Connection
  /** Of the file that is open: another one under the same name is another database. */
  readonly inode: bigint | undefined
}

interface Claiming {
  readonly claim: Claim
  readonly epoch: number
}

class SqliteStore implements Store {
  readonly name = 'sqlite'
  /** SQLite has one write lock for all. */
  readonly capabilities = { transactions: true, concurrency: 1, patches: true, removals: true }
  readonly #path: string
  readonly #busyTimeoutMs: number
  readonly #turn = new Mutex()
  readonly #expiringCaches = new Set<string>()
  #statements = new WeakMap<Connection, WeakMap<TableSchema, TableStatements>>()
  #connections: Connections | undefined
  #claiming: Claiming | undefined
  #closed = false

  constructor({ path, busyTimeoutMs = 5000 }: SqliteOptions) {
    if (typeof path !== 'string' || path === '') {
      throw new DaybookError(
        'INVALID_OPTION',
        'Option "path" of sqlite is the path of a file, or ":memory:".',
      )
    }
    if (path.startsWith('file:') && path.includes('memory')) {
      throw new DaybookError(
        'INVALID_OPTION',
        'Option "path" of sqlite is ":memory:" for a database in memory, not a URI: its connections would not share it.',
      )
    }
    if (!Number.isFinite(busyTimeoutMs) || busyTimeoutMs < 0) {
      throw new DaybookError(
        'INVALID_OPTION',
        'Option "busyTimeoutMs" of sqlite is a number of milliseconds, 0 or more.',
      )
    }
    this.#path = path
    this.#busyTimeoutMs = busyTimeoutMs
  }

  async open(claim: Claim, call: StoreCall): Promise<Claimed> {
    const release = await this.#turn.acquire(call.signal)
    try {
      this.#disconnect()
      const { writer } = this.#connect()
      await this.#beginImmediate(writer, call.signal)
      try {
        createOwnTables(writer)
        const claimed = claimLanes(writer, claim)
        for (const cache of expiringCaches(writer)) this.#expiringCaches.add(cache)
        writer.database.exec('COMMIT')
        this.#claiming = { claim, epoch: claimed.epoch }
        return claimed
      } catch (error) {
        writer.rollback()
        throw error
      }
    } catch (error) {
      this.#disconnect()
      throw openingError(this.#path, error)
    } finally {
      release()
    }
  }

  async describe(request: TableRequest, call: StoreCall): Promise<TableSchema> {
    call.signal.throwIfAborted()
    this.#claimed()
    return describeTable(this.#connect().reader, request)
  }

  async load(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    call: StoreCall,
  ): Promise<Loaded> {
    const { claim } = this.#claimed()
    return this.#read(call, (reader) => {
      // The first read inside takes the snapshot for all of them.
      reader.prepare('BEGIN').run()
      try {
        const statements = this.#statementsOf(reader, schema)
        return {
          rows: keys.map((key) => statements.get(cache, key)),
          positions: positions(reader, claim),
        }
      } finally {
        reader.rollback()
      }
    })
  }

  async keys(
    schema: TableSchema,
    cache: string,
    after: string | undefined,
    limit: number,
    call: StoreCall,
  ): Promise<string[]> {
    this.#claimed()
    return this.#read(call, (reader) =>
      this.#statementsOf(reader, schema).keys(cache, after, limit),
    )
  }

  async begin(
    lane: number,
    mode: { readonly careful: boolean },
    call: StoreCall,
  ): Promise<StoreTransaction> {
    this.#claimed()
    const release = await this.#turn.acquire(call.signal)
    try {
      const { claim, epoch } = this.#claimed()
      const { writer } = this.#connect()
      await this.#beginImmediate(writer, call.signal)
      try {
        const checkpoint = takeLane(writer, claim, lane, epoch)
        // Where a write may be cut in two, a violation must show in the write that has it. Elsewhere the order of rows
        // within the batch need not matter.
        if (!mode.careful) writer.database.exec('PRAGMA defer_foreign_keys = ON')
        return this.#transaction(
          writer,
          claim.journal,
          lane,
          checkpoint,
          mode.careful,
          call,
          release,
        )
      } catch (error) {
        writer.rollback()
        throw error
      }
    } catch (error) {
      release()
      throw error
    }
  }

  async expired(cache: string, nowMs: number, limit: number, call: StoreCall): Promise<string[]> {
    this.#claimed()
    return this.#read(call, (reader) => {
      const rows = reader
        .prepare(
          'SELECT key FROM daybook_expiries WHERE cache = ? AND expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?',
        )
        .all(cache, nowMs, limit) as { key: string }[]
      return rows.map((row) => row.key)
    })
  }

  classify(error: unknown): StoreFailure {
    return classifySqlite(error)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#claiming = undefined
    this.#disconnect()
  }

  #transaction(
    connection: Connection,
    journal: string,
    lane: number,
    checkpoint: LaneCheckpoint,
    careful: boolean,
    call: StoreCall,
    release: () => void,
  ): StoreTransaction {
    return new SqliteTransaction({
      connection,
      journal,
      lane,
      checkpoint,
      careful,
      yields: this.#path !== memoryPath,
      signal: call.signal,
      statementsOf: ({ schema }) => this.#statementsOf(connection, schema),
      expiringCaches: this.#expiringCaches,
      ended: (doubtful) => {
        if (doubtful && this.#path !== memoryPath) this.#disconnect()
        release()
      },
    })
  }

  /** On the connection of an in-memory database, a transaction that is open must end first. */
  async #read<T>(call: StoreCall, work: (reader: Connection) => T): Promise<T> {
    call.signal.throwIfAborted()
    if (this.#path !== memoryPath) return work(this.#connect().reader)
    const release = await this.#turn.acquire(call.signal)
    try {
      return work(this.#connect().reader)
    } finally {
      release()
    }
  }

  /** BEGIN IMMEDIATE, waiting for other programs without blocking this one. */
  async #beginImmediate(writer: Connection, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    for (let attempt = 0; ; attempt++) {
      try {
        writer.database.exec('BEGIN IMMEDIATE')
        return
      } catch (error) {
        const busy = ((resultCodeOf(error) ?? 0) & 0xff) === 5
        if (!busy || performance.now() - startedAt >= this.#busyTimeoutMs) throw error
        await sleep(Math.min(2 ** attempt, 50), undefined, { signal })
      }
    }
  }

  #connect(): Connections {
    const open = this.#connections
    if (open !== undefined && this.#isSameFile(open)) return open
    this.#disconnect()
    if (this.#claiming !== undefined) requireFile(this.#path)
    const writer = openWriter(this.#path)
    try {
      // A backup may be older than Daybook's own tables. At an open, they are made with the claim.
      if (this.#claiming !== undefined) createOwnTables(writer)
      const reader = this.#path === memoryPath ? writer : openReader(this.#path)
      this.#connections = { writer, reader, inode: inodeOf(this.#path) }
      return this.#connections
    } catch (error) {
      writer.close()
      throw error
    }
  }

  /** A file put in its place (a backup restored) would be written to by nobody, and nobody would notice. */
  #isSameFile(open: Connections): boolean {
    return this.#path === memoryPath || inodeOf(this.#path) === open.inode
  }

  #disconnect(): void {
    const open = this.#connections
    this.#connections = undefined
    this.#statements = new WeakMap()
    open?.reader.close()
    open?.writer.close()
  }

  #statementsOf(connection: Connection, schema: TableSchema): TableStatements {
    let ofConnection = this.#statements.get(connection)
    if (ofConnection === undefined) this.#statements.set(connection, (ofConnection = new WeakMap()))
    let statements = ofConnection.get(schema)
    if (statements === undefined)
      ofConnection.set(schema, (statements = new TableStatements(connection, schema)))
    return statements
  }

  #claimed(): Claiming {
    if (this.#claiming !== undefined) return this.#claiming
    if (this.#closed) throw new DaybookError('CLOSED', 'The SQLite store is closed.')
    throw new StoreFailureError({
      kind: 'misconfigured',
      code: 'CLOSED',
      message: 'The SQLite store is not open.',
      known: true,
    })
  }
}

/** Takes every lane under an epoch above all that are stored. */
function claimLanes(connection: Connection, claim: Claim): Claimed {
  const row = connection
    .prepare('SELECT max(epoch) AS epoch FROM daybook_checkpoints WHERE journal = ?')
    .get(claim.journal)
  const stored = Number(row?.['epoch'] ?? 0)
  const epoch = Math.max(stored, claim.epoch - 1) + 1
  for (let lane = 0; lane < claim.lanes; lane++) writeEpoch(connection, claim.journal, lane, epoch)
  return { epoch, positions: positions(connection, claim) }
}

/**
 * The lane's checkpoint under my epoch. A row that is missing or older than my epoch is a database that went back in
 * time: it is claimed again, at the position it has.
 */
function takeLane(
  connection: Connection,
  claim: Claim,
  lane: number,
  epoch: number,
): LaneCheckpoint {
  const row = connection
    .prepare('SELECT epoch, position FROM daybook_checkpoints WHERE journal = ? AND lane = ?')
    .get(claim.journal, lane)
  const found = { epoch: Number(row?.['epoch'] ?? 0), position: Number(row?.['position'] ?? 0) }
  if (found.epoch > epoch) throw fencedError(lane, epoch, found)
  if (found.epoch < epoch) writeEpoch(connection, claim.journal, lane, epoch)
  return { epoch, position: found.position }
}

function writeEpoch(connection: Connection, journal: string, lane: number, epoch: number): void {
  connection
    .prepare(
      'INSERT INTO daybook_checkpoints (journal, lane, epoch, position) VALUES (?, ?, ?, 0) ' +
        'ON CONFLICT (journal, lane) DO UPDATE SET epoch = excluded.epoch',
    )
    .run(journal, lane, epoch)
}

function positions(connection: Connection, claim: Claim): number[] {
  const found = new Array<number>(claim.lanes).fill(0)
  const rows = connection
    .prepare('SELECT lane, position FROM daybook_checkpoints WHERE journal = ? AND lane < ?')
    .all(claim.journal, claim.lanes)
  for (const row of rows) found[Number(row['lane'])] = Number(row['position'])
  return found
}

function expiringCaches(connection: Connection): string[] {
  const rows = connection.prepare('SELECT DISTINCT cache FROM daybook_expiries').all() as {
    cache: string
  }[]
  return rows.map((row) => row.cache)
}

/** undefined where there is no such file. What a URI names is not looked at. */
function inodeOf(path: string): bigint | undefined {
  if (path.startsWith('file:')) return 0n
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino
}

/** Once claimed, a database that is gone is not replaced by an empty one. */
function requireFile(path: string): void {
  if (path === memoryPath || inodeOf(path) !== undefined) return
  throw new StoreFailureError({
    kind: 'outage',
    code: 'SQLITE_CANTOPEN',
    message: 'The database file is gone.',
    known: true,
  })
}

/** Settings that will not change by waiting are told from what may. */
function openingError(path: string, error: unknown): unknown {
  if (error instanceof DaybookError) return error
  const failure = classifySqlite(error)
  const readOnly = failure.code === 'SQLITE_READONLY'
  const code =
    failure.kind === 'misconfigured' || readOnly ? 'STORE_MISCONFIGURED' : 'STORE_UNAVAILABLE'
  return new DaybookError(
    code,
    `The SQLite database "${path}" cannot be opened: ${failure.message}.`,
    {
      cause: error,
      details: { path, code: failure.code },
      ...(readOnly ? { hint: 'Make the file and its directory writable for this user.' } : {}),
    },
  )
}
