/**
 * Every figure of a book that a monitoring system may want, as one table. OpenTelemetry and the server's `/metrics` are both
 * made from it, so that a dashboard and an alert find the same names either way.
 *
 * Names follow OpenTelemetry's rules: units are metadata, seconds rather than milliseconds, no `_total`.
 */

import type { BookStats } from './stats.ts'

export type Attributes = Record<string, string | number>

export type Reading = readonly [value: number, attributes?: Attributes]

interface Named {
  readonly name: string
  readonly unit: string
  readonly description: string
}

/** One figure, or several that attributes tell apart: lane numbers and states, never keys. */
export interface FigureInstrument extends Named {
  readonly kind: 'gauge' | 'counter' | 'upDownCounter'
  read(stats: BookStats): readonly Reading[]
}

/** A distribution, as Prometheus's summaries are. OpenTelemetry has none that is read when it is collected. */
export interface SummaryInstrument extends Named {
  readonly kind: 'summary'
  read(stats: BookStats): SummaryReading
}

export interface SummaryReading {
  /** The attribute `quantile` tells them apart; 1 is the maximum. */
  readonly quantiles: readonly Reading[]
  /** Of all since the start. */
  readonly sum: number
  readonly count: number
}

export type Instrument = FigureInstrument | SummaryInstrument

function seconds(ms: number): number {
  return ms / 1000
}

function quantilesOf(ms: { p50: number; p99: number; max: number }): Reading[] {
  return [
    [seconds(ms.p50), { quantile: 0.5 }],
    [seconds(ms.p99), { quantile: 0.99 }],
    [seconds(ms.max), { quantile: 1 }],
  ]
}

