/**
 * What `book.stats()` returns: one plain object, a copy of the moment. Counters count since the book was opened.
 */

import type { Position } from '../mutation/mutation.ts'
import type { BreakerSnapshot } from '../flush/breaker.ts'
import type { LaneState } from '../flush/lane-flusher.ts'
import type { JournalStats } from '../journal/journal.ts'
import type { StoreFailure } from '../store/store.ts'
import type { PressureState } from './events.ts'
import type { Summary } from './histogram.ts'

export type BookState = 'open' | 'paused' | 'halted' | 'fenced' | 'closing' | 'closed'

export interface LaneStats {
  readonly lane: number
  /** See `flush/lane-flusher.ts`. */
  readonly state: LaneState
  /** Age of the oldest pending mutation; 0 where none is. */
  readonly lagMs: number
  /** Mutations. */
  readonly pending: number
  /** How far the store has come. */
  readonly checkpoint: Position
  /** The newest durable mutation of the lane. */
  readonly position: Position
}

/** The store does not answer. The breaker knows of flushes only. */
export interface ReadFailure {
  readonly cache: string
  /** Of the error that the reader got. */
  readonly code: string
  readonly message: string
}

export interface BookStats {
  readonly state: BookState
  /** Mutations that have become durable in the journal. */
  readonly acknowledged: number
  readonly pending: {
    readonly mutations: number
    /** An upper bound: a key counts once per batch that has it. */
    readonly keys: number
    /** An upper bound: records in the journal, and what rows in memory take beside theirs. */
    readonly bytes: number
    readonly memoryBytes: number
    /** Of `mutations`, those that have left memory. */
    readonly spilledMutations: number
  }
  /** The greatest of all lanes. */
  readonly lagMs: number
  readonly lanes: readonly LaneStats[]
  /** Until nothing is pending, at the pace of late; undefined where there is none to go by. */
  readonly drainEstimateMs: number | undefined
  readonly coalescing: {
    /** Flushed. */
    readonly mutations: number
    /** Rows that they became. */
    readonly rows: number
    /** Mutations per row; 1 where nothing was flushed. */
    readonly ratio: number
  }
  readonly batches: {
    readonly count: number
    /** Keys per batch. */
    readonly keys: Summary
    /** From begin to commit. */
    readonly tookMs: Summary
  }
  readonly journal: JournalStats
  /** Attempts after the first. */
  readonly retries: number
  readonly breaker: BreakerSnapshot
  /** Where flushing has halted: why, as the store says it. */
  readonly haltedBy: StoreFailure | undefined
  readonly pressure: {
    /** See `events.ts`. */
    readonly state: PressureState
    /** Writes that stand in line for room. */
    readonly waitingWrites: number
  }
  readonly deadLetters: { readonly count: number; readonly bytes: number }
  /** What the budgets allow. */
  readonly limits: {
    /** Of `pending.memoryBytes`. */
    readonly memoryBytes: number
    /** Of `journal.bytes`. */
    readonly journalBytes: number
    /** Of `deadLetters.bytes`. */
    readonly deadLetterBytes: number
  }
  readonly cache: {
    readonly hits: number
    readonly misses: number
    /** Hits per read; 0 where nothing was read. */
    readonly ratio: number
    readonly entries: number
    readonly bytes: number
    /** Queries to the store. */
    readonly loads: number
    /** Of `loads`, those that failed. The breaker does not count them. */
    readonly failedLoads: number
    /** Of `hits`, those that said that there is no value. */
    readonly negativeHits: number
    /** Why reads fail, of one cache whose newest load failed within the last minute. */
    readonly readFailure: ReadFailure | undefined
  }
}
