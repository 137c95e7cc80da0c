/**
 * Sorted sets: what the database has of them, what a restart leaves of them, and who waits for something to come into one.
 * `differential.test.ts` compares their commands with those of a real Redis, and `sorted-members.test.ts` their order with a
 * model.
 */

import { describe, expect, test } from 'vitest'
import { scoreBoundOf, scoreOf, scoreText } from '../../../src/server/redis/spaces/scores.ts'
import { ServeProcess } from '../serve-process.ts'
import { Failure, RawClient, served, temporaryDirectory } from './redis-fixture.ts'
import { freePort, realRedis, toolUnavailable } from './redis-tools.ts'

describe('a score', () => {
  test.each([
    ['1', 1],
    ['-1.5e3', -1500],
    ['.5', 0.5],
    ['5.', 5],
    ['+7', 7],
    ['0x10', 16],
    ['-0x1.8p1', -3],
    ['inf', Infinity],
    ['-Infinity', -Infinity],
    ['5e-324', 5e-324],
    ['0e-999', 0],
  ])('%s is read as strtod reads it', (text, score) => {
    expect(scoreOf(text)).toBe(score)
    expect(scoreBoundOf(text)).toBe(score)
  })

  test.each(['', 'x', '1x', '1 ', 'nan', '0x', '1e', '.', '--1', `0x${'f'.repeat(100)}`])(
    '%j is none',
    (text) => {
      expect(scoreOf(text)).toBeUndefined()
    },
  )

  test('beyond a double is refused, and in a bound of a range it is infinite or nothing', () => {
    for (const text of ['1e400', '-1e400', '1e-400', ' 1']) expect(scoreOf(text)).toBeUndefined()
    expect(['1e400', '-1e400', '1e-400', ' \t1', ''].map(scoreBoundOf)).toEqual([
      ...[Infinity, -Infinity, 0, 1, 0],
    ])
    expect(['1x', 'nan', ' '].map(scoreBoundOf)).toEqual([undefined, undefined, undefined])
  })

  test('is shown with 17 digits', () => {
    expect([3, 0.1, 1e17, 1e16, -2.5, Infinity, -Infinity, 3.1].map(scoreText)).toEqual([
      ...['3', '0.10000000000000001', '1e+17', '10000000000000000', '-2.5', 'inf', '-inf'],
      '3.1000000000000001',
    ])
  })
})

