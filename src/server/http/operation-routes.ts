/** Routes that do something to the whole book, and those that show and change its options. */

import { isDaybookError } from '../../base/errors.ts'
import type { Call, Reply, Route } from './route.ts'
import {
  anything,
  list,
  object,
  orNull,
  query,
  request,
  text,
  timeoutMs,
  timeoutOf,
  whole,
  amount,
} from './schemas.ts'

const state = { description: 'The state that it is in now.', schema: object({ state: text }) }
const flushed = {
  description: 'How many mutations went to the store, and how many are pending now.',
  schema: object({ flushed: whole, pending: whole, newDeadLetters: { type: 'integer' } }),
}
const options = {
  description: 'Those that can change while it is open, and those that cannot.',
  schema: object({ live: anything, fixed: anything }),
}

export const operationRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/flush',
    tag: 'operations',
    summary: 'Brings all that was written so far to the store now.',
    body: request({}, { timeoutMs }),
    result: flushed,
    audit: ({ body }) => body,
    handle: (call) =>
      withFigures(call, () =>
        call.server.book.flush({ timeoutMs: timeoutOf(call.body), signal: call.signal }),
      ),
  },
  {
    method: 'POST',
    path: '/api/drain',
    tag: 'operations',
    summary: 'Flushes until nothing is pending, or until the deadline.',
    body: request({}, { timeoutMs }),
    result: flushed,
    audit: ({ body }) => body,
    handle: (call) => withFigures(call, () => drain(call)),
  },
  {
    method: 'POST',
    path: '/api/pause',
    tag: 'operations',
    summary: 'Stops flushing; writes go on into the journal.',
    result: state,
    audit: () => ({}),
    handle: ({ server: { book } }) => {
      book.pause()
      return { json: { state: book.stats().state } }
    },
  },
  {
    method: 'POST',
    path: '/api/resume',
    tag: 'operations',
    summary: 'Goes on after a pause, or tries again after an error halted flushing.',
    result: state,
    audit: () => ({}),
    handle: ({ server: { book } }) => {
      book.resume()
      return { json: { state: book.stats().state } }
    },
  },
  {
    method: 'GET',
    path: '/api/options',
    tag: 'operations',
    summary: 'The options that are in force.',
    result: options,
    handle: (call) => shownOptions(call),
  },
  {
    method: 'PATCH',
    path: '/api/options',
    tag: 'operations',
    summary:
      'Changes options at once, until the next start. All of it or, where one is wrong, nothing.',
    body: request(
      {},
      {
        flush: request(
          {},
          {
            delayMs: whole,
            maxKeys: whole,
            maxBytes: whole,
            maxRowsPerSecond: orNull(whole),
            retryBaseMs: whole,
            retryMaxMs: whole,
          },
        ),
        pressure: request(
          {},
          {
            memoryBytes: whole,
            policy: { type: 'string', enum: ['wait', 'reject', 'through'] },
            waitMs: whole,
          },
        ),
        stallMs: whole,
        drainTimeoutMs: whole,
      },
    ),
    result: options,
    audit: ({ body }) => body,
    handle: (call) => {
      call.server.book.configure(call.body)
      return shownOptions(call)
    },
  },
  {
    method: 'GET',
    path: '/api/audit',
    tag: 'operations',
    summary: 'What was done through this server, the newest first.',
    parameters: [
      query('limit', { type: 'integer', minimum: 1, maximum: 1_000 }, 'Entries. Default 100.'),
    ],
    result: {
      description: 'Entries; one without an outcome is under way, or was cut off by a crash.',
      schema: object({
        entries: list(
          object(
            { id: whole, atMs: amount, action: text, by: text, address: text, details: anything },
            { outcome: text },
          ),
        ),
      }),
    },
    handle: ({ server: { audit }, parameters }) => ({
      json: { entries: audit.newest(Number(parameters.limit ?? 100)) },
    }),
  },
]

async function withFigures({ server: { book } }: Call, work: () => Promise<void>): Promise<Reply> {
  const before = book.stats()
  await work()
  const after = book.stats()
  return {
    json: {
      flushed: after.coalescing.mutations - before.coalescing.mutations,
      pending: after.pending.mutations,
      newDeadLetters: after.deadLetters.count - before.deadLetters.count,
    },
  }
}

/** Where writes go on, there may always be something pending: then the deadline ends it, which is no error. */
async function drain({ server: { book, clock }, body, signal }: Call): Promise<void> {
  const endAt = clock.now() + timeoutOf(body)
  try {
    while (book.stats().pending.mutations > 0) {
      await book.flush({ timeoutMs: Math.max(1, endAt - clock.now()), signal })
    }
  } catch (error) {
    if (!isDaybookError(error, 'TIMEOUT')) throw error
  }
}

function shownOptions({ server: { book } }: Call): Reply {
  const { directory, lanes, flush, pressure, journal, stallMs, ...other } = book.options
  const { drainTimeoutMs, loadTimeoutMs, openTimeoutMs, deadLetterBytes } = other
  return {
    json: {
      // A limit that is not there is null: it can be set.
      live: {
        flush: { ...flush, maxRowsPerSecond: flush.maxRowsPerSecond ?? null },
        pressure,
        stallMs,
        drainTimeoutMs,
      },
      fixed: {
        directory,
        lanes: lanes ?? book.stats().lanes.length,
        journal,
        loadTimeoutMs,
        openTimeoutMs,
        deadLetterBytes,
      },
    },
  }
}
