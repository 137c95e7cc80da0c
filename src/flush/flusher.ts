/**
 * All lanes of a journal, and what they share: the breaker, the budget in memory, dead letters, the trim of the journal,
 * and those who wait until something is in the store.
 */

import { DaybookError, isDaybookError } from '../base/errors.ts'
import { Deferred, waitFor } from '../base/deadline.ts'
import type { Ports } from '../base/ports.ts'
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { Journal } from '../journal/journal.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import { diagnostics } from '../observe/diagnostics.ts'
import type { Events } from '../observe/events.ts'
import { Histogram } from '../observe/histogram.ts'
import type { Store, StoreFailure } from '../store/store.ts'
import type { Batch } from './batch.ts'
import { Breaker } from './breaker.ts'
import type { Verdict } from './careful.ts'
import type { DeadLetter, DeadLetters } from './dead-letters.ts'
import type { FlushContext } from './flush-context.ts'
import type { FlushTable, FlushTables } from './flush-table.ts'
import { Lane, type LaneLimits } from './lane.ts'
import { LaneFlusher, type LaneState } from './lane-flusher.ts'
import { letterId } from './letter-id.ts'
import { RateLimit } from './rate-limit.ts'
import type { RetryLimits } from './retry.ts'

export interface FlusherOptions extends LaneLimits {
  readonly maxRowsPerSecond: number | undefined
  readonly retryBaseMs: number
  readonly retryMaxMs: number
  /** Sealed batches leave memory beyond this. */
  readonly memoryBytes: number
  /** The watchdog speaks up when something has been due for this long. */
  readonly stallMs: number
}

interface Waiter {
  readonly position: Position
  readonly deferred: Deferred<void>
}

export interface FlusherParts {
  readonly ports: Ports
  readonly journal: () => Journal
  readonly store: Store
  readonly deadLetters: DeadLetters
  readonly events: Events
  readonly tables: FlushTables
  /** The store's checkpoint by lane. */
  readonly checkpoints: readonly Position[]
  /** A key's value in the tier is no longer what the store will have. */
  readonly forget: (cache: string, key: string) => void
  /** Batches have left memory, or none are out of it any more, or the journal has been trimmed. */
  readonly onPressure: () => void
  /** Something is pending for a cache that has no table yet: `declared` is called where one is found. */
  readonly onUndeclared: (cache: string) => void
  /** To begin with: see `configure`. */
  readonly options: FlusherOptions
}

export class Flusher implements FlushContext {
  readonly lanes: readonly Lane[]
  readonly clock: Clock
  readonly random: Random
  readonly store: Store
  readonly breaker: Breaker
  readonly rateLimit: RateLimit
  readonly deadLetters: DeadLetters
  readonly tables: FlushTables
  readonly retry: { -readonly [Name in keyof RetryLimits]: RetryLimits[Name] }
  readonly batchKeys = new Histogram()
  readonly batchMs = new Histogram()
  /** Since it was opened. */
  mutationsFlushed = 0
  rowsFlushed = 0
  batches = 0
  retries = 0
  /** What stopped flushing for good, or until `resume`. */
  haltedBy: StoreFailure | undefined
  fencedBy: unknown
  readonly #parts: FlusherParts
  #options: FlusherOptions
  readonly #flushers: LaneFlusher[]
  readonly #waiters: Waiter[][]
  #paused = false
  #stopped = false
  #trimming = false
  #trimmed: Position = 0
  #watchdog: { cancel(): void } | undefined
  /** Mutations a millisecond, smoothed over batches. */
  #rate = 0
  #lastFlushAt: number
  #downAt = 0
  #stalledSaid = new Set<number>()
  /** By lane: when it last came forward. */
  readonly #appliedAt: number[]

