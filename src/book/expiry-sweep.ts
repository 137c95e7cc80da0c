/**
 * Deletes rows whose time is over, for caches with `expire: 'delete'`. Deadlines live in the store, beside the rows, so
 * they survive restarts; the wall clock decides, and a jump of it moves the deletes, nothing else.
 */

import type { Timer } from '../base/clock.ts'
import { withSignal } from '../base/deadline.ts'
import { reasonOf } from '../base/errors.ts'
import { deletion } from '../mutation/coalesce.ts'
import type { Position } from '../mutation/mutation.ts'
import type { Engine } from './engine.ts'
import type { Keyspace } from './keyspace.ts'

const sweepMs = 1000
const keysPerSweep = 1000

export class ExpirySweep {
  readonly #keyspace: Keyspace
  readonly #engine: Engine
  readonly #abort = new AbortController()
  #timer: Timer

  constructor(keyspace: Keyspace, engine: Engine) {
    this.#keyspace = keyspace
    this.#engine = engine
    this.#timer = this.#arm()
  }

  stop(): void {
    this.#abort.abort()
    this.#timer.cancel()
  }

  #arm(): Timer {
    const { clock, logger } = this.#engine.ports
    return clock.setTimer(sweepMs, () => {
      this.#sweep().then(
        () => this.#again(),
        (error: unknown) => {
          // The rows stay a little longer; whatever keeps the store away is reported by the flusher.
          logger.debug(
            { cache: this.#keyspace.name, reason: reasonOf(error) },
            'expired rows were not looked for',
          )
          this.#again()
        },
      )
    })
  }

  #again(): void {
    if (!this.#abort.signal.aborted) this.#timer = this.#arm()
  }

  async #sweep(): Promise<void> {
    const { store, ports, flusher, journal } = this.#engine
    const { name } = this.#keyspace
    const limits = {
      clock: ports.clock,
      timeoutMs: this.#engine.options.loadTimeoutMs,
      signal: this.#abort.signal,
      what: 'Looking for expired rows',
    }
    // What is written from here on stays visible, also where it is in the store before the answer is here.
    const before = flusher.lanes.map(({ checkpoint, rebuilds }) => ({ checkpoint, rebuilds }))
    const releases = flusher.lanes.map((lane) => lane.retain())
    try {
      const keys = await withSignal(limits, (signal) =>
        store.expired(name, ports.clock.wallTime(), keysPerSweep, { signal }),
      )
      if (journal.lastPosition > journal.durablePosition)
        await journal.whenDurable(journal.lastPosition)
      this.#delete(keys, before)
    } finally {
      for (const release of releases) release()
    }
  }

  /** Synchronous: no write comes between the look at what is pending and the delete. */
  #delete(
    keys: readonly string[],
    before: readonly { readonly checkpoint: Position; readonly rebuilds: number }[],
  ): void {
    const { flusher, writer, deadLetters } = this.#engine
    const { name } = this.#keyspace
    for (const key of keys) {
      const laneIndex = this.#keyspace.laneOf(key)
      const lane = flusher.lanes[laneIndex]
      const since = before[laneIndex]
      if (lane === undefined || since === undefined) continue
      if (lane.rebuilding !== undefined || lane.rebuilds !== since.rebuilds) continue
      // The store refused to delete it, and would again each time.
      if (deadLetters.ofKey(name, key).length > 0 || this.#keyspace.isHeld(key)) continue
      // What was written gives the row a new deadline, or deletes it anyway.
      const hash = this.#keyspace.hashOf(key)
      if (lane.pendingOf(name, key, hash, since.checkpoint).position > 0) continue
      const entry = this.#keyspace.entry(key, deletion, undefined)
      const commit = writer.append([entry])
      if (commit === undefined) return
      commit.done.catch(() => undefined)
      this.#keyspace.appended(entry, undefined)
      this.#keyspace.onExpired?.(key, commit.done)
    }
  }
}
