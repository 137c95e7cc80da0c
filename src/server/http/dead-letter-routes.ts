/** Routes for dead letters: look, retry, edit and retry, discard, export. */

import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { Daybook, WaitOptions } from '../../book/daybook.ts'
import type { DeadLetterSelection, Edit, RetryResult } from '../../book/dead-letter-desk.ts'
import type { DeadLetterFilter } from '../../flush/dead-letter.ts'
import { toTaggedJson } from '../../mutation/tagged-json.ts'
import type { JsonSchema } from './json-schema.ts'
import { RequestError } from './request-error.ts'
import type { Call, Route } from './route.ts'
import {
  amount,
  anything,
  fields,
  flag,
  list,
  mutation,
  object,
  orNull,
  pageParameters,
  path,
  query,
  request,
  text,
  timeoutMs,
  timeoutOf,
  whole,
} from './schemas.ts'

const maxIds = 10_000

const letter = object(
  {
    id: text,
    cache: text,
    key: text,
    lane: whole,
    position: whole,
    mutation,
    reason: { type: 'string', enum: ['rejected', 'parked'] },
    failure: object({ kind: text, code: text, message: text }),
    attempts: whole,
    deadAtMs: amount,
  },
  { behind: text, writtenAtMs: amount, retryOf: text, group: text, superseded: flag },
)

const reason = { type: 'string', enum: ['rejected', 'parked'] } as const
const filterMembers = {
  cache: text,
  key: text,
  keyPrefix: text,
  code: text,
  message: text,
  text: text,
  reason,
  sinceMs: amount,
  untilMs: amount,
} as const

const filterParameters = [
  query('cache', text, 'Of this cache.'),
  query('key', text, 'Of exactly this key.'),
  query('keyPrefix', text, 'Of keys that begin so.'),
  query('code', text, 'With this code of the database.'),
  query('message', text, 'With exactly this message.'),
  query('text', text, 'Whose key or message has this text in it.'),
  query('reason', reason, 'Refused itself, or parked behind one that was.'),
  query('sinceMs', amount, 'Dead since this moment or later: wall clock, ms.'),
  query('untilMs', amount, 'Dead since this moment or earlier: wall clock, ms.'),
]

const selectionMembers = {
  ids: { type: 'array', items: text, maxItems: maxIds },
  filter: request({}, filterMembers),
  first: { type: 'integer', minimum: 1, description: 'Only the first so many that fit.' },
} as const satisfies Record<string, JsonSchema>

const outcome = object(
  {
    retried: whole,
    applied: whole,
    refusedAgain: list(object({ cache: text, key: text })),
    skipped: list(object({ id: text, reason: text })),
    pending: flag,
  },
  {},
)
const outcomeResult = {
  description:
    'What became of it: in the store, refused again, or (`pending`) not decided within the time.',
  schema: outcome,
}

