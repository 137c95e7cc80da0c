/** What someone should do something about, read from the figures: the same for a terminal, a dashboard and a load balancer. */

import type { BookStats } from './stats.ts'

export type ProblemCode =
  | 'DEAD_LETTERS'
  | 'PAUSED'
  | 'HALTED'
  | 'FENCED'
  | 'JOURNAL_FULL'
  | 'JOURNAL_BUDGET'
  | 'JOURNAL_FAILED'
  | 'STORE_AWAY'
  | 'READS_FAIL'
  | 'WRITES_WAIT'

export interface Problem {
  readonly code: ProblemCode
  /** In plain words, without a full stop. Keys and values are not in it; a database's message may be. */
  readonly message: string
}

export function problemsOf(stats: BookStats): Problem[] {
  const problems: Problem[] = []
  const add = (is: boolean, code: ProblemCode, message: () => string): void => {
    if (is) problems.push({ code, message: message() })
  }
  const { deadLetters, state, journal, breaker, haltedBy, pressure, cache } = stats
  add(deadLetters.count > 0, 'DEAD_LETTERS', () =>
    deadLetters.count === 1 ? '1 dead letter' : `${grouped(deadLetters.count)} dead letters`,
  )
  add(state === 'paused', 'PAUSED', () => 'flushing is paused')
  add(state === 'halted', 'HALTED', () => {
    const why = haltedBy === undefined ? '' : `: ${haltedBy.code} ${haltedBy.message}`
    return `flushing has halted until someone mends the cause and resumes it${why}`
  })
  add(
    state === 'fenced',
    'FENCED',
    () => 'another process has taken over this journal: stop this application',
  )
  add(
    journal.state === 'full',
    'JOURNAL_FULL',
    () => 'the journal’s disk is full: writes are refused',
  )
  add(
    journal.budgetUsedUp,
    'JOURNAL_BUDGET',
    () =>
      'journal.maxBytes is used up: writes wait or are refused until what is pending is in the store',
  )
  add(
    journal.state === 'failed',
    'JOURNAL_FAILED',
    () => 'the journal has failed: restart the application',
  )
  add(breaker.state !== 'closed', 'STORE_AWAY', () => {
    const failure = breaker.lastFailure
    const why = failure === undefined ? '' : `: ${failure.code} ${failure.message}`
    return `the store is not reachable${why}`
  })
  const { readFailure } = cache
  add(readFailure !== undefined, 'READS_FAIL', () => {
    const why = `${readFailure?.code ?? ''} ${readFailure?.message ?? ''}`.replace(/\.$/, '')
    return `the store does not answer reads of "${readFailure?.cache ?? ''}": ${why}`
  })
  add(
    pressure.waitingWrites > 0,
    'WRITES_WAIT',
    () => `${grouped(pressure.waitingWrites)} writes wait for room`,
  )
  return problems
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
