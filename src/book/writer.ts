/**
 * Admission to the journal: appends at once where there is room, and makes writes wait in line where there is not.
 *
 * While anyone waits, newcomers queue behind: two writes of one caller never overtake each other.
 */

import type { Clock, Timer } from '../base/clock.ts'
import { abortedError } from '../base/deadline.ts'
import { DaybookError, isDaybookError } from '../base/errors.ts'
import type { Commit, Journal } from '../journal/journal.ts'
import type { Entry } from '../mutation/mutation.ts'

export interface AdmissionLimits {
  readonly policy: 'wait' | 'reject' | 'through'
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

interface Waiting {
  /** Tries; false while there is no room. Throws what is final. */
  readonly attempt: () => boolean
  readonly fail: (error: unknown) => void
}

/** Waiters look for room at least this often, should no event tell them of it. */
const lookMs = 20
/** Writes that may stand in line; each holds its value in memory. */
const maxWaiting = 100_000

export class Writer {
  readonly #clock: Clock
  readonly #journal: () => Journal
  /** Someone waits who did not before, or nobody does any more, or someone does not want to. */
  readonly #onPressure: () => void
  readonly #waiting: Waiting[] = []
  #timer: Timer | undefined
  #closed: DaybookError | undefined

  constructor(clock: Clock, journal: () => Journal, onPressure: () => void) {
    this.#clock = clock
    this.#journal = journal
    this.#onPressure = onPressure
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Appends all or none, at once. undefined where the write must wait: call `whenRoom`, and then do again everything
   * that led here, for the world may have changed. Throws what waiting does not mend.
   */
  append(entries: readonly Entry[]): Commit | undefined {
    if (this.#closed !== undefined) throw this.#closed
    return this.#waiting.length > 0 ? undefined : this.#tryAppend(entries)
  }

  /**
   * Stands in line for room; when its turn comes, `attempt` is called in the same turn of the loop as its append, and
   * stays first in line until it succeeds.
   */
  whenRoom<T>(
    limits: AdmissionLimits,
    attempt: () => { done: true; value: T } | { done: false },
  ): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (limits.policy === 'reject') {
      // Nobody will wait who would tell of it.
      this.#onPressure()
      return Promise.reject(this.#refusal())
    }
    if (this.#waiting.length >= maxWaiting) return Promise.reject(this.#refusal())
    if (limits.signal?.aborted === true) {
      return Promise.reject(abortedError('A write', limits.signal.reason))
    }
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        deadline.cancel()
        limits.signal?.removeEventListener('abort', onAbort)
        const at = this.#waiting.indexOf(waiting)
        if (at >= 0) this.#waiting.splice(at, 1)
        if (this.#waiting.length === 0) this.#onPressure()
      }
      const fail = (error: unknown): void => {
        end()
        reject(error)
      }
      const giveUp = (error: unknown): void => {
        fail(error)
        this.pump()
      }
      const onAbort = (): void => giveUp(abortedError('A write', limits.signal?.reason))
      const waiting: Waiting = {
        fail,
        attempt: () => {
          const result = attempt()
          if (!result.done) return false
          end()
          resolve(result.value)
          return true
        },
      }
      const deadline = this.#clock.setTimer(
        limits.waitMs,
        () => giveUp(this.#refusal(limits.waitMs)),
        'awaited',
      )
      limits.signal?.addEventListener('abort', onAbort)
      if (this.#waiting.push(waiting) === 1) this.#onPressure()
      this.#look()
    })
  }

  /** For the one whose turn it is. */
  appendInTurn(entries: readonly Entry[]): Commit | undefined {
    return this.#tryAppend(entries)
  }

  /** Lets those in line try, first come, first served. */
  pump(): void {
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0] as Waiting
      try {
        if (!first.attempt()) break
      } catch (error) {
        first.fail(error)
      }
    }
    this.#look()
  }

  /** No write is taken any more; those in line fail. */
  close(error: DaybookError): void {
    this.#closed = error
    this.#timer?.cancel()
    for (const waiting of [...this.#waiting]) waiting.fail(error)
  }

  #tryAppend(entries: readonly Entry[]): Commit | undefined {
    try {
      return this.#journal().append(entries)
    } catch (error) {
      if (isDaybookError(error, 'OVERLOADED') || isDaybookError(error, 'JOURNAL_FULL'))
        return undefined
      throw error
    }
  }

  #look(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#waiting.length === 0 || this.#closed !== undefined) return
    this.#timer = this.#clock.setTimer(lookMs, () => this.pump())
  }

  #refusal(waitedMs?: number): DaybookError {
    const full = this.#journal().state === 'full'
    const waited = waitedMs === undefined ? '' : ` It waited ${waitedMs} ms.`
    return new DaybookError(
      full ? 'JOURNAL_FULL' : 'OVERLOADED',
      `${full ? 'The journal’s disk is full' : 'What is pending has reached its limit'}; the write was not accepted.${waited}`,
      {
        details: {
          outcome: 'failed',
          journal: this.#journal().stats().bytes,
          waiting: this.#waiting.length,
        },
        hint: full
          ? 'Free disk space; writing resumes by itself.'
          : 'Slow down, or raise journal.maxBytes.',
      },
    )
  }
}
