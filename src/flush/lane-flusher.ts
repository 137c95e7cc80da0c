/**
 * Drains one lane into the store: the only writer of the lane's checkpoint.
 *
 * One batch is in flight at a time. States:
 *
 * - `idle`: nothing is pending.
 * - `lingering`: the open batch coalesces until its oldest mutation is `delayMs` old, or someone asks.
 * - `flushing`: a transaction is under way.
 * - `waiting`: the store is away, or a conflict or rate limit asks for a pause. Attempts are not counted down.
 * - `parents`: a row's parent may be in another lane; goes on when the others have passed the row's position.
 * - `paused`, `halted`: by the user, and by an error that someone must mend. `fenced` is for good.
 *
 * After any error the transaction is given up and the next attempt begins with the locked checkpoint, which tells
 * what became of the one before. No outcome is guessed:
 *
 *     checkpoint = batch.from   nothing of it is in the store: apply it
 *     checkpoint = batch.to     the commit that was in doubt has happened: go on
 *     anything else             the database went back in time, or a part was committed: rebuild from the journal
 */

import { AssertionError } from '../base/assert.ts'
import { Deferred, Wake } from '../base/deadline.ts'
import { DaybookError, isDaybookError, reasonOf } from '../base/errors.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import type { StoreFailure, StoreTransaction } from '../store/store.ts'
import type { Batch } from './batch.ts'
import { applyCarefully, unitsOf, type CarefulResult, type Verdict } from './careful.ts'
import type { FlushContext } from './flush-context.ts'
import type { Lane } from './lane.ts'
import { retryDelayMs } from './retry.ts'

export type LaneState =
  | 'idle'
  | 'lingering'
  | 'flushing'
  | 'waiting'
  | 'parents'
  | 'paused'
  | 'halted'
  | 'fenced'
  | 'closed'

/** Mutations that are looked at one by one in a careful transaction; bounds its memory. */
const carefulMutations = 4096
/** A piece of a careful range, with its entries one by one. */
interface Chunk {
  readonly batch: Batch
  readonly entries: readonly Entry[]
  /** What the last attempt was about to commit, and up to where: known also where the commit's answer never came. */
  verdicts: readonly Verdict[]
  reached: Position
}

/** A lane that waits for parents looks again after this long at the latest. */
const parentsLookMs = 1000

export class LaneFlusher {
  readonly lane: Lane
  state: LaneState = 'idle'
  attempt = 0
  readonly #context: FlushContext
  readonly #wake = new Wake()
  readonly #abort = new AbortController()
  #done: Promise<void> = Promise.resolve()
  /** Someone waits for everything up to here. */
  #demanded: Position = 0
  /** Nothing is tried before this, on the monotonic clock. */
  #notBefore = 0
  /** Up to here the range is applied carefully: the store refused something in it. */
  #carefulUntil: Position = 0
  #carefulMutations = carefulMutations
  /** A careful chunk that is in flight, with its entries, kept across attempts. */
  #chunk: Chunk | undefined
  /** Letters were added for a commit whose answer never came: those that the store has not passed are decided again. */
  #lettersInDoubt = false
  /** The store went back from here, and what that undid of the dead letters has not been withdrawn yet. */
  #wentBackFrom: Position | undefined
  /** The batch whose rows the rate limit has let through. */
  #paid: Batch | undefined
  /** An idle lane tells the store of this position, so that the journal can be trimmed. */
  #skipTo: Position = 0
  /** A skip whose commit was never answered. */
  #skipInDoubt: Position = 0
  /** Someone has seen the store at an older checkpoint than this lane's. */
  #verifying: Deferred<void> | undefined

  constructor(lane: Lane, context: FlushContext) {
    this.lane = lane
    this.#context = context
  }

  start(): void {
    this.#done = this.#run()
  }

  wake(): void {
    this.#wake.wake()
  }

