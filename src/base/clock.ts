/**
 * Time as a port. No guarantee of Daybook rests on the wall clock: it only dates messages and TTLs.
 */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds that never go back; the origin means nothing. For durations and deadlines. */
  now(): number
  /** Milliseconds since 1970. May jump either way. */
  wallTime(): number
  /**
   * Calls `fire` once, `delayMs` from now. Any delay is right, beyond 2^31 ms too; after Infinity it never does. A timer
   * keeps no process alive, unless it is the end of what a caller awaits: then it does until it fires or is cancelled.
   */
  setTimer(delayMs: number, fire: () => void, awaited?: 'awaited'): Timer
  /** Calls `fire` once this turn's callbacks and promises are done, and I/O had its turn. */
  defer(fire: () => void): void
}

/** setTimeout fires after 1 ms when its delay is beyond this. */
const maxTimeoutMs = 2_147_483_647

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimer(delayMs, fire, awaited) {
    let handle: NodeJS.Timeout
    const arm = (remainingMs: number): void => {
      const partMs = Math.min(remainingMs, maxTimeoutMs)
      handle = setTimeout(() => {
        if (remainingMs > partMs) arm(remainingMs - partMs)
        else fire()
      }, partMs)
      // An idle book keeps no process alive. But an await that nothing else keeps alive would end it without a word.
      if (awaited === undefined) handle.unref()
    }
    arm(Math.max(0, delayMs))
    return { cancel: () => clearTimeout(handle) }
  },
  defer: (fire) => void setImmediate(fire),
}
