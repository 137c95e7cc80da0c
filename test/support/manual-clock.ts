/** A clock that stands still until it is moved. Timers fire in the order of their time. */

import type { Clock, Timer } from '../../src/base/clock.ts'

interface Armed {
  readonly at: number
  readonly fire: () => void
}

export class ManualClock implements Clock {
  #now = 0
  #offset = 1_700_000_000_000
  #timers: Armed[] = []

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#offset + this.#now
  }

  /** The wall clock jumps; durations do not notice. */
  jump(byMs: number): void {
    this.#offset += byMs
  }

  get armed(): number {
    return this.#timers.length
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const armed = { at: this.#now + Math.max(0, delayMs), fire }
    this.#timers.push(armed)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== armed)
      },
    }
  }

  /** Real turns of the loop: promises and I/O run in between. */
  defer(fire: () => void): void {
    setImmediate(fire)
  }

  /** Moves time on, firing what becomes due on the way and letting promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const until = this.#now + byMs
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers = this.#timers.filter((other) => other !== next)
      next.fire()
      await this.settle()
    }
    this.#now = until
    await this.settle()
  }

  /** Lets everything that can run without time passing run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}
