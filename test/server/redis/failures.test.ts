/** What clients are told when the database is away, refuses a row, or the journal takes no more. */

import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../../src/store/memory-store.ts'
import { served } from './redis-fixture.ts'

const tables = {
  users: {
    key: { id: { kind: 'text' } },
    columns: {
      name: { type: { kind: 'text' } },
      email: { type: { kind: 'text' }, unique: true },
      visits: { type: { kind: 'integer', bits: 32 }, default: 0 },
    },
  },
} as const

async function opened(options = {}) {
  const store = memoryStore({ tables })
  const server = await served({
    book: { store, flush: { delayMs: 5, retryBaseMs: 5, retryMaxMs: 20 }, ...options },
    caches: { users: { table: 'users', key: 'id' } },
  })
  return { store, book: server.book, redis: await server.client() }
}

describe('while the database is away', () => {
  test('writes go on, what is in memory is read, and what is not is an error that says so', async () => {
    const { store, redis, book } = await opened()
    await redis.call('SET', 'cold', 'x')
    await redis.call('HSET', 'users:cold', 'name', 'Ada')
    await book.flush()
    await book.cache('redis').invalidate('cold')
    await book.cache('users').invalidate('cold')
    await redis.call('DAYBOOK', 'PAUSE')
    store.inject({ at: 'load' }, { at: 'load' })
    expect(await redis.call('SET', 'warm', '1')).toBe('OK')
    expect(await redis.call('INCR', 'warm')).toBe(2)
    // A merge that does not ask what was there needs no look at the row.
    expect(await redis.call('HMSET', 'users:new', 'name', 'Bob')).toBe('OK')
    expect(await redis.failure('GET', 'cold')).toMatch(/^STOREDOWN /)
    expect(await redis.failure('HSET', 'users:cold', 'name', 'Eve')).toMatch(/^STOREDOWN /)
    // It is back.
    expect(await redis.call('GET', 'cold')).toBe('x')
    expect(await redis.call('WAIT', 1, 20)).toBe(0)
    await redis.call('DAYBOOK', 'RESUME')
    expect(await redis.call('WAIT', 1, 10_000)).toBe(1)
  })

  test('a pipeline is answered in its order, errors in their places', async () => {
    const { store, redis, book } = await opened()
    await redis.call('MSET', 'a', '1', 'b', '2')
    await book.flush()
    await book.cache('redis').invalidate('a')
    store.inject({ at: 'load' })
    redis.send('SET', 'x', '1')
    redis.send('GET', 'a')
    redis.send('GET', 'x')
    redis.send('GET', 'b')
    const replies = [
      await redis.reply(),
      await redis.reply(),
      await redis.reply(),
      await redis.reply(),
    ]
    expect(replies).toEqual([
      'OK',
      { message: expect.stringMatching(/^STOREDOWN/) as string },
      '1',
      '2',
    ])
  })
})

describe('a row that the database refuses', () => {
  test('is a dead letter, which the commands of Daybook show', async () => {
    const { redis, book } = await opened()
    await redis.call('HSET', 'users:1', 'email', 'a@example.org')
    await redis.call('HSET', 'users:2', 'email', 'a@example.org')
    await book.flush()
    const [letter] = (await redis.call('DAYBOOK.DEADLETTERS')) as unknown[][]
    expect(letter).toEqual(expect.arrayContaining(['cache', 'users', 'key', '2']))
    expect(await redis.call('DAYBOOK', 'STATUS', 'users:2')).toContainEqual([letter?.[1]])
    expect(await redis.call('INFO', 'writebehind')).toContain('dead_letters:1')
  })
})

describe('where the budget of what is pending is used up', () => {
  test('writes wait, and are refused with OOM when that takes too long', async () => {
    const { redis } = await opened({
      journal: { segmentBytes: 65_536, maxBytes: 131_072, retainBytes: 0 },
      pressure: { waitMs: 50 },
    })
    await redis.call('DAYBOOK', 'PAUSE')
    let refused = ''
    for (let n = 0; n < 200 && refused === ''; n++) {
      const reply = await redis.call('SET', `k${n}`, 'v'.repeat(4096))
      if (reply !== 'OK') refused = (reply as { message: string }).message
    }
    expect(refused).toMatch(/^(OOM|MISCONF) /)
    // Reads go on, and writes do when there is room again.
    expect(await redis.call('GET', 'k0')).toHaveLength(4096)
    await redis.call('DAYBOOK', 'RESUME')
    await redis.call('DAYBOOK', 'FLUSH')
    await expect.poll(() => redis.call('SET', 'again', '1'), { timeout: 20_000 }).toBe('OK')
  })
})
