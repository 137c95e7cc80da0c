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

  test('that is long has a field for each item in the document, in the order of their names', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    const items = Array.from({ length: 1000 }, (_, index) => String(index))
    await redis.call('RPUSH', 'l', ...items)
    await redis.call('LPUSH', 'l', '\u00ff')
    await redis.call('RPOP', 'l', 2)
    await book.flush()
    await book.cache('redis').invalidate('l')
    expect(await redis.call('LRANGE', 'l', 0, -1)).toEqual(['\u00ff', ...items.slice(0, -2)])
    const inOrder = `SELECT f.value AS item FROM daybook_values AS d, json_each(d.value) AS f
      WHERE f.key NOT LIKE '$%' ORDER BY f.key LIMIT 3`
    expect(rows(inOrder)).toEqual([{ item: 'base64:/w==' }, { item: '0' }, { item: '1' }])
    expect(await redis.call('LTRIM', 'l', 0, 1)).toBe('OK')
    await book.flush()
    expect(rows('SELECT value FROM daybook_values')).toEqual([
      { value: '{"$type":"list","$items":["base64:/w==","0"]}' },
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

  test('loses nothing where an item moves to another, in one batch', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('RPUSH', 'from', 'a', 'b', 'c')
    await redis.call('SET', 'text', 'x')
    expect(await redis.call('RPOPLPUSH', 'from', 'to')).toBe('c')
    expect(await redis.call('LMOVE', 'from', 'to', 'left', 'right')).toBe('a')
    expect(await redis.call('LRANGE', 'to', 0, -1)).toEqual(['c', 'a'])
    expect(await redis.failure('RPOPLPUSH', 'from', 'text')).toMatch('WRONGTYPE')
    expect(await redis.failure('BLMOVE', 'from', 'text', 'LEFT', 'LEFT', 0)).toMatch('WRONGTYPE')
    expect(await redis.failure('BLMOVE', 'from', 'to', 'LEFT', 'UP', 0)).toMatch('syntax')
    expect(await redis.call('LRANGE', 'from', 0, -1)).toEqual(['b'])
    // The last one of a list that is its own destination.
    expect(await redis.call('RPOPLPUSH', 'from', 'from')).toBe('b')
    expect(await redis.call('LRANGE', 'from', 0, -1)).toEqual(['b'])
  })

  test('is waited for by BLMOVE and BRPOPLPUSH, and who waits for their destination gets it', async () => {
    const { client } = await served()
    const [mover, turner, taker, pusher] = await Promise.all([1, 2, 3, 4].map(client))
    taker?.send('BLPOP', 'end', 0)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=blpop/)
    mover?.send('BLMOVE', 'middle', 'end', 'LEFT', 'RIGHT', 0)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=blmove/)
    turner?.send('BRPOPLPUSH', 'begin', 'middle', 0)
    await expect.poll(() => pusher?.call('CLIENT', 'LIST')).toMatch(/cmd=brpoplpush/)
    await expect.poll(() => pusher?.call('INFO', 'clients')).toMatch(/blocked_clients:3\r/)
    expect(await pusher?.call('RPUSH', 'begin', 'a')).toBe(1)
    expect(await turner?.reply()).toBe('a')
    expect(await mover?.reply()).toBe('a')
    expect(await taker?.reply()).toEqual(['end', 'a'])
    expect(await pusher?.call('INFO', 'clients')).toMatch(/blocked_clients:0\r/)
    expect(await pusher?.call('EXISTS', 'begin', 'middle', 'end')).toBe(0)
    expect(await pusher?.call('BRPOPLPUSH', 'none', 'end', '0.01')).toBeNull()
    await pusher?.call('MULTI')
    await pusher?.call('BRPOPLPUSH', 'none', 'end', 0)
    expect(await pusher?.call('EXEC')).toEqual([null])
  })

  test('of another type is told as such also where nothing is asked for', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('SADD', 's', 'a')
    expect(await redis.failure('LPOP', 's', 0)).toMatch('WRONGTYPE')
  })

  test('is taken from by LMPOP and BLMPOP, the first key that has something', async () => {
    const { client } = await served()
    const [redis, waiter] = await Promise.all([1, 2].map(client))
    await redis?.call('RPUSH', 'l', 'a', 'b', 'c')
    expect(await redis?.call('LMPOP', 2, 'none', 'l', 'RIGHT', 'COUNT', 2)).toEqual([
      ...['l', ['c', 'b']],
    ])
    expect(await redis?.call('LMPOP', 1, 'none', 'LEFT')).toBeNull()
    expect(await redis?.failure('LMPOP', 0, 'l', 'LEFT')).toBe(
      'ERR numkeys should be greater than 0',
    )
    expect(await redis?.failure('LMPOP', 1, 'l', 'LEFT', 'COUNT', 0)).toBe(
      'ERR count should be greater than 0',
    )
    expect(await redis?.failure('LMPOP', 2, 'l', 'LEFT')).toBe('ERR syntax error')
    expect(await redis?.call('BLMPOP', 0, 2, 'none', 'l', 'LEFT')).toEqual(['l', ['a']])
    waiter?.send('BLMPOP', 0, 1, 'l', 'LEFT', 'COUNT', 5)
    await expect.poll(() => redis?.call('INFO', 'clients')).toMatch(/blocked_clients:1\r/)
    await redis?.call('RPUSH', 'l', 'x', 'y')
    expect(await waiter?.reply()).toEqual(['l', ['x', 'y']])
  })

  test('is taken from at once, and in its place, in a transaction and in a script', async () => {
    const { client } = await served()
    const redis = await client()
    const transaction = [
      ['MULTI'],
      ['BLPOP', 'l', 0],
      ['RPUSH', 'l', 'a', 'b', 'c', 'd'],
      ['BRPOP', 'none', 'l', 0],
      ['BLMOVE', 'l', 'to', 'LEFT', 'LEFT', 0],
      ['BLMPOP', 0, 1, 'l', 'LEFT'],
      ['ZADD', 'z', 1, 'm'],
      ['BZPOPMIN', 'z', 0],
      ['LRANGE', 'l', 0, -1],
      ['EXEC'],
    ]
    const replies = await redis.pipeline(transaction.map((words) => words.map(String)))
    expect(replies.at(-1)).toEqual([
      ...[null, 4, ['l', 'd'], 'a', ['l', ['b']], 1, ['z', 'm', '1'], ['c']],
    ])
    const script = `return redis.call('BLMPOP', 0, 1, KEYS[1], 'LEFT')`
    expect(await redis.call('EVAL', script, 1, 'l')).toEqual(['l', ['c']])
    expect(await redis.call('EVAL', script, 1, 'l')).toBeNull()
    expect(await redis.failure('EVAL', `return redis.call('BLPOP', 'l', 0)`, 0)).toMatch(
      'not allowed from script',
    )
    expect(await redis.call('COMMAND', 'GETKEYS', 'BLPOP', 'a', 'b', 0)).toEqual(['a', 'b'])
  })

  test('that many wait for is not taken by one who comes together with the item', async () => {
    const { client } = await served()
    const [pusher, ...waiters] = await Promise.all([1, 2, 3, 4, 5, 6].map(client))
    for (let round = 0; round < 20; round++) {
      for (const [at, waiter] of waiters.entries()) {
        waiter.send('BLPOP', 'l', 0)
        // The last ones come in one turn with the items.
        if (at > 2) continue
        const blocked = new RegExp(`blocked_clients:${at + 1}\\r`)
        await expect.poll(() => pusher?.call('INFO', 'clients')).toMatch(blocked)
      }
      pusher?.send('RPUSH', 'l', 0, 1, 2)
      await pusher?.reply()
      for (let at = 0; at < 3; at++) expect(await waiters[at]?.reply()).toEqual(['l', String(at)])
      await pusher?.call('RPUSH', 'l', 3, 4)
      const last = [await waiters[3]?.reply(), await waiters[4]?.reply()]
      expect(last.map(String).sort()).toEqual(['l,3', 'l,4'])
    }
  })

  test('is no longer waited for by a client that was unblocked', async () => {
    const { client } = await served()
    const [waiter, other] = await Promise.all([1, 2].map(client))
    const id = Number(await waiter?.call('CLIENT', 'ID'))
    const begin = async (): Promise<void> => {
      waiter?.send('BLPOP', 'l', 0)
      await expect.poll(() => other?.call('INFO', 'clients')).toMatch(/blocked_clients:1\r/)
    }
    expect(await other?.call('CLIENT', 'UNBLOCK', id)).toBe(0)
    await begin()
    expect(await other?.call('CLIENT', 'UNBLOCK', id)).toBe(1)
    expect(await waiter?.reply()).toBeNull()
    await begin()
    expect(await other?.call('CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1)
    expect(await waiter?.reply()).toMatchObject({
      message: 'UNBLOCKED client unblocked via CLIENT UNBLOCK',
    })
    expect(await other?.failure('CLIENT', 'UNBLOCK', 'x')).toMatch('not an integer')
    expect(await other?.failure('CLIENT', 'UNBLOCK', id, 'x')).toMatch('TIMEOUT or ERROR')
    expect(await other?.failure('CLIENT', 'UNBLOCK', id, 'ERROR', 'x')).toMatch('wrong number')
    expect(await other?.call('CLIENT', 'UNBLOCK', 999_999)).toBe(0)
    await other?.call('RPUSH', 'l', 'kept')
    expect(await other?.call('LLEN', 'l')).toBe(1)
  })
})
