/** `await cache.get(key)` of a cached row, beside lru-cache's `get` through an async function. */

import { ratio, type Bed, type Bench, type Measures } from './bench.ts'
import { loadLruCache } from './peers.ts'
import { user, type User } from './rows.ts'

const keys = 10_000

export const bench: Bench = {
  name: 'cached-get',
  about: 'await get(key) of 10,000 cached rows, one after the other',
  rounds: 5,
  sides: [
    { name: 'daybook', run: daybook },
    { name: 'lru-cache', run: lruCache },
  ],
  verdicts: (figure) => [
    {
      claim: 'get of a cached value to lru-cache',
      value: ratio(figure('daybook', 'perSecond'), figure('lru-cache', 'perSecond')),
      target: 0.5,
      bound: 'at least',
      unit: '×',
    },
  ],
}

async function daybook(bed: Bed): Promise<Measures> {
  const { openOnSqlite } = await import('./open.ts')
  const { book, users } = await openOnSqlite(bed.directory)
  await users.setMany(rows())
  await book.flush()
  return readAll(bed, (key) => users.get(key))
}

async function lruCache(bed: Bed): Promise<Measures> {
  const { LRUCache } = await loadLruCache()
  const cache = new LRUCache({ max: 2 * keys })
  for (const [key, row] of rows()) cache.set(key, row)
  return readAll(bed, async (key) => cache.get(key) as User | undefined)
}

function rows(): Map<string, User> {
  return new Map(Array.from({ length: keys }, (_, index) => [String(index), user(index)]))
}

async function readAll(
  bed: Bed,
  get: (key: string) => Promise<User | undefined>,
): Promise<Measures> {
  const names = [...rows().keys()]
  const pass = async (): Promise<void> => {
    for (let index = 0; index < keys; index++) {
      const row = await get(names[index] ?? '')
      if (row?.visits !== index) throw new Error(`key ${index} reads wrong`)
    }
  }
  const passesFor = async (ms: number): Promise<number> => {
    const from = performance.now()
    let passes = 0
    while (performance.now() - from < ms) {
      await pass()
      passes++
    }
    return (passes * keys) / ((performance.now() - from) / 1000)
  }
  await passesFor(500 * bed.scale)
  return { perSecond: await passesFor(2000 * bed.scale) }
}
