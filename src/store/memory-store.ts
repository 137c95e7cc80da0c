/**
 * A store in memory, for tests, simulations and demonstrations: transactional like a database, inspectable, and with
 * faults on demand. Nothing of it survives the process.
 *
 * The database is an object of its own: several stores on one database are several processes, old and new.
 */

import { applyMutation } from '../mutation/coalesce.ts'
import type { Fields, FieldValue, Mutation, Position } from '../mutation/mutation.ts'
import { canonicalOf } from './columns.ts'
import { declaredTable, type TableDeclaration, type TableDeclarations } from './declared-table.ts'
import { fencedError, ownFailure, StoreFailureError, unknownFailure } from './failure.ts'
import { textOf } from './key.ts'
import { Mutex } from './mutex.ts'
import type { TableRequest, TableSchema } from './schema.ts'
import type {
  Claim,
  Claimed,
  LaneCheckpoint,
  Loaded,
  RowMutation,
  Store,
  StoreCall,
  StoreFailure,
  StoreTransaction,
  TableMutations,
} from './store.ts'

export interface MemoryStoreOptions {
  /** Typed tables. Default: none, and every table is there and takes any fields. */
  readonly tables?: TableDeclarations
  /** To share or to outlive a store. Default: a new one. */
  readonly database?: MemoryDatabase
  /** Lanes that may be written at the same time. Default 4. */
  readonly concurrency?: number
  /** False: the engine turns merges and increments into sets first. Default true. */
  readonly patches?: boolean
}

export type FaultPoint = 'open' | 'load' | 'begin' | 'write' | 'commit' | 'rollback'

/** What goes wrong, once. */
export interface Fault {
  /** The next call of this kind. */
  readonly at: FaultPoint
  /** Default: an outage. 'none' only delays. */
  readonly kind?: StoreFailure['kind'] | 'none'
  /** The call waits for it first. */
  readonly until?: Promise<unknown>
  /** True: it fails after it took effect, as a connection lost around COMMIT does. */
  readonly applied?: boolean
}

/** One committed transaction. */
export interface MemoryCommit {
  readonly lane: number
  readonly epoch: number
  readonly position: Position
  readonly rows: readonly (RowMutation & { readonly cache: string })[]
}

export interface MemoryStore extends Store {
  readonly database: MemoryDatabase
  /** Queued; each fails one call, the oldest that fits first. */
  inject(...faults: readonly Fault[]): void
  /** Rows for which it answers true are rejected, until it is replaced. undefined: none are. */
  reject(predicate: ((row: RowMutation, cache: string) => boolean) | undefined): void
}

/** Old commits leave the history beyond this. */
const maxHistory = 100_000

type Rows = Map<string, Fields>

interface Lane {
  checkpoint: LaneCheckpoint
  readonly mutex: Mutex
}

/** Everything that would be on disk. */
export class MemoryDatabase {
  readonly #tables = new Map<string, Rows>()
  readonly #expiries = new Map<string, Map<string, number>>()
  readonly #lanes = new Map<string, Lane>()
  #history: MemoryCommit[] = []

  /** A table's rows by canonical key; for the generic table, name the cache. Treat them as read-only. */
  rows(table: string): ReadonlyMap<string, Fields> {
    return this.table(table)
  }

  /** Commits, oldest first. */
  get history(): readonly MemoryCommit[] {
    return this.#history
  }

  checkpoint(journal: string, lane: number): LaneCheckpoint {
    return this.lane(journal, lane).checkpoint
  }

