/**
 * A limit on rows per second that reach the store, over all lanes together.
 *
 * A token bucket that never fills and may go into debt: a batch of any size goes when the rows before it are paid for.
 * Over any stretch of time no more rows start than `rowsPerSecond` times its seconds, plus one batch. It has no timers:
 * the caller waits.
 */

import type { Clock } from '../base/clock.ts'

export class RateLimit {
  #rowsPerMs: number
  readonly #clock: Clock
  /** When all rows let through so far are paid for. */
  #paidAt = -Infinity

  /** undefined: no limit. */
  constructor(rowsPerSecond: number | undefined, clock: Clock) {
    this.#rowsPerMs = (rowsPerSecond ?? Infinity) / 1000
    this.#clock = clock
  }

  /** undefined: no limit. What was let through before stays paid for at the old rate. */
  change(rowsPerSecond: number | undefined): void {
    this.#rowsPerMs = (rowsPerSecond ?? Infinity) / 1000
  }

  /** Books `rows`, and returns how long the caller has to wait before it sends them: 0 or more. */
  delayMs(rows: number): number {
    const now = this.#clock.now()
    const startAt = Math.max(now, this.#paidAt)
    this.#paidAt = startAt + rows / this.#rowsPerMs
    return startAt - now
  }
}
