/** Keys that begin alike: the same as all keys, filtered; and asked of the store alone where its order is that of bytes. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Cache } from '../../src/book/cache.ts'
import type { CacheOptions } from '../../src/book/options.ts'
import { openDaybook } from '../../src/open-daybook.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'

/** Beyond the surrogates UTF-16 and UTF-8 are of another order. */
const character = fc.constantFrom('a', 'b', 'A', ' ', 'é', '\uFFEE', '😀', '\u{10FFFF}', '%', '_')
const text = fc.array(character, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))

async function opened(
  ddl: string,
  options: CacheOptions<object>,
): Promise<{ cache: Cache<object>; asked: () => number; flush: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-prefix-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'shop.db')
  const database = new DatabaseSync(path)
  database.exec(ddl)
  database.close()
  const store = sqlite({ path })
  const keys = vi.spyOn(store, 'keys')
  const book = await openDaybook({ directory, store, control: false, flush: { delayMs: 1e7 } })
  onTestFinished(async () => void (await book.close({ drainTimeoutMs: 0 })))
  const cache = book.cache<object>('things', options)
  return { cache, asked: () => keys.mock.calls.length, flush: () => book.flush() }
}

async function listed(keys: AsyncGenerator<string>): Promise<string[]> {
  const found: string[] = []
  for await (const key of keys) found.push(key)
  return found.sort()
}

const things = { table: 'things', key: 'id' }

test.each([
  ['documents', '', {}],
  ['a key of type TEXT', 'CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER)', things],
  [
    'a database in UTF-16',
    `PRAGMA encoding = 'UTF-16'; CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER)`,
    things,
  ],
])('are those of all keys, of %s', async (_name, ddl, options) => {
  const { cache, flush } = await opened(ddl, options)
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(text, { maxLength: 20 }),
      fc.uniqueArray(text, { maxLength: 5 }),
      fc.uniqueArray(text, { maxLength: 5 }),
      fc.oneof(text, fc.constantFrom('', 'a\0', 'x'.repeat(2_000), '\ud83d')),
      async (stored, pending, deleted, prefix) => {
        for await (const key of cache.keys()) await cache.delete(key)
        await cache.setMany(stored.map((key) => [key, { n: 1 }] as const))
        await flush()
        await cache.setMany(pending.map((key) => [key, { n: 2 }] as const))
        await cache.deleteMany(deleted)
        const all = new Set([...stored, ...pending].filter((key) => !deleted.includes(key)))
        const expected = [...all].filter((key) => key.startsWith(prefix)).sort()
        expect(await listed(cache.keys({ prefix }))).toEqual(expected)
      },
    ),
    { numRuns: 60, seed: 20261128 },
  )
})

test('cost no walk over all the others', async () => {
  const { cache, asked, flush } = await opened('', {})
  await cache.setMany(Array.from({ length: 5_000 }, (_, at) => [`m${at}`, { at }] as const))
  await cache.setMany([['z1', {}] as const, ['a', {}] as const, ['a1', {}] as const])
  await flush()
  const before = asked()
  expect(await listed(cache.keys({ prefix: 'a' }))).toEqual(['a', 'a1'])
  expect(await listed(cache.keys({ prefix: 'z' }))).toEqual(['z1'])
  expect(asked() - before).toBe(2)
  await listed(cache.keys())
  expect(asked() - before).toBeGreaterThan(6)
})

test.each([
  ['INTEGER', ['1', '10', '2', '100']],
  ['CHAR(9)', ['1', '10', '2', '100']],
])('are found where the key is %s', async (type, keys) => {
  const { cache, flush } = await opened(
    `CREATE TABLE things (id ${type} PRIMARY KEY, n INTEGER)`,
    things,
  )
  await cache.setMany(keys.map((key) => [key, { n: 1 }] as const))
  await flush()
  expect(await listed(cache.keys({ prefix: '10' }))).toEqual(['10', '100'])
})