describe('a sorted set', () => {
  test('is a document that people can query', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    expect(await redis.call('ZADD', 'z', '12.5', 'ada', 3, 'bob', 'inf', '$top', 0, '')).toBe(4)
    expect(await redis.call('TYPE', 'z')).toBe('zset')
    await book.flush()
    const sql = "SELECT value FROM daybook_values WHERE key = 'z'"
    const parsed = (): unknown =>
      JSON.parse((rows(sql)[0] as { value: string } | undefined)?.value ?? 'null')
    expect(parsed()).toEqual({ $type: 'zset', ada: 12.5, bob: 3, $$top: 'inf', 'base64:': 0 })
    const above = `SELECT name FROM daybook_values, (SELECT key AS name, value AS score FROM json_each(
      (SELECT value FROM daybook_values WHERE key = 'z'))) WHERE typeof(score) = 'real' AND score > 10`
    expect(rows(above)).toEqual([{ name: 'ada' }])
    await redis.call('ZREM', 'z', '', '$top')
    await redis.call('ZINCRBY', 'z', '-0.5', 'ada')
    await redis.call('EXPIREAT', 'z', 9_000_000_000)
    await book.flush()
    expect(parsed()).toEqual({ $type: 'zset', ada: 12, bob: 3, $expiresAtMs: 9_000_000_000_000 })
    await redis.call('ZPOPMIN', 'z', 5)
    await book.flush()
    expect(rows(sql)).toEqual([])
  })

  test('that another program has written is read as far as it makes sense', async () => {
    const { book, client } = await served()
    const redis = await client()
    const cache = book.cache<unknown>('redis')
    await cache.set('z', { $type: 'zset', a: 2, b: '1.5', c: 'nope', d: null, e: '-inf', f: [1] })
    expect(await redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')).toEqual([
      ...['e', '-inf', 'c', '0', 'f', '0', 'b', '1.5', 'a', '2'],
    ])
    expect(await redis.call('ZCARD', 'z')).toBe(5)
    expect(await redis.call('ZSCORE', 'z', 'd')).toBeNull()
    expect(await redis.call('ZADD', 'z', 7, 'd', 8, 'c')).toBe(1)
    expect(await redis.call('ZRANGE', 'z', 3, -1)).toEqual(['a', 'd', 'c'])
    // Written anew beside the server: nothing of the old order is left.
    await cache.set('z', { $type: 'zset', x: 1 })
    expect(await redis.call('ZRANGE', 'z', 0, -1)).toEqual(['x'])
    await cache.merge('z', { w: 0 })
    expect(await redis.call('ZRANGE', 'z', 0, -1)).toEqual(['w', 'x'])
  })

  test('is of a type of its own', async () => {
    const { client } = await served({
      schema: 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)',
      caches: { users: { table: 'users', key: 'id' } },
    })
    const redis = await client()
    await redis.call('ZADD', 'z', 1, 'a')
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('SADD', 's', 'a')
    for (const words of [
      ...[
        ['GET', 'z'],
        ['HGET', 'z', 'a'],
        ['SADD', 'z', 'a'],
        ['LPUSH', 'z', 'a'],
      ],
      ...[
        ['SUNION', 's', 'z'],
        ['ZADD', 's', '1', 'a'],
        ['ZADD', 'users:1', '1', 'a'],
      ],
      ...[
        ['ZCARD', 'users:1'],
        ['ZSCORE', 'users:1', 'a'],
        ['ZPOPMIN', 'users:1'],
      ],
      ...[
        ['ZUNION', '2', 'z', 'users:1'],
        ['ZRANGESTORE', 'x', 'users:1', '0', '-1'],
      ],
    ]) {
      expect(await redis.failure(...words)).toMatch(/^WRONGTYPE/)
    }
    // Also where nothing would be stored: the row stays.
    for (const words of [
      ['ZRANGESTORE', 'users:1', 'none', '0', '-1'],
      ['ZINTERSTORE', 'users:1', '1', 'none'],
    ]) {
      expect(await redis.failure(...words)).toMatch(/^WRONGTYPE/)
    }
    expect(await redis.call('HGET', 'users:1', 'name')).toBe('Ada')
    expect(await redis.call('ZUNION', 2, 'z', 's', 'WITHSCORES')).toEqual(['a', '2'])
    expect(await redis.call('SCAN', 0, 'TYPE', 'zset')).toEqual(['0', ['z']])
    expect(await redis.call('OBJECT', 'ENCODING', 'z')).toBe('listpack')
    await redis.call('ZADD', 'z', 2, 'x'.repeat(65))
    expect(await redis.call('OBJECT', 'ENCODING', 'z')).toBe('skiplist')
  })

  test('has what Redis 7.2 added, and random members', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('ZADD', 'z', 1, 'a', '2.5', 'b', 3, 'c')
    expect(await redis.call('ZRANK', 'z', 'b', 'WITHSCORE')).toEqual([1, '2.5'])
    expect(await redis.call('ZREVRANK', 'z', 'a', 'withscore')).toEqual([2, '1'])
    expect(await redis.call('ZRANK', 'z', 'none', 'WITHSCORE')).toBeNull()
    expect(await redis.failure('ZRANK', 'z', 'a', 'WITHSCORES')).toBe('ERR syntax error')
    expect(['a', 'b', 'c']).toContain(await redis.call('ZRANDMEMBER', 'z'))
    expect(await redis.call('ZRANDMEMBER', 'none')).toBeNull()
    expect(await redis.call('ZRANDMEMBER', 'none', 2)).toEqual([])
    expect(((await redis.call('ZRANDMEMBER', 'z', 5)) as string[]).sort()).toEqual(['a', 'b', 'c'])
    expect(await redis.call('ZRANDMEMBER', 'z', -7)).toHaveLength(7)
    expect(await redis.call('ZRANDMEMBER', 'z', -7, 'WITHSCORES')).toHaveLength(14)
    expect(await redis.failure('ZRANDMEMBER', 'z', 1, 'nope')).toBe('ERR syntax error')
    expect(await redis.failure('ZRANDMEMBER', 'z', '-9223372036854775807', 'WITHSCORES')).toMatch(
      /^ERR value is out of range/,
    )
    expect(await redis.failure('ZRANDMEMBER', 'z', '9223372036854775807', 'WITHSCORES')).toMatch(
      /^ERR value is out of range/,
    )
    await redis.call('HELLO', 3)
    expect(await redis.call('ZRANDMEMBER', 'z', -1, 'WITHSCORES')).toHaveLength(1)
  })

  test('is walked over by ZSCAN, each member once', async () => {
    const { client } = await served()
    const redis = await client()
    const names = Array.from({ length: 300 }, (_, n) => `m${n}`)
    await redis.call('ZADD', 'z', ...names.flatMap((name, at) => [at / 2, name]))
    const found = new Map<string, string>()
    let cursor = '0'
    do {
      const [next, items] = (await redis.call('ZSCAN', 'z', cursor, 'COUNT', 40)) as [
        string,
        string[],
      ]
      for (let at = 0; at < items.length; at += 2) found.set(items[at] ?? '', items[at + 1] ?? '')
      cursor = next
    } while (cursor !== '0')
    expect(found).toEqual(new Map(names.map((name, at) => [name, String(at / 2)])))
    expect(await redis.call('ZSCAN', 'z', 0, 'MATCH', 'm29', 'COUNT', 1000)).toEqual([
      '0',
      ['m29', '14.5'],
    ])
    expect(await redis.call('ZSCAN', 'none', 0)).toEqual(['0', []])
  })

  test('is described as Redis describes its commands', async () => {
    const { client } = await served()
    const redis = await client()
    const keysOf = (...words: string[]) => redis.call('COMMAND', 'GETKEYS', ...words)
    expect(await keysOf('ZADD', 'z', '1', 'a')).toEqual(['z'])
    expect(await keysOf('ZUNIONSTORE', 'to', '2', 'a', 'b', 'WEIGHTS', '1', '2')).toEqual([
      ...['to', 'a', 'b'],
    ])
    expect(await keysOf('ZINTER', '2', 'a', 'b', 'WITHSCORES')).toEqual(['a', 'b'])
    const [info] = (await redis.call('COMMAND', 'INFO', 'zunionstore')) as unknown[][]
    expect(info?.slice(0, 6)).toEqual(['zunionstore', -4, ['write', 'denyoom'], 1, 1, 1])
    const docs = await redis.call('COMMAND', 'DOCS', 'zadd')
    expect(JSON.stringify(docs)).toContain('"group","sorted-set"')
  })

  test('looks byte for byte as in Redis, over both versions of the protocol', async (context) => {
    context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
    const real = await realRedis()
    const { client } = await served()
    const commands = [
      'ZADD z 1 a 2.5 b inf c',
      'ZADD z INCR 1 a',
      'ZADD z NX INCR 1 a',
      'ZINCRBY z 0.1 b',
      'ZSCORE z b',
      'ZSCORE z none',
      'ZMSCORE z a none',
      'ZRANGE z 0 -1 WITHSCORES',
      'ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 1 1',
      'ZUNION 1 z WITHSCORES',
      'ZDIFF 2 z none',
      'ZRANK z none',
      'ZPOPMIN none',
      'ZPOPMIN none 2',
      'ZPOPMIN z 0',
      'ZPOPMAX z',
      'ZPOPMIN z 1',
      'ZMPOP 1 z MAX COUNT 5',
      'ZMPOP 1 z MAX',
      'ZADD z 1 a 2 b',
      'BZPOPMIN z 0',
      'BZMPOP 0 1 z MIN',
      'BZPOPMAX z 0.001',
      'ZADD z 7 a',
      'EVAL redis.setresp(3);return{redis.call("zscore",KEYS[1],"a").double,redis.call("zrange",KEYS[1],0,-1,"withscores")[1]} 1 z',
      'EVAL return{redis.call("zscore",KEYS[1],"a"),redis.call("zrange",KEYS[1],0,-1,"withscores")} 1 z',
      'QUIT',
    ]
    for (const version of ['2', '3']) {
      const [expected, found] = await Promise.all(
        [await RawClient.connect(real.socket.remotePort ?? 0), await client()].map(
          async (redis) => {
            await redis.call('FLUSHALL')
            await redis.call('HELLO', version)
            for (const line of commands) redis.send(...line.split(/ (?!\S*;)/))
            return redis.untilEnd()
          },
        ),
      )
      expect(found).toBe(expected)
    }
  })
})