  /** Flushes up to `position` without waiting for the delay. */
  demand(position: Position): void {
    if (position <= this.#demanded || this.lane.passed(position)) return
    this.#demanded = position
    this.#wake.wake()
  }

  /** See `#skipTo`. */
  offerSkip(position: Position): void {
    this.#skipTo = position
    this.#wake.wake()
  }

  /** Compares the checkpoints before anything else is flushed. */
  verify(): Promise<void> {
    this.#verifying ??= new Deferred()
    this.#wake.wake()
    return this.#verifying.promise
  }

  /** Settles when a comparison of the checkpoints that is due has been made; undefined where none is. */
  get verifying(): Promise<void> | undefined {
    return this.#verifying?.promise
  }

  /** Nobody will look any more: who waits for a comparison of the checkpoints is told so. */
  giveUp(error: DaybookError): void {
    const verifying = this.#verifying
    this.#verifying = undefined
    verifying?.reject(error)
  }

  /** The store may be tried again at once, after a pause or a mended configuration. */
  retryNow(): void {
    this.#notBefore = 0
    this.#wake.wake()
  }

  /** Ends the loop. A transaction under way is aborted; the journal has what it held. */
  async stop(): Promise<void> {
    this.#abort.abort(new DaybookError('CLOSED', 'The daybook is closing.'))
    this.#wake.wake()
    await this.#done
    this.giveUp(new DaybookError('CLOSED', 'The daybook was closed.'))
    this.state = 'closed'
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const delayMs = this.#untilDueMs()
      if (delayMs > 0) await this.#wake.wait(this.#context.clock, delayMs, this.#abort.signal)
      else await this.#step()
    }
  }

