/**
 * A store of your own in a dozen lines: a function that loads, and one that writes.
 *
 * - With `transaction` and `checkpoints` the checkpoint commits in your transaction: exactly once, and a stale process
 *   is fenced.
 * - With `checkpoints` alone it is at least once: after a crash the last batch may be written again.
 * - With neither, Daybook keeps the checkpoints in a file of its directory: at least once, and no process is fenced.
 */

import { DaybookError } from '../base/errors.ts'
import type { Amounts, Fields, FieldValue, Position } from '../mutation/mutation.ts'
import { canonicalOf } from './columns.ts'
import type { Checkpoints, StoredCheckpoint } from './checkpoints.ts'
import { declaredTable, type TableDeclarations } from './declared-table.ts'
import { fencedError, ownFailure, StoreFailureError, unknownFailure } from './failure.ts'
import { HeldTransaction, type RunTransaction } from './held-transaction.ts'
import { canonicalJson } from './json.ts'
import { keyParts } from './key.ts'
import { packRest, unpackRest, unwrapDocument, wrapDocument } from './row.ts'
import type { TableRequest, TableSchema } from './schema.ts'
import type {
  Claim,
  Claimed,
  FailureKind,
  LaneCheckpoint,
  Loaded,
  RowMutation,
  Store,
  StoreCall,
  StoreFailure,
  StoreTransaction,
  TableMutations,
} from './store.ts'

export { sqlCheckpoints } from './checkpoints.ts'

interface CustomTarget {
  readonly cache: string
  /** undefined for a cache without a table. */
  readonly table: string | undefined
  /** The canonical key. */
  readonly key: string
  /** The key columns with their values; `{ key }` for a cache without a table. */
  readonly keyColumns: Fields
  /** When the row is to be deleted (wall clock, ms). */
  readonly expiresAtMs: number | undefined
}

/** What is to be written to one row. */
export type CustomMutation =
  | (CustomTarget & {
      readonly kind: 'set'
      /** The columns without the key; for a cache without a table, `{ value }`. */
      readonly fields: Fields
    })
  | (CustomTarget & { readonly kind: 'delete' })
  /** Only with `patches`: set the fields, and add the amounts; insert where there is no row. */
  | (CustomTarget & { readonly kind: 'patch'; readonly fields: Fields; readonly amounts: Amounts })

export interface CustomLoad {
  readonly cache: string
  readonly table: string | undefined
  /** Each key's columns, in the order of the keys. */
  readonly keyColumns: readonly Fields[]
  readonly signal: AbortSignal
}

export interface CustomStoreOptions<Transaction = undefined> {
  /** For messages and metrics. */
  readonly name: string
  /**
   * The rows of these canonical keys, each with its columns (key columns are ignored): an array in the order of the
   * keys with undefined for what is not there, or a Map by key. For a cache without a table, rows are `{ value }`.
   * JSON comes parsed.
   */
  load(
    keys: readonly string[],
    target: CustomLoad,
  ): Promise<readonly (object | undefined)[] | ReadonlyMap<string, object>>
  /**
   * Applies all, in order: parents come before children, deletes last. Without `transaction` it must bear to be called
   * again with the same mutations.
   */
  write(
    mutations: readonly CustomMutation[],
    transaction: Transaction,
    call: StoreCall,
  ): Promise<void>
  /** Runs the work in one transaction, and hands it what `write` needs. */
  readonly transaction?: RunTransaction<Transaction>
  /** See `sqlCheckpoints`. */
  readonly checkpoints?: Checkpoints<Transaction>
  /** What an error of yours means. undefined: unknown, waited out as an outage. */
  classify?(error: unknown): (Partial<StoreFailure> & { readonly kind: FailureKind }) | undefined
  /** Columns by table, for canonical values and checks before the acknowledgement. Default: any fields, as JSON. */
  readonly tables?: TableDeclarations
  /** Keys beyond `after`, in your order: what a cache's `keys()` needs. */
  keys?(
    target: Pick<CustomLoad, 'cache' | 'table'>,
    after: string | undefined,
    limit: number,
  ): Promise<string[]>
  /** Keys whose `expiresAtMs` has come: what `expire: 'delete'` needs. */
  expired?(cache: string, nowMs: number, limit: number): Promise<string[]>
  /** `write` takes patches. Default false: merges and increments are resolved to sets first. */
  readonly patches?: boolean
  /** Lanes that may be written at the same time. Default 1. */
  readonly concurrency?: number
}