  /** A copy of all, for `restore`: a backup. */
  backup(): () => void {
    const tables = [...this.#tables].map(([name, rows]) => [name, new Map(rows)] as const)
    const expiries = [...this.#expiries].map(([name, times]) => [name, new Map(times)] as const)
    const lanes = [...this.#lanes].map(([name, lane]) => [name, lane.checkpoint] as const)
    const commits = this.#history.length
    return () => {
      refill(this.#tables, tables)
      refill(this.#expiries, expiries)
      this.#lanes.clear()
      for (const [name, checkpoint] of lanes)
        this.#lanes.set(name, { checkpoint, mutex: new Mutex() })
      this.#history = this.#history.slice(0, commits)
    }
  }

  /** @internal */
  table(name: string): Rows {
    return entry(this.#tables, name, () => new Map<string, Fields>())
  }

  /** @internal */
  expiries(cache: string): Map<string, number> {
    return entry(this.#expiries, cache, () => new Map<string, number>())
  }

  /** @internal */
  lane(journal: string, lane: number): Lane {
    return entry(this.#lanes, `${journal}/${lane}`, () => ({
      checkpoint: { epoch: 0, position: 0 },
      mutex: new Mutex(),
    }))
  }

  /** @internal */
  record(commit: MemoryCommit): void {
    this.#history.push(commit)
    if (this.#history.length > maxHistory) this.#history = this.#history.slice(maxHistory / 2)
  }
}

export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new MemoryStoreImplementation(options)
}

class MemoryStoreImplementation implements MemoryStore {
  readonly name = 'memory'
  readonly capabilities
  readonly database: MemoryDatabase
  readonly tables: TableDeclarations
  #claim: Claim | undefined
  #epoch = 0
  #faults: Fault[] = []
  #rejects: ((row: RowMutation, cache: string) => boolean) | undefined

  constructor(options: MemoryStoreOptions) {
    this.database = options.database ?? new MemoryDatabase()
    this.tables = options.tables ?? {}
    this.capabilities = {
      transactions: true,
      concurrency: options.concurrency ?? 4,
      patches: options.patches ?? true,
      removals: options.patches ?? true,
    }
  }

  inject(...faults: readonly Fault[]): void {
    this.#faults.push(...faults)
  }

  reject(predicate: ((row: RowMutation, cache: string) => boolean) | undefined): void {
    this.#rejects = predicate
  }

  async open(claim: Claim, call: StoreCall): Promise<Claimed> {
    return this.#call('open', call, () => {
      const lanes = Array.from({ length: claim.lanes }, (_, lane) =>
        this.database.lane(claim.journal, lane),
      )
      const stored = Math.max(...lanes.map((lane) => lane.checkpoint.epoch))
      const epoch = Math.max(stored, claim.epoch - 1) + 1
      for (const lane of lanes) lane.checkpoint = { ...lane.checkpoint, epoch }
      this.#claim = claim
      this.#epoch = epoch
      return { epoch, positions: lanes.map((lane) => lane.checkpoint.position) }
    })
  }

  async describe(request: TableRequest, call: StoreCall): Promise<TableSchema> {
    this.#opened()
    call.signal.throwIfAborted()
    return declaredTable(this.tables, request)
  }

  async load(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    call: StoreCall,
  ): Promise<Loaded> {
    const claim = this.#opened()
    return this.#call('load', call, () => {
      const rows = this.database.table(tableOf(schema, cache))
      const positions = Array.from(
        { length: claim.lanes },
        (_, lane) => this.database.checkpoint(claim.journal, lane).position,
      )
      return { rows: keys.map((key) => restricted(schema, rows.get(key))), positions }
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
    const sorted = [...this.database.table(tableOf(schema, cache)).keys()].sort()
    return sorted.filter((key) => after === undefined || key > after).slice(0, limit)
  }

  async begin(
    lane: number,
    mode: { readonly careful: boolean },
    call: StoreCall,
  ): Promise<StoreTransaction> {
    const claim = this.#opened()
    const { mutex } = this.database.lane(claim.journal, lane)
    const release = await mutex.acquire(call.signal)
    try {
      return await this.#call('begin', call, () => {
        const found = this.database.checkpoint(claim.journal, lane)
        if (found.epoch > this.#epoch) throw fencedError(lane, this.#epoch, found)
        const checkpoint = { epoch: this.#epoch, position: found.position }
        const work = new Work(
          this.database,
          this.tables,
          (row, cache) => this.#rejects?.(row, cache) === true,
        )
        return this.#transaction(lane, checkpoint, work, release, mode.careful, call)
      })
    } catch (error) {
      release()
      throw error
    }
  }

  async expired(cache: string, nowMs: number, limit: number, call: StoreCall): Promise<string[]> {
    this.#opened()
    call.signal.throwIfAborted()
    return [...this.database.expiries(cache)]
      .filter(([, expiresAtMs]) => expiresAtMs <= nowMs)
      .sort((left, right) => left[1] - right[1])
      .slice(0, limit)
      .map(([key]) => key)
  }

  classify(error: unknown): StoreFailure {
    return ownFailure(error) ?? unknownFailure(error)
  }

  async close(): Promise<void> {
    this.#claim = undefined
  }

  #transaction(
    lane: number,
    checkpoint: LaneCheckpoint,
    work: Work,
    release: () => void,
    careful: boolean,
    call: StoreCall,
  ): StoreTransaction {
    const claim = this.#opened()
    let state: 'open' | 'failed' | 'over' = 'open'
    const use = (): void => {
      if (state !== 'open') throw new StoreFailureError(transactionOver)
    }
    return {
      checkpoint,
      write: async (tables) => {
        use()
        try {
          await this.#call('write', call, () => work.write(tables))
        } catch (error) {
          if (!careful || this.classify(error).kind !== 'rejected') state = 'failed'
          throw error
        }
      },
      commit: async (position) => {
        use()
        state = 'over'
        try {
          await this.#call('commit', call, () => {
            const held = this.database.lane(claim.journal, lane)
            if (held.checkpoint.epoch > checkpoint.epoch) {
              throw fencedError(lane, checkpoint.epoch, held.checkpoint)
            }
            work.commit()
            held.checkpoint = { epoch: checkpoint.epoch, position }
            this.database.record({ lane, epoch: checkpoint.epoch, position, rows: work.written })
          })
        } finally {
          release()
        }
      },
      rollback: async () => {
        state = 'over'
        try {
          await this.#call('rollback', call, () => undefined)
        } catch {
          // An injected fault: a rollback never throws, and nothing was applied.
        }
        release()
      },
    }
  }