describe('a sorted set after a restart', () => {
  test('is as it was acknowledged, where the server was killed', { timeout: 60_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    const server = await ServeProcess.redis(directory, port)
    const redis = await RawClient.connect(port)
    const scores = new Map<string, number>()
    for (let n = 0; n < 500; n++) {
      const [name, score] = [`m${n % 70}`, (n * 7919) % 1000]
      redis.send('ZADD', 'board', score, name)
      scores.set(name, score)
    }
    for (let n = 0; n < 500; n++) expect(await redis.reply()).not.toBeInstanceOf(Failure)
    expect(await redis.call('ZREM', 'board', 'm1', 'm2')).toBe(2)
    expect(await redis.call('ZADD', 'board', '-inf', 'least', '0.1', 'tenth')).toBe(2)
    await redis.call('PEXPIREAT', 'board', 9_000_000_000_000)
    await server.kill()
    redis.destroy()
    await ServeProcess.redis(directory, port)
    const again = await RawClient.connect(port)
    scores.delete('m1')
    scores.delete('m2')
    const expected = [...scores, ['least', -Infinity] as const, ['tenth', 0.1] as const]
      .sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x < y ? -1 : 1))
      .flatMap(([name, score]) => [name, scoreText(score)])
    expect(await again.call('ZRANGE', 'board', 0, -1, 'WITHSCORES')).toEqual(expected)
    expect(await again.call('PEXPIRETIME', 'board')).toBe(9_000_000_000_000)
    again.destroy()
  })

  test('is in the database alone, where the server was stopped', async () => {
    const directory = temporaryDirectory()
    const first = await served({ directory })
    const redis = await first.client()
    await redis.call('ZADD', 'z', '1e300', 'a', '-5e-324', 'b', '9007199254740993', 'c')
    await redis.call('ZADD', 'z', '-inf', 'd', '123456789.123', 'e')
    const expected = await redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')
    await first.stop()
    const second = await served({ directory })
    const after = await second.client()
    expect(await after.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')).toEqual(expected)
  })
})