export function customStore<Transaction = undefined>(
  options: CustomStoreOptions<Transaction>,
): Store {
  return new CustomStore(options)
}

/** Loads that flushes overtake are made again, this often at most. */
const maxLoadAttempts = 20

class CustomStore<Transaction> implements Store {
  readonly name: string
  readonly capabilities
  readonly #options: CustomStoreOptions<Transaction>
  readonly #checkpoints: Checkpoints<Transaction>
  #claim: Claim | undefined
  #epoch = 0

  constructor(options: CustomStoreOptions<Transaction>) {
    checkOptions(options)
    this.#options = options
    this.#checkpoints = options.checkpoints ?? forgetfulCheckpoints()
    this.name = options.name
    this.capabilities = {
      transactions: options.transaction !== undefined && options.checkpoints !== undefined,
      concurrency: options.concurrency ?? 1,
      patches: options.patches ?? false,
      checkpoints: options.checkpoints !== undefined,
    }
  }

  async open(claim: Claim, call: StoreCall): Promise<Claimed> {
    call.signal.throwIfAborted()
    try {
      await this.#checkpoints.prepare?.()
      const { transaction } = this.#options
      const claimed = await (transaction === undefined
        ? this.#claimLanes(claim, undefined)
        : transaction((open) => this.#claimLanes(claim, open)))
      this.#claim = claim
      this.#epoch = claimed.epoch
      return claimed
    } catch (error) {
      throw this.#openingError(error)
    }
  }

  async describe(request: TableRequest, call: StoreCall): Promise<TableSchema> {
    this.#opened()
    call.signal.throwIfAborted()
    return declaredTable(this.#options.tables ?? {}, request)
  }

  /**
   * Rows and checkpoints are of one moment where no checkpoint moved between a look before and one after: rows and
   * checkpoint commit together, so no row moved either. That needs no isolation level of the user's database.
   */
  async load(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    call: StoreCall,
  ): Promise<Loaded> {
    const claim = this.#opened()
    let before = await this.#positions(claim)
    for (let attempt = 0; attempt < maxLoadAttempts; attempt++) {
      call.signal.throwIfAborted()
      const rows = await this.#loadRows(schema, cache, keys, call)
      const after = await this.#positions(claim)
      if (after.join() === before.join()) return { rows, positions: after }
      before = after
    }
    throw new StoreFailureError({
      kind: 'conflict',
      code: 'LOAD_OVERTAKEN',
      message: `Flushes overtook a load ${maxLoadAttempts} times.`,
      known: true,
    })
  }

  async keys(
    schema: TableSchema,
    cache: string,
    after: string | undefined,
    limit: number,
    call: StoreCall,
  ): Promise<string[]> {
    this.#opened()
    call.signal.throwIfAborted()
    if (this.#options.keys === undefined) throw missingOption(this.name, 'keys')
    return this.#options.keys({ cache, table: tableName(schema) }, after, limit)
  }

  async begin(
    lane: number,
    mode: { readonly careful: boolean },
    call: StoreCall,
  ): Promise<StoreTransaction> {
    const claim = this.#opened()
    call.signal.throwIfAborted()
    const run = this.#options.transaction
    if (run === undefined) {
      const checkpoint = await this.#takeLane(claim, lane, undefined)
      return new PlainBatch(this.#batchContext(claim, lane, checkpoint, call))
    }
    const held = await HeldTransaction.begin(run)
    try {
      const checkpoint = await this.#takeLane(claim, lane, held.transaction)
      const context = this.#batchContext(claim, lane, checkpoint, call)
      return new TransactionBatch(context, run, held, mode.careful)
    } catch (error) {
      await held.rollback()
      throw error
    }
  }

  async expired(cache: string, nowMs: number, limit: number, call: StoreCall): Promise<string[]> {
    this.#opened()
    call.signal.throwIfAborted()
    if (this.#options.expired === undefined) throw missingOption(this.name, 'expired')
    return this.#options.expired(cache, nowMs, limit)
  }

  classify(error: unknown): StoreFailure {
    const own = ownFailure(error)
    if (own !== undefined) return own
    const unknown = unknownFailure(error)
    const known = this.#options.classify?.(error)
    return known === undefined ? unknown : { ...unknown, known: true, ...known }
  }

  async close(): Promise<void> {
    this.#claim = undefined
  }

  async #claimLanes(claim: Claim, transaction: Transaction | undefined): Promise<Claimed> {
    const found = await this.#checkpoints.read(claim.journal, transaction, undefined)
    const stored = Math.max(0, ...found.map((checkpoint) => checkpoint.epoch))
    const epoch = Math.max(stored, claim.epoch - 1) + 1
    const positions = byLane(claim, found)
    for (const [lane, position] of positions.entries()) {
      await this.#checkpoints.write(claim.journal, { lane, epoch, position }, transaction)
    }
    return { epoch, positions }
  }

  /** A checkpoint that is missing or older than my epoch is of a database that went back in time: it is taken again. */
  async #takeLane(
    claim: Claim,
    lane: number,
    transaction: Transaction | undefined,
  ): Promise<LaneCheckpoint> {
    const [found = { lane, epoch: 0, position: 0 }] = (
      await this.#checkpoints.read(claim.journal, transaction, lane)
    ).filter((checkpoint) => checkpoint.lane === lane)
    if (found.epoch > this.#epoch) throw fencedError(lane, this.#epoch, found)
    const mine = { lane, epoch: this.#epoch, position: found.position }
    if (found.epoch < this.#epoch) await this.#checkpoints.write(claim.journal, mine, transaction)
    return { epoch: mine.epoch, position: mine.position }
  }

  async #positions(claim: Claim): Promise<number[]> {
    return byLane(claim, await this.#checkpoints.read(claim.journal, undefined, undefined))
  }

  async #loadRows(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    { signal }: StoreCall,
  ): Promise<(Fields | undefined)[]> {
    if (keys.length === 0) return []
    const keyColumns = keys.map((key) => keyColumnsOf(schema, key))
    const loaded = await this.#options.load(keys, {
      cache,
      table: tableName(schema),
      keyColumns,
      signal,
    })
    return keys.map((key, index) => {
      const row =
        loaded instanceof Map ? (loaded.get(key) as unknown) : (loaded as readonly unknown[])[index]
      return typeof row === 'object' && row !== null ? fieldsOf(schema, row) : undefined
    })
  }

  #batchContext(
    claim: Claim,
    lane: number,
    checkpoint: LaneCheckpoint,
    call: StoreCall,
  ): BatchContext<Transaction> {
    return {
      checkpoint,
      write: (tables, transaction) =>
        this.#options.write(mutationsOf(tables), transaction as Transaction, call),
      moveTo: (position, transaction) =>
        this.#checkpoints.write(
          claim.journal,
          { lane, epoch: checkpoint.epoch, position },
          transaction,
        ),
      relock: (transaction) => this.#takeLane(claim, lane, transaction),
      isRejected: (error) => this.classify(error).kind === 'rejected',
    }
  }

  #openingError(error: unknown): unknown {
    if (error instanceof DaybookError) return error
    const failure = this.classify(error)
    const code = failure.kind === 'misconfigured' ? 'STORE_MISCONFIGURED' : 'STORE_UNAVAILABLE'
    return new DaybookError(code, `Store "${this.name}" cannot be opened: ${failure.message}`, {
      cause: error,
    })
  }

  #opened(): Claim {
    if (this.#claim !== undefined) return this.#claim
    throw new StoreFailureError({
      kind: 'misconfigured',
      code: 'CLOSED',
      message: `Store "${this.name}" is not open.`,
      known: true,
    })
  }
}

interface BatchContext<Transaction> {
  readonly checkpoint: LaneCheckpoint
  write(tables: readonly TableMutations[], transaction: Transaction | undefined): Promise<void>
  moveTo(position: Position, transaction: Transaction | undefined): Promise<void>
  relock(transaction: Transaction): Promise<LaneCheckpoint>
  isRejected(error: unknown): boolean
}

/** At least once: what is written stays written, and the checkpoint follows. */
class PlainBatch<Transaction> implements StoreTransaction {
  readonly checkpoint: LaneCheckpoint
  readonly #context: BatchContext<Transaction>

