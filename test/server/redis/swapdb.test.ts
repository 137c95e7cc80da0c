/** SWAPDB: two databases change places, over a restart too. */

import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../../src/store/memory-store.ts'
import { served, type RawClient, type Reply } from './redis-fixture.ts'

async function inDatabase(client: RawClient, index: number, ...words: string[]): Promise<Reply> {
  await client.call('SELECT', index)
  return client.call(...words)
}

describe('SWAPDB', () => {
  test('changes what the databases have, for every client, and over a restart', async () => {
    const first = await served()
    const [redis, other] = [await first.client(), await first.client()]
    await inDatabase(other, 3, 'MSET', 'a', 'three', 'b', '3')
    await inDatabase(redis, 0, 'SET', 'a', 'zero')
    expect(await redis.call('SWAPDB', 0, 3)).toBe('OK')
    expect(await redis.call('MGET', 'a', 'b')).toEqual(['three', '3'])
    expect(await other.call('MGET', 'a', 'b')).toEqual(['zero', null])
    expect(await redis.call('DBSIZE')).toBe(2)
    expect(await other.call('DBSIZE')).toBe(1)
    const keyspace = await redis.call('INFO', 'keyspace')
    expect(keyspace).toMatch('db0:keys=2,')
    expect(keyspace).toMatch('db3:keys=1,')
    expect(await redis.call('SWAPDB', 3, 5)).toBe('OK')
    expect(await redis.call('SWAPDB', 5, 5)).toBe('OK')
    expect(await inDatabase(other, 5, 'SET', 'c', 'five')).toBe('OK')
    await first.stop()

    const second = await served({ directory: first.directory })
    const after = await second.client()
    expect(await inDatabase(after, 0, 'GET', 'a')).toBe('three')
    expect(await inDatabase(after, 3, 'GET', 'a')).toBeNull()
    expect(await inDatabase(after, 5, 'MGET', 'a', 'c')).toEqual(['zero', 'five'])
    expect(await inDatabase(after, 0, 'DAYBOOK', 'STATUS', 'a')).toContain('redis:3')
    await after.call('SWAPDB', 0, 5)
    await after.call('SWAPDB', 5, 3)
    expect(await inDatabase(after, 0, 'GET', 'a')).toBe('zero')
    await second.stop()
  })

  test('refuses what is no database, and database 0 where it has rows', async () => {
    const { client } = await served({
      schema: 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)',
      caches: { users: { table: 'users', key: 'id' } },
    })
    const redis = await client()
    expect(await redis.failure('SWAPDB', 'x', 1)).toMatch('invalid first DB index')
    expect(await redis.failure('SWAPDB', 1, 'x')).toMatch('invalid second DB index')
    expect(await redis.failure('SWAPDB', 1, 16)).toMatch('out of range')
    expect(await redis.failure('SWAPDB', 0, 1)).toMatch('cannot swap database 0')
    expect(await redis.call('SWAPDB', 1, 2)).toBe('OK')
  })

  test('fails transactions that watch a key which is, or was, there', async () => {
    const { client } = await served()
    const [redis, other] = [await client(), await client()]
    await inDatabase(other, 1, 'SET', 'there', '1')
    const outcome = async (key: string): Promise<Reply> => {
      await redis.call('WATCH', key)
      await other.call('SWAPDB', 0, 1)
      await redis.call('MULTI')
      await redis.call('PING')
      return redis.call('EXEC')
    }
    expect(await outcome('there')).toBeNull()
    expect(await outcome('there')).toBeNull()
    expect(await outcome('nowhere')).toEqual(['PONG'])
    // What is queued runs where the databases are at EXEC.
    await redis.call('MULTI')
    await redis.call('GET', 'there')
    await other.call('SWAPDB', 0, 1)
    expect(await redis.call('EXEC')).toEqual([null])
  })

  test('is seen by commands that waited for a row, or for an item', async () => {
    const store = memoryStore({ tables: {} })
    const { book, client } = await served({ book: { store } })
    const [redis, other, popper] = [await client(), await client(), await client()]
    await inDatabase(redis, 1, 'MSET', 'a', 'one', 'n', '1')
    await redis.call('RPUSH', 'l', 'x')
    await inDatabase(redis, 0, 'MSET', 'a', 'zero', 'n', '10')
    await book.flush()
    for (const cache of ['redis', 'redis:1']) {
      for (const key of ['a', 'n']) await book.cache(cache).invalidate(key)
    }
    await popper.call('EXISTS', 'l')
    popper.send('BLPOP', 'l', 0)
    await expect.poll(() => other.call('CLIENT', 'LIST')).toMatch(/cmd=blpop/)
    const gate = Promise.withResolvers<void>()
    store.inject({ at: 'load', kind: 'none', until: gate.promise })
    redis.send('INCR', 'n')
    await expect.poll(() => other.call('CLIENT', 'LIST')).toMatch(/cmd=incr/)
    expect(await other.call('SWAPDB', 0, 1)).toBe('OK')
    gate.resolve()
    // It was not done yet, so it comes after the swap.
    expect(await redis.reply()).toBe(2)
    expect(await popper.reply()).toEqual(['l', 'x'])
    expect(await inDatabase(other, 1, 'GET', 'n')).toBe('10')
    await redis.call('MULTI')
    await redis.call('GET', 'a')
    await redis.call('COPY', 'a', 'b')
    const [copied] = (await redis.call('EXEC')) as Reply[]
    expect(copied).toBe('one')
    expect(await redis.call('GET', 'b')).toBe('one')
  })

  test('ends walks over the databases, and tells of events by their new number', async () => {
    const { client } = await served({ redis: { notifyKeyspaceEvents: 'KA' } })
    const [redis, subscriber] = [await client(), await client()]
    await redis.call('MSET', 'a', 1, 'b', 1, 'c', 1)
    const [cursor] = (await redis.call('SCAN', 0, 'COUNT', 1)) as string[]
    await redis.call('SWAPDB', 0, 1)
    expect(await redis.failure('SCAN', cursor ?? '')).toBe('ERR invalid cursor')
    await subscriber.call('PSUBSCRIBE', '*')
    await inDatabase(redis, 1, 'DEL', 'a')
    expect(await subscriber.reply()).toEqual(['pmessage', '*', '__keyspace@1__:a', 'del'])
  })

  test('that cannot be written changes nothing', async () => {
    const { client } = await served({
      book: {
        journal: { segmentBytes: 65_536, maxBytes: 131_072, retainBytes: 0 },
        pressure: { waitMs: 50 },
      },
    })
    const [redis, other] = [await client(), await client()]
    await inDatabase(other, 1, 'SET', 'a', 'one')
    await redis.call('DAYBOOK', 'PAUSE')
    let reply: Reply = 'OK'
    for (let n = 0; n < 200 && reply === 'OK'; n++) {
      reply = await redis.call('SET', `k${n}`, 'v'.repeat(n < 40 ? 4096 : 1))
    }
    expect(await redis.failure('SWAPDB', 0, 1)).toMatch(/^(OOM|MISCONF) /)
    expect(await other.call('GET', 'a')).toBe('one')
    await redis.call('DAYBOOK', 'RESUME')
    await redis.call('DAYBOOK', 'FLUSH')
    await expect.poll(() => redis.call('SWAPDB', 0, 1), { timeout: 20_000 }).toBe('OK')
    expect(await redis.call('GET', 'a')).toBe('one')
  })

  test('is refused at the start where its document makes no sense', async () => {
    const first = await served()
    const redis = await first.client()
    await redis.call('SWAPDB', 0, 1)
    await first.book
      .cache<Record<string, string>>('redis:databases')
      .merge('caches', { 0: 'redis' })
    await first.stop()
    await expect(served({ directory: first.directory })).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
    })
  })
})
