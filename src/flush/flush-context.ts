/** What the flusher of one lane sees of all of them. */

import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import type { Store, StoreFailure } from '../store/store.ts'
import type { Batch } from './batch.ts'
import type { Breaker } from './breaker.ts'
import type { Verdict } from './careful.ts'
import type { DeadLetter } from './dead-letter.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { FlushTables } from './flush-table.ts'
import type { Lane } from './lane.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RetryLimits } from './retry.ts'

export interface FlushContext {
  readonly clock: Clock
  readonly random: Random
  readonly store: Store
  readonly breaker: Breaker
  readonly rateLimit: RateLimit
  readonly deadLetters: DeadLetters
  readonly tables: FlushTables
  readonly retry: RetryLimits
  /** Why nothing is flushed at all, where that is so. */
  readonly stopReason: 'paused' | 'halted' | 'fenced' | undefined
  passedElsewhere(lane: Lane, position: Position): boolean
  demandElsewhere(lane: Lane, position: Position): void
  idOf(entry: Entry): string
  lettersOf(verdicts: readonly Verdict[]): Promise<DeadLetter[]>
  flushed(batch: Batch, rows: number, tookMs: number): void
  applied(lane: Lane, position: Position): void
  wentBack(lane: Lane, from: Position): Promise<void>
  /** What is cached of the entry's key may be with it, and it has no effect. */
  forget(entry: Entry): void
  buried(verdicts: readonly Verdict[]): void
  retrying(lane: Lane, attempt: number, delayMs: number, failure: StoreFailure): void
  stuck(lane: Lane, failure: StoreFailure): void
  halt(lane: Lane, failure: StoreFailure, error: unknown): void
  fence(error: unknown): void
  /** Something is pending for a cache that has no table yet. */
  undeclared(cache: string): void
}
