/** What single commands answer and leave behind. Redis's own tests and the differential test look at the rest. */

import { describe, expect, test } from 'vitest'
import { Failure, served } from './redis-fixture.ts'

describe('keys without a mapping', () => {
  test('are documents that people can query', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    expect(await redis.call('HSET', 'users:1', 'name', 'Ada', 'visits', 3)).toBe(2)
    await redis.call('SET', 'greeting', 'hello')
    await redis.call('SET', 'bytes', '\u00ff\u0000')
    await redis.call('SADD', 'colours', 'red', 'blue')
    await book.flush()
    const found = rows(`SELECT key, value FROM daybook_values WHERE cache = 'redis' ORDER BY key`)
    expect(found).toEqual([
      { key: 'bytes', value: '"base64:/wA="' },
      { key: 'colours', value: '{"$type":"set","red":1,"blue":1}' },
      { key: 'greeting', value: '"hello"' },
      { key: 'users:1', value: '{"name":"Ada","visits":"3"}' },
    ])
    expect(
      rows(`SELECT value ->> 'name' AS name FROM daybook_values WHERE key = 'users:1'`),
    ).toEqual([{ name: 'Ada' }])
  })

  test('keep their value and their deadline over a restart', async () => {
    const first = await served()
    const before = await first.client()
    await before.call('SET', 'session', 'Zo\u00c3\u00ab', 'EX', 100)
    await before.call('HSET', 'hash', '$odd', 'a', '__proto__', 'b', '', 'c')
    await before.call('PEXPIREAT', 'hash', 9_000_000_000_000)
    await first.stop()
    const second = await served({ directory: first.directory })
    const after = await second.client()
    expect(await after.call('GET', 'session')).toBe('Zo\u00c3\u00ab')
    expect(await after.call('TTL', 'session')).toBeGreaterThan(90)
    expect(await after.call('HGET', 'hash', '__proto__')).toBe('b')
    expect(await after.call('HMGET', 'hash', '$odd', '')).toEqual(['a', 'c'])
    expect(await after.call('PEXPIRETIME', 'hash')).toBe(9_000_000_000_000)
    // What changes a value keeps its deadline, and SET takes it away.
    await after.call('HSET', 'hash', 'more', 1)
    expect(await after.call('PEXPIRETIME', 'hash')).toBe(9_000_000_000_000)
    await after.call('SET', 'session', 'x')
    expect(await after.call('TTL', 'session')).toBe(-1)
  })

  test('are gone when their time is over, from the database too', async () => {
    const { client, book, rows } = await served()
    const redis = await client()
    await redis.call('SET', 'a', '1', 'PX', 1)
    await redis.call('HSET', 'h', 'f', 'v')
    await redis.call('PEXPIRE', 'h', 1)
    await expect.poll(() => redis.call('EXISTS', 'a', 'h')).toBe(0)
    // A field that comes after it does not bring the others back.
    expect(await redis.call('HSET', 'h', 'g', 'w')).toBe(1)
    expect(await redis.call('HGETALL', 'h')).toEqual(['g', 'w'])
    await expect.poll(() => redis.call('KEYS', '*'), { timeout: 20_000 }).toEqual(['h'])
    await expect
      .poll(
        async () => {
          await book.flush()
          return rows('SELECT key FROM daybook_values')
        },
        { timeout: 20_000 },
      )
      .toEqual([{ key: 'h' }])
  })

  test('have one type, and say WRONGTYPE to the commands of another', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('SET', 's', 'x')
    await redis.call('HSET', 'h', 'f', 'v')
    await redis.call('SADD', 'set', 'm')
    const wrong = 'WRONGTYPE Operation against a key holding the wrong kind of value'
    for (const words of [
      ['GET', 'h'],
      ['INCR', 'set'],
      ['APPEND', 'h', 'x'],
      ['HGET', 's', 'f'],
      ['HSET', 'set', 'f', 'v'],
      ['SADD', 'h', 'm'],
      ['SISMEMBER', 's', 'm'],
    ]) {
      expect(await redis.failure(...words)).toBe(wrong)
    }
    expect(
      await Promise.all(['s', 'h', 'set', 'none'].map((key) => redis.call('TYPE', key))),
    ).toEqual(['string', 'hash', 'set', 'none'])
  })

  test('of 1,024 bytes are the longest', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.call('SET', 'k'.repeat(1024), 'v')).toBe('OK')
    expect(await redis.failure('SET', 'k'.repeat(1025), 'v')).toMatch('at most 1024 bytes')
  })

  test('are walked over by SCAN without one being left out', async () => {
    const { client } = await served()
    const redis = await client()
    for (let n = 0; n < 250; n++) redis.send('SET', `k:${n}`, n)
    for (let n = 0; n < 250; n++) await redis.reply()
    const seen = new Set<string>()
    let cursor = '0'
    do {
      const [next, names] = (await redis.call('SCAN', cursor, 'COUNT', 20)) as [string, string[]]
      for (const name of names) seen.add(name)
      // The same page once more, as after a reply that got lost.
      if (cursor !== '0')
        expect(await redis.call('SCAN', cursor, 'COUNT', 20)).toEqual([next, names])
      cursor = next
      await redis.call('SET', `k:${seen.size - 1}`, 'changed')
    } while (cursor !== '0')
    expect(seen.size).toBe(250)
    expect(await redis.failure('SCAN', '987654')).toBe('ERR invalid cursor')
    expect(await redis.call('DBSIZE')).toBe(250)
  })

  test('of other databases are apart', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('SET', 'a', 'zero')
    await redis.call('SELECT', 3)
    expect(await redis.call('GET', 'a')).toBeNull()
    await redis.call('SET', 'a', 'three')
    expect(await redis.call('MOVE', 'a', 5)).toBe(1)
    await redis.call('SELECT', 5)
    expect(await redis.call('GET', 'a')).toBe('three')
    expect(await redis.call('FLUSHDB')).toBe('OK')
    await redis.call('SELECT', 0)
    expect(await redis.call('GET', 'a')).toBe('zero')
    expect(await redis.failure('SELECT', 16)).toBe('ERR DB index is out of range')
  })
})