  /** Runs `work`, with the oldest fault for such a call. */
  async #call<T>(at: FaultPoint, call: StoreCall, work: () => T): Promise<T> {
    call.signal.throwIfAborted()
    const index = this.#faults.findIndex((fault) => fault.at === at)
    const fault = index < 0 ? undefined : this.#faults.splice(index, 1)[0]
    if (fault === undefined) return work()
    await fault.until
    const kind = fault.kind ?? 'outage'
    if (kind === 'none') return work()
    if (fault.applied === true) work()
    throw new StoreFailureError({
      kind,
      code: 'INJECTED',
      message: `An injected fault of kind ${kind} at ${at}.`,
      known: true,
    })
  }

  #opened(): Claim {
    if (this.#claim !== undefined) return this.#claim
    throw new StoreFailureError({
      kind: 'misconfigured',
      code: 'CLOSED',
      message: 'The memory store is not open.',
      known: true,
    })
  }
}

const transactionOver: StoreFailure = {
  kind: 'outage',
  code: 'TRANSACTION_OVER',
  message: 'The transaction is over.',
  known: true,
}

/** Changes of one transaction, beside the database until it commits. A write has changes of its own until it succeeds. */
class Work {
  readonly written: (RowMutation & { readonly cache: string })[] = []
  readonly #database: MemoryDatabase
  readonly #tables: TableDeclarations
  readonly #rejects: (row: RowMutation, cache: string) => boolean
  /** By table: undefined is a deleted row. */
  #changes = new Map<string, Map<string, Fields | undefined>>()
  readonly #expiries: { cache: string; key: string; expiresAtMs: number | undefined }[] = []

  constructor(
    database: MemoryDatabase,
    tables: TableDeclarations,
    rejects: (row: RowMutation, cache: string) => boolean,
  ) {
    this.#database = database
    this.#tables = tables
    this.#rejects = rejects
  }

  /** All of it or nothing. Upserts come parents first, deletes children first. */
  write(tables: readonly TableMutations[]): void {
    const before = this.#changes
    this.#changes = new Map([...before].map(([table, changes]) => [table, new Map(changes)]))
    try {
      for (const table of tables) this.#apply(table, (mutation) => mutation.kind !== 'delete')
      for (const table of tables.toReversed())
        this.#apply(table, (mutation) => mutation.kind === 'delete')
    } catch (error) {
      this.#changes = before
      throw error
    }
    for (const { cache, rows } of tables) {
      for (const row of rows) {
        this.written.push({ ...row, cache })
        this.#expiries.push({ cache, key: row.key, expiresAtMs: expiryOf(row) })
      }
    }
  }

  commit(): void {
    for (const [table, changes] of this.#changes) {
      const rows = this.#database.table(table)
      for (const [key, fields] of changes) {
        if (fields === undefined) rows.delete(key)
        else rows.set(key, fields)
      }
    }
    for (const { cache, key, expiresAtMs } of this.#expiries) {
      if (expiresAtMs === undefined) this.#database.expiries(cache).delete(key)
      else this.#database.expiries(cache).set(key, expiresAtMs)
    }
  }