  constructor(context: BatchContext<Transaction>) {
    this.#context = context
    this.checkpoint = context.checkpoint
  }

  write(tables: readonly TableMutations[]): Promise<void> {
    return this.#context.write(tables, undefined)
  }

  commit(position: Position): Promise<void> {
    return this.#context.moveTo(position, undefined)
  }

  async rollback(): Promise<void> {
    // There is nothing to take back.
  }
}

/** Exactly once: rows and checkpoint in the user's transaction. */
class TransactionBatch<Transaction> implements StoreTransaction {
  readonly checkpoint: LaneCheckpoint
  readonly #context: BatchContext<Transaction>
  readonly #run: RunTransaction<Transaction>
  readonly #careful: boolean
  /** What a careful transaction has written: to be written again where the database gave all of it up. */
  readonly #written: (readonly TableMutations[])[] = []
  #held: HeldTransaction<Transaction> | undefined

  constructor(
    context: BatchContext<Transaction>,
    run: RunTransaction<Transaction>,
    held: HeldTransaction<Transaction>,
    careful: boolean,
  ) {
    this.#context = context
    this.#run = run
    this.#held = held
    this.#careful = careful
    this.checkpoint = context.checkpoint
  }

  async write(tables: readonly TableMutations[]): Promise<void> {
    const held = this.#open()
    try {
      await this.#context.write(tables, held.transaction)
    } catch (error) {
      if (this.#careful && this.#context.isRejected(error)) await this.#startOver(held)
      else await this.rollback()
      throw error
    }
    if (this.#careful) this.#written.push(tables)
  }

  async commit(position: Position): Promise<void> {
    const held = this.#open()
    try {
      await this.#context.moveTo(position, held.transaction)
    } catch (error) {
      await this.rollback()
      throw error
    }
    this.#held = undefined
    await held.commit()
  }

  async rollback(): Promise<void> {
    const held = this.#held
    this.#held = undefined
    await held?.rollback()
  }

  /** Savepoints differ from library to library; a new transaction with the same writes does the same everywhere. */
  async #startOver(held: HeldTransaction<Transaction>): Promise<void> {
    this.#held = undefined
    await held.rollback()
    const again = await HeldTransaction.begin(this.#run)
    this.#held = again
    const checkpoint = await this.#context.relock(again.transaction)
    if (checkpoint.position !== this.checkpoint.position) {
      await this.rollback()
      throw new StoreFailureError({
        kind: 'conflict',
        code: 'CHECKPOINT_MOVED',
        message: 'The checkpoint moved between two transactions.',
        known: true,
      })
    }
    for (const tables of this.#written) await this.#context.write(tables, again.transaction)
  }

  #open(): HeldTransaction<Transaction> {
    if (this.#held !== undefined) return this.#held
    throw new StoreFailureError({
      kind: 'outage',
      code: 'TRANSACTION_OVER',
      message: 'The transaction is over.',
      known: true,
    })
  }
}

/** Lives as long as the process. */
function forgetfulCheckpoints<Transaction>(): Checkpoints<Transaction> {
  const held = new Map<string, StoredCheckpoint>()
  return {
    read: async (journal) =>
      [...held]
        .filter(([name]) => name.startsWith(`${journal}/`))
        .map(([, checkpoint]) => checkpoint),
    write: async (journal, checkpoint) =>
      void held.set(`${journal}/${checkpoint.lane}`, checkpoint),
  }
}

function byLane(claim: Claim, found: readonly StoredCheckpoint[]): number[] {
  const positions = new Array<number>(claim.lanes).fill(0)
  for (const { lane, position } of found) if (lane < claim.lanes) positions[lane] = position
  return positions
}

/** Upserts in the order of tables, then deletes in the opposite one. */
function mutationsOf(tables: readonly TableMutations[]): CustomMutation[] {
  const upserts: CustomMutation[] = []
  const deletes: CustomMutation[] = []
  for (const { schema, cache, rows } of tables) {
    for (const row of rows) {
      if (row.mutation.kind !== 'delete') upserts.push(mutationOf(schema, cache, row))
    }
  }
  for (const { schema, cache, rows } of tables.toReversed()) {
    for (const row of rows) {
      if (row.mutation.kind === 'delete') deletes.push(mutationOf(schema, cache, row))
    }
  }
  return [...upserts, ...deletes]
}

function mutationOf(schema: TableSchema, cache: string, row: RowMutation): CustomMutation {
  const { key, mutation, expiresAtMs } = row
  const target = {
    cache,
    table: tableName(schema),
    key,
    keyColumns: keyColumnsOf(schema, key),
    expiresAtMs,
  }
  switch (mutation.kind) {
    case 'delete':
      return { ...target, kind: 'delete' }
    case 'set':
      return { ...target, kind: 'set', fields: packed(schema, mutation.fields) }
    case 'patch':
      return { ...target, kind: 'patch', fields: mutation.fields, amounts: mutation.amounts }
  }
}

/** As columns: what no column takes is in the rest column, and a document in `value`. */
function packed(schema: TableSchema, fields: Fields): Fields {
  if (schema.document) return { value: unwrapDocument(fields) }
  if (schema.rest === undefined || schema.rest.name === '') return fields
  const columns: Record<string, FieldValue> = {}
  for (const { name } of schema.columns) columns[name] = fields[name] ?? null
  return { ...columns, [schema.rest.name]: packRest(schema, fields) ?? {} }
}

/** Canonical, from whatever the user's driver gives. */
function fieldsOf(schema: TableSchema, row: object): Fields {
  const given = row as Readonly<Record<string, unknown>>
  if (schema.document) return wrapDocument(canonicalJson(given['value']) ?? null)
  const fields: Record<string, FieldValue> = { ...schema.blank }
  for (const { name, type } of schema.columns) fields[name] = readValue(type, given[name])
  if (schema.rest?.name === '') {
    const keys = new Set(schema.key.map((column) => column.name))
    const others = Object.entries(given).filter(
      ([name, value]) => !keys.has(name) && value !== undefined,
    )
    unpackRest(schema, fields, canonicalJson(Object.fromEntries(others)) ?? {})
  } else if (schema.rest !== undefined) {
    unpackRest(schema, fields, canonicalJson(given[schema.rest.name]) ?? {})
  }
  return fields
}

function readValue(type: TableSchema['columns'][number]['type'], value: unknown): FieldValue {
  if (value === null || value === undefined) return null
  return canonicalOf(type, value) ?? canonicalJson(value) ?? null
}

function keyColumnsOf(schema: TableSchema, key: string): Fields {
  const parts = keyParts(schema, key)
  return Object.fromEntries(schema.key.map((column, index) => [column.name, parts[index] ?? null]))
}

function tableName(schema: TableSchema): string | undefined {
  return schema.document ? undefined : schema.table
}

function checkOptions<Transaction>(options: CustomStoreOptions<Transaction>): void {
  const functions = ['load', 'write'] as const
  for (const name of functions) {
    if (typeof options[name] === 'function') continue
    throw new DaybookError('INVALID_OPTION', `Option "${name}" of customStore is a function.`)
  }
  if (typeof options.name === 'string' && options.name !== '') return
  throw new DaybookError(
    'INVALID_OPTION',
    'Option "name" of customStore is a text that is not empty.',
  )
}

function missingOption(store: string, name: string): DaybookError {
  return new DaybookError('STORE_MISCONFIGURED', `Store "${store}" was made without "${name}".`, {
    hint: `Give customStore a function "${name}".`,
  })
}
