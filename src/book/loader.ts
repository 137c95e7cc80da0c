/**
 * Loads values from the store for one keyspace, exactly: once per key however many wait, misses of one turn of the loop in
 * one query, and never over what was written meanwhile.
 *
 * Exactness. A load reads rows and checkpoints in one snapshot, so it knows which of the lane's mutations the row has.
 * Over the row go, in order:
 *
 * 1. the lane's pending mutations beyond that checkpoint (durable ones, which the lane holds or finds in the journal);
 *    the lane keeps batches that are committed while the load runs, since the row may be older than their commit;
 * 2. the writes made to the key since the load began, which the keyspace hands to `wrote` as they are appended.
 *
 * Writes from before the load that are not durable yet are in neither, so a load waits for the journal first.
 */

import type { Clock } from '../base/clock.ts'
import { Deferred, waitFor } from '../base/deadline.ts'
import { DaybookError, isDaybookError } from '../base/errors.ts'
import type { Flusher } from '../flush/flusher.ts'
import type { Lane } from '../flush/lane.ts'
import type { Journal } from '../journal/journal.ts'
import { applyMutation, isDeterminate } from '../mutation/coalesce.ts'
import type { Entry, Fields, Position } from '../mutation/mutation.ts'
import { diagnostics } from '../observe/diagnostics.ts'
import type { TableSchema } from '../store/schema.ts'
import type { Store } from '../store/store.ts'
import { storeError } from './store-error.ts'

/** Keys in one query. */
const maxKeysPerLoad = 1000
/** A load that failed longer ago says nothing of now. */
const failureCountsMs = 60_000
/** A store that keeps answering from an older past than the last time is not believed for ever. */
const maxStaleAnswers = 10

export interface LoaderParts {
  readonly clock: Clock
  readonly journal: Journal
  readonly store: Store
  readonly flusher: () => Flusher
  readonly loadTimeoutMs: number
}

/** Called with the exact current value, in the same turn of the loop in which it may write a new one. */
export type Use = (value: Fields | undefined, position: Position) => void

interface Load {
  readonly key: string
  readonly hash: number
  readonly lane: Lane
  readonly deferred: Deferred<void>
  readonly uses: Use[]
  /** Appended since the load began. */
  writes: Entry[]
  /** The store must know at least this much. */
  readonly checkpoint: Position
  /** What was learned so far is not the key's value any more, such as mutations that became dead letters meanwhile. */
  stale: boolean
  readonly release: () => void
}

export class Loader {
  loads = 0
  /** Of `loads`, those that failed. */
  failedLoads = 0
  /** Of the newest load, where it failed. A row that the store refuses to look for is the caller's. */
  #failure: { readonly error: DaybookError; readonly at: number } | undefined
  readonly #cache: string
  readonly #schema: TableSchema
  readonly #parts: LoaderParts
  readonly #loaded: (key: string, value: Fields | undefined, position: Position) => void
  readonly #inFlight = new Map<string, Load>()
  #gathered: Load[] = []

  constructor(
    cache: string,
    schema: TableSchema,
    parts: LoaderParts,
    loaded: (key: string, value: Fields | undefined, position: Position) => void,
  ) {
    this.#cache = cache
    this.#schema = schema
    this.#parts = parts
    this.#loaded = loaded
  }

  /** True while any load runs: then every write of the keyspace goes to `wrote`. */
  get active(): boolean {
    return this.#inFlight.size > 0
  }

  /** Why the store does not answer: the newest load has failed, within the last minute. */
  get failure(): DaybookError | undefined {
    const isRecent =
      this.#failure !== undefined && this.#parts.clock.now() - this.#failure.at < failureCountsMs
    return isRecent ? this.#failure?.error : undefined
  }

  wrote(entry: Entry): void {
    this.#inFlight.get(entry.key)?.writes.push(entry)
  }

  /** What a load of the key under way has learned is of the past. */
  forget(key: string): void {
    const load = this.#inFlight.get(key)
    if (load !== undefined) load.stale = true
  }