  constructor(parts: FlusherParts) {
    const { ports, options } = parts
    this.#parts = parts
    this.#options = options
    this.clock = ports.clock
    this.random = ports.random
    this.store = parts.store
    this.deadLetters = parts.deadLetters
    this.tables = parts.tables
    this.retry = { baseMs: options.retryBaseMs, maxMs: options.retryMaxMs }
    this.rateLimit = new RateLimit(options.maxRowsPerSecond, this.clock)
    this.breaker = new Breaker({
      clock: this.clock,
      random: this.random,
      retry: this.retry,
      onChange: (snapshot) => {
        const failure = snapshot.lastFailure
        if (snapshot.state === 'closed') {
          parts.events.emit('storeUp', { downMs: this.clock.now() - this.#downAt })
        } else if (snapshot.state === 'open' && snapshot.failures === 1 && failure !== undefined) {
          this.#downAt = this.clock.now()
          parts.events.emit('storeDown', { failure })
        }
      },
    })
    this.lanes = parts.checkpoints.map(
      (checkpoint, index) =>
        new Lane(index, checkpoint, {
          clock: this.clock,
          journal: parts.journal,
          tables: parts.tables,
          limits: options,
          discardedBeyond: (lane, after) => parts.deadLetters.discardedBeyond(lane, after),
        }),
    )
    this.#flushers = this.lanes.map((lane) => new LaneFlusher(lane, this))
    this.#waiters = this.lanes.map(() => [])
    this.#lastFlushAt = this.clock.now()
    this.#appliedAt = this.lanes.map(() => this.#lastFlushAt)
  }

  /** Indexes what the journal has beyond the store's checkpoints. Call before `start`. */
  async recover(): Promise<void> {
    const now = this.clock.now()
    const from = Math.min(...this.lanes.map((lane) => lane.checkpoint))
    for (const lane of this.lanes) lane.noteDiscarded()
    await this.#parts.journal().scan(from, (position, laneIndex, hash, bytes, retryOf) => {
      const lane = this.lanes[laneIndex] as Lane
      if (position <= lane.checkpoint) return
      lane.addSpilled(position, hash, bytes, now)
      if (retryOf !== undefined) lane.noteRetry(retryOf)
    })
  }

