/**
 * The dashboard as a person meets it: real clicks in a real browser, on a real server, in front of a PostgreSQL that refuses
 * rows, is stopped, and comes back.
 */

import { readFileSync } from 'node:fs'
import axe from 'axe-core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { systemRandom } from '../../../src/base/random.ts'
import type { Cache } from '../../../src/book/cache.ts'
import type { Daybook } from '../../../src/book/daybook.ts'
import { openDaybook } from '../../../src/open-daybook.ts'
import { startHttp, type Http } from '../../../src/server/http/http-server.ts'
import { postgres } from '../../../src/store/postgres/index.ts'
import { browserUnavailable, launchBrowser } from '../../support/browser.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../../support/postgres-server.ts'
import { temporaryDirectory } from '../http/http-fixture.ts'

interface User {
  name: string | null
  visits?: number
  note?: string
}

const unavailable = browserUnavailable() ?? postgresUnavailable()
const token = 'a-token-for-the-dashboard'
const pages = ['overview', 'pending', 'keys', 'dead-letters', 'operations'] as const

describe.skipIf(unavailable !== undefined)(`the dashboard (${unavailable ?? 'Chromium'})`, () => {
  let browser: Browser
  let server: PostgresServer
  let book: Daybook
  let users: Cache<User>
  let http: Http
  let context: BrowserContext
  let page: Page
  /** What the page complained of: errors of scripts, and of the policy. */
  let complaints: string[]

  beforeAll(async () => {
    browser = await launchBrowser()
    server = await startPostgres()
  })

  afterAll(async () => {
    await browser.close()
    await server.stop()
  })

  beforeEach(async () => {
    await administer(
      server.url,
      `drop schema public cascade; create schema public;
       create table users (
         id text primary key,
         name text,
         visits integer not null default 0,
         note text,
         constraint no_mallory check (name <> 'Mallory')
       )`,
    )
    book = await openDaybook({
      directory: temporaryDirectory(),
      store: postgres({ url: server.url }),
      lanes: 2,
      control: false,
      flush: { delayMs: 20, retryBaseMs: 20, retryMaxMs: 100 },
    })
    users = book.cache<User>('users', { table: 'users', key: 'id' })
    await users.ready()
    http = await startHttp(
      book,
      { port: 0, token },
      {
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        caches: ['users', 'carts'],
      },
    )
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    context.setDefaultTimeout(15_000)
    page = await context.newPage()
    complaints = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
  })

  afterEach(async () => {
    await context.close()
    await http.close()
    book.resume()
    await book.close()
  })

  /** Signed in, by the link that a terminal shows. */
  async function open(name: string): Promise<void> {
    await page.goto(`${http.url}/#token=${token}`)
    await page.getByRole('navigation').waitFor()
    await page.goto(`${http.url}/#/${name}`)
    await page.getByRole('heading', { level: 1 }).first().waitFor({ state: 'attached' })
  }

  async function refused(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await users.set(key, { name: 'Mallory', visits: 1 })
    await book.flush()
  }

  const rowOf = async (id: string): Promise<unknown> =>
    (await administer(server.url, `select name, visits from users where id = '${id}'`))[0]

  const note = (text: string | RegExp) => page.getByRole('status').getByText(text)

  test.each([
    ['pending', '/api/pending', 'Nothing is pending: all'],
    ['keys', '/api/caches', 'There are no keys.'],
    ['dead-letters', '/api/dead-letters', 'The database has refused nothing.'],
    ['operations', '/api/options', 'Flush delay'],
  ])('a page whose first load fails says so, and tries again: %s', async (name, path, shown) => {
    await open('overview')
    const failing = (url: URL): boolean => url.pathname === path
    const answer = { error: { code: 'INTERNAL', message: 'Out of order.' } }
    await page.route(failing, (route) => route.fulfill({ status: 500, json: answer }))
    await page.goto(`${http.url}/#/${name}`)
    const alert = page.getByRole('alert')
    await alert.getByText('This page could not be loaded: Out of order.').waitFor()
    await page.unroute(failing)
    // By itself, or at once.
    if (name !== 'pending') await alert.getByRole('button', { name: 'Try again' }).click()
    await page.getByText(shown).first().waitFor()
    expect(await alert.count()).toBe(0)
    complaints = complaints.filter((complaint) => !complaint.includes('500'))
  })

  test('a list of keys that failed is asked for again by a button', async () => {
    await users.set('ada', { name: 'Ada' })
    const failing = (url: URL): boolean => url.pathname === '/api/caches/users/keys'
    const answer = { error: { code: 'STORE_UNAVAILABLE', message: 'The store is away.' } }
    await page.route(failing, (route) => route.fulfill({ status: 503, json: answer }))
    await open('keys')
    await page.getByText('The store is away.').waitFor()
    await page.unroute(failing)
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByRole('link', { name: 'ada' }).waitFor()
    complaints = complaints.filter((complaint) => !complaint.includes('503'))
  })

  test('lets in who knows the token, and nobody else', async () => {
    await page.goto(http.url)
    await page.getByLabel('Access token').fill('something else')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').getByText('This is not the token.').waitFor()
    await page.getByLabel('Access token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Lag' }).waitFor()
    expect(await page.evaluate('document.cookie')).toBe('')
    await page.reload()
    await page.getByRole('heading', { name: 'Lag' }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Access token').waitFor()
    await page.reload()
    await page.getByLabel('Access token').waitFor()
    // The browser itself notes each refusal by the server; nothing else went wrong.
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
  })

  test('says why a link does not sign in, and asks for the token', async () => {
    await page.goto(`${http.url}/#token=the-one-before-the-restart`)
    await page.getByRole('alert').getByText('This is not the token.').waitFor()
    expect(page.url()).not.toContain('before-the-restart')
    await page.getByLabel('Access token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Lag' }).waitFor()
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
  })

  test('takes the token out of the address that a terminal shows', async () => {
    await page.goto(`${http.url}/#token=${token}`)
    await page.getByRole('heading', { name: 'Lag' }).waitFor()
    expect(page.url()).not.toContain(token)
    expect(complaints).toEqual([])
  })

  test('shows that the database is away, that nothing is lost, and that it is back', async () => {
    await open('overview')
    await page.getByText('Everything that was acknowledged is in the database.').waitFor()
    await server.shutDown()
    await users.set('1', { name: 'Ada', visits: 1 })
    const alert = page.getByRole('status').getByText(/The store is not reachable/)
    await alert.waitFor()
    await page.getByText('Store away').waitFor()
    await page.getByText('What is written is safe in the journal').waitFor()
    await page.getByText(/failed attempt/).waitFor()
    await page.goto(`${http.url}/#/pending`)
    await page.getByRole('row', { name: /users 1 set name=Ada/ }).waitFor()
    await page.goto(`${http.url}/#/keys?cache=users&key=1`)
    await page.getByText(/cannot be read:/).waitFor()
    await page.getByRole('row', { name: /name Ada Ada –/ }).waitFor()
    await page.getByLabel('Key', { exact: true }).fill('2')
    await page.keyboard.press('Enter')
    await page.getByText(/the database may have one/).waitFor()
    await server.start()
    await alert.waitFor({ state: 'detached' })
    await page.goto(`${http.url}/#/overview`)
    await page.getByText('Everything that was acknowledged is in the database.').waitFor()
    await page.getByText(/The store answers again after/).waitFor()
    expect(await rowOf('1')).toEqual({ name: 'Ada', visits: 1 })
    expect(complaints).toEqual([])
  })

  test('retries refused rows when what was wrong is mended: a few first, chosen ones, then all', async () => {
    await refused('a', 'b', 'c', 'd', 'e')
    await open('dead-letters')
    const group = page.getByRole('button', { name: /no_mallory/ })
    await group.waitFor()
    await page.getByRole('button', { name: 'Retry all 5' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Retry 5' }).click()
    await note(/Of 5 letters, 0 in the database now and 5 refused again/).waitFor()
    await administer(server.url, 'alter table users drop constraint no_mallory')

    await page.getByRole('button', { name: 'Retry the first…' }).click()
    await page.getByLabel('How many').fill('2')
    await page.getByRole('button', { name: 'Retry them' }).click()
    await note('2 letters in the database now.').waitFor()
    expect(book.stats().deadLetters.count).toBe(3)

    await page.getByLabel('Select users c').check()
    await page.getByText('1 selected').waitFor()
    await page.getByRole('button', { name: 'Retry selected' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Retry 1' }).click()
    await note('1 letter in the database now.').waitFor()

    await page.getByRole('button', { name: 'Retry all 2' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Retry 2' }).click()
    await page.getByText('There are no dead letters.').waitFor()
    expect(await rowOf('e')).toEqual({ name: 'Mallory', visits: 1 })
    expect(complaints).toEqual([])
  })

  test('shows a refused row beside the current one, and writes what it is changed to', async () => {
    await users.set('42', { name: 'Ada', visits: 7 })
    await refused('42')
    await open('dead-letters')
    await page.getByRole('button', { name: '42', exact: true }).click()
    const drawer = page.getByRole('dialog')
    await drawer.getByText('no_mallory').first().waitFor()
    await drawer.getByRole('row', { name: /name Mallory Ada differs/ }).waitFor()
    await drawer.getByRole('button', { name: 'Edit and retry' }).click()
    const editor = drawer.getByRole('textbox')
    await editor.fill('{"name": ')
    await drawer.getByRole('button', { name: 'Write this instead' }).click()
    await drawer
      .getByRole('alert')
      .getByText(/This is not JSON/)
      .waitFor()
    await editor.fill('{"name": "Mona", "visit": 8}')
    await drawer.getByRole('button', { name: 'Write this instead' }).click()
    await drawer.getByRole('alert').getByText(/visit/).waitFor()
    await editor.fill('{"name": "Mona", "visits": 8}')
    await drawer.getByRole('button', { name: 'Write this instead' }).click()
    await note('1 letter in the database now.').waitFor()
    expect(await rowOf('42')).toEqual({ name: 'Mona', visits: 8 })
    // The refusal of what was typed is an answer of the server, which the browser notes.
    expect(complaints.filter((text) => !text.includes('400'))).toEqual([])
  })

  test('warns before a newer value is overwritten', async () => {
    await refused('42')
    await users.set('42', { name: 'Ada', visits: 2 })
    await book.flush()
    await administer(server.url, 'alter table users drop constraint no_mallory')
    await open('dead-letters')
    await page.getByText('newer value').waitFor()
    await page.getByRole('button', { name: '42', exact: true }).click()
    await page.getByText('A newer value of this key is in the database.').waitFor()
    await page.getByRole('button', { name: 'Retry', exact: true }).click()
    const question = page.getByRole('dialog', { name: 'Overwrite the newer value?' })
    await question.getByRole('button', { name: 'Cancel' }).click()
    expect(await rowOf('42')).toEqual({ name: 'Ada', visits: 2 })
    await page.getByRole('button', { name: 'Retry', exact: true }).click()
    await question.getByRole('button', { name: 'Overwrite it' }).click()
    await note('1 letter in the database now.').waitFor()
    expect(await rowOf('42')).toEqual({ name: 'Mallory', visits: 1 })
    expect(complaints).toEqual([])
  })

  test('discards only after it was said how many, and exports them first', async () => {
    await refused('a', 'b', 'x1')
    await open('dead-letters')
    await page.getByLabel('Search').fill('X1')
    await page.keyboard.press('Enter')
    await page.getByText('1 dead letter fits the filter').waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Export' }).click(),
    ])
    const exported = readFileSync(await download.path(), 'utf8')
      .trimEnd()
      .split('\n')
    expect(exported.map((line) => (JSON.parse(line) as { key: string }).key)).toEqual(['x1'])
    await page.getByRole('button', { name: 'Discard…' }).click()
    const question = page.getByRole('dialog', { name: 'Discard 1 dead letter?' })
    const go = question.getByRole('button', { name: 'Discard 1' })
    expect(await go.isDisabled()).toBe(true)
    await question.getByLabel('Type 1 to go ahead').fill('1')
    await go.click()
    await note('Discarded 1 dead letter.').waitFor()
    expect(book.stats().deadLetters.count).toBe(2)
    await page.getByLabel('Search').fill('')
    await page.keyboard.press('Enter')
    await page.getByText('2 dead letters', { exact: true }).waitFor()
    expect(complaints).toEqual([])
  })

  test('keeps the filter of dead letters in the address, and as many as were loaded when new ones come', async () => {
    const keys = Array.from({ length: 60 }, (_, at) => `a${String(at)}`)
    await refused(...keys, 'b1')
    await open('dead-letters')
    await page.getByLabel('Search').fill('a')
    const cache = page.getByLabel('Cache', { exact: true })
    await cache.selectOption('users')
    await page.getByLabel('Search').fill('a5')
    await page.keyboard.press('Enter')
    await page.getByText('11 dead letters fit the filter').waitFor()
    await page.reload()
    await page.getByText('11 dead letters fit the filter').waitFor()
    expect(await page.getByLabel('Search').inputValue()).toBe('a5')
    expect(await cache.inputValue()).toBe('users')
    await page.getByLabel('Search').fill('')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Take away the filter cache users' }).click()
    await page.getByText('61 dead letters', { exact: true }).waitFor()
    expect(page.url()).toMatch(/#\/dead-letters$/)
    const more = page.getByRole('button', { name: 'Load more' })
    await more.click()
    await page.getByLabel('Select users b1').check()
    await refused('c1')
    // The new one is on the page after those that were loaded.
    await more.waitFor()
    await page.getByRole('link', { name: /Dead letters 62/ }).waitFor()
    await page.getByText('1 selected').waitFor()
    expect(await page.getByLabel('Select users b1').isChecked()).toBe(true)
    expect(complaints).toEqual([])
  })

  test('closes a letter when another page is gone to', async () => {
    await refused('a')
    await open('dead-letters')
    await page.getByRole('button', { name: 'a', exact: true }).click()
    await page.getByRole('dialog').getByRole('link', { name: 'Inspect the key' }).click()
    await page.getByRole('link', { name: '1 dead letter', exact: true }).waitFor()
    expect(await page.getByRole('dialog').count()).toBe(0)
    await page.getByRole('link', { name: '1 dead letter', exact: true }).click()
    await page.getByRole('button', { name: 'a', exact: true }).click()
    await page.getByRole('dialog').waitFor()
    await page.goBack()
    await page.getByRole('heading', { name: 'Keys', exact: true }).waitFor()
    expect(await page.getByRole('dialog').count()).toBe(0)
    // Where its link leads to the page that is shown, too.
    await users.merge('a', { visits: 2 })
    await book.flush()
    await page.goto(`${http.url}/#/dead-letters?cache=users`)
    await page.getByText('2 dead letters fit the filter').waitFor()
    await page.getByRole('button', { name: 'a', exact: true }).last().click()
    await page.getByRole('dialog').getByRole('link', { name: 'See those of the cache' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(complaints).toEqual([])
  })

  test('keeps what can be done within reach of a long value', async () => {
    await users.set('long', { name: 'Mallory', note: 'N'.repeat(200_000) })
    await book.flush()
    await open('dead-letters')
    await page.getByRole('button', { name: 'long', exact: true }).click()
    const drawer = page.getByRole('dialog')
    const value = drawer.getByRole('group', { name: 'Would write' })
    await value.focus()
    expect((await value.boundingBox())?.height).toBeLessThan(400)
    const retry = await drawer.getByRole('button', { name: 'Retry', exact: true }).boundingBox()
    expect(retry?.y).toBeLessThan(900)
    expect(complaints).toEqual([])
  })

  test('shows new dead letters as they come, and what they are grouped by', async () => {
    await open('dead-letters')
    await page.getByText('The database has refused nothing.').waitFor()
    await refused('a', 'b')
    const group = /^2.*no_mallory/
    await page.getByRole('button', { name: group }).click()
    await page.getByRole('button', { name: group, pressed: true }).waitFor()
    await page.getByRole('button', { name: 'Take away the filter code 23514' }).click()
    await page.getByRole('link', { name: /Dead letters 2/ }).waitFor()
    expect(complaints).toEqual([])
  })

  test('pauses, resumes, flushes, changes options, and notes who did it', async () => {
    await open('operations')
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
    await note('Flushing is paused.').last().waitFor()
    expect(book.stats().state).toBe('paused')
    await users.set('1', { name: 'Ada', visits: 1 })
    await page.getByText('1 mutation pending.').waitFor()
    await page.getByRole('main').getByRole('button', { name: 'Resume' }).click()
    await note('Flushing goes on.').waitFor()
    await page.getByLabel('Flush delay (ms)').fill('60000')
    await page.getByLabel('Row limit (rows/s)').fill('5000')
    await page.getByRole('button', { name: 'Change' }).click()
    await note('Changed, and in force.').waitFor()
    expect(book.options.flush).toMatchObject({ delayMs: 60_000, maxRowsPerSecond: 5_000 })
    await users.set('2', { name: 'Bob', visits: 1 })
    await page.getByRole('button', { name: 'Flush now' }).click()
    await note(/Flushed 1 mutation\. Everything is in the database\./).waitFor()
    expect(await rowOf('2')).toEqual({ name: 'Bob', visits: 1 })
    await page.getByRole('button', { name: 'Drain' }).click()
    await note(/nothing is pending/).waitFor()
    for (const action of [/POST pause/, /POST resume/, /PATCH options .*60000/, /POST flush/]) {
      await page.getByRole('row', { name: action }).first().waitFor()
    }
    expect(complaints).toEqual([])
  })

  test('shows a key in the cache, in the journal and in the database side by side', async () => {
    await users.set('42', { name: 'Ada', visits: 1 })
    await book.flush()
    book.pause()
    await users.increment('42', { visits: 4 })
    await open('keys')
    await page.getByLabel('Key', { exact: true }).fill('42')
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.getByRole('row', { name: 'visits 5 +4 1' }).waitFor()
    expect(page.url()).toContain('#/keys?cache=users&key=42')
    await page.getByRole('button', { name: 'Forget the cached value' }).click()
    await note(/Forgotten/).waitFor()
    await page.getByText('nothing cached').waitFor()
    // The row of another cache is not shown for one that is not here.
    await page.goto(`${http.url}/#/keys?cache=orders&key=42`)
    await page.getByText('There is no cache orders here.').waitFor()
    expect(await page.getByRole('row').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('shows of a large collection what differs first, and says how many there are besides', async () => {
    const carts = book.cache<Record<string, number>>('carts')
    const cart = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`item ${index}`, 1]),
    )
    await carts.set('1', cart)
    await book.flush()
    book.pause()
    await carts.merge('1', { 'item 19999': 2 })
    await open('keys')
    await page.goto(`${http.url}/#/keys?cache=carts&key=1`)
    const rows = page.getByRole('table', { name: 'Columns of carts 1' }).getByRole('row')
    await page.getByText('19,800 more columns; 1 of all differ').waitFor()
    expect(await rows.count()).toBe(202)
    expect(await rows.nth(1).textContent()).toBe('item 19999221')
    expect(complaints).toEqual([])
  })

  test('lists the keys of a cache, those in the journal only too, and shows the chosen one', async () => {
    await administer(
      server.url,
      "insert into users (id, name) select 'row-' || n, 'Ada' from generate_series(100, 249) n",
    )
    book.pause()
    await users.set('new-1', { name: 'Bob', visits: 1 })
    await users.delete('row-249')
    await open('keys')
    const keys = page.getByRole('list', { name: 'Keys of the cache' }).getByRole('link')
    await page.getByText('100 keys so far').waitFor()
    expect(await keys.count()).toBe(100)
    const more = page.getByRole('button', { name: 'Load more' })
    await more.click()
    await page.getByText('150 keys', { exact: true }).waitFor()
    expect(await more.isVisible()).toBe(false)
    expect(new Set(await keys.allTextContents()).size).toBe(150)
    await keys.getByText('new-1', { exact: true }).click()
    await page.getByRole('row', { name: 'name Bob Bob –' }).waitFor()
    expect(page.url()).toContain('#/keys?cache=users&key=new-1')
    // The list stays where it is, and goes on by keys from the chosen one.
    expect(await keys.count()).toBe(150)
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.getByRole('row', { name: 'name – – Ada' }).waitFor()
    expect(await page.getByLabel('Key', { exact: true }).inputValue()).toBe('row-100')
    await page.keyboard.press('End')
    expect(await page.evaluate('document.activeElement?.textContent')).toBe('row-248')
    await page.keyboard.press('Home')
    expect(await page.evaluate('document.activeElement?.textContent')).toBe('new-1')

    await page.getByLabel('Keys that begin with').fill('row-24')
    await page.keyboard.press('Enter')
    await page.getByText('9 keys', { exact: true }).waitFor()
    await page.reload()
    await page.getByText('9 keys', { exact: true }).waitFor()
    await page.getByRole('row', { name: 'name – – Ada' }).waitFor()
    await page.goBack()
    await page.getByRole('row', { name: 'name Bob Bob –' }).waitFor()
    await page.getByLabel('Keys that begin with').fill('nobody')
    await page.getByRole('button', { name: 'List', exact: true }).click()
    await page.getByText('No key begins so.').waitFor()

    // What is wrong with a key takes the place of the key before it.
    await page.getByLabel('Key', { exact: true }).fill('x'.repeat(2_000))
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.getByText(/at most 1024 bytes/).waitFor()
    expect(await page.getByRole('row').count()).toBe(0)
    expect(complaints.filter((text) => !text.includes('400'))).toEqual([])
  })

  test('begins a list of keys again where the server has forgotten it, and says why it has none', async () => {
    await administer(
      server.url,
      "insert into users (id, name) select 'row-' || n, 'Ada' from generate_series(100, 10349) n",
    )
    await open('keys')
    await page.getByText('100 keys so far').waitFor()
    const more = page.getByRole('button', { name: 'Load more' })
    await more.click()
    await page.getByText('200 keys so far').waitFor()
    // Others took its place.
    for (let list = 0; list < 16; list++) {
      const headers = { authorization: `Bearer ${token}` }
      await fetch(`${http.url}/api/caches/users/keys?limit=1`, { headers })
    }
    await more.click()
    await note('The list had expired, and was begun again.').waitFor()
    await page.getByText('100 keys so far').waitFor()
    // Beyond what the server looks at for one answer.
    await page.getByLabel('Keys that begin with').fill('row-9999')
    await page.keyboard.press('Enter')
    await page.getByText('1 key', { exact: true }).waitFor()
    await page.getByLabel('Keys that begin with').fill('')
    await server.shutDown()
    await page.getByRole('button', { name: 'List', exact: true }).click()
    await page.getByText(/^postgres: /).waitFor()
    await server.start()
    await page.getByRole('button', { name: 'List', exact: true }).click()
    await page.getByText('100 keys so far').waitFor()
    // Refusals are answers of the server, which the browser notes.
    expect(complaints.filter((text) => !/410|503/.test(text))).toEqual([])
  })

  test('shows hostile keys, values and errors as the text that they are', async () => {
    const hostile = '<img src=x onerror="window.hacked = true">'
    await administer(
      server.url,
      `create function refuse() returns trigger language plpgsql as $$
         begin
           if new.name like '<img%' then raise exception '%', new.name using errcode = '23514'; end if;
           return new;
         end $$;
       create trigger refuse before insert or update on users for each row execute function refuse()`,
    )
    await users.set(hostile, { name: hostile, visits: 1 })
    await users.set('"><script>window.hacked = true</script>', { name: hostile, visits: 1 })
    await book.flush()
    await open('dead-letters')
    await page.getByRole('button', { name: hostile, exact: true }).click()
    await page.getByRole('dialog').getByText(hostile).first().waitFor()
    await page.goto(`${http.url}/#/keys?cache=users&key=${encodeURIComponent(hostile)}`)
    await page.getByRole('link', { name: '1 dead letter' }).waitFor()
    expect(await page.evaluate('window.hacked')).toBeUndefined()
    expect(complaints).toEqual([])
  })

  test('can be used without a mouse', async () => {
    await refused('a')
    await open('overview')
    await page.keyboard.press('4')
    await page.getByRole('heading', { level: 1, name: 'Dead letters' }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('a4')
    expect(await page.getByLabel('Search').inputValue()).toBe('a4')
    await page.getByLabel('Search').fill('')
    // From the search on to the letter, which opens and closes by keys alone.
    await page.getByRole('button', { name: 'a', exact: true }).waitFor()
    await expect
      .poll(
        async () => {
          await page.keyboard.press('Tab')
          return page.evaluate('document.activeElement?.textContent')
        },
        { timeout: 15_000, interval: 1 },
      )
      .toBe('a')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.locator('body').click({ position: { x: 5, y: 500 } })
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    expect(complaints).toEqual([])
  })

  test('is light or dark as the system is, or as was chosen', async () => {
    await page.emulateMedia({ colorScheme: 'dark' })
    await open('overview')
    const ground = (): Promise<string> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor')
    const dark = await ground()
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await ground()
    expect(light).not.toBe(dark)
    await page.getByRole('button', { name: 'Theme: as the system' }).click()
    await page.getByRole('button', { name: 'Theme: light' }).click()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    expect(await ground()).toBe(dark)
    await page.reload()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    expect(await ground()).toBe(dark)
  })

  test('fits on a phone, with nothing beyond its edge', async () => {
    await refused('a-key-that-is-longer-than-a-phone-is-wide-'.repeat(4), 'b')
    book.pause()
    await users.set('c', { name: 'x'.repeat(500), visits: 1 })
    await users.set('k'.repeat(300), { name: 'Ada', visits: 1 })
    await page.setViewportSize({ width: 375, height: 812 })
    // What each page shows once it has all that it asked the server for.
    for (const [name, last] of [
      ['overview', 'Flushing is paused. What is written'],
      ['pending', 'name=xxx'],
      ['keys', '2 keys'],
      ['keys?cache=users&key=c', 'up to position'],
      ['dead-letters', 'name=Mallory'],
      ['operations', 'What only a restart changes'],
    ] as const) {
      await open(name)
      await page.getByText(last).first().waitFor()
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect([name, width]).toEqual([name, 375])
    }
    await open('dead-letters')
    await page.getByRole('button', { name: 'b', exact: true }).click()
    const box = await page.getByRole('dialog').boundingBox()
    expect(box?.width).toBe(375)
    expect(complaints).toEqual([])
  })

  test.each(['light', 'dark'] as const)('has no barrier that axe knows of, %s', async (scheme) => {
    await refused('a', 'b')
    await users.set('42', { name: 'Ada', visits: 1 })
    await book.flush()
    book.pause()
    await users.increment('42', { visits: 1 })
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
    const barriers = async (): Promise<unknown> => {
      // By the protocol: the page's own policy lets no script in.
      await page.evaluate(axe.source)
      const { violations, passes } = await page.evaluate<axe.AxeResults>('axe.run()')
      expect(passes.length).toBeGreaterThan(10)
      return violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) }))
    }
    for (const name of [...pages, 'keys?cache=users&key=42']) {
      await open(name)
      await page.getByRole('status').getByText('Flushing is paused').waitFor()
      expect([name, await barriers()]).toEqual([name, []])
    }
    await open('keys?cache=users&key=42&prefix=')
    await page.getByRole('link', { name: '42', exact: true }).waitFor()
    await page.getByRole('row', { name: /visits/ }).waitFor()
    expect(await barriers()).toEqual([])
    await open('dead-letters')
    await page.getByRole('button', { name: 'a', exact: true }).click()
    await page.getByRole('dialog').getByRole('table').waitFor()
    expect(await barriers()).toEqual([])
  })

  test('says that it is not live where as many follow the figures as may', async () => {
    await http.close()
    http = await startHttp(
      book,
      { port: 0, token, limits: { liveClients: 0 } },
      { clock: systemClock, random: systemRandom, logger: silentLogger, caches: ['users'] },
    )
    await open('overview')
    await page.getByText('Not live').waitFor()
    await page.getByText('Reconnecting…').waitFor()
    // A budget of which nothing is known does not look used up.
    const width = "getComputedStyle(document.querySelector('.meter-fill')).width"
    expect(await page.evaluate(width)).toBe('0px')
    expect(complaints.filter((text) => !text.includes('503'))).toEqual([])
  })

  test('goes on by itself when the server is back, and says so meanwhile', async () => {
    await open('overview')
    const port = Number(new URL(http.url).port)
    await http.close()
    await page.getByText('Reconnecting…').waitFor()
    await page.getByText('Not live').waitFor()
    expect(await page.getByText('Flushing', { exact: true }).count()).toBe(0)
    await page.getByRole('link', { name: 'Dead letters' }).click()
    await page.getByRole('link', { name: 'Pending' }).click()
    const failed = page.getByRole('alert').getByText('could not be loaded: The server does not')
    await failed.waitFor()
    await page.getByRole('link', { name: 'Dead letters' }).click()
    // Said once, on the page that is shown; and nothing is offered that there may not be.
    await failed.waitFor()
    expect(await failed.count()).toBe(1)
    expect(await page.getByRole('button', { name: 'Discard…' }).isDisabled()).toBe(true)
    await page.getByRole('link', { name: 'Overview' }).click()
    http = await startHttp(
      book,
      { port, token },
      { clock: systemClock, random: systemRandom, logger: silentLogger, caches: ['users'] },
    )
    // Sessions end with the server: the page asks for the token again.
    await page.getByLabel('Access token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Lag' }).waitFor()
    await page.getByText('Reconnecting…').waitFor({ state: 'hidden' })
  })
})
