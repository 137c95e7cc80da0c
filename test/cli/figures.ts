/** Figures of a book that has something pending. */

import type { BookStats } from '../../src/observe/stats.ts'

export const noSummary = { count: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0 }

export const figures: BookStats = {
  state: 'open',
  acknowledged: 1_000,
  pending: { mutations: 1240, keys: 96, bytes: 18_000, memoryBytes: 18_000, spilledMutations: 0 },
  lagMs: 212,
  lanes: [
    { lane: 0, state: 'waiting', lagMs: 212, pending: 1000, checkpoint: 5, position: 1005 },
    { lane: 1, state: 'idle', lagMs: 0, pending: 240, checkpoint: 7, position: 247 },
  ],
  drainEstimateMs: 300,
  coalescing: { mutations: 12_400, rows: 960, ratio: 12.9 },
  batches: {
    count: 12,
    keys: { ...noSummary, p50: 80 },
    tookMs: { ...noSummary, p50: 3.2, p99: 41 },
  },
  journal: {
    state: 'open',
    budgetUsedUp: false,
    segments: 2,
    bytes: 128 << 20,
    undurableBytes: 0,
    commits: 4,
    syncMs: { p50: 0.4, p99: 2, max: 3, sum: 6 },
  },
  retries: 1,
  breaker: {
    state: 'closed',
    failures: 0,
    since: undefined,
    nextProbeInMs: undefined,
    lastFailure: undefined,
  },
  haltedBy: undefined,
  pressure: { state: 'none', waitingWrites: 0 },
  deadLetters: { count: 0, bytes: 0 },
  limits: { memoryBytes: 16 << 20, journalBytes: 4 * 2 ** 30, deadLetterBytes: 256 << 20 },
  cache: {
    hits: 99,
    misses: 1,
    ratio: 0.99,
    entries: 96,
    bytes: 1000,
    loads: 1,
    failedLoads: 0,
    negativeHits: 0,
    readFailure: undefined,
  },
}
