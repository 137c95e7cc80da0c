/** A book on a real directory and a memory store, with its HTTP server on a free port. */

import { mkdtempSync, rmSync } from 'node:fs'
import { request, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { systemClock, type Clock } from '../../../src/base/clock.ts'
import { silentLogger, type Logger } from '../../../src/base/log.ts'
import { systemRandom } from '../../../src/base/random.ts'
import type { Cache } from '../../../src/book/cache.ts'
import type { Daybook } from '../../../src/book/daybook.ts'
import type { DaybookOptions } from '../../../src/book/options.ts'
import { fromTaggedJson } from '../../../src/mutation/tagged-json.ts'
import { openDaybook } from '../../../src/open-daybook.ts'
import type { HttpOptions } from '../../../src/server/http/http-options.ts'
import { startHttp, type Http } from '../../../src/server/http/http-server.ts'
import { memoryStore, type MemoryStore } from '../../../src/store/memory-store.ts'
import { userTables, type User } from '../../support/book-fixture.ts'

export const token = 'a-token-for-tests-only'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body as JSON; undefined where it is none. */
  readonly json: Record<string, unknown>
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** One request as it is given: headers that `fetch` would not send are sent. */
export function send(url: string, path: string, sent: Sent = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = sent
    const { hostname, port } = new URL(url)
    const asked = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        const isJson = response.headers['content-type']?.startsWith('application/json') === true
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: (isJson && text !== '' ? fromTaggedJson(text) : {}) as Record<string, unknown>,
        })
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

export interface Served {
  readonly book: Daybook
  readonly users: Cache<User>
  readonly store: MemoryStore
  readonly http: Http
  readonly directory: string
  /** With the token. */
  readonly api: (method: string, path: string, body?: unknown) => Promise<Answer>
}

const opened: (() => unknown)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

export interface ServeOptions {
  readonly http?: HttpOptions
  readonly book?: Partial<DaybookOptions>
  readonly directory?: string
  readonly clock?: Clock
  readonly logger?: Logger
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-http-'))
  opened.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Everything is closed after the test. */
export async function serve(given: ServeOptions = {}): Promise<Served> {
  const { directory = temporaryDirectory(), clock = systemClock, logger = silentLogger } = given
  const store = memoryStore({ tables: userTables })
  const book = await openDaybook({
    directory,
    store,
    lanes: 2,
    control: false,
    flush: { delayMs: 5, retryBaseMs: 1, retryMaxMs: 10 },
    ...given.book,
  })
  opened.push(async () => {
    book.resume()
    await book.close()
  })
  const users = book.cache<User>('users', { table: 'users', key: 'id' })
  await users.ready()
  const http = await startHttp(
    book,
    { port: 0, token, ...given.http },
    { clock, random: systemRandom, logger, caches: ['users'] },
  )
  opened.push(() => http.close())
  return {
    book,
    users,
    store,
    http,
    directory,
    api: (method, path, body) =>
      send(http.url, path, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  }
}

/** Rows named so are refused, and become dead letters. */
export function refuse(store: MemoryStore, ...names: readonly string[]): void {
  store.reject(
    (row) =>
      row.mutation.kind === 'set' &&
      typeof row.mutation.fields.name === 'string' &&
      names.includes(row.mutation.fields.name),
  )
}
