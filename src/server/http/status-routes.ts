/** Routes that look at the whole: is it alive, is it ready, and how does it do? */

import { memoryUsage, cpuUsage } from 'node:process'
import { metricsText, metricsType } from './prometheus.ts'
import { readinessOf } from './readiness.ts'
import { RequestError } from './request-error.ts'
import type { Route, Server } from './route.ts'
import { amount, anything, flag, list, object, orNull, text, whole } from './schemas.ts'
import { streamFigures } from './live-stream.ts'

const summary = object({
  count: whole,
  p50: amount,
  p90: amount,
  p99: amount,
  max: amount,
  mean: amount,
})
const lane = object({
  lane: whole,
  state: text,
  lagMs: amount,
  pending: whole,
  checkpoint: whole,
  position: whole,
})
const problem = object({ code: text, message: text })
const stats = object(
  {
    state: {
      type: 'string',
      enum: ['open', 'paused', 'halted', 'fenced', 'closing', 'closed'],
    },
    acknowledged: whole,
    pending: object({
      mutations: whole,
      keys: whole,
      bytes: whole,
      memoryBytes: whole,
      spilledMutations: whole,
    }),
    lagMs: amount,
    lanes: list(lane),
    coalescing: object({ mutations: whole, rows: whole, ratio: amount }),
    batches: object({ count: whole, keys: summary, tookMs: summary }),
    journal: object({
      state: text,
      budgetUsedUp: flag,
      segments: whole,
      bytes: whole,
      undurableBytes: whole,
      commits: whole,
      syncMs: object({ p50: amount, p99: amount, max: amount, sum: amount }),
    }),
    retries: whole,
    breaker: object(
      { state: text, failures: whole },
      { since: amount, nextProbeInMs: amount, lastFailure: anything },
    ),
    pressure: object({ state: text, waitingWrites: whole }),
    deadLetters: object({ count: whole, bytes: whole }),
    limits: object({ memoryBytes: whole, journalBytes: whole, deadLetterBytes: whole }),
    cache: object(
      {
        hits: whole,
        misses: whole,
        ratio: amount,
        entries: whole,
        bytes: whole,
        loads: whole,
        failedLoads: whole,
        negativeHits: whole,
      },
      { readFailure: object({ cache: text, code: text, message: text }) },
    ),
  },
  { drainEstimateMs: amount, haltedBy: anything },
)
const sample = object({
  atMs: amount,
  lagMs: amount,
  pending: whole,
  pendingBytes: whole,
  writesPerSecond: amount,
  flushedPerSecond: amount,
  rowsPerSecond: amount,
  flushMs: orNull(amount),
  flushMaxMs: orNull(amount),
  syncP50Ms: amount,
  syncP99Ms: amount,
  memoryBytes: whole,
  journalBytes: whole,
  deadLetters: whole,
  storeUp: flag,
})
const happening = object({ atMs: amount, name: text, message: text })

export const statusRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/healthz',
    open: true,
    tag: 'health',
    summary: 'Answers while the process lives.',
    result: { description: 'It lives.', schema: object({ status: text }) },
    handle: () => ({ json: { status: 'ok' } }),
  },
  {
    method: 'GET',
    path: '/readyz',
    open: true,
    tag: 'health',
    summary:
      'Whether it should get work: 503 where the lag is beyond the limit, or it is halted, fenced, closing, or its journal is full, has used up its budget, or has failed.',
    result: {
      description:
        'It is ready. Where it is not, the status is 503 and `reasons` has codes. `degraded` has codes of what works less than it should, ready or not.',
      schema: object({ ready: flag, reasons: list(text), degraded: list(text) }),
      otherStatus: 503,
    },
    handle: ({ server: { book, options } }) => {
      const readiness = readinessOf(book.stats(), options.readyLagMs)
      return { json: readiness, status: readiness.ready ? 200 : 503 }
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    tag: 'health',
    summary: 'All figures in Prometheus’s text format.',
    result: { description: 'Metrics.', type: metricsType },
    handle: ({ server }) => ({ text: metrics(server), type: metricsType }),
  },
  {
    method: 'GET',
    path: '/api/status',
    tag: 'status',
    summary: 'What is pending and how old it is, the journal, the store, the dead letters.',
    result: {
      description: 'Figures of this moment; counters since it was opened.',
      schema: object({
        version: text,
        directory: text,
        startedAtMs: amount,
        problems: list(problem),
        stats,
      }),
    },
    handle: ({ server: { live, version, book, startedAtMs } }) => {
      const { stats: figures, problems } = live.now()
      const { directory } = book.options
      return { json: { version, directory, startedAtMs, problems, stats: figures } }
    },
  },
  {
    method: 'GET',
    path: '/api/lanes',
    tag: 'status',
    summary: 'How far each lane has come.',
    result: { description: 'All lanes.', schema: object({ lanes: list(lane) }) },
    handle: ({ server: { book } }) => ({ json: { lanes: book.stats().lanes } }),
  },
  {
    method: 'GET',
    path: '/api/history',
    tag: 'status',
    summary: 'Ten minutes by the second, six hours by the half minute, and what happened of late.',
    result: {
      description: 'The oldest first.',
      schema: object({
        samples: list(sample),
        coarse: list(sample),
        happenings: list(happening),
      }),
    },
    handle: ({ server: { live } }) => ({
      json: { samples: live.samples, coarse: live.coarse, happenings: live.happenings },
    }),
  },
  {
    method: 'GET',
    path: '/api/live',
    tag: 'status',
    summary: 'Figures each second, and what happens when it happens, as server-sent events.',
    result: {
      description: 'Events `figures` ({stats, problems, sample}) and `happened`.',
      type: 'text/event-stream',
    },
    handle: ({ server: { live, clock, options }, signal }) => {
      if (live.followers >= options.limits.liveClients) {
        throw new RequestError('TOO_MANY_CLIENTS', 'As many as may follow the figures do already.')
      }
      return { stream: (response) => streamFigures(response, live, clock, signal) }
    },
  },
]

function metrics({ book, version, startedAtMs, live }: Server): string {
  const { user, system } = cpuUsage()
  return metricsText(book.stats(), {
    version,
    startedAtMs,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: memoryUsage.rss(),
    liveClients: live.followers,
  })
}

/** For tests of what the stream sends. @internal */
export const streamSchemas = {
  figures: object({ stats, problems: list(problem), sample }),
  happening,
}