  /** How long to sleep, and, as its side, the state in which this lane sleeps. */
  #untilDueMs(): number {
    const { context, lane } = { context: this.#context, lane: this.lane }
    const now = context.clock.now()
    // A pause holds back writes, not looking.
    if (this.#verifying !== undefined && isRunning(context.stopReason)) {
      return Math.max(0, this.#notBefore - now)
    }
    if (context.stopReason !== undefined) {
      this.state = context.stopReason
      return Infinity
    }
    if (lane.empty) {
      this.state = 'idle'
      return this.#skipTo > lane.checkpoint ? 0 : Infinity
    }
    if (now < this.#notBefore) {
      this.state = this.state === 'parents' ? 'parents' : 'waiting'
      return this.#notBefore - now
    }
    if (!lane.passed(this.#demanded)) return 0
    const delayMs = lane.dueAt - now
    if (delayMs > 0) this.state = 'lingering'
    return delayMs
  }

  async #step(): Promise<void> {
    const { breaker } = this.#context
    try {
      if (!breaker.allow()) {
        this.state = 'waiting'
        await breaker.whenAllowed(this.#abort.signal)
        // Paused or halted meanwhile: the next turn of the loop looks again.
        if (this.#context.stopReason !== undefined) {
          breaker.abandoned()
          return
        }
      }
      this.state = 'flushing'
      let asked = true
      if (this.#wentBackFrom !== undefined) asked = await this.#rollForward(this.#wentBackFrom)
      else if (this.#verifying !== undefined) await this.#verify(this.#verifying)
      else if (this.lane.empty) await this.#skip()
      else if (this.lane.checkpoint < this.#carefulUntil) await this.#flushCarefully()
      else asked = await this.#flush()
      if (asked) breaker.succeeded()
      else breaker.abandoned()
    } catch (error) {
      this.#failed(error)
    }
  }

  /** False where it did not come to ask the store. */
  async #flush(): Promise<boolean> {
    const { context, lane } = { context: this.#context, lane: this.lane }
    const batch = await lane.take()
    if (batch === undefined) return false
    const declared = [...batch.caches()].every((cache) => context.tables.has(cache))
    if (!declared || this.#needsCare(batch)) {
      this.#beCareful(batch)
      return false
    }
    await this.#rateLimited(batch)
    const tables = batch.tables(context.tables)
    const startedAt = context.clock.now()
    const transaction = await context.store.begin(
      lane.index,
      { careful: false },
      { signal: this.#abort.signal },
    )
    try {
      if (!(await this.#isNext(transaction, batch))) return true
      await transaction.write(tables)
      await transaction.commit(batch.to)
    } catch (error) {
      await transaction.rollback()
      throw error
    }
    this.#committed(batch, batch.keys, startedAt)
    return true
  }

  /** A key has dead letters that a mutation in the batch may have to queue behind, or the batch retries some. */
  #needsCare(batch: Batch): boolean {
    if (batch.retries.length > 0) return true
    const { deadLetters } = this.#context
    if (deadLetters.count === 0) return false
    for (const [cache, key] of batch.entries()) {
      if (deadLetters.ofKey(cache, key).length > 0) return true
    }
    return false
  }

  #beCareful(batch: Batch): void {
    this.#carefulUntil = batch.to
    this.#carefulMutations = carefulMutations
    this.lane.spillFlushing()
  }

  async #flushCarefully(): Promise<void> {
    const { context, lane } = { context: this.#context, lane: this.lane }
    const chunk = await this.#takeChunk()
    if (chunk === undefined) return
    const { batch, entries } = chunk
    const units = unitsOf(entries)
    await this.#rateLimited(batch)
    const startedAt = context.clock.now()
    const transaction = await context.store.begin(
      lane.index,
      { careful: true },
      { signal: this.#abort.signal },
    )
    let result: CarefulResult
    let reached: Position
    try {
      if (!(await this.#isNext(transaction, batch))) return
      const discarded = entries.filter((entry) =>
        context.deadLetters.isDiscarded(context.idOf(entry)),
      )
      if (discarded.length > 0) {
        // Someone gave up what an attempt before this one had refused.
        await transaction.rollback()
        this.#chunk = undefined
        lane.noteDiscarded()
        lane.spillFlushing()
        for (const entry of discarded) context.forget(entry)
        return
      }
      result = await applyCarefully(units, transaction, {
        tables: context.tables,
        lane: lane.index,
        startedAt,
        classify: (error) => context.store.classify(error),
        blocking: (cache, key) => context.deadLetters.ofKey(cache, key),
        parentsArrived: (position) => context.passedElsewhere(lane, position),
      })
      const last = units[result.units - 1]?.at(-1)
      if (last === undefined && units.length > 0) {
        await transaction.rollback()
        this.#waitForParents(result.waitsForParent as Position)
        return
      }
      const whole = last === undefined || result.units === units.length
      reached = whole ? batch.to : last.position
      chunk.verdicts = result.verdicts
      chunk.reached = reached
      // Durable before the checkpoint passes them: a crash in between decides them again, and withdraws these.
      const letters = await context.lettersOf(result.verdicts)
      this.#lettersInDoubt ||= letters.length > 0
      await context.deadLetters.add(letters)
      await context.deadLetters.settle(result.settled, 'retried')
      await context.deadLetters.supersede(result.superseded)
      await transaction.commit(reached)
      this.#lettersInDoubt = false
    } catch (error) {
      await transaction.rollback()
      if (context.store.classify(error).kind === 'rejected')
        await this.#rejectedAtCommit(chunk, error)
      else throw error
      return
    }
    this.#chunk = undefined
    if (reached === batch.to) this.#committed(batch, batch.keys, startedAt)
    else {
      await lane.rebuild(reached)
      this.#applied(lane.checkpoint)
    }
    this.#buried(result.verdicts)
    if (result.waitsForParent !== undefined) this.#waitForParents(result.waitsForParent)
  }

  /** The next piece of the careful range, with its entries. */
  async #takeChunk(): Promise<Chunk | undefined> {
    for (;;) {
      const entries: Entry[] = []
      const batch = await this.lane.take({
        maxMutations: this.#carefulMutations,
        upTo: this.#carefulUntil,
        keep: entries,
      })
      if (batch === undefined) return undefined
      if (batch === this.#chunk?.batch) return this.#chunk
      if (entries.length > 0 || batch.keys === 0) {
        this.#chunk = { batch, entries, verdicts: [], reached: 0 }
        return this.#chunk
      }
      // It was in memory, coalesced: its entries have to be read from the journal.
      this.lane.spillFlushing()
    }
  }

  /**
   * A deferred constraint speaks at the commit, where it cannot say which row it means: smaller chunks find it, down
   * to the one mutation.
   */
  async #rejectedAtCommit(chunk: Chunk, error: unknown): Promise<void> {
    const units = unitsOf(chunk.entries)
    chunk.reached = 0
    if (units.length > 1) {
      this.#chunk = undefined
      this.lane.spillFlushing()
      // By units: a chunk that may not end inside an atomic group would otherwise stay as it is.
      this.#carefulMutations = units.slice(0, Math.ceil(units.length / 2)).flat().length
      return
    }
    const failure = this.#context.store.classify(error)
    const transaction = await this.#context.store.begin(
      this.lane.index,
      { careful: true },
      { signal: this.#abort.signal },
    )
    try {
      if (!(await this.#isNext(transaction, chunk.batch))) return
      const [first] = chunk.entries
      const group = chunk.entries.length > 1 ? this.#context.idOf(first as Entry) : undefined
      const verdicts = chunk.entries.map((entry): Verdict => ({
        entry,
        id: this.#context.idOf(entry),
        reason: 'rejected',
        behind: undefined,
        failure,
        group,
      }))
      chunk.verdicts = verdicts
      chunk.reached = chunk.batch.to
      const letters = await this.#context.lettersOf(verdicts)
      this.#lettersInDoubt = true
      await this.#context.deadLetters.add(letters)
      await this.#context.deadLetters.settle(chunk.batch.retries, 'retried')
      await transaction.commit(chunk.batch.to)
      this.#lettersInDoubt = false
    } catch (second) {
      await transaction.rollback()
      throw second
    }
    this.#chunk = undefined
    this.#committed(chunk.batch, 0, this.#context.clock.now())
    this.#buried(chunk.verdicts)
  }

  /**
   * Whether the locked checkpoint stands just before the batch. Where it does not, the transaction is rolled back and
   * the lane is brought in line with the store.
   */
  async #isNext(transaction: StoreTransaction, batch: Batch): Promise<boolean> {
    const { position } = transaction.checkpoint
    if (this.#lettersInDoubt) {
      const positions: Position[] = []
      positions[this.lane.index] = position
      await this.#context.deadLetters.withdrawBeyond(positions)
      this.#lettersInDoubt = false
    }
    if (position === batch.from) return true
    await transaction.rollback()
    const { lane } = this
    if (position === batch.to) {
      const chunk = this.#chunk
      this.#chunk = undefined
      this.#committed(batch, batch.keys, this.#context.clock.now())
      if (chunk?.reached === position) this.#buried(chunk.verdicts)
      return false
    }
    if (position > lane.lastPosition) {
      throw new DaybookError(
        'JOURNAL_GAP',
        `The store has lane ${lane.index} at position ${position}, beyond the journal's ${lane.lastPosition}.`,
        {
          details: { lane: lane.index, checkpoint: position, lastPosition: lane.lastPosition },
          hint: 'Another copy of this journal has written to the store; find it before you go on.',
        },
      )
    }
    await this.#rebuild(position)
    return false
  }

  async #rebuild(position: Position): Promise<void> {
    const { lane } = this
    const before = lane.checkpoint
    const chunk = this.#chunk
    this.#chunk = undefined
    await lane.rebuild(position)
    // Someone may have given up some of these meanwhile.
    for (const { entry } of chunk?.verdicts ?? []) this.#context.forget(entry)
    if (position < before) {
      this.#wentBackFrom = before
      await this.#rollForward(before)
    }
    // Also where it went back: it may have nothing more to write, and who asked meanwhile waits.
    this.#applied(position)
    if (chunk?.reached === position) this.#buried(chunk.verdicts)
  }

  /**
   * Nothing is flushed before this has come to its end: a mutation whose old letter is still there would go in, and a
   * retry of the letter would apply it once more. False, as the store is not asked.
   */
  async #rollForward(from: Position): Promise<false> {
    await this.#context.wentBack(this.lane, from)
    this.#wentBackFrom = undefined
    return false
  }

  /** Tells the store of a durable position while nothing is pending, so that the journal can let go of it. */
  async #skip(): Promise<void> {
    const { context, lane } = { context: this.#context, lane: this.lane }
    const target = this.#skipTo
    this.#skipTo = 0
    const transaction = await context.store.begin(
      lane.index,
      { careful: false },
      { signal: this.#abort.signal },
    )
    try {
      const { position } = transaction.checkpoint
      if (position !== lane.checkpoint) {
        await transaction.rollback()
        // A store that went back may stand where an earlier skip ended.
        const skipped = position === this.#skipInDoubt && position > lane.checkpoint
        if (!skipped) await this.#rebuild(position)
        else {
          lane.skipTo(position)
          this.#applied(position)
        }
        return
      }
      this.#skipInDoubt = target
      await transaction.commit(target)
    } catch (error) {
      await transaction.rollback()
      throw error
    }
    lane.skipTo(target)
    this.#applied(target)
  }

  async #verify(verifying: Deferred<void>): Promise<void> {
    const { lane } = this
    const transaction = await this.#context.store.begin(
      lane.index,
      { careful: false },
      { signal: this.#abort.signal },
    )
    const { position } = transaction.checkpoint
    await transaction.rollback()
    if (position < lane.checkpoint) await this.#rebuild(position)
    this.#verifying = undefined
    verifying.resolve()
  }

  /** Once for each batch, however often it is tried. */
  async #rateLimited(batch: Batch): Promise<void> {
    if (batch === this.#paid) return
    this.#paid = batch
    const delayMs = this.#context.rateLimit.delayMs(batch.keys)
    if (delayMs <= 0) return
    this.state = 'waiting'
    await new Wake().wait(this.#context.clock, delayMs, this.#abort.signal)
    this.#abort.signal.throwIfAborted()
    this.state = 'flushing'
  }

  #waitForParents(position: Position): void {
    this.state = 'parents'
    this.#notBefore = this.#context.clock.now() + parentsLookMs
    this.#context.demandElsewhere(this.lane, position)
  }

  #committed(batch: Batch, rows: number, startedAt: number): void {
    this.lane.advance(batch)
    this.attempt = 0
    this.#context.flushed(batch, rows, this.#context.clock.now() - startedAt)
    this.#applied(batch.to)
  }

  #applied(position: Position): void {
    this.#context.applied(this.lane, position)
  }

  #buried(verdicts: readonly Verdict[]): void {
    if (verdicts.length > 0) this.#context.buried(verdicts)
  }

  #failed(error: unknown): void {
    const { context } = { context: this.#context }
    if (this.#abort.signal.aborted) {
      context.breaker.abandoned()
      return
    }
    if (error instanceof AssertionError || isOurs(error)) {
      context.breaker.abandoned()
      this.#failedHere(error)
      return
    }
    const failure = context.store.classify(error)
    switch (failure.kind) {
      case 'outage':
        context.breaker.failed(failure)
        this.#retryAfter(0, failure)
        break
      case 'conflict':
        context.breaker.succeeded()
        this.#retryAfter(retryDelayMs(this.attempt + 1, context.retry, context.random), failure)
        break
      case 'rejected': {
        context.breaker.succeeded()
        const batch = this.lane.flushing
        const careful = this.lane.checkpoint < this.#carefulUntil
        if (batch !== undefined && !careful) this.#beCareful(batch)
        else {
          // Not a row's: the transaction itself could not begin.
          const delayMs = retryDelayMs(this.attempt + 1, context.retry, context.random)
          this.#retryAfter(delayMs, failure)
          context.stuck(this.lane, failure)
        }
        break
      }
      case 'misconfigured':
        context.breaker.succeeded()
        context.halt(this.lane, failure, error)
        break
      case 'fenced':
        context.breaker.succeeded()
        context.fence(error)
        break
    }
  }

  /** Errors that are not the store's: the journal's, the dead letters', a cache that is not declared. */
  #failedHere(error: unknown): void {
    const code = error instanceof DaybookError ? error.code : 'ASSERTION'
    const failure: StoreFailure = {
      kind: 'misconfigured',
      code,
      message: reasonOf(error),
      known: true,
    }
    if (error instanceof DaybookError && passingCodes.has(error.code)) {
      const { cache } = error.details
      if (error.code === 'INVALID_STATE' && typeof cache === 'string') {
        this.#context.undeclared(cache)
      }
      this.#retryAfter(
        retryDelayMs(this.attempt + 1, this.#context.retry, this.#context.random),
        failure,
      )
      this.#context.stuck(this.lane, failure)
    } else this.#context.halt(this.lane, failure, error)
  }

  #retryAfter(delayMs: number, failure: StoreFailure): void {
    this.attempt++
    this.state = 'waiting'
    this.#notBefore = this.#context.clock.now() + delayMs
    this.#context.retrying(this.lane, this.attempt, delayMs, failure)
  }
}

/** Errors that end by themselves, or by what someone does meanwhile: nothing was written, and it is tried again. */
const passingCodes = new Set<string>([
  'INVALID_STATE',
  'DEAD_LETTERS_FULL',
  'JOURNAL_FULL',
  'DIRECTORY_UNUSABLE',
])

function isRunning(stopReason: FlushContext['stopReason']): boolean {
  return stopReason === undefined || stopReason === 'paused'
}

const ourCodes = new Set<string>([
  'JOURNAL_GAP',
  'JOURNAL_CORRUPT',
  'JOURNAL_FAILED',
  'JOURNAL_FULL',
  'INVALID_STATE',
  'DEAD_LETTERS_FULL',
  'DIRECTORY_UNUSABLE',
  'CLOSED',
])

function isOurs(error: unknown): boolean {
  return isDaybookError(error) && ourCodes.has(error.code)
}