  /** Writes beyond `durable` will never be. */
  undone(durable: Position): void {
    for (const load of this.#inFlight.values()) {
      load.writes = load.writes.filter((entry) => entry.position <= durable)
    }
  }

  /** Resolves after `use` was called. What `use` throws is thrown here. */
  load(
    key: string,
    hash: number,
    laneIndex: number,
    use: Use,
    signal?: AbortSignal,
  ): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    let over = false
    const load = this.#inFlight.get(key) ?? this.#begin(key, hash, laneIndex)
    load.uses.push((value, position) => {
      // Whoever was told that it failed must not write any more.
      if (over || signal?.aborted === true) return
      try {
        use(value, position)
      } catch (error) {
        failure = { error }
      }
    })
    const used = load.deferred.promise.then(() => {
      if (failure !== undefined) throw failure.error
    })
    return waitFor(used, {
      clock: this.#parts.clock,
      timeoutMs: this.#parts.loadTimeoutMs * 2,
      signal,
      what: `Loading from ${this.#schema.table}`,
    }).finally(() => {
      over = true
    })
  }

  #begin(key: string, hash: number, laneIndex: number): Load {
    const lane = this.#parts.flusher().lanes[laneIndex] as Lane
    const load: Load = {
      key,
      hash,
      lane,
      deferred: new Deferred(),
      uses: [],
      writes: [],
      checkpoint: lane.checkpoint,
      stale: false,
      release: lane.retain(),
    }
    this.#inFlight.set(key, load)
    if (this.#gathered.push(load) === 1) {
      this.#parts.clock.defer(() => {
        const gathered = this.#gathered
        this.#gathered = []
        for (let at = 0; at < gathered.length; at += maxKeysPerLoad) {
          void this.#run(gathered.slice(at, at + maxKeysPerLoad))
        }
      })
    }
    return load
  }

  /** Never rejects: every load's own promise says what became of it. */
  async #run(loads: Load[]): Promise<void> {
    try {
      const { journal } = this.#parts
      if (journal.lastPosition > journal.durablePosition) {
        // Where they fail they are undone, and the value is what it was before them.
        await journal.whenDurable(journal.lastPosition).catch(() => undefined)
      }
      let rest = await this.#fromPending(loads)
      for (let answer = 0; rest.length > 0; answer++) {
        if (answer === maxStaleAnswers) {
          throw new DaybookError(
            'STORE_UNAVAILABLE',
            'The store answers from a past that it had left behind.',
          )
        }
        rest = await this.#fromStore(rest)
      }
    } catch (error) {
      for (const load of loads) {
        if (this.#inFlight.get(load.key) !== load) continue
        this.#end(load)
        load.deferred.reject(error)
      }
    }
  }

  /** Completes those whose pending mutations decide the value; returns the others. */
  async #fromPending(loads: Load[]): Promise<Load[]> {
    const rest: Load[] = []
    for (const load of loads) {
      if (load.lane.rebuilding !== undefined) await load.lane.rebuilding
      load.stale = false
      const { rebuilds, checkpoint: from } = load.lane
      const { pieces } = load.lane.pendingOf(this.#cache, load.key, load.hash, from)
      const first = pieces[0]
      let decided = false
      if (first !== undefined && 'mutation' in first) decided = isDeterminate(first.mutation)
      else if (first !== undefined) {
        decided = await this.#decides(load, first.positions, from)
      }
      if (!decided || !(await this.#complete(load, undefined, from, rebuilds))) rest.push(load)
    }
    return rest
  }

  /** Whether the mutations at these positions, pending beyond `from`, say by themselves what the value is. */
  async #decides(
    { key, lane }: Load,
    positions: readonly Position[],
    from: Position,
  ): Promise<boolean> {
    try {
      const entries = await this.#parts.journal.find(positions)
      const own = entries.filter((entry) => entry.cache === this.#cache && entry.key === key)
      return own.some((entry) => isDeterminate(entry.mutation))
    } catch (error) {
      // They are in the store since, and the journal has let go of them: the store has the value.
      if (isDaybookError(error, 'JOURNAL_GAP') && lane.checkpoint > from) return false
      throw error
    }
  }

  async #fromStore(loads: Load[]): Promise<Load[]> {
    const { clock, store, journal, loadTimeoutMs } = this.#parts
    const abort = new AbortController()
    const what = `Loading from ${this.#schema.table}`
    const timer = clock.setTimer(loadTimeoutMs, () =>
      abort.abort(new DaybookError('TIMEOUT', `${what} took longer than ${loadTimeoutMs} ms.`)),
    )
    const startedAt = clock.now()
    this.loads++
    try {
      const keys = loads.map((load) => load.key)
      const rebuilds = loads.map((load) => load.lane.rebuilds)
      for (const load of loads) load.stale = false
      const loading = store.load(this.#schema, this.#cache, keys, { signal: abort.signal })
      const { rows, positions } = await waitFor(loading, { clock, timeoutMs: loadTimeoutMs, what })
      this.#failure = undefined
      diagnostics.load.publish(() => ({
        cache: this.#cache,
        keys: keys.length,
        found: rows.filter((row) => row !== undefined).length,
        tookMs: clock.now() - startedAt,
      }))
      const stale: Load[] = []
      for (const [at, load] of loads.entries()) {
        const position = positions[load.lane.index] ?? 0
        // Nobody but another owner of this journal could have flushed what is not in it.
        if (position > journal.lastPosition) throw this.#parts.flusher().fencedError()
        if (position < Math.min(load.checkpoint, load.lane.checkpoint)) {
          // The database went back in time. The lane finds out and is rebuilt; then this key is asked for again.
          await this.#parts.flusher().verify(load.lane.index, { timeoutMs: loadTimeoutMs })
          stale.push(load)
        } else if (!(await this.#complete(load, rows[at], position, rebuilds[at] as number))) {
          stale.push(load)
        }
      }
      return stale
    } catch (error) {
      this.failedLoads++
      const failure = storeError(store, error)
      if (failure.code !== 'STORE_REJECTED') this.#failure = { error: failure, at: clock.now() }
      diagnostics.load.publish(() => ({
        cache: this.#cache,
        keys: loads.length,
        found: 0,
        tookMs: clock.now() - startedAt,
        failed: failure.code,
      }))
      throw failure
    } finally {
      timer.cancel()
    }
  }

  /**
   * `base` has everything of the lane up to `checkpoint`, as the lane was `rebuilds` ago. False where that has been
   * overtaken, and the store must be asked again.
   */
  async #complete(
    load: Load,
    base: Fields | undefined,
    checkpoint: Position,
    rebuilds: number,
  ): Promise<boolean> {
    const { lane, key } = load
    const { blank } = this.#schema
    if (lane.rebuilding !== undefined) await lane.rebuilding
    // A rebuilt lane no longer holds what lies between.
    if (lane.rebuilds !== rebuilds && checkpoint < lane.checkpoint) return false
    const pending = lane.pendingOf(this.#cache, key, load.hash, checkpoint)
    const seen = lane.lastPosition
    let value: Fields | undefined
    try {
      value = await lane.overlay(base, pending, this.#cache, key, blank)
    } catch (error) {
      // What was pending is in the store since, and the journal has let go of it.
      if (isDaybookError(error, 'JOURNAL_GAP') && lane.checkpoint > checkpoint) return false
      throw error
    }
    if (load.stale) return false
    // From here on nothing awaits: a write can only come from a `use`.
    let position = Math.max(checkpoint, pending.position)
    let at = 0
    const catchUp = (): void => {
      for (; at < load.writes.length; at++) {
        const entry = load.writes[at] as Entry
        if (entry.position <= seen) continue
        value = applyMutation(value, entry.mutation, blank)
        position = entry.position
      }
    }
    catchUp()
    for (const use of load.uses) {
      use(value, position)
      catchUp()
    }
    this.#end(load)
    this.#loaded(key, value, position)
    load.deferred.resolve()
    return true
  }

  #end(load: Load): void {
    this.#inFlight.delete(load.key)
    load.release()
  }
}
