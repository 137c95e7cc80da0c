/**
 * OpenTelemetry metrics of a book: observable instruments that read `book.stats()` when they are collected, and cost
 * nothing in between.
 *
 *     import { metrics } from '@opentelemetry/api'
 *     const stop = observeWithOpenTelemetry(book, metrics.getMeter('daybook'))
 *
 * Names follow OpenTelemetry's rules: units are metadata, seconds rather than milliseconds, no `_total`. Attributes are
 * lane numbers and states, never keys.
 */

import type { BookStats } from './stats.ts'

type Attributes = Record<string, string | number>

interface Observations<Instrument> {
  observe(instrument: Instrument, value: number, attributes?: Attributes): void
}

interface Description {
  readonly description: string
  readonly unit: string
}

/** The part of `Meter` in `@opentelemetry/api` that is used here; that package stays optional. */
export interface OpenTelemetryMeter<Instrument> {
  createObservableGauge(name: string, options: Description): Instrument
  createObservableCounter(name: string, options: Description): Instrument
  createObservableUpDownCounter(name: string, options: Description): Instrument
  addBatchObservableCallback(
    callback: (result: Observations<Instrument>) => void,
    instruments: Instrument[],
  ): void
  removeBatchObservableCallback(
    callback: (result: Observations<Instrument>) => void,
    instruments: Instrument[],
  ): void
}

type Reading = readonly [value: number, attributes?: Attributes]

interface Row {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'upDownCounter'
  readonly unit: string
  readonly description: string
  read(stats: BookStats): readonly Reading[]
}

function seconds(ms: number): number {
  return ms / 1000
}

/** Every instrument, once. */
const rows: readonly Row[] = [
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
    name: 'daybook.flush.duration.quantile',
    kind: 'gauge',
    unit: 's',
    description:
      'What a batch took from begin to commit, since the start. Quantile 1 is the maximum.',
    read: ({ batches: { tookMs } }) => [
      [seconds(tookMs.p50), { quantile: 0.5 }],
      [seconds(tookMs.p99), { quantile: 0.99 }],
      [seconds(tookMs.max), { quantile: 1 }],
    ],
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
    name: 'daybook.journal.commits',
    kind: 'counter',
    unit: '{commit}',
    description: 'Group commits of the journal.',
    read: ({ journal }) => [[journal.commits]],
  },
  {
    name: 'daybook.journal.sync.duration.quantile',
    kind: 'gauge',
    unit: 's',
    description:
      'What a group commit’s write and sync took, since the start. Quantile 1 is the maximum.',
    read: ({ journal: { syncMs } }) => [
      [seconds(syncMs.p50), { quantile: 0.5 }],
      [seconds(syncMs.p99), { quantile: 0.99 }],
      [seconds(syncMs.max), { quantile: 1 }],
    ],
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
]

/** Registers every instrument with the meter. Returns what takes them off again: call it before closing the book. */
export function observeWithOpenTelemetry<Instrument>(
  book: { stats(): BookStats },
  meter: OpenTelemetryMeter<Instrument>,
): () => void {
  const instruments = rows.map((row) => ({ row, instrument: create(meter, row) }))
  const all = instruments.map(({ instrument }) => instrument)
  const observe = (result: Observations<Instrument>): void => {
    const stats = book.stats()
    for (const { row, instrument } of instruments) {
      for (const [value, attributes] of row.read(stats)) {
        result.observe(instrument, value, attributes)
      }
    }
  }
  meter.addBatchObservableCallback(observe, all)
  return () => meter.removeBatchObservableCallback(observe, all)
}

function create<Instrument>(meter: OpenTelemetryMeter<Instrument>, row: Row): Instrument {
  const description = { description: row.description, unit: row.unit }
  switch (row.kind) {
    case 'gauge':
      return meter.createObservableGauge(row.name, description)
    case 'counter':
      return meter.createObservableCounter(row.name, description)
    case 'upDownCounter':
      return meter.createObservableUpDownCounter(row.name, description)
  }
}
