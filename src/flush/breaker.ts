/**
 * The circuit breaker of all lanes: while the store is away, one probe at a time asks whether it is back.
 *
 * It waits out an outage of any length. Rejected rows and conflicts are answers of a store that works: they are no
 * business of the breaker, except that they end a probe well.
 */

import type { Clock, Timer } from '../base/clock.ts'
import { abortedError } from '../base/deadline.ts'
import type { Random } from '../base/random.ts'
import type { StoreFailure } from '../store/store.ts'
import { retryDelayMs, type RetryLimits } from './retry.ts'

export type BreakerState =
  /** The store answers, as far as is known: all may call it. Left by `failed`. */
  | 'closed'
  /** The store is away: none may call it before the next probe is due. Left by the probe, or by a late `succeeded`. */
  | 'open'
  /** One caller is finding out. Left by `succeeded` (to closed), `failed` or `abandoned` (to open). */
  | 'probing'

export interface BreakerSnapshot {
  readonly state: BreakerState
  /** Failed attempts since it was last closed; while probes run, one each. 0 when closed. */
  readonly failures: number
  /** Wall clock in ms when it opened; undefined when closed. */
  readonly since: number | undefined
  /** 0 where a probe is due or under way; undefined when closed. */
  readonly nextProbeInMs: number | undefined
  /** The newest failure, also after it has closed again. */
  readonly lastFailure: StoreFailure | undefined
}

export interface BreakerOptions {
  readonly clock: Clock
  readonly random: Random
  /** Bounds the rate of probes. */
  readonly retry: RetryLimits
  /** Called after each change of state. It must not throw. */
  readonly onChange?: (snapshot: BreakerSnapshot) => void
}

/**
 * Whoever is let through by `allow` or `whenAllowed` reports exactly one of `succeeded`, `failed` and `abandoned`.
 *
 * Concurrency: every method runs to its end without awaiting, so at most one caller turns `open` into `probing`, and
 * that caller is the probe. Calls that began before the breaker opened may report at any time, and nobody can tell them
 * from the probe:
 * - their `failed` while open changes nothing but `lastFailure`, so eight lanes that fail together count as one;
 * - their `failed` while a probe is under way opens the breaker and puts the next probe off; the probe's own `failed`
 *   then comes while open and changes nothing, and its `succeeded` closes;
 * - their `succeeded` closes, for it is news of a store that works. At worst every lane fails once more for each call
 *   that was in flight when the outage began.
 * So as long as everyone reports, the breaker is never stuck, and attempts are never closer than the retry delays say.
 */
export class Breaker {
  readonly #clock: Clock
  readonly #random: Random
  readonly #retry: RetryLimits
  readonly #onChange: (snapshot: BreakerSnapshot) => void
  /** In the order of their coming. */
  readonly #waiting = new Set<() => void>()
  #state: BreakerState = 'closed'
  #failures = 0
  #since: number | undefined
  #nextProbeAt = 0
  #lastFailure: StoreFailure | undefined
  #timer: Timer | undefined

  constructor(options: BreakerOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#retry = options.retry
    this.#onChange = options.onChange ?? ((): void => undefined)
  }

  get snapshot(): BreakerSnapshot {
    const closed = this.#state === 'closed'
    return {
      state: this.#state,
      failures: this.#failures,
      since: this.#since,
      nextProbeInMs: closed ? undefined : this.#untilProbeMs(),
      lastFailure: this.#lastFailure,
    }
  }

  /** Whether the caller may call the store now. When open, true makes the caller the probe. */
  allow(): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'probing' || this.#untilProbeMs() > 0) return false
    this.#enter('probing')
    return true
  }

  /** The store answered, be it with a refusal of a row. */
  succeeded(): void {
    if (this.#state === 'closed') return
    this.#failures = 0
    this.#since = undefined
    this.#enter('closed')
  }

  /** The store did not answer, or answered that it cannot work. */
  failed(failure: StoreFailure): void {
    this.#lastFailure = failure
    if (this.#state === 'open') return
    this.#failures += 1
    this.#since ??= this.#clock.wallTime()
    this.#nextProbeAt = this.#clock.now() + retryDelayMs(this.#failures, this.#retry, this.#random)
    this.#enter('open')
  }

  /** The caller gave up before it learned anything: the next one may probe at once. */
  abandoned(): void {
    if (this.#state === 'probing') this.#enter('open')
  }

  /**
   * Resolves when the caller may call the store: when closed, or as the probe. First come, first let through.
   * Rejects with ABORTED.
   */
  whenAllowed(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(aborted(signal))
    if (this.#waiting.size === 0 && this.allow()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(pass)
        signal?.removeEventListener('abort', onAbort)
      }
      const pass = (): void => {
        leave()
        resolve()
      }
      const onAbort = (): void => {
        leave()
        this.#letThrough()
        reject(aborted(signal))
      }
      this.#waiting.add(pass)
      signal?.addEventListener('abort', onAbort)
      this.#letThrough()
    })
  }

  #untilProbeMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#nextProbeAt - this.#clock.now()) : 0
  }

  #enter(state: BreakerState): void {
    this.#state = state
    this.#onChange(this.snapshot)
    this.#letThrough()
  }

  /** Lets those through who may, and sees to it that the timer runs just while it has someone to wake. */
  #letThrough(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    for (const pass of this.#waiting) {
      if (!this.allow()) break
      pass()
    }
    if (this.#state !== 'open' || this.#waiting.size === 0) return
    this.#timer = this.#clock.setTimer(this.#untilProbeMs(), () => this.#letThrough())
  }
}

function aborted(signal: AbortSignal | undefined): Error {
  return abortedError('Waiting for the store', signal?.reason)
}
