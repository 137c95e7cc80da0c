import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { expect, onTestFinished, test } from 'vitest'

import { observeWithOpenTelemetry } from '../../src/observe/otel.ts'
import type { BookStats } from '../../src/observe/stats.ts'

const empty = { count: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0 }

function statsWith(changes: Partial<BookStats>): BookStats {
  return {
    state: 'open',
    acknowledged: 107,
    pending: { mutations: 7, keys: 3, bytes: 700, memoryBytes: 300, spilledMutations: 2 },
    lagMs: 1500,
    lanes: [
      { lane: 0, state: 'lingering', lagMs: 1500, pending: 5, checkpoint: 10, position: 15 },
      { lane: 1, state: 'idle', lagMs: 0, pending: 2, checkpoint: 12, position: 12 },
    ],
    drainEstimateMs: 250,
    coalescing: { mutations: 100, rows: 4, ratio: 25 },
    batches: { count: 9, keys: empty, tookMs: { ...empty, p50: 5, p99: 40, max: 41 } },
    journal: {
      state: 'open',
      budgetUsedUp: false,
      segments: 1,
      bytes: 4096,
      undurableBytes: 0,
      commits: 31,
      syncMs: { p50: 0.5, p99: 2, max: 3, sum: 6 },
    },
    retries: 6,
    breaker: {
      state: 'closed',
      failures: 0,
      since: undefined,
      nextProbeInMs: undefined,
      lastFailure: undefined,
    },
    haltedBy: undefined,
    pressure: { state: 'none', waitingWrites: 0 },
    deadLetters: { count: 8, bytes: 80 },
    limits: { memoryBytes: 16_384, journalBytes: 65_536, deadLetterBytes: 4096 },
    cache: {
      hits: 90,
      misses: 10,
      ratio: 0.9,
      entries: 55,
      bytes: 5500,
      loads: 3,
      failedLoads: 2,
      negativeHits: 1,
      readFailure: undefined,
    },
    ...changes,
  }
}

function setUp(stats: () => BookStats) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  onTestFinished(() => provider.shutdown())
  const stop = observeWithOpenTelemetry({ stats }, provider.getMeter('daybook'))
  const collect = async () => {
    exporter.reset()
    await provider.forceFlush()
    const metrics = exporter
      .getMetrics()
      .flatMap((resource) => resource.scopeMetrics.flatMap((scope) => scope.metrics))
    return new Map(
      metrics.map(({ descriptor, dataPoints }) => [
        descriptor.name,
        {
          unit: descriptor.unit,
          points: dataPoints.map(({ value, attributes }) => ({ value, attributes })),
        },
      ]),
    )
  }
  return { stop, collect }
}

test('every figure reaches OpenTelemetry with base units and without keys', async () => {
  const { collect } = setUp(() => statsWith({}))
  const metrics = await collect()
  expect(metrics.get('daybook.lag')).toEqual({
    unit: 's',
    points: [
      { value: 1.5, attributes: { lane: 0 } },
      { value: 0, attributes: { lane: 1 } },
    ],
  })
  expect(metrics.get('daybook.pending.mutations')?.points).toEqual([
    { value: 5, attributes: { lane: 0 } },
    { value: 2, attributes: { lane: 1 } },
  ])
  const single = (name: string): unknown => metrics.get(name)?.points.map(({ value }) => value)
  expect(single('daybook.pending.size')).toEqual([700])
  expect(single('daybook.pending.memory')).toEqual([300])
  expect(single('daybook.pending.spilled')).toEqual([2])
  expect(single('daybook.drain.estimate')).toEqual([0.25])
  expect(single('daybook.flush.mutations')).toEqual([100])
  expect(single('daybook.flush.rows')).toEqual([4])
  expect(single('daybook.flush.batches')).toEqual([9])
  expect(single('daybook.flush.retries')).toEqual([6])
  expect(single('daybook.flush.duration.quantile')).toEqual([0.005, 0.04, 0.041])
  expect(single('daybook.store.up')).toEqual([1])
  expect(single('daybook.journal.size')).toEqual([4096])
  expect(single('daybook.journal.mutations')).toEqual([107])
  expect(single('daybook.journal.limit')).toEqual([65_536])
  expect(metrics.get('daybook.pressure')?.points[0]?.attributes).toEqual({ state: 'none' })
  expect(single('daybook.writes.waiting')).toEqual([0])
  expect(single('daybook.dead_letters.limit')).toEqual([4096])
  expect(single('daybook.journal.commits')).toEqual([31])
  expect(single('daybook.journal.sync.duration.quantile')).toEqual([0.0005, 0.002, 0.003])
  expect(metrics.get('daybook.journal.state')?.points[0]?.attributes).toEqual({ state: 'open' })
  expect(metrics.get('daybook.state')?.points[0]?.attributes).toEqual({ state: 'open' })
  expect(single('daybook.dead_letters')).toEqual([8])
  expect(single('daybook.dead_letters.size')).toEqual([80])
  expect(metrics.get('daybook.cache.requests')?.points).toEqual([
    { value: 90, attributes: { 'daybook.cache.result': 'hit' } },
    { value: 10, attributes: { 'daybook.cache.result': 'miss' } },
  ])
  expect(single('daybook.cache.entries')).toEqual([55])
  expect(single('daybook.cache.size')).toEqual([5500])
  expect(single('daybook.cache.loads')).toEqual([3])
  expect(single('daybook.cache.load.failures')).toEqual([2])
  for (const name of metrics.keys()) expect(name).toMatch(/^daybook(\.[a-z_]+)+$/)
})

test('an open breaker shows as a store that is not up, and an unknown drain estimate not at all', async () => {
  const breaker = { ...statsWith({}).breaker, state: 'open' as const }
  const { collect } = setUp(() => statsWith({ breaker, drainEstimateMs: undefined }))
  const metrics = await collect()
  expect(metrics.get('daybook.store.up')?.points).toEqual([{ value: 0, attributes: {} }])
  expect(metrics.get('daybook.drain.estimate')?.points ?? []).toEqual([])
})

test('one collection reads the stats once, and none after it was stopped', async () => {
  let reads = 0
  const { stop, collect } = setUp(() => {
    reads += 1
    return statsWith({})
  })
  await collect()
  expect(reads).toBe(1)
  stop()
  await collect()
  expect(reads).toBe(1)
})
