/** The server: a book, and those who talk to it over the network. */

import { waitFor, withSignal } from '../base/deadline.ts'
import type { Logger } from '../base/log.ts'
import type { Ports } from '../base/ports.ts'
import type { CloseReport, Daybook } from '../book/daybook.ts'
import type { CacheOptions } from '../book/options.ts'
import { openDaybook } from '../open-daybook.ts'
import { storeFromUrl } from '../store/store-url.ts'
import type { ServerConfig } from './config.ts'
import { logEvents } from './event-log.ts'
import type { HttpOptions } from './http/http-options.ts'
import { startHttp, type Http } from './http/http-server.ts'
import { startRedis, type Redis } from './redis/redis-server.ts'
import { describeTable, lookError } from './mapped-table.ts'
import { differences, liveOptionsOf, newCaches, type Reloaded } from './reload.ts'

export interface Serving {
  readonly book: Daybook
  readonly redis: Redis | undefined
  readonly http: Http | undefined
  /**
   * Takes over what can change while it runs, new caches among it. Throws INVALID_OPTION, or what is wrong with a table, and
   * changes nothing then.
   */
  reload(config: ServerConfig): Promise<Reloaded>
  /**
   * Ends the connections and drains for at most `drainTimeoutMs` of the configuration. What is left is in the journal, and
   * the next start flushes it.
   */
  close(): Promise<CloseReport>
}

export interface ServeParts extends Omit<Ports, 'logger'> {
  readonly logger: Logger
  /** Stops it until it serves: then it throws ABORTED. */
  readonly signal?: AbortSignal | undefined
}

/** Opens everything, or nothing. */
export async function serve(config: ServerConfig, parts: ServeParts): Promise<Serving> {
  const { clock, random, logger, files, signal } = parts
  const store = await storeFromUrl(config.store)
  const book = await openDaybook(
    { ...config.book, directory: config.directory, store, logger, signal },
    parts,
  )
  logEvents(book, { clock, logger })
  const opened: (() => Promise<unknown>)[] = [() => book.close({ drainTimeoutMs: 0 })]
  try {
    let current = config
    for (const [name, { options }] of config.caches) {
      const ready = book.cache(name, options).ready()
      await waitFor(ready, { clock, signal, what: `Looking at the table of "${name}"` })
    }
    const mappings = [...config.caches].map(([cache, { rowExpiry }]) => ({ cache, rowExpiry }))
    const redis = config.redis.enabled
      ? await startRedis(book, config.redis, { clock, random, logger, files, mappings })
      : undefined
    if (redis !== undefined) opened.push(() => redis.close())
    const caches = (): readonly string[] => [
      ...new Set([...current.caches.keys(), ...(redis?.caches ?? [])]),
    ]
    const httpOptions = httpOptionsOf(config)
    const http =
      httpOptions === undefined
        ? undefined
        : await startHttp(book, httpOptions, { clock, random, logger, caches, files })
    const look = async (name: string, options: CacheOptions<unknown>): Promise<void> => {
      const limits = { clock, timeoutMs: book.options.loadTimeoutMs }
      try {
        await withSignal({ ...limits, what: `Looking at the table of "${name}"` }, (signal) =>
          describeTable(store, name, options, { signal }),
        )
      } catch (error) {
        throw lookError(store, error)
      }
    }
    return {
      book,
      redis,
      http,
      async reload(changed) {
        const changedHttp = httpOptionsOf(changed)
        const takeOver = [
          await redis?.prepare(changed.redis),
          changedHttp === undefined ? undefined : http?.prepare(changedHttp),
        ]
        const added = newCaches(current, changed)
        // A declaration cannot be taken back, so the table is looked at before.
        for (const [name, { options }] of added) await look(name, options)
        for (const [name, { options, rowExpiry }] of added) {
          await book.cache(name, options).ready()
          await redis?.map({ cache: name, rowExpiry })
        }
        book.configure(liveOptionsOf(changed))
        for (const take of takeOver) take?.()
        const reloaded = differences(current, changed)
        current = changed
        return reloaded
      },
      async close() {
        await http?.close()
        await redis?.close()
        return book.close()
      },
    }
  } catch (error) {
    // The error that stands in the way of starting is the one to tell.
    for (const close of opened.reverse()) await close().catch(() => undefined)
    throw error
  }
}

/** undefined: it does not listen. */
function httpOptionsOf({ http: { enabled, ...options } }: ServerConfig): HttpOptions | undefined {
  return enabled ? options : undefined
}