describe('a sorted set in a step', () => {
  test('shows a script and a transaction what they have written', async () => {
    const { client } = await served()
    const redis = await client()
    const script = `
      redis.call('ZADD', KEYS[1], 3, 'c', 1, 'a', 2, 'b')
      local first = redis.call('ZRANGE', KEYS[1], 0, -1)
      redis.call('ZINCRBY', KEYS[1], 10, 'a')
      redis.call('ZREM', KEYS[1], 'b')
      local second = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
      redis.pcall('ZADD', KEYS[1], 'x', 'y')
      redis.call('ZUNIONSTORE', 'twice', 2, KEYS[1], 'none', 'WEIGHTS', 2, 1)
      return {first, second, redis.call('ZSCORE', 'twice', 'a'), redis.call('ZRANK', KEYS[1], 'a')}
    `
    expect(await redis.call('EVAL', script, 1, 'z')).toEqual([
      ...[
        ['a', 'b', 'c'],
        ['c', '3', 'a', '11'],
      ],
      ...['22', 1],
    ])
    await redis.call('MULTI')
    for (const words of [
      ['ZREMRANGEBYSCORE', 'z', '-inf', '5'],
      ['ZADD', 'z', '4', 'd'],
      ['ZRANGE', 'z', '0', '-1'],
      ['ZADD', 'z', 'INCR', 'inf', 'd'],
      ['ZADD', 'z', 'INCR', '-inf', 'd'],
      ['ZCARD', 'z'],
    ]) {
      expect(await redis.call(...words)).toBe('QUEUED')
    }
    expect(await redis.call('EXEC')).toEqual([
      ...[1, 1, ['d', 'a'], 'inf', new Failure('ERR resulting score is not a number (NaN)'), 2],
    ])
  })

  test('that is taken back leaves the order as it was', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('ZADD', 'z', 1, 'a', 2, 'b')
    expect(await redis.call('ZRANGE', 'z', 0, -1)).toEqual(['a', 'b'])
    // It is stopped, so nothing of it is written.
    const script = `
      redis.call('ZADD', KEYS[1], 9, 'a')
      redis.call('ZRANGE', KEYS[1], 0, -1)
      redis.call('ZADD', KEYS[1], 1, string.rep('x', 9000000))
    `
    await redis.call('EVAL', script, 1, 'z')
    expect(await redis.call('ZRANGE', 'z', 0, -1)).toEqual(['b', 'a'])
    await redis.call('ZADD', 'z', 1, 'a')
    expect(await redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')).toEqual(['a', '1', 'b', '2'])
  })
})

