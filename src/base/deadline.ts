/**
 * Waiting that ends: with a deadline, with a signal, or with both.
 *
 * Whoever waits keeps the process alive for as long as it waits: what it waits for may be a timer of the engine alone,
 * which keeps none alive. However a wait ends, it leaves no timer, no listener and no unhandled rejection behind.
 */

import { assert } from './assert.ts'
import type { Clock, Timer } from './clock.ts'
import { DaybookError, isDaybookError } from './errors.ts'

export interface WaitLimits {
  readonly clock: Clock
  /** undefined or Infinity: no deadline. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Completes "… took longer than 100 ms": what is waited for. */
  readonly what: string
  /** Goes into the error, for TIMEOUT and ABORTED alike. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
}

/**
 * The promise's own outcome, unless a limit comes first: then TIMEOUT, or ABORTED with the signal's reason as its cause.
 * The promise goes on by itself; what becomes of it after that is not reported anywhere.
 */
export function waitFor<T>(promise: Promise<T>, limits: WaitLimits): Promise<T> {
  return wait(limits, () => promise)
}

/** Resolves after `delayMs`, or throws ABORTED with the signal. */
export async function pause(
  delayMs: number,
  { clock, signal, what }: Pick<WaitLimits, 'clock' | 'signal' | 'what'>,
): Promise<void> {
  const over = new Deferred<void>()
  const timer = clock.setTimer(delayMs, () => over.resolve(), 'awaited')
  try {
    await waitFor(over.promise, { clock, signal, what })
  } finally {
    timer.cancel()
  }
}

/**
 * `waitFor`, and hands `work` a signal that is aborted when the wait ends at a limit. Work that does not heed it keeps
 * nobody waiting.
 */
export function withSignal<T>(
  limits: Omit<WaitLimits, 'timeoutMs'> & { timeoutMs: number },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  return wait(
    limits,
    () => work(abort.signal),
    (reason) => abort.abort(reason),
  )
}

/** `onLimit` is called after the wait has ended at a limit, with why. */
function wait<T>(
  { clock, timeoutMs = Infinity, signal, what, details }: WaitLimits,
  begin: () => Promise<T>,
  onLimit: (reason: unknown) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const fail = (error: unknown): void => {
      end()
      reject(error)
    }
    const onAbort = (): void => {
      fail(abortedError(what, signal?.reason, details))
      onLimit(signal?.reason)
    }
    const onTimeout = (): void => {
      const error = timeoutError(what, timeoutMs, details)
      fail(error)
      onLimit(error)
    }
    const timer = clock.setTimer(timeoutMs, onTimeout, 'awaited')
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
    try {
      begin().then((value) => {
        end()
        resolve(value)
      }, fail)
    } catch (error) {
      // A store of someone else's may throw where it should reject.
      fail(error)
    }
  })
}

/** Throws ABORTED where it was: between the steps of something that takes long. */
export function refuseAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw abortedError(what, signal.reason)
}

function timeoutError(
  what: string,
  timeoutMs: number,
  details: Readonly<Record<string, unknown>> = {},
): DaybookError {
  const message = `${what} took longer than ${timeoutMs} ms.`
  return new DaybookError('TIMEOUT', message, { details: { timeoutMs, ...details } })
}

/** What every wait throws when its signal is aborted; where a deadline of ours has done that, the deadline's error. */
export function abortedError(
  what: string,
  reason: unknown,
  details: Readonly<Record<string, unknown>> = {},
): DaybookError {
  if (isDaybookError(reason, 'TIMEOUT')) return reason
  return new DaybookError('ABORTED', `${what} was aborted.`, { cause: reason, details })
}

/** A promise with its two ends in hand. */
export class Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T | PromiseLike<T>) => void
  readonly reject: (reason: unknown) => void

  constructor() {
    let ends: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined
    this.promise = new Promise((resolve, reject) => {
      ends = { resolve, reject }
    })
    assert(ends !== undefined, 'a promise runs its executor at once')
    this.resolve = ends.resolve
    this.reject = ends.reject
  }
}

/**
 * A one-slot event: wakes all who wait, or, where nobody does, the next one who will. Several wakes before a wait
 * count as one, so the waiter must look at all there is to do.
 */
export class Wake {
  readonly #waiting = new Set<() => void>()
  #awake = false

  wake(): void {
    if (this.#waiting.size === 0) {
      this.#awake = true
      return
    }
    for (const end of [...this.#waiting]) end()
  }

  /** Resolves at a wake, after `timeoutMs` (default: never) or when the signal is aborted. Never rejects. */
  wait(clock: Clock, timeoutMs = Infinity, signal?: AbortSignal): Promise<void> {
    if (this.#awake) {
      this.#awake = false
      return Promise.resolve()
    }
    if (signal?.aborted === true) return Promise.resolve()
    return new Promise((resolve) => {
      let timer: Timer | undefined
      const end = (): void => {
        timer?.cancel()
        signal?.removeEventListener('abort', end)
        this.#waiting.delete(end)
        resolve()
      }
      this.#waiting.add(end)
      signal?.addEventListener('abort', end)
      if (timeoutMs !== Infinity) timer = clock.setTimer(timeoutMs, end)
    })
  }
}
