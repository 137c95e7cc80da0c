import { describe, expect, test } from 'vitest'

import { openIn, user, world, type User } from '../support/book-fixture.ts'

async function opened(options = {}) {
  const place = world()
  const { book, store } = await openIn(place, options)
  return { place, book, store, users: book.cache<User>('users', { table: 'users', key: 'id' }) }
}

describe('a cache', () => {
  test('writes behind: acknowledged at once, in the store after a flush', async () => {
    const { book, place, users } = await opened()
    const receipt = await users.set('42', user('Ada', { visits: 1 }))
    expect(receipt).toMatchObject({ cache: 'users', key: '42', durability: 'journal' })
    expect(await users.get('42')).toEqual(user('Ada', { visits: 1 }))
    await book.flush()
    expect(place.database.rows('users').get('42')).toEqual(user('Ada', { visits: 1 }))
    expect(await book.persisted(receipt)).toBe('persisted')
    await book.close()
  })

  test('merges, increments and deletes', async () => {
    const { book, place, users } = await opened()
    await users.set('42', user('Ada', { visits: 1 }))
    expect(await users.increment('42', { visits: 1 })).toEqual(user('Ada', { visits: 2 }))
    await users.merge('42', { name: 'Ada L.' })
    expect(await users.get('42')).toEqual(user('Ada L.', { visits: 2 }))
    await book.flush()
    expect(place.database.rows('users').get('42')).toEqual(user('Ada L.', { visits: 2 }))
    await users.delete('42')
    expect(await users.get('42')).toBeUndefined()
    expect(await users.has('42')).toBe(false)
    await book.flush()
    expect(place.database.rows('users').size).toBe(0)
    await book.close()
  })

  test('adds exactly to cold keys, whose value is only in the store and in what is pending', async () => {
    const { book, users } = await opened({ flush: { delayMs: 100_000 } })
    await users.set('1', user('a', { visits: 5 }))
    await book.flush()
    await users.invalidate('1')
    await users.increment('1', { visits: 2 }, { returning: false })
    await users.increment('1', { visits: 3 }, { returning: false })
    expect(await users.get('1')).toEqual(user('a', { visits: 10 }))
    expect(await users.increment('1', { score: 0.5 })).toEqual(
      user('a', { visits: 10, score: 0.5 }),
    )
    await book.close()
  })

  test('counts the names of a document’s fields, which are its own, when patched and when loaded', async () => {
    const { book } = await opened()
    const tags = book.cache<Record<string, number>>('tags')
    const named = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`${n}`.padStart(100, '-'), n]),
    )
    const bytes = (): number => book.stats().cache.bytes
    const least = 200 * 100
    await tags.set('patched', {})
    await tags.merge('patched', named)
    expect(bytes()).toBeGreaterThan(least)
    await book.flush()
    await tags.invalidate('patched')
    expect(bytes()).toBe(0)
    expect(await tags.get('patched')).toEqual(named)
    expect(bytes()).toBeGreaterThan(least)
    await book.close()
  })

  test('gives copies: what a caller changes does not change the cache', async () => {
    const { book, users } = await opened()
    const given = user('Ada')
    await users.set('1', given)
    given.name = 'changed'
    const got = await users.get('1')
    if (got !== undefined) got.name = 'changed too'
    expect(await users.get('1')).toEqual(user('Ada'))
    await book.close()
  })

  test('survives a restart with everything pending', async () => {
    const place = world()
    const first = await openIn(place, { flush: { delayMs: 100_000 } })
    const before = first.book.cache<User>('users', { table: 'users', key: 'id' })
    await before.set('1', user('a'))
    await before.increment('1', { visits: 3 })
    await before.delete('2')
    await first.book.close({ drainTimeoutMs: 0 })
    expect(place.database.rows('users').size).toBe(0)

    const second = await openIn(place, { flush: { delayMs: 100_000 } })
    const after = second.book.cache<User>('users', { table: 'users', key: 'id' })
    expect(await after.get('1')).toEqual(user('a', { visits: 3 }))
    expect(await after.increment('1', { visits: 1 })).toEqual(user('a', { visits: 4 }))
    await second.book.flush()
    expect(place.database.rows('users').get('1')).toEqual(user('a', { visits: 4 }))
    await second.book.close()
  })

  test('flushes what an earlier run left, before the cache is declared', async () => {
    const place = world()
    const first = await openIn(place, { flush: { delayMs: 100_000 } })
    await first.book.cache<User>('users', { table: 'users', key: 'id' }).set('1', user('a'))
    await first.book.close({ drainTimeoutMs: 0 })
    const second = await openIn(place)
    await second.book.flush()
    expect(place.database.rows('users').get('1')).toEqual(user('a'))
    await second.book.close()
  })

  test('updates in one step under concurrency, and sets only where there is nothing', async () => {
    const { book, users } = await opened()
    await Promise.all(
      Array.from({ length: 50 }, () =>
        users.update('1', (now) => ({ ...(now ?? user('n')), visits: (now?.visits ?? 0) + 1 })),
      ),
    )
    expect((await users.get('1'))?.visits).toBe(50)
    const results = await Promise.all([1, 2, 3].map((n) => users.setIfAbsent('2', user(`u${n}`))))
    expect(results).toEqual([true, false, false])
    expect(await users.update('2', () => undefined)).toEqual(user('u1'))
    await book.close()
  })

  test('makes a missing value once for all who wait', async () => {
    const { book, users } = await opened()
    let made = 0
    const make = (): User => user(`made ${++made}`)
    const values = await Promise.all(Array.from({ length: 10 }, () => users.getOrSet('1', make)))
    expect(made).toBe(1)
    expect(new Set(values.map((value) => value.name))).toEqual(new Set(['made 1']))
    await book.close()
  })

  test('loads misses of one turn in one query, and absent keys are remembered', async () => {
    const { book, users } = await opened()
    await users.setMany([
      ['1', user('a')],
      ['2', user('b')],
    ])
    await book.flush()
    await users.invalidate('1')
    await users.invalidate('2')
    const found = await users.getMany(['1', '2', '3'])
    expect([...found.keys()]).toEqual(['1', '2'])
    expect(await users.get('3')).toBeUndefined()
    expect((await users.status()).loads).toBe(1)
    await book.close()
  })

  test('walks all keys, stored and pending', async () => {
    const { book, users } = await opened({ flush: { delayMs: 100_000 } })
    await users.setMany(['1', '2', '3'].map((key) => [key, user(key)] as const))
    await book.flush()
    await users.delete('2')
    await users.set('4', user('4'))
    const keys: string[] = []
    for await (const key of users.keys()) keys.push(key)
    expect(keys.sort()).toEqual(['1', '3', '4'])
    await book.close()
  })

  test('writes through when asked to, and says when the store refuses', async () => {
    const { book, place, store, users } = await opened()
    const receipt = await users.set('1', user('a'), { durability: 'store' })
    expect(receipt.durability).toBe('store')
    expect(place.database.rows('users').get('1')).toEqual(user('a'))
    store.reject((row) => row.key === '2')
    await expect(users.set('2', user('b'), { durability: 'store' })).rejects.toMatchObject({
      code: 'STORE_REJECTED',
      details: { outcome: 'dead-lettered' },
    })
    expect(await users.get('2')).toBeUndefined()
    expect(book.stats().deadLetters.count).toBe(1)
    await book.close()
  })

  test('keeps any JSON value without a table', async () => {
    const { book } = await opened()
    const things = book.cache<unknown>('things')
    for (const value of [{ a: 1, b: [1, { c: null }] }, 'text', 5, [1, 2], true]) {
      await things.set('k', value)
      expect(await things.get('k')).toEqual(value)
      await book.flush()
      await things.invalidate('k')
      expect(await things.get('k')).toEqual(value)
    }
    const counters = book.cache<{ n: number }>('counters')
    await counters.set('c', { n: 1 })
    expect(await counters.increment('c', { n: 2 })).toEqual({ n: 3 })
    await book.flush()
    await book.close()
  })

  test('applies a batch in one append, and refuses all of it where one write is wrong', async () => {
    const { book, users } = await opened()
    const orders = book.cache<{ user: string; total: string }>('orders', {
      table: 'orders',
      key: 'id',
    })
    const receipts = await book.batch((writes) => {
      writes.set(users, 'u', user('Ada'))
      writes.increment(users, 'u', { visits: 1 })
      writes.set(orders, '7', { user: 'u', total: '9.50' })
    })
    expect(receipts.map(({ cache, key }) => [cache, key])).toEqual([
      ['users', 'u'],
      ['users', 'u'],
      ['orders', '7'],
    ])
    await expect(
      book.batch((writes) => {
        writes.set(users, 'x', user('X'))
        writes.set(orders, '8', { user: 'u', total: '9.555' })
      }),
    ).rejects.toMatchObject({ code: 'INVALID_VALUE' })
    expect(await users.get('x')).toBeUndefined()
    await book.flush()
    expect(await users.get('u')).toEqual(user('Ada', { visits: 1 }))
    await book.close()
  })
})
