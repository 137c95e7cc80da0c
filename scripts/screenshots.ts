/**
 * Takes the pictures of docs/images: a real server under load, in front of a PostgreSQL that refuses rows and is stopped.
 *
 *     npm exec -- node scripts/screenshots.ts     needs Chromium and PostgreSQL, and takes three minutes
 *
 * The files are as the browser wrote them; `pngquant --ext .png --force docs/images/*.png` makes them small.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { systemClock } from '../src/base/clock.ts'
import { silentLogger } from '../src/base/log.ts'
import { systemRandom } from '../src/base/random.ts'
import { openDaybook } from '../src/open-daybook.ts'
import { startHttp } from '../src/server/http/http-server.ts'
import { postgres } from '../src/store/postgres/index.ts'
import { launchBrowser } from '../test/support/browser.ts'
import { administer, startPostgres } from '../test/support/postgres-server.ts'

const images = join(import.meta.dirname, '../docs/images')
mkdirSync(images, { recursive: true })
const token = 'a-token-for-screenshots'
const directory = mkdtempSync(join(tmpdir(), 'daybook-screenshots-'))
const server = await startPostgres()
await administer(
  server.url,
  `create table users (
     id text primary key,
     name text not null,
     email text constraint users_email_key unique,
     visits integer not null default 0 constraint visits_not_negative check (visits >= 0)
   );
   create table scores (player text primary key, points bigint not null default 0)`,
)

interface User {
  name: string
  email: string
  visits: number
}

const book = await openDaybook({
  directory: join(directory, 'data'),
  store: postgres({ url: server.url }),
  flush: { delayMs: 400 },
  control: false,
})
const users = book.cache<User>('users', { table: 'users', key: 'id' })
const scores = book.cache<{ points: number }>('scores', { table: 'scores', key: 'player' })
const http = await startHttp(
  book,
  { port: 0, token },
  {
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    caches: ['users', 'scores'],
  },
)

const names = ['Ada Lovelace', 'Grace Hopper', 'Barbara Liskov', 'Radia Perlman', 'Edsger Dijkstra']
for (let at = 0; at < 400; at++) {
  const name = names[at % names.length] ?? ''
  await users.set(String(at), { name, email: `user${at}@example.org`, visits: 1 })
}

/** A shop's day: more and less busy, and some keys much hotter than others. */
let isOver = false
async function load(): Promise<void> {
  for (let round = 0; !isOver; round++) {
    const busy = 90 + 60 * Math.sin(round / 90) + (round % 170 < 12 ? 150 : 0)
    const writes = Array.from({ length: Math.round(busy) }, () => {
      const hot = Math.floor(Math.random() ** 3 * 80)
      return scores.increment(`player-${hot}`, { points: 3 }, { returning: false })
    })
    writes.push(users.merge(String(round % 400), { visits: round }))
    await Promise.all(writes)
    // What is not cached cannot be read while the database is away.
    await users.get(String((round * 7) % 440)).catch(() => undefined)
    await delay(100)
  }
}
const loading = load()

async function refused(): Promise<void> {
  for (let at = 0; at < 7; at++) {
    const name = names[at % names.length] ?? ''
    await users.set(`n${at}`, { name, email: `new${at}@example.org`, visits: -at - 1 })
  }
  for (const key of ['412', '431', '440']) {
    await users.set(key, { name: 'Ada Lovelace', email: 'user5@example.org', visits: 2 })
  }
  await users.set('7', { name: 'Grace H.', email: 'user9@example.org', visits: 12 })
  await book.flush()
  await users.merge('7', { visits: 41 })
  await book.flush()
}

const browser = await launchBrowser()

async function shoot(
  file: string,
  address: string,
  options: { dark?: boolean; phone?: boolean; before?: (page: Page) => Promise<unknown> } = {},
): Promise<void> {
  const page = await browser.newPage({
    viewport: options.phone === true ? { width: 375, height: 812 } : { width: 1280, height: 840 },
    deviceScaleFactor: options.phone === true ? 2 : 1,
    colorScheme: options.dark === true ? 'dark' : 'light',
  })
  await page.goto(`${http.url}/#token=${token}`)
  await page.getByRole('navigation').waitFor()
  await page.goto(`${http.url}/#/${address}`)
  await delay(2_500)
  await options.before?.(page)
  await page.screenshot({ path: join(images, file) })
  await page.close()
}

await delay(70_000)
await shoot('overview.png', 'overview')
await refused()
await shoot('dead-letters.png', 'dead-letters')
await shoot('dead-letter.png', 'dead-letters', {
  dark: true,
  before: async (page) => {
    await page.getByRole('button', { name: '7', exact: true }).first().click()
    await page.getByRole('dialog').getByRole('table').waitFor()
    await delay(500)
  },
})
book.pause()
await users.merge('17', { visits: 4711 })
await shoot('keys.png', 'keys?cache=users&prefix=&key=17')
book.resume()
await server.shutDown()
await delay(45_000)
await shoot('outage.png', 'overview', { dark: true })
await server.start()
await delay(8_000)
await shoot('phone.png', 'overview', { phone: true })

isOver = true
await loading
await browser.close()
await http.close()
await book.close()
await server.stop()
rmSync(directory, { recursive: true, force: true })
