/** The store over PostgreSQL: rows and checkpoint in one transaction, loads on connections of their own. */

import { assert } from '../../base/assert.ts'
import { systemClock, type Clock } from '../../base/clock.ts'
import { DaybookError, isDaybookError } from '../../base/errors.ts'
import type { Fields } from '../../mutation/mutation.ts'
import { documentSchema } from '../declared-table.ts'
import { keyOf, keyParts } from '../key.ts'
import type { TableRequest, TableSchema } from '../schema.ts'
import type {
  Claim,
  Claimed,
  Loaded,
  Store,
  StoreCall,
  StoreCapabilities,
  StoreFailure,
  StoreTransaction,
} from '../store.ts'
import { BatchWriter } from './batch-writer.ts'
import { describeTable, documentKeysByBytes } from './catalogue.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { ConnectionPool } from './connection-pool.ts'
import type { PostgresDriver } from './driver.ts'
import { ExpiryTable } from './expiry-table.ts'
import { classifyPostgresError } from './failures.ts'
import { decodeField } from './field-text.ts'
import { claimLanes, ensureOwnTables, type OwnTables } from './own-tables.ts'
import { PhysicalTables } from './physical-tables.ts'
import { PostgresTransaction } from './postgres-transaction.ts'
import { checkServer, type VouchedSetting } from './server-settings.ts'
import { StatementNames } from './statement-names.ts'
import { keysStatement, loadStatement, readFields } from './table-statements.ts'

export interface PostgresStoreOptions extends ConnectionOptions {
  readonly concurrency: number
  readonly loadConnections: number
  readonly schema: string | undefined
  readonly vouchedSettings: readonly VouchedSetting[]
}

/** What a claim made, until the next one. */
interface Session {
  readonly journal: string
  readonly lanes: number
  readonly epoch: number
  readonly own: OwnTables
  readonly expiries: ExpiryTable
  readonly writer: BatchWriter
}

export class PostgresStore implements Store {
  readonly name = 'postgres'
  readonly capabilities: StoreCapabilities
  readonly #options: PostgresStoreOptions
  readonly #loadDriver: () => Promise<PostgresDriver>
  readonly #clock: Clock
  readonly #tables = new PhysicalTables()
  readonly #names = new StatementNames()
  /** Reads never wait behind flushes. */
  readonly #writes: ConnectionPool
  readonly #reads: ConnectionPool
  #session: Session | undefined
  #closed = false

  constructor(
    options: PostgresStoreOptions,
    loadDriver: () => Promise<PostgresDriver>,
    clock: Clock = systemClock,
  ) {
    this.#options = options
    this.#loadDriver = loadDriver
    this.#clock = clock
    this.capabilities = {
      transactions: true,
      concurrency: options.concurrency,
      patches: true,
      removals: true,
    }
    const waitMs = options.connectTimeoutMs + options.statementTimeoutMs
    const open = async (signal: AbortSignal): Promise<Connection> =>
      Connection.open(await this.#loadDriver(), options, clock, signal)
    this.#writes = new ConnectionPool(options.concurrency, waitMs, clock, open)
    this.#reads = new ConnectionPool(options.loadConnections, waitMs, clock, open)
  }

  async open(claim: Claim, { signal }: StoreCall): Promise<Claimed> {
    try {
      return await this.#writes.use(signal, async (connection) => {
        await checkServer(connection, this.#options.vouchedSettings, signal)
        const own = await ensureOwnTables(connection, this.#options.schema, signal)
        const expiries = await ExpiryTable.open(connection, own.expiries, signal)
        const claimed = await claimLanes(connection, own, claim, signal)
        this.#tables.open(own.values)
        const writer = new BatchWriter(this.#tables, this.#names, expiries, this.#clock)
        const { journal, lanes } = claim
        this.#session = { journal, lanes, epoch: claimed.epoch, own, expiries, writer }
        return claimed
      })
    } catch (error) {
      throw storeError(error, 'PostgreSQL could not be opened')
    }
  }

  async describe(request: TableRequest, { signal }: StoreCall): Promise<TableSchema> {
    const { table } = request
    const { own } = this.#opened()
    try {
      if (table === undefined) {
        const keysByBytes = await this.#reads.use(signal, (connection) =>
          documentKeysByBytes(connection, own.values, signal),
        )
        return { ...documentSchema, keysByBytes }
      }
      const { schema, physical } = await this.#reads.use(signal, (connection) =>
        describeTable(connection, table, request, signal),
      )
      this.#tables.add(schema, physical)
      return schema
    } catch (error) {
      throw storeError(error, `Table "${table ?? own.values}" could not be described`)
    }
  }

