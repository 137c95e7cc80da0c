/** Browsing keys: all of them, once each, in pages that end, and never an error taken for the end. */

import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemRandom } from '../../../src/base/random.ts'
import { KeyLists, type ListedKeys, type ListSource } from '../../../src/server/http/key-lists.ts'
import { StoreFailureError } from '../../../src/store/failure.ts'
import { sqlite } from '../../../src/store/sqlite/index.ts'
import { user } from '../../support/book-fixture.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { serve, temporaryDirectory, type Answer, type Served } from './http-fixture.ts'

function sourceOf(names: Iterable<string>, given: Partial<ListSource> = {}): ListSource {
  const keys = async function* (): AsyncGenerator<string> {
    yield* names
  }
  return { cache: 'users', prefix: '', keys, ...given }
}

function* manyNames(count: number): Generator<string> {
  for (let at = 0; at < count; at++) yield at === count - 1 ? 'the last' : `k${at}`
}

const unknown: unknown = expect.objectContaining({ code: 'CURSOR_UNKNOWN' })

describe('a list', () => {
  const abcd = sourceOf(['a', 'b', 'c', 'd'])

  it('goes on page by page, and gives its last page again', async () => {
    const lists = new KeyLists(new ManualClock(), systemRandom)
    const first = await lists.page(abcd, undefined, 2)
    expect(first.keys).toEqual(['a', 'b'])
    const [second, again] = await Promise.all([
      lists.page(abcd, first.next, 1),
      lists.page(abcd, first.next, 100),
    ])
    expect([second.keys, again]).toEqual([['c'], second])
    expect(await lists.page(abcd, second.next, 10)).toEqual({ keys: ['d'] })
    expect(await lists.page(abcd, second.next, 10)).toEqual({ keys: ['d'] })
    await expect(lists.page(abcd, first.next, 1)).rejects.toThrow(unknown)
  })

  it('is of one cache and one prefix', async () => {
    const lists = new KeyLists(new ManualClock(), systemRandom)
    const { next } = await lists.page(abcd, undefined, 1)
    for (const other of [
      { ...abcd, cache: 'orders' },
      { ...abcd, prefix: 'a' },
    ]) {
      await expect(lists.page(other, next, 1)).rejects.toThrow(unknown)
    }
    expect((await lists.page(abcd, next, 1)).keys).toEqual(['b'])
  })

  it('looks at a bounded number of keys for a page', async () => {
    const lists = new KeyLists(new ManualClock(), systemRandom)
    const source = sourceOf(manyNames(25_000), { prefix: 'the' })
    const pages: ListedKeys[] = [await lists.page(source, undefined, 10)]
    for (let page = pages[0]; page?.next !== undefined;) {
      page = await lists.page(source, page.next, 10)
      pages.push(page)
    }
    expect(pages.map(({ keys }) => keys)).toEqual([[], [], ['the last']])
  })

  it('that nobody goes on with is forgotten after five minutes', async () => {
    const clock = new ManualClock()
    const lists = new KeyLists(clock, systemRandom)
    const first = await lists.page(abcd, undefined, 1)
    await clock.advance(299_999)
    const second = await lists.page(abcd, first.next, 1)
    await clock.advance(299_999)
    // Asking for a page again is going on with it, too.
    await lists.page(abcd, first.next, 1)
    await clock.advance(299_999)
    const third = await lists.page(abcd, second.next, 1)
    await clock.advance(300_000)
    await expect(lists.page(abcd, third.next, 1)).rejects.toThrow(unknown)
    expect(clock.armed).toBe(0)
  })

  it('makes room for others: the one that was used least lately goes', async () => {
    const clock = new ManualClock()
    const lists = new KeyLists(clock, systemRandom)
    const first = await lists.page(abcd, undefined, 1)
    const second = await lists.page(abcd, undefined, 1)
    const onward = await lists.page(abcd, first.next, 1)
    for (let n = 0; n < 15; n++) await lists.page(abcd, undefined, 1)
    await expect(lists.page(abcd, second.next, 1)).rejects.toThrow(unknown)
    expect((await lists.page(abcd, onward.next, 1)).keys).toEqual(['c'])
    expect(clock.armed).toBe(16)
    lists.close()
    expect(clock.armed).toBe(0)
    await expect(lists.page(abcd, onward.next, 1)).rejects.toThrow(unknown)
  })

  it('ends with its error, after the keys that were found before', async () => {
    const clock = new ManualClock()
    const lists = new KeyLists(clock, systemRandom)
    const source = sourceOf([], {
      async *keys() {
        yield* ['a', 'b']
        throw new Error('the store is away')
      },
    })
    const first = await lists.page(source, undefined, 10)
    expect(first.keys).toEqual(['a', 'b'])
    await expect(lists.page(source, first.next, 10)).rejects.toThrow('the store is away')
    await expect(lists.page(source, first.next, 10)).rejects.toThrow(unknown)
    expect(clock.armed).toBe(0)
  })
})

