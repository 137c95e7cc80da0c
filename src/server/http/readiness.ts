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

/** Why not; empty where it is ready. Codes only: anyone may ask. */
export function unreadyReasons(stats: BookStats, readyLagMs: number): UnreadyReason[] {
  const reasons: UnreadyReason[] = problemsOf(stats)
    .map(({ code }) => code)
    .filter((code) => unready.includes(code))
  if (stats.state === 'closing' || stats.state === 'closed') reasons.push('CLOSING')
  if (stats.lagMs > readyLagMs) reasons.push('LAG')
  return reasons
}
