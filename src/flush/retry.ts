/**
 * When to try again.
 *
 * Exponential backoff with full jitter, after Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
 * 2015: of the schedules compared there it costs a recovering server the least work in total.
 */

import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'

export interface RetryLimits {
  /** The longest delay before the second attempt; doubles with each one after that. */
  readonly baseMs: number
  /** The longest delay of all. */
  readonly maxMs: number
}

/** Keeps a run of unlucky numbers from becoming a busy loop. */
const minDelayMs = 1

/**
 * The delay after the `attempt`-th failure, counted from 1: between 1 ms and `min(maxMs, baseMs × 2^(attempt - 1))`,
 * evenly distributed.
 */
export function retryDelayMs(attempt: number, limits: RetryLimits, random: Random): number {
  assert(Number.isInteger(attempt) && attempt >= 1, 'attempts are counted from 1')
  const ceilingMs = Math.min(limits.maxMs, limits.baseMs * 2 ** (attempt - 1))
  return Math.max(minDelayMs, random.next() * ceilingMs)
}