async function withSqlite(): Promise<Served & { database: DatabaseSync }> {
  const directory = temporaryDirectory()
  const path = join(directory, 'store.sqlite')
  const database = new DatabaseSync(path)
  database.exec(
    `create table users (
       id text primary key, name text, visits integer not null default 0,
       score real not null default 0, email text unique
     ) strict`,
  )
  const served = await serve({ directory, book: { store: sqlite({ path }) } })
  return { ...served, database }
}

/** All pages until the end, at most 1,000. */
async function listed({ api }: Served, query = ''): Promise<string[][]> {
  const pages: string[][] = []
  let after = ''
  while (pages.length < 1_000) {
    const { status, json } = await api('GET', `/api/caches/users/keys?${query}${after}`)
    expect(status).toBe(200)
    const { keys, next } = json as { keys: string[]; next?: string }
    pages.push(keys)
    if (next === undefined) return pages
    after = `&after=${next}`
  }
  throw new Error('The list does not end.')
}

function codeOf({ status, json }: Answer): unknown {
  return [status, (json.error as { code: string } | undefined)?.code]
}

describe('the keys of a cache on SQLite', () => {
  it('are all there once, in many pages, pending or not', async () => {
    const served = await withSqlite()
    const { users, book, database } = served
    const insert = database.prepare('insert into users (id, name) values (?, ?)')
    // More than one page of the store, and not through this daybook.
    for (let at = 0; at < 1_205; at++) insert.run(`row-${at}`, 'Ada')
    database.close()
    await users.set('flushed', user('Ada'))
    await book.flush()
    book.pause()
    await users.set('pending', user('Bob'))
    await users.merge('row-7', { visits: 1 })
    await users.delete('row-8')
    await users.set('gone', user('Eve'))
    await users.delete('gone')
    const expected = Array.from({ length: 1_205 }, (_, at) => `row-${at}`)
      .filter((key) => key !== 'row-8')
      .concat('flushed', 'pending')
      .sort()
    for (const limit of [1_000, 100, 97]) {
      const pages = await listed(served, `limit=${limit}`)
      for (const keys of pages.slice(0, -1)) expect(keys).toHaveLength(limit)
      expect(pages.flat().sort()).toEqual(expected)
    }
    expect((await listed(served)).every((keys) => keys.length <= 100)).toBe(true)
    const prefixed = (await listed(served, 'prefix=row-12&limit=10')).flat().sort()
    expect(prefixed).toEqual(expected.filter((key) => key.startsWith('row-12')))
    expect(await listed(served, 'prefix=gone')).toEqual([[]])
    expect(await listed(served, 'prefix=pend')).toEqual([['pending']])
  })

  it('are as they were when the list began, also where they are flushed or deleted meanwhile', async () => {
    const served = await withSqlite()
    const { users, book, api, database } = served
    database.close()
    book.pause()
    const names = Array.from({ length: 10 }, (_, at) => `k${at}`)
    for (const key of names) await users.set(key, user('Ada', { email: key }))
    const first = (await api('GET', '/api/caches/users/keys?limit=4')).json
    book.resume()
    await book.flush()
    await users.delete('k0')
    await book.flush()
    const rest = await api('GET', `/api/caches/users/keys?limit=100&after=${String(first.next)}`)
    const keys = [...(first.keys as string[]), ...(rest.json.keys as string[])]
    expect(keys.sort()).toEqual(names)
    expect((await listed(served)).flat().sort()).toEqual(names.slice(1))
  })

  it.each([
    ['after=nonsense', [410, 'CURSOR_UNKNOWN']],
    ['after=', [410, 'CURSOR_UNKNOWN']],
    ['after=00000000-0000-4000-8000-000000000000.2', [410, 'CURSOR_UNKNOWN']],
    ['limit=0', [400, 'BAD_REQUEST']],
    ['limit=1001', [400, 'BAD_REQUEST']],
    ['cursor=1', [400, 'BAD_REQUEST']],
  ])('cannot be asked for with %s', async (query, refusal) => {
    const { api } = await serve()
    expect(codeOf(await api('GET', `/api/caches/users/keys?${query}`))).toEqual(refusal)
  })

  it('are those of a cache that there is', async () => {
    const { api } = await serve()
    for (const cache of ['nobody', '__proto__']) {
      expect(codeOf(await api('GET', `/api/caches/${cache}/keys`))).toEqual([404, 'NOT_FOUND'])
    }
  })

  it('that are pending are listed while the store is away, and then it is said that it is', async () => {
    const { api, users, book, store } = await serve()
    book.pause()
    await users.set('pending', user('Ada'))
    const failure = { kind: 'outage', code: 'AWAY', message: 'It is away.', known: true } as const
    store.keys = () => Promise.reject(new StoreFailureError(failure))
    const first = await api('GET', '/api/caches/users/keys')
    expect(first.json.keys).toEqual(['pending'])
    const onward = `/api/caches/users/keys?after=${String(first.json.next)}`
    expect(codeOf(await api('GET', onward))).toEqual([503, 'STORE_UNAVAILABLE'])
    expect(codeOf(await api('GET', onward))).toEqual([410, 'CURSOR_UNKNOWN'])
  })
})