/** Every instrument, once. */
export const instruments: readonly Instrument[] = [
  {
    name: 'daybook.journal.mutations',
    kind: 'counter',
    unit: '{mutation}',
    description: 'Mutations acknowledged: durable in the journal.',
    read: ({ acknowledged }) => [[acknowledged]],
  },
  {
    name: 'daybook.pending.mutations',
    kind: 'upDownCounter',
    unit: '{mutation}',
    description: 'Acknowledged mutations that are not in the store yet.',
    read: ({ lanes }) => lanes.map(({ pending, lane }): Reading => [pending, { lane }]),
  },
  {
    name: 'daybook.pending.size',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Bytes of pending mutations, their records and rows: an upper bound.',
    read: ({ pending }) => [[pending.bytes]],
  },
  {
    name: 'daybook.pending.memory',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Memory that pending mutations take.',
    read: ({ pending }) => [[pending.memoryBytes]],
  },
  {
    name: 'daybook.pending.spilled',
    kind: 'upDownCounter',
    unit: '{mutation}',
    description: 'Pending mutations that have left memory and are in the journal only.',
    read: ({ pending }) => [[pending.spilledMutations]],
  },
  {
    name: 'daybook.lag',
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest pending mutation.',
    read: ({ lanes }) => lanes.map(({ lagMs, lane }): Reading => [seconds(lagMs), { lane }]),
  },
  {
    name: 'daybook.drain.estimate',
    kind: 'gauge',
    unit: 's',
    description: 'Time until nothing is pending, at the pace of late.',
    read: ({ drainEstimateMs }) =>
      drainEstimateMs === undefined ? [] : [[seconds(drainEstimateMs)]],
  },
  {
    name: 'daybook.flush.mutations',
    kind: 'counter',
    unit: '{mutation}',
    description: 'Mutations flushed.',
    read: ({ coalescing }) => [[coalescing.mutations]],
  },
  {
    name: 'daybook.flush.rows',
    kind: 'counter',
    unit: '{row}',
    description: 'Rows that flushed mutations were coalesced to.',
    read: ({ coalescing }) => [[coalescing.rows]],
  },
  {
    name: 'daybook.flush.batches',
    kind: 'counter',
    unit: '{batch}',
    description: 'Batches committed.',
    read: ({ batches }) => [[batches.count]],
  },
  {
    name: 'daybook.flush.retries',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Attempts to flush a batch after the first.',
    read: ({ retries }) => [[retries]],
  },
  {
    name: 'daybook.flush.duration',
    kind: 'summary',
    unit: 's',
    description:
      'What a batch took from begin to commit. Quantiles since the start; 1 is the maximum.',
    read: ({ batches: { tookMs } }) => ({
      quantiles: quantilesOf(tookMs),
      sum: seconds(tookMs.mean * tookMs.count),
      count: tookMs.count,
    }),
  },
  {
    name: 'daybook.store.up',
    kind: 'gauge',
    unit: '1',
    description: '1 while the circuit breaker is closed, else 0.',
    read: ({ breaker }) => [[breaker.state === 'closed' ? 1 : 0]],
  },
  {
    name: 'daybook.journal.size',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Disk that the journal takes, preallocated space included.',
    read: ({ journal }) => [[journal.bytes]],
  },
  {
    name: 'daybook.journal.limit',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Disk that the journal may take.',
    read: ({ limits }) => [[limits.journalBytes]],
  },
  {
    name: 'daybook.journal.commits',
    kind: 'counter',
    unit: '{commit}',
    description: 'Group commits of the journal.',
    read: ({ journal }) => [[journal.commits]],
  },
  {
    name: 'daybook.journal.sync.duration',
    kind: 'summary',
    unit: 's',
    description:
      'What a group commit’s write and sync took. Quantiles of the last 1,024; 1 is the maximum.',
    read: ({ journal: { syncMs, commits } }) => ({
      quantiles: quantilesOf(syncMs),
      sum: seconds(syncMs.sum),
      count: commits,
    }),
  },
  {
    name: 'daybook.journal.state',
    kind: 'gauge',
    unit: '1',
    description: '1 for the state that the journal is in.',
    read: ({ journal }) => [[1, { state: journal.state }]],
  },
  {
    name: 'daybook.state',
    kind: 'gauge',
    unit: '1',
    description: '1 for the state that the book is in.',
    read: ({ state }) => [[1, { state }]],
  },
  {
    name: 'daybook.pressure',
    kind: 'gauge',
    unit: '1',
    description: '1 for the pressure that writes meet: none, spilling or limit.',
    read: ({ pressure }) => [[1, { state: pressure.state }]],
  },
  {
    name: 'daybook.writes.waiting',
    kind: 'upDownCounter',
    unit: '{write}',
    description: 'Writes that stand in line for room.',
    read: ({ pressure }) => [[pressure.waitingWrites]],
  },
  {
    name: 'daybook.dead_letters',
    kind: 'upDownCounter',
    unit: '{dead_letter}',
    description: 'Dead letters that nobody has settled.',
    read: ({ deadLetters }) => [[deadLetters.count]],
  },
  {
    name: 'daybook.dead_letters.size',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Bytes of dead letters that nobody has settled.',
    read: ({ deadLetters }) => [[deadLetters.bytes]],
  },
  {
    name: 'daybook.dead_letters.limit',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Disk that dead letters may take.',
    read: ({ limits }) => [[limits.deadLetterBytes]],
  },
  {
    name: 'daybook.cache.requests',
    kind: 'counter',
    unit: '{request}',
    description: 'Reads by result.',
    read: ({ cache }) => [
      [cache.hits, { 'daybook.cache.result': 'hit' }],
      [cache.misses, { 'daybook.cache.result': 'miss' }],
    ],
  },
  {
    name: 'daybook.cache.entries',
    kind: 'upDownCounter',
    unit: '{entry}',
    description: 'Entries in the tier.',
    read: ({ cache }) => [[cache.entries]],
  },
  {
    name: 'daybook.cache.size',
    kind: 'upDownCounter',
    unit: 'By',
    description: 'Bytes in the tier.',
    read: ({ cache }) => [[cache.bytes]],
  },
  {
    name: 'daybook.cache.loads',
    kind: 'counter',
    unit: '{query}',
    description: 'Queries to the store for reads.',
    read: ({ cache }) => [[cache.loads]],
  },
  {
    name: 'daybook.cache.load.failures',
    kind: 'counter',
    unit: '{query}',
    description: 'Queries to the store for reads that failed.',
    read: ({ cache }) => [[cache.failedLoads]],
  },
]
