/**
 * What a run must have seen: a fault that never comes, or a state that is never reached, tests nothing.
 *
 * Names are those that a world counts. Shares are of all seeds of the run.
 */

import type { Tally } from './tally.ts'

/** Each fires in at least this share of the seeds. */
export const faultShare = 0.05

export const faults = [
  'process: kill',
  'process: power loss',
  'process: ends during recovery',
  'process: restart',
  'process: freeze',
  'process: take-over',
  'process: second one',
  'clock: jump',
  'disk: full',
  'disk: ENOSPC',
  'disk: short write',
  'disk: EIO on write',
  'disk: EIO on read',
  'disk: EIO on a name',
  'disk: EMFILE',
  'disk: slow',
  'disk: sync fails',
  'corruption: any',
  'database: down',
  'database: goes back',
  'database: slow',
  'database: outage at begin',
  'database: outage at write',
  'database: conflict at begin',
  'database: conflict at write',
  'database: conflict at commit',
  'database: lock timeout',
  'database: disk full',
  'database: row refused',
  'database: answer lost',
  'database: misconfigured',
  'database: commit applied, not acknowledged',
  'database: commit applied later',
  'database: commit not applied',
] as const

/** Each is reached at least once in every `statePeriod` seeds. */
export const statePeriod = 2000

export const states = [
  'disk: sync fails as on ext4-ordered',
  'disk: sync fails as on ext4-data',
  'disk: sync fails as on xfs',
  'disk: sync fails as on btrfs',
  'corruption: bit flip',
  'corruption: lost segment',
  'corruption: segment twice',
  'corruption: older copy',
  'corruption refused',
  'corruption harmless',
  'torn tail cut',
  'journal failed',
  'journal full',
  'journal has space again',
  'opening failed with JOURNAL_FULL',
  'opening failed with STORE_UNAVAILABLE',
  'pressure: spilling',
  'pressure: limit',
  'batches spilled',
  'breaker opened',
  'halted',
  'stalled',
  'fenced',
  'second process: JOURNAL_LOCKED',
  'dead letter',
  'dead letter retried',
  'dead letter edited',
  'dead letter discarded',
  'lane waits for parents',
  'lane rebuilt',
  'rolled forward',
] as const

/** What the run lacks, in words. A short run cannot have seen everything: nothing is asked of less than 1,000 seeds. */
export function missing(tally: Tally): string[] {
  if (tally.seeds < 1000) return []
  const lacks: string[] = []
  for (const fault of faults) {
    const share = (tally.fired.get(fault) ?? 0) / tally.seeds
    if (share < faultShare)
      lacks.push(`${fault} fired in ${(share * 100).toFixed(1)} % of the seeds`)
  }
  for (const state of states) {
    const seeds = tally.fired.get(state) ?? 0
    const least = Math.max(1, Math.floor(tally.seeds / statePeriod))
    if (seeds < least) lacks.push(`${state} was reached in ${seeds} seeds`)
  }
  return lacks
}
