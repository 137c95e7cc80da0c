/**
 * A page counter behind HTTP: each request is one increment, and the database gets one row per page and flush.
 *
 * With no argument it serves 2,000 requests to itself and ends; with a port it serves until Ctrl-C.
 *
 *     node examples/page-counter.ts
 *     node examples/page-counter.ts 8080
 */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isDaybookError, openDaybook } from '../src/index.ts'
import { sqlite } from '../src/store/sqlite/index.ts'

interface Page {
  views: number
  last_seen: string | null
}

const place = mkdtempSync(join(tmpdir(), 'daybook-example-'))
const path = join(place, 'pages.db')
const database = new DatabaseSync(path)
database.exec(
  'CREATE TABLE pages (path TEXT PRIMARY KEY, views INTEGER NOT NULL DEFAULT 0, last_seen TIMESTAMPTZ)',
)

const book = await openDaybook({
  directory: join(place, 'data'),
  store: sqlite({ path }),
  // A request rather fails at once than hangs where the disk is full or the backlog is at its limit.
  pressure: { policy: 'reject' },
})
const pages = book.cache<Page>('pages', { table: 'pages', key: 'path' })

const server = createServer((request, response) => {
  const page = new URL(request.url ?? '/', 'http://localhost').pathname
  count(page).then(
    (views) => response.end(`${views}\n`),
    (error: unknown) => {
      const busy = isDaybookError(error, 'OVERLOADED') || isDaybookError(error, 'JOURNAL_FULL')
      response.writeHead(busy ? 503 : 500).end()
    },
  )
})

/** Resolves when the view is on disk: a crash after the response loses nothing. */
async function count(page: string): Promise<number> {
  const [{ views }] = await Promise.all([
    pages.increment(page, { views: 1 }),
    pages.merge(page, { last_seen: new Date().toISOString() }),
  ])
  return views
}

async function stop(): Promise<void> {
  // First the requests, then the book: what they wrote is drained.
  server.close()
  server.closeAllConnections()
  const { pending } = await book.close()
  console.log(`closed with ${pending} mutations pending`)
  database.close()
  rmSync(place, { recursive: true })
}

server.listen(Number(process.argv[2] ?? 0))
await once(server, 'listening')
const { port } = server.address() as AddressInfo
console.log(`counting on http://localhost:${port}`)

if (process.argv[2] === undefined) {
  const requests = Array.from({ length: 2_000 }, (_, at) => `/page-${at % 5}`)
  for (let at = 0; at < requests.length; at += 50) {
    await Promise.all(
      requests.slice(at, at + 50).map(async (page) => {
        const response = await fetch(`http://localhost:${port}${page}`)
        await response.text()
      }),
    )
  }
  await book.flush()
  const { coalescing } = book.stats()
  console.log(`${coalescing.mutations} mutations became ${coalescing.rows} rows`)
  console.table(database.prepare('SELECT path, views FROM pages ORDER BY path').all())
  await stop()
} else {
  process.once('SIGINT', () => void stop())
  process.once('SIGTERM', () => void stop())
}