describe('the server', () => {
  test('tells how far writes have come', async () => {
    const { client, rows } = await served({ book: { flush: { delayMs: 60_000 } } })
    const redis = await client()
    await redis.call('SET', 'a', '1')
    expect(await redis.call('DAYBOOK', 'STATUS', 'a')).toContain('pending')
    expect(await redis.call('DAYBOOK.PENDING')).toEqual(expect.arrayContaining(['mutations', 1]))
    expect(await redis.call('WAITAOF', 1, 0, 100)).toEqual([1, 0])
    expect(rows('SELECT * FROM daybook_values')).toEqual([])
    expect(await redis.call('WAIT', 1, 5000)).toBe(1)
    expect(rows('SELECT * FROM daybook_values')).toHaveLength(1)
    expect(await redis.call('DAYBOOK.LAG')).toBe(0)
    expect(await redis.call('DAYBOOK', 'FLUSH')).toBe('OK')
    expect(await redis.call('DAYBOOK.DEADLETTERS')).toEqual([])
  })

  test('has the INFO that monitoring tools read', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('SET', 'a', '1')
    const info = await redis.call('INFO')
    for (const field of [
      'redis_version:7.',
      'connected_clients:1',
      'used_memory:',
      'loading:0',
      'maxmemory_policy:noeviction',
      'total_commands_processed:',
      'role:master',
      'cluster_enabled:0',
      'db0:keys=1,',
      '# Writebehind',
      'pending_mutations:',
      'lag_ms:',
    ]) {
      expect(info).toContain(field)
    }
    expect(await redis.call('INFO', 'commandstats')).toContain('cmdstat_set:calls=1,')
  })

  test('speaks both versions of the protocol', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('HSET', 'h', 'f', 'v')
    redis.write('HGETALL h\r\n')
    expect(await redis.reply()).toEqual(['f', 'v'])
    expect(await redis.call('HELLO', 3)).toEqual(
      expect.arrayContaining(['proto', 3, 'role', 'master']),
    )
    redis.send('HGETALL', 'h')
    redis.send('GET', 'nothing')
    expect(await redis.reply()).toEqual(['f', 'v'])
    expect(await redis.reply()).toBeNull()
    expect(await redis.failure('HELLO', 4)).toBe('NOPROTO unsupported protocol version')
  })

  test('passes messages on', async () => {
    const { client } = await served()
    const [listener, speaker] = [await client(), await client()]
    expect(await listener.call('SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1])
    expect(await listener.call('PSUBSCRIBE', 'n*')).toEqual(['psubscribe', 'n*', 2])
    expect(await speaker.call('PUBLISH', 'news', 'hello')).toBe(2)
    expect(await listener.reply()).toEqual(['message', 'news', 'hello'])
    expect(await listener.reply()).toEqual(['pmessage', 'n*', 'news', 'hello'])
    expect(await listener.failure('GET', 'a')).toMatch(/^ERR Can't execute 'get'/)
    listener.destroy()
    await expect.poll(() => speaker.call('PUBLISH', 'news', 'x')).toBe(0)
  })

  test('says what Redis says of what it does not know', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.failure('NOPE', 'a', 'b')).toBe(
      "ERR unknown command 'NOPE', with args beginning with: 'a' 'b' ",
    )
    expect(await redis.failure('PFCOUNT', 'x')).toBe(
      "ERR unknown command 'PFCOUNT', with args beginning with: 'x' (Daybook has no HyperLogLog)",
    )
    expect(await redis.failure('CLUSTER', 'SLOTS')).toBe(
      'ERR This instance has cluster support disabled',
    )
    expect(await redis.call('MODULE', 'LIST')).toEqual([])
    expect(await redis.failure('GET')).toBe("ERR wrong number of arguments for 'get' command")
    expect(await redis.failure('CLIENT', 'KILL')).toBe(
      "ERR wrong number of arguments for 'client|kill' command",
    )
    expect(await redis.failure('CONFIG', 'NOPE')).toBe(
      "ERR unknown subcommand 'NOPE'. Try CONFIG HELP.",
    )
    expect(await redis.failure('CONFIG', 'SET', 'dir', '/etc')).toMatch('immutable')
    expect(await redis.call('CONFIG', 'GET', 'maxmemory*')).toEqual([
      'maxmemory',
      '0',
      'maxmemory-policy',
      'noeviction',
      'maxmemory-clients',
      '0',
    ])
  })
})