describe('who waits for a sorted set', () => {
  test('gets what comes first, first come, first served', async () => {
    const { client } = await served()
    const [first, second, third, adder] = await Promise.all([1, 2, 3, 4].map(client))
    const waiting = (count: number) =>
      expect
        .poll(() => adder?.call('INFO', 'clients'))
        .toMatch(new RegExp(`blocked_clients:${count}\\r`))
    first?.send('BZPOPMIN', 'none', 'z', 0)
    await waiting(1)
    second?.send('BZPOPMAX', 'z', 10)
    await waiting(2)
    third?.send('BZMPOP', 0, 2, 'other', 'z', 'MIN', 'COUNT', 5)
    await waiting(3)
    expect(await adder?.call('ZADD', 'z', 1, 'a', 2, 'b', 3, 'c', 4, 'd')).toBe(4)
    expect(await first?.reply()).toEqual(['z', 'a', '1'])
    expect(await second?.reply()).toEqual(['z', 'd', '4'])
    expect(await third?.reply()).toEqual([
      'z',
      [
        ['b', '2'],
        ['c', '3'],
      ],
    ])
    expect(await adder?.call('EXISTS', 'z')).toBe(0)
    expect(await first?.call('BZPOPMIN', 'z', '0.01')).toBeNull()
    await adder?.call('MULTI')
    await adder?.call('BZPOPMIN', 'z', 0)
    await adder?.call('BZMPOP', 0, 1, 'z', 'MAX')
    expect(await adder?.call('EXEC')).toEqual([null, null])
  })

  test.each([
    ['ZUNIONSTORE', 'z', '1', 's'],
    ['ZRANGESTORE', 'z', 'from', '0', '-1'],
    ['RENAME', 'from', 'z'],
    ['COPY', 'from', 'z'],
    ['ZADD', 'z', '1', 'a'],
  ])('is woken by %s', async (...words) => {
    const { client } = await served()
    const [waiter, other] = await Promise.all([1, 2].map(client))
    await other?.call('SADD', 's', 'a')
    await other?.call('ZADD', 'from', 1, 'a')
    waiter?.send('BZPOPMIN', 'z', 0)
    await expect.poll(() => other?.call('INFO', 'clients')).toMatch(/blocked_clients:1\r/)
    await other?.call(...words)
    expect(await waiter?.reply()).toEqual(['z', 'a', '1'])
  })

  test('does not mind another type of value, once it waits', async () => {
    const { client } = await served()
    const [ofSet, ofList, other] = await Promise.all([1, 2, 3].map(client))
    await other?.call('SET', 'text', 'x')
    expect(await ofSet?.failure('BZPOPMIN', 'text', 'k', 0)).toMatch(/^WRONGTYPE/)
    ofSet?.send('BZPOPMIN', 'k', 0)
    await expect.poll(() => other?.call('INFO', 'clients')).toMatch(/blocked_clients:1\r/)
    ofList?.send('BLPOP', 'k', 0)
    await expect.poll(() => other?.call('INFO', 'clients')).toMatch(/blocked_clients:2\r/)
    await other?.call('RPUSH', 'k', 'item')
    expect(await ofList?.reply()).toEqual(['k', 'item'])
    await other?.call('ZADD', 'k', 1, 'a')
    expect(await ofSet?.reply()).toEqual(['k', 'a', '1'])
  })
})
