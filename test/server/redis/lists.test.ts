/** Lists, as far as they go, and those who wait for something to come into one. */

import { describe, expect, test } from 'vitest'
import { served } from './redis-fixture.ts'

describe('a list', () => {
  test('is a document', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    expect(await redis.call('RPUSH', 'l', 'b', 'c')).toBe(2)
    expect(await redis.call('LPUSH', 'l', 'a', '\u00ff')).toBe(4)
    expect(await redis.call('LRANGE', 'l', 0, -1)).toEqual(['\u00ff', 'a', 'b', 'c'])
    expect(await redis.call('LINDEX', 'l', -1)).toBe('c')
    expect(await redis.call('TYPE', 'l')).toBe('list')
    expect(await redis.call('LPOP', 'l')).toBe('\u00ff')
    expect(await redis.call('RPOP', 'l', 5)).toEqual(['c', 'b', 'a'])
    expect(await redis.call('EXISTS', 'l')).toBe(0)
    await redis.call('RPUSH', 'l', 'x')
    expect(await redis.failure('GET', 'l')).toMatch('WRONGTYPE')
    expect(await redis.failure('HSET', 'l', 'a', 'b')).toMatch('WRONGTYPE')
    await book.flush()
    expect(rows('SELECT value FROM daybook_values')).toEqual([
      { value: '{"$type":"list","$items":["x"]}' },
    ])
  })

  test('is waited for by BLPOP, first come, first served', async () => {
    const { client } = await served()
    const [first, second, third, pusher] = await Promise.all([1, 2, 3, 4].map(client))
    first?.send('BLPOP', 'none', 'l', 0)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=blpop/)
    second?.send('BRPOP', 'l', 10)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=brpop/)
    expect(await third?.call('BLPOP', 'l', '0.01')).toBeNull()
    expect(await pusher?.call('RPUSH', 'l', 'a', 'b')).toBe(2)
    expect(await first?.reply()).toEqual(['l', 'a'])
    expect(await second?.reply()).toEqual(['l', 'b'])
    await pusher?.call('MULTI')
    await pusher?.call('BLPOP', 'l', 0)
    expect(await pusher?.call('EXEC')).toEqual([null])
    expect(await pusher?.failure('BLPOP', 'l', -1)).toMatch('negative')
    // Who is gone does not take anything.
    first?.send('BLPOP', 'l', 0)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=blpop/)
    first?.destroy()
    await expect.poll(() => pusher?.call('INFO', 'clients')).toMatch('connected_clients:3')
    await pusher?.call('RPUSH', 'l', 'kept')
    expect(await pusher?.call('LLEN', 'l')).toBe(1)
  })
})