  #apply({ schema, cache, rows }: TableMutations, chosen: (mutation: Mutation) => boolean): void {
    const table = tableOf(schema, cache)
    for (const row of rows) {
      if (!chosen(row.mutation)) continue
      if (this.#rejects(row, cache)) throw refused('REJECTED', 'The predicate rejects the row.')
      const before = this.#row(table, row.key)
      const after = applyMutation(before, row.mutation, schema.blank)
      // Columns that this cache does not have stay as they are.
      const fields =
        after === undefined || before === undefined
          ? after
          : kept(schema, before, row.mutation, after)
      this.#check(schema, table, row.key, fields)
      entry(this.#changes, table, () => new Map<string, Fields | undefined>()).set(row.key, fields)
    }
  }

  #check(schema: TableSchema, table: string, key: string, fields: Fields | undefined): void {
    const declaration = this.#tables[table]
    if (fields === undefined) {
      this.#checkChildren(table, key)
      return
    }
    for (const column of schema.columns) {
      const value = fields[column.name] ?? null
      if (value === null && !column.nullable)
        throw refused('NOT_NULL', `Column ${column.name} is NOT NULL.`)
      if (value !== null && canonicalOf(column.type, value) === undefined) {
        throw refused('TYPE', `Column ${column.name} cannot hold the value.`)
      }
    }
    if (declaration !== undefined) this.#checkDeclared(declaration, table, key, fields)
  }

  #checkDeclared(declaration: TableDeclaration, table: string, key: string, fields: Fields): void {
    for (const [name, column] of Object.entries(declaration.columns)) {
      const value = fields[name] ?? null
      if (value === null) continue
      if (column.unique === true && this.#holds(table, key, name, value)) {
        throw refused('UNIQUE', `Column ${name} of another row has the same value.`)
      }
      if (column.references === undefined) continue
      if (this.#row(column.references, textOf(value)) === undefined) {
        throw refused('FOREIGN_KEY', `Column ${name} has no parent in ${column.references}.`, true)
      }
    }
  }

  #checkChildren(table: string, key: string): void {
    for (const [child, declaration] of Object.entries(this.#tables)) {
      for (const [name, column] of Object.entries(declaration.columns)) {
        if (column.references !== table || !this.#holds(child, undefined, name, key)) continue
        throw refused('FOREIGN_KEY', `A row of ${child} refers to the row.`)
      }
    }
  }

  /** Linear: tables of tests are small. */
  #holds(table: string, except: string | undefined, column: string, value: FieldValue): boolean {
    const changes = this.#changes.get(table)
    const same = (fields: Fields | undefined): boolean =>
      fields?.[column] !== undefined &&
      fields[column] !== null &&
      textOf(fields[column]) === textOf(value)
    for (const [key, fields] of changes ?? []) if (key !== except && same(fields)) return true
    for (const [key, fields] of this.#database.table(table)) {
      if (key !== except && changes?.has(key) !== true && same(fields)) return true
    }
    return false
  }

  #row(table: string, key: string): Fields | undefined {
    const changes = this.#changes.get(table)
    return changes?.has(key) === true ? changes.get(key) : this.#database.table(table).get(key)
  }
}

function expiryOf(row: RowMutation): number | undefined {
  return row.mutation.kind === 'delete' ? undefined : row.expiresAtMs
}

/** Two caches on one table may see different columns of it; a set replaces all that its own cache sees. */
function kept(schema: TableSchema, before: Fields, mutation: Mutation, after: Fields): Fields {
  if (mutation.kind !== 'set' || schema.rest !== undefined) return after
  return { ...before, ...after }
}

/** The columns of the cache, where it does not take all fields. */
function restricted(schema: TableSchema, fields: Fields | undefined): Fields | undefined {
  if (fields === undefined || schema.rest !== undefined) return fields
  const result: Record<string, FieldValue> = { ...schema.blank }
  for (const column of schema.columns) result[column.name] = fields[column.name] ?? null
  return result
}

/** In the generic table each cache has keys of its own. */
function tableOf(schema: TableSchema, cache: string): string {
  return schema.document ? cache : schema.table
}

function refused(code: string, message: string, missingParent = false): StoreFailureError {
  return new StoreFailureError({
    kind: 'rejected',
    code,
    message,
    known: true,
    ...(missingParent ? { missingParent } : {}),
  })
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = create()))
  return value
}

function refill<Value>(
  target: Map<string, Map<string, Value>>,
  source: readonly (readonly [string, Map<string, Value>])[],
): void {
  target.clear()
  for (const [name, values] of source) target.set(name, new Map(values))
}