  start(): void {
    for (const flusher of this.#flushers) flusher.start()
    this.#watch()
  }

  /**
   * Ends the lanes, each after what it has under way, which is aborted. A store that does not heed that is waited for no
   * longer than `letGoMs`: then `settled` is still to come, and until it has, the journal must not get another owner. The
   * lanes go on to it as if nothing were; what they commit then is right, since nobody else has the journal.
   */
  async stop(
    letGoMs: number,
  ): Promise<{ readonly unsettledLanes: number; readonly settled: Promise<void> }> {
    this.#stopped = true
    this.#watchdog?.cancel()
    let ended = 0
    const stopping = this.#flushers.map((flusher) => flusher.stop().finally(() => ended++))
    const settled = Promise.all(stopping).then(() => undefined)
    try {
      await waitFor(settled, { clock: this.clock, timeoutMs: letGoMs, what: 'Ending the lanes' })
    } catch {
      // That it took too long is told by the count, and whatever else it is by `settled`.
    }
    for (const waiters of this.#waiters) {
      for (const waiter of waiters.splice(0)) {
        waiter.deferred.reject(closedError())
      }
    }
    return { unsettledLanes: this.#flushers.length - ended, settled }
  }

  // ── Feeding ──

  /** Takes in what has become durable, in order. The hot path: no allocation but the lanes' own. */
  add(entries: readonly Entry[]): void {
    const now = this.clock.now()
    for (const entry of entries) {
      const lane = this.lanes[entry.lane] as Lane
      const wasIdle = lane.dueAt === Infinity
      lane.add(entry, (this.tables.get(entry.cache) as FlushTable).schema.blank, now)
      if (wasIdle) (this.#flushers[entry.lane] as LaneFlusher).wake()
    }
    for (const flusher of this.#flushers) if (flusher.lane.dueAt === 0) flusher.wake()
    this.#keepBudget()
  }

  /**
   * Beyond the budget, moves batches out of memory until half of it is free again: the newest of the fullest lane first.
   * What comes next joins them in the journal, so a store that is away for long costs no more memory than this. What is
   * committed and kept for readers goes last: they hardly ever need it, and then read the journal.
   */
  #keepBudget(): void {
    let excess = -this.#options.memoryBytes
    for (const lane of this.lanes) excess += lane.memoryBytes
    if (excess <= 0) return
    excess += this.#options.memoryBytes / 2
    while (excess > 0) {
      let fullest = this.lanes[0] as Lane
      for (const lane of this.lanes)
        if (lane.spillableBytes > fullest.spillableBytes) fullest = lane
      const freed = fullest.spillNewest()
      if (freed === 0) break
      excess -= freed
    }
    for (const lane of this.lanes) {
      for (let freed = 1; excess > 0 && freed > 0; excess -= freed) freed = lane.spillRetired()
    }
    this.#parts.onPressure()
  }

  /** Some of what is pending is only in the journal. */
  get spilling(): boolean {
    return this.lanes.some((lane) => lane.spilledMutations > 0)
  }

  // ── Waiting ──

  /** Resolves once the lane's checkpoint has passed `position`; the flush is not delayed for coalescing. */
  async whenApplied(
    laneIndex: number,
    position: Position,
    limits: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
  ): Promise<void> {
    const lane = this.lanes[laneIndex] as Lane
    if (lane.passed(position)) return
    if (this.fencedBy !== undefined) throw this.fencedError()
    if (this.#stopped) throw closedError()
    const deferred = new Deferred<void>()
    const waiter: Waiter = { position, deferred }
    const waiters = this.#waiters[laneIndex] as Waiter[]
    waiters.push(waiter)
    ;(this.#flushers[laneIndex] as LaneFlusher).demand(position)
    try {
      await waitFor(deferred.promise, {
        clock: this.clock,
        timeoutMs: limits.timeoutMs,
        signal: limits.signal,
        what: 'Waiting for the store',
        details: { lane: laneIndex, position, outcome: 'pending' },
      })
    } finally {
      const at = waiters.indexOf(waiter)
      if (at >= 0) waiters.splice(at, 1)
    }
  }

  /** Has the lane compare its checkpoint with the store's, and come in line where they differ. */
  async verify(
    laneIndex: number,
    limits: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<void> {
    if (this.fencedBy !== undefined) throw this.fencedError()
    await waitFor((this.#flushers[laneIndex] as LaneFlusher).verify(), {
      clock: this.clock,
      ...limits,
      what: 'Comparing the checkpoint with the store',
    })
  }

  /** Everything that is durable now. */
  async whenAllApplied(limits: {
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<void> {
    for (;;) {
      await Promise.all(
        this.lanes.map((lane) => this.whenApplied(lane.index, lane.lastPosition, limits)),
      )
      // A lane that finds the store in the past has more to write than it knew.
      const verifying = this.#flushers.flatMap(({ verifying }) => verifying ?? [])
      if (verifying.length === 0) return
      await waitFor(Promise.all(verifying), { clock: this.clock, ...limits, what: 'Flushing' })
    }
  }

  // ── Control ──

  get stopReason(): 'paused' | 'halted' | 'fenced' | undefined {
    if (this.fencedBy !== undefined) return 'fenced'
    if (this.haltedBy !== undefined) return 'halted'
    return this.#paused ? 'paused' : undefined
  }

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
    for (const flusher of this.#flushers) flusher.wake()
  }

  /** Goes on after a pause, and tries again after a halt. */
  resume(): void {
    this.#paused = false
    this.haltedBy = undefined
    for (const flusher of this.#flushers) flusher.retryNow()
  }

  /** From now on these are in force. */
  configure(options: FlusherOptions): void {
    this.#options = options
    this.retry.baseMs = options.retryBaseMs
    this.retry.maxMs = options.retryMaxMs
    this.rateLimit.change(options.maxRowsPerSecond)
    for (const lane of this.lanes) lane.limits = options
    this.#keepBudget()
    // What was to linger may be due now.
    for (const flusher of this.#flushers) flusher.wake()
  }

  /** A cache was declared: lanes that wait for it go on. */
  declared(): void {
    for (const flusher of this.#flushers) flusher.retryNow()
  }

  // ── FlushContext ──

  passedElsewhere(self: Lane, position: Position): boolean {
    return this.lanes.every((lane) => lane === self || lane.passed(position - 1))
  }

  demandElsewhere(self: Lane, position: Position): void {
    for (const flusher of this.#flushers) if (flusher.lane !== self) flusher.demand(position - 1)
  }

  idOf(entry: Entry): string {
    return letterId(entry)
  }

  async lettersOf(verdicts: readonly Verdict[]): Promise<DeadLetter[]> {
    const letters: DeadLetter[] = []
    for (const { entry, id, reason, behind, failure, group } of verdicts) {
      const earlier =
        entry.retryOf === undefined ? undefined : await this.deadLetters.get(entry.retryOf)
      letters.push({
        id,
        cache: entry.cache,
        key: entry.key,
        lane: entry.lane,
        position: entry.position,
        mutation: entry.mutation,
        reason,
        ...(behind === undefined ? {} : { behind }),
        ...(group === undefined ? {} : { group }),
        ...(entry.retryOf === undefined ? {} : { retryOf: entry.retryOf }),
        failure: {
          kind: failure?.kind ?? 'rejected',
          code: failure?.code ?? 'PARKED',
          message: failure?.message ?? `Parked behind dead letter ${behind ?? ''} of the same key.`,
        },
        attempts: (earlier?.attempts ?? 0) + (reason === 'rejected' ? 1 : 0),
        deadAtMs: this.clock.wallTime(),
      })
    }
    return letters
  }

  flushed(batch: Batch, rows: number, tookMs: number): void {
    this.mutationsFlushed += batch.mutations
    this.rowsFlushed += rows
    this.batches++
    this.batchKeys.record(Math.max(1, batch.keys))
    this.batchMs.record(tookMs)
    const now = this.clock.now()
    const sinceMs = Math.max(1, now - this.#lastFlushAt)
    this.#lastFlushAt = now
    this.#rate = this.#rate * 0.8 + (batch.mutations / sinceMs) * 0.2
    diagnostics.flush.publish(() => ({
      lane: batch.lane,
      from: batch.from,
      to: batch.to,
      mutations: batch.mutations,
      rows,
      tookMs,
    }))
    this.#parts.events.emit('flushed', {
      lane: batch.lane,
      from: batch.from,
      to: batch.to,
      mutations: batch.mutations,
      rows,
      bytes: batch.bytes,
      tookMs,
    })
  }

  applied(lane: Lane, position: Position): void {
    this.#stalledSaid.delete(lane.index)
    this.#appliedAt[lane.index] = this.clock.now()
    const waiters = this.#waiters[lane.index] as Waiter[]
    for (let at = waiters.length - 1; at >= 0; at--) {
      const waiter = waiters[at] as Waiter
      if (waiter.position > position && !lane.passed(waiter.position)) continue
      waiters.splice(at, 1)
      waiter.deferred.resolve()
    }
    for (const flusher of this.#flushers) if (flusher.state === 'parents') flusher.retryNow()
    this.#keepBudget()
    this.#parts.onPressure()
    this.#trim()
  }

  async wentBack(lane: Lane, from: Position): Promise<void> {
    this.#parts.ports.logger.warn(
      { lane: lane.index, from, to: lane.checkpoint },
      'the database went back in time; rolling it forward from the journal',
    )
    // Retries that are on their way must be known before what they retry is pending again in earnest: it would go in
    // twice. Where they fail they are undone.
    const journal = this.#parts.journal()
    if (journal.lastPosition > journal.durablePosition)
      await journal.whenDurable(journal.lastPosition).catch(() => undefined)
    await this.deadLetters.withdrawBeyond(
      this.lanes.map((other) => (other === lane ? lane.checkpoint : Infinity)),
      // They are pending again: what is cached of their keys has been without them.
      this.#parts.forget,
    )
    // Some of them may have been given up while the lane was rebuilt.
    lane.noteDiscarded()
    this.#parts.events.emit('rolledForward', { lane: lane.index, from: lane.checkpoint, to: from })
    // The other lanes went back with it, and those that are idle would not notice.
    for (const flusher of this.#flushers) {
      // It only rejects when the book is closed; the next open compares all checkpoints anyway.
      if (flusher.lane !== lane) flusher.verify().catch(() => undefined)
    }
  }

  forget(entry: Entry): void {
    this.#parts.forget(entry.cache, entry.key)
  }

  buried(verdicts: readonly Verdict[]): void {
    for (const { entry } of verdicts) this.forget(entry)
    for (const { id, entry, reason, failure } of verdicts) {
      diagnostics.deadLetter.publish(() => ({
        id,
        cache: entry.cache,
        key: entry.key,
        code: failure?.code ?? 'PARKED',
        reason,
      }))
    }
    this.#parts.events.emit('deadLettered', {
      lane: verdicts[0]?.entry.lane ?? 0,
      letters: verdicts.map((verdict) => verdict.id),
      failure: verdicts.find((verdict) => verdict.failure !== undefined)?.failure,
    })
  }

  retrying(lane: Lane, attempt: number, delayMs: number, failure: StoreFailure): void {
    this.retries++
    this.#parts.events.emit('retrying', { lane: lane.index, attempt, delayMs, failure })
  }

  stuck(lane: Lane, failure: StoreFailure): void {
    if (this.#stalledSaid.has(lane.index)) return
    this.#stalledSaid.add(lane.index)
    this.#parts.events.emit('stalled', {
      lane: lane.index,
      lagMs: this.lagMs(lane),
      reason: failure.message,
    })
    this.#parts.ports.logger.warn({ lane: lane.index, code: failure.code }, failure.message)
  }

  halt(lane: Lane, failure: StoreFailure, error: unknown): void {
    this.haltedBy = failure
    this.#parts.ports.logger.error(
      { lane: lane.index, code: failure.code, error },
      `flushing has halted until resume(): ${failure.message}`,
    )
    this.#parts.events.emit('halted', { lane: lane.index, failure })
    for (const flusher of this.#flushers) flusher.wake()
  }

  fence(error: unknown): void {
    if (this.fencedBy !== undefined) return
    this.fencedBy = error
    this.#parts.ports.logger.error({ error }, 'another process has taken over this journal')
    this.#parts.events.emit('fenced', { failure: this.store.classify(error) })
    for (const flusher of this.#flushers) flusher.giveUp(this.fencedError())
    for (const flusher of this.#flushers) flusher.wake()
    for (const waiters of this.#waiters) {
      for (const waiter of waiters.splice(0)) waiter.deferred.reject(this.fencedError())
    }
  }

  undeclared(cache: string): void {
    this.#parts.onUndeclared(cache)
  }

  // ── Figures ──

  laneState(index: number): LaneState {
    return (this.#flushers[index] as LaneFlusher).state
  }

  /** Age of the oldest pending mutation. */
  lagMs(lane: Lane): number {
    const oldestAt = lane.oldestAt
    return oldestAt === undefined || lane.empty ? 0 : this.clock.now() - oldestAt
  }

  get pendingMutations(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.mutations, 0)
  }

  /** undefined while nothing is known of the rate. */
  get drainEstimateMs(): number | undefined {
    const pending = this.pendingMutations
    if (pending === 0) return 0
    return this.#rate === 0 ? undefined : Math.round(pending / this.#rate)
  }

  fencedError(): DaybookError {
    return new DaybookError('FENCED', 'Another process has taken over this journal.', {
      cause: this.fencedBy,
      hint: 'Stop this process; what it wrote is in its journal directory.',
    })
  }

  /**
   * Lets go of what every lane has in the store. A lane without writes would hold the journal for ever, so it is offered
   * a checkpoint of its own once more than one segment is in use.
   */
  #trim(): void {
    if (this.#trimming) return
    const journal = this.#parts.journal()
    const upTo = Math.min(...this.lanes.map((lane) => lane.checkpoint))
    if (upTo > this.#trimmed) {
      this.#trimming = true
      this.#trimmed = upTo
      journal.trim(upTo).then(
        () => {
          this.#trimming = false
          this.deadLetters.forgetDiscarded(journal.oldestPosition)
          this.#parts.onPressure()
        },
        (error: unknown) => {
          this.#trimming = false
          // What was not removed is removed with the next trim; the disk budget tells if that never comes.
          if (!isDaybookError(error, 'CLOSED')) {
            this.#parts.ports.logger.warn({ error }, 'the journal could not be trimmed')
          }
        },
      )
    }
    if (journal.stats().segments < 2) return
    for (const flusher of this.#flushers) {
      if (
        flusher.lane.empty &&
        flusher.lane.checkpoint === upTo &&
        upTo < journal.durablePosition
      ) {
        flusher.offerSkip(journal.durablePosition)
      }
    }
  }

  /** Speaks up when something is due and nothing moves, whatever the reason. */
  #watch(): void {
    const { stallMs } = this.#options
    this.#watchdog = this.clock.setTimer(stallMs / 4, () => {
      this.#watch()
      for (const lane of this.lanes) {
        const lagMs = this.lagMs(lane)
        // A backlog that is old but shrinks is no stall.
        const stillMs = this.clock.now() - (this.#appliedAt[lane.index] ?? 0)
        if (Math.min(lagMs, stillMs) < stallMs || this.#stalledSaid.has(lane.index)) continue
        this.#stalledSaid.add(lane.index)
        const reason = this.#stallReason(lane)
        this.#parts.ports.logger.warn(
          { lane: lane.index, lagMs, reason },
          'nothing is flushed although it is due',
        )
        this.#parts.events.emit('stalled', { lane: lane.index, lagMs, reason })
      }
    })
  }

  #stallReason(lane: Lane): string {
    if (this.stopReason !== undefined) return this.haltedBy?.message ?? this.stopReason
    const { state, lastFailure } = this.breaker.snapshot
    if (state !== 'closed' && lastFailure !== undefined) return lastFailure.message
    return this.laneState(lane.index)
  }
}

function closedError(): DaybookError {
  return new DaybookError('CLOSED', 'The daybook was closed while this waited for the store.', {
    details: { outcome: 'pending' },
    hint: 'It is in the journal: the next open flushes it.',
  })
}
