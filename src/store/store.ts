/**
 * The store port: the database behind the caches.
 *
 * The store's checkpoint is the only truth of how far a lane has come, and its compare-and-set is the only fence. Rows
 * and checkpoint commit in one transaction, so each mutation has its effect exactly once.
 */

import type { Fields, Mutation, Position } from '../mutation/mutation.ts'
import type { TableRequest, TableSchema } from './schema.ts'

export interface StoreCapabilities {
  /** Rows and checkpoint commit together: exactly once. Without it a crash may apply a batch again. */
  readonly transactions: boolean
  /** Lanes that may be written at the same time; the default number of lanes of a new journal. */
  readonly concurrency: number
  /** Patches (merge, increment) reach the database as such. Without it they are resolved to a `set` first. */
  readonly patches: boolean
  /** Patches may take fields of documents away. Default false: then such a change is a `set` of all that is left. */
  readonly removals?: boolean
  /**
   * False: the store keeps no checkpoint beyond this process, and `open` answers position 0 for every lane; the book
   * keeps them in a file of its directory instead. Default true.
   */
  readonly checkpoints?: boolean
}

export interface LaneCheckpoint {
  readonly epoch: number
  readonly position: Position
}

/** Who claims the lanes of a journal. */
export interface Claim {
  readonly journal: string
  readonly lanes: number
  /** The lowest epoch that the claim may take. */
  readonly epoch: number
}

export interface Claimed {
  /** Above every epoch before it. From here on, whoever holds an older one is fenced by the store. */
  readonly epoch: number
  /** By lane; position 0 for a lane that the store has never seen. */
  readonly positions: readonly Position[]
}

/** One coalesced mutation of one key. */
export interface RowMutation {
  readonly key: string
  readonly mutation: Mutation
  /** See Entry.expiresAtMs: to be kept beside the row. undefined: the row does not expire. */
  readonly expiresAtMs?: number | undefined
}

/** Mutations of one table: one per key, sorted by key. */
export interface TableMutations {
  readonly schema: TableSchema
  readonly cache: string
  readonly rows: readonly RowMutation[]
}

/**
 * One transaction on one lane, in which the lane's checkpoint row is locked.
 * After any throw but a rejected `write` in a careful transaction, only `rollback` may follow.
 */
export interface StoreTransaction {
  /** Read under the lock, which waits for a predecessor whose commit is in doubt. */
  readonly checkpoint: LaneCheckpoint
  /**
   * Applies all of it, or throws. In a careful transaction a throw that is classified as rejected leaves the
   * transaction as it was before this call, and it goes on. Tables come parents first.
   */
  write(tables: readonly TableMutations[]): Promise<void>
  /**
   * Moves the checkpoint to `position` under `epoch`, and commits. A throw that is not `rejected` leaves the outcome
   * unknown: begin again and look at the checkpoint. The transaction is over either way.
   */
  commit(position: Position): Promise<void>
  /** Gives everything up. Never throws: a broken connection is destroyed. */
  rollback(): Promise<void>
}

export interface Loaded {
  /** One per key asked for, in order; undefined where there is no row. */
  readonly rows: readonly (Fields | undefined)[]
  /** Every lane's checkpoint, in the same snapshot as the rows. */
  readonly positions: readonly Position[]
}

/**
 * - `outage`: try again for as long as it takes; nothing is wrong with the rows.
 * - `conflict`: the transaction lost against another; try again soon.
 * - `rejected`: the database refuses this row.
 * - `misconfigured`: nothing will work until someone changes something.
 * - `fenced`: another process holds a newer epoch.
 */
export type FailureKind = 'outage' | 'conflict' | 'rejected' | 'misconfigured' | 'fenced'

export interface StoreFailure {
  readonly kind: FailureKind
  /** The database's own code: SQLSTATE, SQLITE_…, ECONNREFUSED. */
  readonly code: string
  /** One line for people; without values of the row where the database tells them apart. */
  readonly message: string
  /** `rejected` by a foreign key that may be on its way in another lane. */
  readonly missingParent?: boolean
  /** False where the error was in no table and had to be guessed (as an outage). */
  readonly known: boolean
}

/** Waits in the store end with the signal. The store also has deadlines of its own. */
export interface StoreCall {
  readonly signal: AbortSignal
}

export interface Store {
  /** 'sqlite', 'postgres', 'memory', or a custom store's own name. */
  readonly name: string
  readonly capabilities: StoreCapabilities

  /**
   * Connects, checks the settings that the guarantees rest on, makes Daybook's own tables where they are missing, and
   * claims the lanes. Throws STORE_UNAVAILABLE or STORE_MISCONFIGURED.
   */
  open(claim: Claim, call: StoreCall): Promise<Claimed>
  /** Reads a table's catalogue. Throws STORE_MISCONFIGURED with what is wrong and what to do. */
  describe(request: TableRequest, call: StoreCall): Promise<TableSchema>
  /** Rows by canonical key (see `store/key.ts`), each in canonical form, with the checkpoints of the same snapshot. */
  load(
    schema: TableSchema,
    cache: string,
    keys: readonly string[],
    call: StoreCall,
  ): Promise<Loaded>
  /** Keys in the table beyond `after`, in the store's order, at most `limit`. */
  keys(
    schema: TableSchema,
    cache: string,
    after: string | undefined,
    limit: number,
    call: StoreCall,
  ): Promise<string[]>
  /**
   * Locks the lane's checkpoint row and reads it. `careful` pays a round trip for each write so that a rejected one
   * does not end the transaction. Throws what `classify` knows: `fenced` where the row has a newer epoch.
   */
  begin(
    lane: number,
    mode: { readonly careful: boolean },
    call: StoreCall,
  ): Promise<StoreTransaction>
  /** Keys whose time has come, for `expire: 'delete'`: at most `limit`, the earliest first. */
  expired(cache: string, nowMs: number, limit: number, call: StoreCall): Promise<string[]>
  /** Total: every error has a kind. */
  classify(error: unknown): StoreFailure
  close(): Promise<void>
}