describe('a transaction', () => {
  test('is one batch, and sees its own writes', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('MULTI')
    for (const words of [
      ['SET', 'a', '1'],
      ['INCR', 'a'],
      ['HSET', 'a', 'f', 'v'],
      ['GET', 'a'],
      ['DBSIZE'],
    ]) {
      expect(await redis.call(...words)).toBe('QUEUED')
    }
    const replies = await redis.call('EXEC')
    expect(replies).toEqual(['OK', 2, expect.any(Failure), '2', 1])
  })

  test('is given up where a watched key has changed, or a command was none', async () => {
    const { client } = await served()
    const [redis, other] = [await client(), await client()]
    await redis.call('SET', 'a', '1')
    await redis.call('WATCH', 'a', 'b')
    await other.call('SET', 'a', '2')
    await redis.call('MULTI')
    await redis.call('SET', 'a', '3')
    expect(await redis.call('EXEC')).toBeNull()
    expect(await redis.call('GET', 'a')).toBe('2')

    await redis.call('MULTI')
    expect(await redis.call('NOPE')).toBeInstanceOf(Failure)
    expect(await redis.failure('EXEC')).toBe(
      'EXECABORT Transaction discarded because of previous errors.',
    )
    expect(await redis.failure('EXEC')).toBe('ERR EXEC without MULTI')
  })

  test('runs where nothing watched has changed, cold keys too', async () => {
    const { book, client } = await served()
    const redis = await client()
    await redis.call('MSET', 'a', '1', 'b', '2')
    await book.flush()
    await book.cache('redis').invalidate('a')
    await book.cache('redis').invalidate('b')
    await redis.call('WATCH', 'a', 'none')
    await redis.call('MULTI')
    await redis.call('INCRBY', 'a', 10)
    await redis.call('INCRBY', 'b', 10)
    expect(await redis.call('EXEC')).toEqual([11, 12])
  })

  test('copies a large value to another database, where it does not change with the first', async () => {
    const { client } = await served()
    const redis = await client()
    const many = Array.from({ length: 200 }, (_, at) => `member ${'x'.repeat(50)} ${at}`)
    await redis.call('SADD', 's', ...many)
    // From here on it is changed where it is.
    await redis.call('SADD', 's', 'first')
    expect(await redis.call('COPY', 's', 's', 'DB', '1')).toBe(1)
    await redis.call('SADD', 's', 'second')
    await redis.call('SELECT', 1)
    expect(await redis.call('SMISMEMBER', 's', 'first', 'second')).toEqual([1, 0])
    expect(await redis.call('SCARD', 's')).toBe(201)
  })

  test('has COPY in its place, and one into another database behind the rest', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('HSET', 'a', 'f', '1')
    await redis.call('MULTI')
    await redis.call('COPY', 'a', 'b')
    await redis.call('SADD', 'b', 'm')
    await redis.call('HSET', 'b', 'f', '2')
    await redis.call('COPY', 'b', 'c', 'DB', '1')
    await redis.call('HDEL', 'b', 'f')
    expect(await redis.call('EXEC')).toEqual([
      ...[1, new Failure('WRONGTYPE Operation against a key holding the wrong kind of value')],
      // What the last one left is not there to be copied any more.
      ...[0, 0, 1],
    ])
    expect(await redis.call('HGET', 'a', 'f')).toBe('1')
    expect(await redis.call('COPY', 'a', 'a', 'DB', '1')).toBe(1)
    const counted = await redis.call('INFO', 'commandstats')
    expect((counted as string).match(/cmdstat_copy:calls=\d+/g)).toEqual(['cmdstat_copy:calls=3'])
    expect(
      await redis.call('EVAL', "return redis.call('COPY', KEYS[1], KEYS[2])", 2, 'a', 'd'),
    ).toBe(1)
    expect(await redis.call('HGET', 'd', 'f')).toBe('1')
  })

  test('that two clients race for is won by one of them each time', async () => {
    const { client } = await served()
    const clients = await Promise.all([1, 2, 3, 4].map(client))
    let won = 0
    const add = async (redis: (typeof clients)[number]): Promise<void> => {
      for (let n = 0; n < 50; n++) {
        await redis.call('WATCH', 'sum')
        const before = Number((await redis.call('GET', 'sum')) ?? 0)
        await redis.call('MULTI')
        await redis.call('SET', 'sum', before + 1)
        if ((await redis.call('EXEC')) !== null) won++
      }
    }
    await Promise.all(clients.map(add))
    expect(won).toBeGreaterThan(0)
    expect(await clients[0]?.call('GET', 'sum')).toBe(String(won))
  })
})