export const deadLetterRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/dead-letters',
    tag: 'dead letters',
    summary: 'Dead letters that fit a filter, a page at a time.',
    parameters: [...filterParameters, ...pageParameters(1_000)],
    result: {
      description: 'By position. `matching` counts all that fit; `next` is there where more do.',
      schema: object({ letters: list(letter), matching: whole }, { next: text }),
    },
    handle: async ({ server: { book }, parameters }) => {
      const { after, limit, ...filter } = parameters
      const page = await book.deadLetters.list(filter, { after, limit } as object)
      return { json: { ...page, matching: book.deadLetters.matching(filter) } }
    },
  },
  {
    method: 'GET',
    path: '/api/dead-letters/groups',
    tag: 'dead letters',
    summary: 'Letters that failed alike, with counts.',
    result: {
      description: 'The most frequent first.',
      schema: object({
        groups: list(
          object({ cache: text, code: text, message: text, count: whole, oldestMs: amount }),
        ),
      }),
    },
    handle: ({ server: { book } }) => ({ json: { groups: book.deadLetters.groups() } }),
  },
  {
    method: 'GET',
    path: '/api/dead-letters/export',
    tag: 'dead letters',
    summary: 'All letters that fit, one JSON object a line.',
    parameters: filterParameters,
    result: { description: 'Newline-delimited JSON.', type: 'application/x-ndjson' },
    handle: ({ server: { book }, parameters, signal }) => ({
      stream: (response) => exportLetters(response, book, parameters, signal),
    }),
  },
  {
    method: 'GET',
    path: '/api/dead-letters/{id}',
    tag: 'dead letters',
    summary: 'One letter.',
    parameters: [path('id', 'As the list shows it.')],
    result: { description: 'The letter.', schema: object({ letter }) },
    handle: async ({ server: { book }, parameters }) => ({
      json: { letter: await book.deadLetters.show(String(parameters.id)) },
    }),
  },
  {
    method: 'GET',
    path: '/api/dead-letters/{id}/current',
    tag: 'dead letters',
    summary: 'What the letter’s key has now: what a retry meets.',
    parameters: [path('id', 'As the list shows it.')],
    result: {
      description: 'The current value, null where there is none.',
      schema: object({ value: orNull(anything) }),
    },
    handle: async ({ server: { book }, parameters, signal }) => ({
      json: { value: (await book.deadLetters.current(String(parameters.id), { signal })) ?? null },
    }),
  },
  {
    method: 'POST',
    path: '/api/dead-letters/retry',
    tag: 'dead letters',
    summary: 'Writes letters again: by id, all that fit a filter, or the first so many of those.',
    body: request(
      {},
      {
        ...selectionMembers,
        force: {
          type: 'boolean',
          description: 'Also those whose key has a newer value: it is overwritten.',
        },
        timeoutMs,
      },
    ),
    result: outcomeResult,
    audit: ({ body }) => body,
    handle: async (call) => {
      const { server, body, signal } = call
      const limits = { timeoutMs: timeoutOf(body), signal }
      const force = body.force === true
      const result = await server.book.deadLetters.retry(selectionOf(call), { ...limits, force })
      return { json: await outcomeOf(server.book, result, limits) }
    },
  },
  {
    method: 'POST',
    path: '/api/dead-letters/{id}/edit',
    tag: 'dead letters',
    summary: 'Writes a letter again with other content; the original stays until that is decided.',
    parameters: [path('id', 'As the list shows it.')],
    body: request({}, { set: anything, merge: fields, increment: fields, delete: flag, timeoutMs }),
    result: outcomeResult,
    // What it is to become are values.
    audit: ({ parameters, body }) => ({
      id: parameters.id,
      kind: Object.keys(body).find((name) => name !== 'timeoutMs'),
    }),
    handle: async ({ server: { book }, parameters, body, signal }) => {
      const limits = { timeoutMs: timeoutOf(body), signal }
      const result = await book.deadLetters.edit(String(parameters.id), editOf(body), limits)
      return { json: await outcomeOf(book, result, limits) }
    },
  },
  {
    method: 'POST',
    path: '/api/dead-letters/discard',
    tag: 'dead letters',
    summary: 'Gives letters up for good.',
    body: request(
      {
        confirm: {
          type: 'integer',
          minimum: 1,
          description: 'How many letters these are. Where it is another number, nothing is done.',
        },
      },
      selectionMembers,
    ),
    result: { description: 'How many there were.', schema: object({ discarded: whole }) },
    audit: ({ body }) => body,
    handle: async (call) => {
      const { book } = call.server
      const selection = selectionOf(call)
      const count = countOf(book, selection)
      if (count !== call.body.confirm) {
        throw new RequestError(
          'CONFIRMATION_NEEDED',
          `This would discard ${count} dead letters, which is not what was confirmed.`,
          { count },
        )
      }
      return { json: { discarded: await book.deadLetters.discard(selection) } }
    },
  },
]

/** Forgetting both `ids` and `filter` must not mean all. */
function selectionOf({ body }: Call): Exclude<DeadLetterSelection, string> {
  const { ids, filter, first } = body as {
    readonly ids?: readonly string[]
    readonly filter?: DeadLetterFilter
    readonly first?: number
  }
  if (
    (ids === undefined) === (filter === undefined) ||
    (ids !== undefined && first !== undefined)
  ) {
    throw new RequestError('BAD_REQUEST', 'Give `ids`, or `filter` and perhaps `first`.')
  }
  return ids ?? { filter, first }
}

function countOf(book: Daybook, selection: Exclude<DeadLetterSelection, string>): number {
  if (isIds(selection)) return new Set(selection).size
  const { filter, first = Infinity } = selection
  return Math.min(first, book.deadLetters.matching(filter))
}

function isIds(selection: Exclude<DeadLetterSelection, string>): selection is readonly string[] {
  return Array.isArray(selection)
}

function editOf(body: Call['body']): Edit {
  const edit = Object.fromEntries(Object.entries(body).filter(([name]) => name !== 'timeoutMs'))
  const kinds = Object.keys(edit)
  if (kinds.length === 1 && edit.delete !== false) return edit as unknown as Edit
  throw new RequestError(
    'BAD_REQUEST',
    'Give one of `set`, `merge`, `increment` and `delete: true`.',
  )
}

/** Flushes, and tells which of the retried the store has now. */
async function outcomeOf(
  book: Daybook,
  { receipts, skipped }: RetryResult,
  limits: WaitOptions,
): Promise<object> {
  const retried = receipts.length
  const isPending = retried > 0 && (await book.persisted(receipts, limits)) === 'pending'
  if (isPending) return { retried, applied: 0, refusedAgain: [], skipped, pending: true }
  const refusedAgain: { cache: string; key: string }[] = []
  for (const receipt of receipts) {
    const { cache, key } = receipt
    const became = await book.persisted(receipt, { timeoutMs: 0 })
    if (became === 'dead-lettered') refusedAgain.push({ cache, key })
  }
  const applied = retried - refusedAgain.length
  return { retried, applied, refusedAgain, skipped, pending: false }
}

async function exportLetters(
  response: ServerResponse,
  book: Daybook,
  filter: DeadLetterFilter,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, {
    'Content-Type': 'application/x-ndjson; charset=utf-8',
    'Content-Disposition': 'attachment; filename="dead-letters.ndjson"',
  })
  for await (const found of book.deadLetters.export(filter)) {
    if (signal.aborted) return
    if (!response.write(`${toTaggedJson(found)}\n`)) await once(response, 'drain', { signal })
  }
  response.end()
}
