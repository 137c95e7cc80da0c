/** Whether this daybook should get work: what `/readyz` says to a load balancer. */

import { problemsOf, type ProblemCode } from '../../observe/problems.ts'
import type { BookStats } from '../../observe/stats.ts'

export type UnreadyReason = ProblemCode | 'LAG' | 'CLOSING'

/** A store that is away, a pause and dead letters are none: writes are taken all the same, until the lag tells otherwise. */
const unready: readonly ProblemCode[] = [
  'HALTED',
  'FENCED',
  'JOURNAL_FULL',
  'JOURNAL_BUDGET',
  'JOURNAL_FAILED',
]

/**
 * What works less than it should, and is none either. Writes are taken and cached keys are read; another daybook on the
 * same database would do no better, and taking all of them out would make of a part of an outage a whole one.
 */
const degraded: readonly ProblemCode[] = ['STORE_AWAY', 'READS_FAIL', 'WRITES_WAIT']

/** Codes only: anyone may ask. */
export interface Readiness {
  readonly ready: boolean
  /** Why not; empty where it is ready. */
  readonly reasons: readonly UnreadyReason[]
  readonly degraded: readonly ProblemCode[]
}

export function readinessOf(stats: BookStats, readyLagMs: number): Readiness {
  const codes = problemsOf(stats).map(({ code }) => code)
  const reasons: UnreadyReason[] = codes.filter((code) => unready.includes(code))
  if (stats.state === 'closing' || stats.state === 'closed') reasons.push('CLOSING')
  if (stats.lagMs > readyLagMs) reasons.push('LAG')
  return {
    ready: reasons.length === 0,
    reasons,
    degraded: codes.filter((code) => degraded.includes(code)),
  }
}