  async load(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    { signal }: StoreCall,
  ): Promise<Loaded> {
    const { own, journal, lanes } = this.#opened()
    const physical = this.#tables.of(schema, cache)
    const parts = keys.map((key) => ({ parts: keyParts(schema, key) }))
    const statement = loadStatement(physical, own.checkpoints, journal, parts)
    const { rows } = await this.#reads.use(signal, (connection) =>
      connection.execute(this.#names.named(statement), signal),
    )
    const found = new Array<Fields | undefined>(keys.length).fill(undefined)
    for (const row of rows) {
      const ordinal = row[1]
      if (typeof ordinal === 'string') found[Number(ordinal) - 1] = readFields(physical, row, 2)
    }
    return { rows: found, positions: readPositions(rows[0]?.[0] ?? '', lanes) }
  }

  async keys(
    schema: TableSchema,
    cache: string,
    after: string | undefined,
    limit: number,
    { signal }: StoreCall,
  ): Promise<string[]> {
    const physical = this.#tables.of(schema, cache)
    return this.#reads.use(signal, async (connection) => {
      const keys: string[] = []
      let bound = after === undefined ? undefined : keyParts(schema, after)
      while (keys.length < limit) {
        const wanted = limit - keys.length
        const statement = keysStatement(physical, bound, wanted)
        const { rows } = await connection.execute(this.#names.named(statement), signal)
        for (const row of rows) {
          bound = physical.key.map(({ type }, index) => decodeField(type, row[index] ?? ''))
          // A row that no key can name (an empty text, one that is too long) is passed over.
          const key = keyOf(schema, bound)
          if (key !== undefined) keys.push(key)
        }
        if (rows.length < wanted) break
      }
      return keys
    })
  }

  async begin(
    lane: number,
    { careful }: { readonly careful: boolean },
    { signal }: StoreCall,
  ): Promise<StoreTransaction> {
    const { own, journal, epoch, writer } = this.#opened()
    const identity = { checkpoints: own.checkpoints, journal, lane, epoch }
    return PostgresTransaction.begin(identity, this.#writes, writer, careful, signal)
  }

  async expired(
    cache: string,
    nowMs: number,
    limit: number,
    { signal }: StoreCall,
  ): Promise<string[]> {
    const statement = this.#opened().expiries.due(cache, nowMs, limit)
    const { rows } = await this.#reads.use(signal, (connection) =>
      connection.execute(this.#names.named(statement), signal),
    )
    return rows.map(([key]) => key ?? '')
  }

  classify(error: unknown): StoreFailure {
    return classifyPostgresError(error)
  }

  async close(): Promise<void> {
    this.#session = undefined
    this.#closed = true
    await Promise.all([this.#writes.close(), this.#reads.close()])
  }

  #opened(): Session {
    if (this.#closed) throw new DaybookError('CLOSED', 'The PostgreSQL store is closed.')
    assert(this.#session !== undefined, 'the PostgreSQL store is open')
    return this.#session
  }
}

/** '0:120,1:98' → [120, 98]; 0 for a lane that the store does not have. */
function readPositions(text: string, lanes: number): number[] {
  const positions = new Array<number>(lanes).fill(0)
  for (const pair of text === '' ? [] : text.split(',')) {
    const [lane, position] = pair.split(':')
    if (Number(lane) < lanes) positions[Number(lane)] = Number(position)
  }
  return positions
}

/** As the port promises it: what keeps a store from opening is a DaybookError. */
function storeError(error: unknown, what: string): DaybookError {
  if (isDaybookError(error)) return error
  const { kind, code, message } = classifyPostgresError(error)
  const passes = kind === 'outage' || kind === 'conflict'
  return new DaybookError(
    passes ? 'STORE_UNAVAILABLE' : 'STORE_MISCONFIGURED',
    `${what}: ${message}.`,
    { cause: error, details: { code } },
  )
}
