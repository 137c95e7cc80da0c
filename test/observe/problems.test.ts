/** Each thing that someone should do something about, and nothing where all is well. */

import { expect, it } from 'vitest'
import { problemsOf } from '../../src/observe/problems.ts'
import type { BookStats } from '../../src/observe/stats.ts'

const closed = {
  state: 'closed',
  failures: 0,
  since: undefined,
  nextProbeInMs: undefined,
  lastFailure: undefined,
} as const
const journal = {
  state: 'open',
  budgetUsedUp: false,
  segments: 1,
  bytes: 0,
  undurableBytes: 0,
  commits: 0,
  syncMs: { p50: 0, p99: 0, max: 0, sum: 0 },
} as const

function problems(changes: object): unknown {
  const well = {
    state: 'open',
    deadLetters: { count: 0, bytes: 0 },
    journal,
    breaker: closed,
    pressure: { state: 'none', waitingWrites: 0 },
    cache: {},
  }
  // Only what is looked at has to be there.
  return problemsOf({ ...well, ...changes } as BookStats).map(
    ({ code, message }) => `${code}: ${message}`,
  )
}

const failure = { kind: 'outage', code: 'ECONNREFUSED', message: 'no answer', known: true } as const

it.each([
  [{}, []],
  [{ deadLetters: { count: 1, bytes: 9 } }, ['DEAD_LETTERS: 1 dead letter']],
  [{ deadLetters: { count: 1_240, bytes: 9 } }, ['DEAD_LETTERS: 1,240 dead letters']],
  [{ state: 'paused' }, ['PAUSED: flushing is paused']],
  [
    { state: 'halted' },
    ['HALTED: flushing has halted until someone mends the cause and resumes it'],
  ],
  [
    { state: 'halted', haltedBy: { ...failure, code: '42703', message: 'there is no column' } },
    [
      'HALTED: flushing has halted until someone mends the cause and resumes it: 42703 there is no column',
    ],
  ],
  [
    { state: 'fenced' },
    ['FENCED: another process has taken over this journal: stop this application'],
  ],
  [
    { journal: { ...journal, state: 'full' } },
    ['JOURNAL_FULL: the journal’s disk is full: writes are refused'],
  ],
  [
    { journal: { ...journal, budgetUsedUp: true } },
    [
      'JOURNAL_BUDGET: journal.maxBytes is used up: writes wait or are refused until what is pending is in the store',
    ],
  ],
  [
    { journal: { ...journal, state: 'failed' } },
    ['JOURNAL_FAILED: the journal has failed: restart the application'],
  ],
  [
    { breaker: { ...closed, state: 'open', failures: 1, lastFailure: failure } },
    ['STORE_AWAY: the store is not reachable: ECONNREFUSED no answer'],
  ],
  [{ breaker: { ...closed, state: 'probing' } }, ['STORE_AWAY: the store is not reachable']],
  [
    {
      cache: {
        readFailure: { cache: 'users', code: 'STORE_UNAVAILABLE', message: 'postgres: gone.' },
      },
    },
    ['READS_FAIL: the store does not answer reads of "users": STORE_UNAVAILABLE postgres: gone'],
  ],
  [
    { pressure: { state: 'limit', waitingWrites: 2_000 } },
    ['WRITES_WAIT: 2,000 writes wait for room'],
  ],
  [
    { state: 'paused', deadLetters: { count: 2, bytes: 9 } },
    ['DEAD_LETTERS: 2 dead letters', 'PAUSED: flushing is paused'],
  ],
] as [object, string[]][])('of %j are %j', (changes, expected) => {
  expect(problems(changes)).toEqual(expected)
})
