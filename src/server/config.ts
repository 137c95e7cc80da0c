/**
 * The configuration of a server: one object, from a file, with environment variables and flags laid over it.
 *
 *     {
 *       "directory": "./daybook-data",
 *       "store": "postgres://localhost/shop",
 *       "caches": { "users": { "table": "users", "key": "id" } },
 *       "redis": { "port": 6380 },
 *       "http": { "port": 6381 }
 *     }
 *
 * Every option has a default but none is unknown: a misspelt one is refused with the nearest that there is.
 */

import { DaybookError } from '../base/errors.ts'
import { invalidOption, readOptions, type OptionTable } from '../base/options.ts'
import {
  bookTable,
  readCacheOptions,
  readOptionGroups,
  type CacheOptions,
  type DaybookOptions,
} from '../book/options.ts'
import { readHttpOptions, type HttpOptions } from './http/http-options.ts'
import { readRedisOptions, refuseOpenDoor, type RedisOptions } from './redis/options.ts'
import { noDeadlineMs } from './redis/databases.ts'
import type { RowExpiry } from './redis/spaces/table-space.ts'

/** A cache as the configuration gives it: what JSON can say of one, and what EXPIRE means. */
export type ServedCacheOptions = Omit<CacheOptions<unknown>, 'schema' | 'routeBy' | 'expire'> & {
  readonly expire?: RowExpiry
}

export interface ServerConfig {
  readonly directory: string
  /** A URL. */
  readonly store: string
  readonly caches: ReadonlyMap<string, { options: CacheOptions<unknown>; rowExpiry: RowExpiry }>
  readonly redis: RedisOptions
  readonly http: HttpOptions & { readonly enabled: boolean }
  /** What is left of the book's options. */
  readonly book: Omit<DaybookOptions, 'directory' | 'store' | 'logger' | 'control' | 'signal'>
}

export const defaultDirectory = './daybook-data'

const { lanes, flush, journal, pressure, openTimeoutMs, drainTimeoutMs, loadTimeoutMs } = bookTable
const { stallMs, deadLetterBytes } = bookTable

const serverTable = {
  directory: { type: 'string', default: defaultDirectory, doc: bookTable.directory.doc },
  store: {
    type: 'string',
    default: undefined,
    doc: 'The database as a URL. Default: SQLite, in store.sqlite in the directory.',
  },
  caches: { type: 'object', default: undefined, doc: 'Tables whose rows are keys, by prefix.' },
  redis: { type: 'object', default: undefined, doc: 'The Redis protocol.' },
  http: { type: 'object', default: undefined, doc: 'Metrics, the admin API and the dashboard.' },
  lanes,
  flush,
  journal,
  pressure,
  openTimeoutMs,
  drainTimeoutMs,
  loadTimeoutMs,
  stallMs,
  deadLetterBytes,
} as const satisfies OptionTable

/** Throws INVALID_OPTION. Where an option is, its path says: `caches.users.table`. */
export function readServerConfig(given: object): ServerConfig {
  const { directory, store, caches, redis, http, ...rest } = readOptions('', given, serverTable)
  // All of it is checked now: a mistake is found before anything is opened, and by --check.
  const book = rest as ServerConfig['book']
  const { flush, journal, pressure } = book
  readOptionGroups({ flush, journal, pressure })
  const redisOptions = readRedisOptions(redis)
  if (redisOptions.enabled) refuseOpenDoor(redisOptions)
  return {
    directory,
    store: store ?? defaultStore(directory),
    caches: readCaches(caches),
    redis: redisOptions,
    http: readHttp(http),
    book,
  }
}

/** Where no store is configured. */
export function defaultStore(directory: string): string {
  return `sqlite:${directory}/store.sqlite`
}

function readHttp(given: object | undefined): ServerConfig['http'] {
  if (Array.isArray(given)) throw invalidOption('http', 'an object', given)
  const { enabled = true, ...options } = (given ?? {}) as HttpOptions & { enabled?: unknown }
  if (typeof enabled !== 'boolean') throw invalidOption('http.enabled', 'true or false', enabled)
  readHttpOptions(options)
  return { ...options, enabled }
}

function readCaches(given: object | undefined): ServerConfig['caches'] {
  if (Array.isArray(given)) throw invalidOption('caches', 'an object', given)
  const caches = new Map<string, { options: CacheOptions<unknown>; rowExpiry: RowExpiry }>()
  for (const [name, cache] of Object.entries(given ?? {}) as [string, ServedCacheOptions][]) {
    checkCacheName(name)
    const { expire, ...options } = cache
    checkRowExpiry(name, expire)
    const own: CacheOptions<unknown> =
      expire === 'delete' ? { ttlMs: noDeadlineMs, ...options, expire } : options
    readCacheOptions(name, own)
    caches.set(name, { options: own, rowExpiry: expire })
  }
  return caches
}

/** What stands before the colon of a key. */
function checkCacheName(name: string): void {
  if (name !== '' && !name.includes(':') && name !== 'redis') return
  throw new DaybookError('INVALID_OPTION', `caches.${name} cannot be the prefix of keys.`, {
    details: { path: `caches.${name}` },
    hint: 'A cache of the server has a name without a colon, and other than "redis".',
  })
}

function checkRowExpiry(name: string, expire: unknown): void {
  if (expire === undefined || expire === 'evict' || expire === 'delete') return
  const path = `caches.${name}.expire`
  throw new DaybookError('INVALID_OPTION', `Option ${path} must be 'evict' or 'delete'.`, {
    details: { path, expected: "'evict' or 'delete'" },
    hint: 'At the end of its time a row then leaves memory, or is deleted.',
  })
}
