/** Routes about caches, keys and what is pending for them. */

import { isDaybookError } from '../../base/errors.ts'
import type { Cache } from '../../book/cache.ts'
import { errorToWire } from '../../control/wire.ts'
import { RequestError } from './request-error.ts'
import type { Call, Route } from './route.ts'
import {
  anything,
  list,
  mutation,
  object,
  orNull,
  pageParameters,
  path,
  query,
  text,
  whole,
} from './schemas.ts'

const error = object({ code: text, message: text })

interface Listing {
  readonly prefix?: string
  readonly after?: string
  readonly limit?: number
}

export const keyRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/caches',
    tag: 'keys',
    summary: 'All caches, the tables that they are bound to, and how well they serve.',
    result: {
      description: 'A cache whose table cannot be read has `error` in place of the figures.',
      schema: object({
        caches: list(
          object(
            { cache: text },
            {
              table: text,
              entries: whole,
              bytes: whole,
              hits: whole,
              misses: whole,
              loads: whole,
              error,
            },
          ),
        ),
      }),
    },
    handle: async ({ server: { book, caches } }) => {
      const statuses = caches().map(async (cache) => {
        try {
          return await book.cache(cache).status()
        } catch (failure) {
          if (!isDaybookError(failure)) throw failure
          return { cache, error: errorToWire(failure) }
        }
      })
      return { json: { caches: await Promise.all(statuses) } }
    },
  },
  {
    method: 'GET',
    path: '/api/pending',
    tag: 'keys',
    summary: 'What is acknowledged and not in the store yet, mutation by mutation.',
    parameters: [
      query('cache', text, 'Of this cache.'),
      query('key', text, 'Of exactly this key.'),
      query('keyPrefix', text, 'Of keys that begin so.'),
      query('lane', { type: 'integer', minimum: 0, maximum: 255 }, 'Of this lane.'),
      ...pageParameters(1_000),
    ],
    result: {
      description: 'Lane by lane, the oldest first. `next` is there where more may follow.',
      schema: object(
        {
          mutations: list(
            object({
              lane: whole,
              position: whole,
              cache: text,
              key: text,
              mutation,
              bytes: whole,
            }),
          ),
        },
        { next: text },
      ),
    },
    handle: async ({ server: { book }, parameters }) => {
      const { after, limit, ...filter } = parameters
      return { json: await book.pending(filter, { after, limit } as object) }
    },
  },
  {
    method: 'GET',
    path: '/api/caches/{cache}/keys',
    tag: 'keys',
    summary: 'Keys that have a value, in the store or pending, a page at a time.',
    parameters: [
      path('cache', 'A cache.'),
      query('prefix', text, 'Of keys that begin so; composite ones begin as their JSON array.'),
      ...pageParameters(1_000),
    ],
    result: {
      description:
        'In no particular order, those that were pending first. `next` is there where more may follow: a page looks at 10,000 keys at most, so with a prefix that the store cannot look for it may be short or empty. What is written meanwhile may or may not be there. A cursor is good for five minutes, with the same cache and prefix.',
      schema: object({ keys: list(text) }, { next: text }),
    },
    handle: async (call) => {
      const cache = cacheOf(call)
      const { prefix = '', after, limit = 100 } = call.parameters as Listing
      // Not by the request's signal: the list outlives it.
      const source = { cache: cache.name, prefix, keys: () => cache.keysNear(prefix) }
      return { json: await call.server.keyLists.page(source, after, limit) }
    },
  },
  {
    method: 'GET',
    path: '/api/caches/{cache}/keys/{key}',
    tag: 'keys',
    summary: 'One key: what the cache, the journal and the store each have of it.',
    parameters: [path('cache', 'A cache.'), path('key', 'A key; a composite one as JSON array.')],
    result: {
      description:
        'Side by side. `cached` and `pending` are null where there is nothing; `stored.error` says why the store cannot be read. A `value` of null is the absence of one.',
      schema: object({
        cache: text,
        key: text,
        lane: whole,
        cached: orNull(object({ value: orNull(anything), position: whole })),
        pending: orNull(object({ position: whole, mutation })),
        stored: object({}, { value: orNull(anything), error }),
        deadLetters: list(text),
      }),
    },
    handle: async (call) => {
      const cache = cacheOf(call)
      const key = String(call.parameters.key)
      const seen = await cache.inspect(key, { signal: call.signal })
      const { held, mutation: pending, position, stored } = seen
      const { letters } = await call.server.book.deadLetters.list({
        cache: cache.name,
        key: seen.key,
      })
      return {
        json: {
          cache: cache.name,
          key: seen.key,
          lane: seen.lane,
          cached:
            held === undefined ? null : { value: held.value ?? null, position: held.position },
          pending: pending === undefined ? null : { position, mutation: pending },
          stored:
            'failure' in stored
              ? { error: errorToWire(stored.failure) }
              : { value: stored.value ?? null },
          deadLetters: letters.map(({ id }) => id),
        },
      }
    },
  },
  {
    method: 'POST',
    path: '/api/caches/{cache}/keys/{key}/invalidate',
    tag: 'keys',
    summary: 'Forgets the cached value; the next read asks the store. What is pending stays.',
    parameters: [path('cache', 'A cache.'), path('key', 'A key.')],
    result: { description: 'Forgotten.' },
    audit: ({ parameters: { cache, key } }) => ({ cache, key }),
    handle: async (call) => {
      await cacheOf(call).invalidate(String(call.parameters.key))
      return { status: 204 }
    },
  },
]

/** Only one that is declared: asking for another would declare it. */
function cacheOf({ server: { book, caches }, parameters }: Call): Cache {
  const name = String(parameters.cache)
  if (!caches().includes(name)) throw new RequestError('NOT_FOUND', 'There is no such cache.')
  return book.cache(name)
}
