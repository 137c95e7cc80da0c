/** DUMP and RESTORE, of keys of every type and of rows. */

import { describe, expect, test } from 'vitest'
import { withFooter } from '../../../src/server/redis/rdb/footer.ts'
import { oldPayloads } from './old-payloads.ts'
import { Failure, served, type RawClient, type Reply } from './redis-fixture.ts'

function payload(hex: string, version = 10): string {
  return withFooter(Buffer.from(hex, 'hex').toString('latin1'), version)
}

const ada = payload('0003416461')

async function dumpOf(redis: RawClient, key: string): Promise<string> {
  const reply = await redis.call('DUMP', key)
  if (typeof reply === 'string') return reply
  throw new Error(`DUMP ${key} answered ${JSON.stringify(reply)}.`)
}

/** All that can be seen of a key. */
async function seen(redis: RawClient, key: string): Promise<Reply> {
  const type = (await redis.call('TYPE', key)) as string
  const look: Readonly<Record<string, readonly string[]>> = {
    string: ['GET', key],
    list: ['LRANGE', key, '0', '-1'],
    set: ['SORT', key, 'ALPHA'],
    hash: ['HGETALL', key],
    zset: ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
  }
  return [type, await redis.call(...(look[type] ?? ['PING']))]
}

async function fill(redis: RawClient): Promise<void> {
  const numbers = Array.from({ length: 3000 }, (_, index) => String(index))
  await redis.call('SET', 'string', '\u00ff\u0000a')
  await redis.call('SET', 'empty', '')
  await redis.call('RPUSH', 'list', 'a', '', 'a', '\u00ff\u0000')
  await redis.call('RPUSH', 'long list', ...numbers)
  await redis.call('SADD', 'set', '', '1', '$type', '__proto__', '\u00ff')
  await redis.call('SADD', 'long set', ...numbers)
  await redis.call('HSET', 'hash', 'a', '1', '$type', 'zset', '', '', '__proto__', 'x')
  await redis.call('HSET', 'long hash', ...numbers)
  await redis.call('ZADD', 'zset', '-inf', 'a', 'inf', '', '0.1', '$type', '1e-300', 'b')
  await redis.call('ZADD', 'long zset', ...numbers.flatMap((number) => [number, `m${number}`]))
}

const keys = ['string', 'empty', 'list', 'long list', 'set', 'long set', 'hash', 'long hash']
keys.push('zset', 'long zset')

describe('a payload', () => {
  test('does not give a stream, and says how it is read', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('XADD', 'stream', '1-1', 'field', 'value')
    expect(await redis.failure('DUMP', 'stream')).toBe(
      'ERR a stream cannot be dumped here: read it by XRANGE',
    )
  })

  test('brings back what it was made of, of every type, over whatever is there', async () => {
    const { client } = await served()
    const redis = await client()
    await fill(redis)
    await redis.call('HELLO', '3')
    for (const [at, key] of keys.entries()) {
      const other = `other ${keys[(at + 3) % keys.length] ?? ''}`
      const dumped = await dumpOf(redis, key)
      expect(await redis.call('RESTORE', `copy ${key}`, 0, dumped)).toBe('OK')
      expect(await seen(redis, `copy ${key}`)).toEqual(await seen(redis, key))
      await redis.call('COPY', keys[(at + 3) % keys.length] ?? '', other)
      await redis.call('PEXPIRE', other, 1_000_000)
      expect(await redis.call('RESTORE', other, 0, dumped, 'replace')).toBe('OK')
      expect(await seen(redis, other)).toEqual(await seen(redis, key))
      expect(await redis.call('PTTL', other)).toBe(-1)
    }
    expect(await redis.call('DUMP', 'nothing')).toBeNull()
  })

  test.each(oldPayloads)('of an older Redis is taken: %s', async (_name, hex, value) => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.call('RESTORE', 'k', 0, payload(hex, 6))).toBe('OK')
    expect(await redis.call('TYPE', 'k')).toBe(value.type)
    // The version of Redis 4.0, whatever it came from.
    expect((await dumpOf(redis, 'k')).slice(-10, -8)).toBe('\u0008\u0000')
    const before = await seen(redis, 'k')
    await redis.call('RESTORE', 'k', 0, await dumpOf(redis, 'k'), 'REPLACE')
    expect(await seen(redis, 'k')).toEqual(before)
  })

  test('is in the database as if a client had written it', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    await redis.call('RESTORE', 'k', 9_000_000_000_000, payload('0402016101310162c002'), 'ABSTTL')
    await redis.call('RESTORE', 's', 9_000_000_000_000, ada, 'ABSTTL')
    await book.flush()
    const found = rows('SELECT key, value FROM daybook_values ORDER BY key') as {
      key: string
      value: string
    }[]
    expect(found.map(({ key, value }): [string, unknown] => [key, JSON.parse(value)])).toEqual([
      ['k', { a: '1', b: '2', $expiresAtMs: 9_000_000_000_000 }],
      ['s', { $string: 'Ada', $expiresAtMs: 9_000_000_000_000 }],
    ])
  })
})

describe('RESTORE', () => {
  test('refuses, in the order and with the words of Redis', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('SET', 'there', '1')
    const bad = 'not a payload'
    expect(await redis.failure('RESTORE', 'there', 0, bad, 'nonsense')).toBe('ERR syntax error')
    expect(await redis.failure('RESTORE', 'k', 0, ada, 'FREQ')).toBe('ERR syntax error')
    expect(await redis.failure('RESTORE', 'k', 0, ada, 'FREQ', 1, 'IDLETIME', 1)).toBe(
      'ERR syntax error',
    )
    expect(await redis.failure('RESTORE', 'k', 0, ada, 'FREQ', 256)).toBe(
      'ERR Invalid FREQ value, must be >= 0 and <= 255',
    )
    expect(await redis.failure('RESTORE', 'k', 0, ada, 'IDLETIME', -1)).toBe(
      'ERR Invalid IDLETIME value, must be >= 0',
    )
    expect(await redis.failure('RESTORE', 'k', 0, ada, 'IDLETIME', 'x')).toBe(
      'ERR value is not an integer or out of range',
    )
    expect(await redis.failure('RESTORE', 'there', 'x', bad)).toBe(
      'BUSYKEY Target key name already exists.',
    )
    expect(await redis.failure('RESTORE', 'k', 'x', bad)).toBe(
      'ERR value is not an integer or out of range',
    )
    expect(await redis.failure('RESTORE', 'k', -1, bad)).toBe('ERR Invalid TTL value, must be >= 0')
    expect(await redis.failure('RESTORE', 'k', 0, bad)).toBe(
      'ERR DUMP payload version or checksum are wrong',
    )
    expect(await redis.failure('RESTORE', 'k', 0, payload('000161', 12))).toBe(
      'ERR DUMP payload version or checksum are wrong',
    )
    expect(await redis.failure('RESTORE', 'there', 0, payload('0002'), 'REPLACE')).toBe(
      'ERR Bad data format',
    )
    expect(await redis.failure('RESTORE', 'k', 0)).toBe(
      "ERR wrong number of arguments for 'restore' command",
    )
    expect(await redis.call('GET', 'there')).toBe('1')
    expect(await redis.call('RESTORE', 'k', 0, ada, 'FREQ', 255, 'FREQ', 0)).toBe('OK')
    expect(await redis.call('RESTORE-ASKING', 'asked', 0, ada, 'IDLETIME', 7)).toBe('OK')
    expect(await redis.call('MGET', 'k', 'asked')).toEqual(['Ada', 'Ada'])
  })

  test('gives the key a time to live, in time or as a time', async () => {
    const { client } = await served()
    const redis = await client()
    for (const [, hex] of oldPayloads) {
      await redis.call('RESTORE', 'k', 2_569_591_501, payload(hex), 'REPLACE')
      expect(await redis.call('PTTL', 'k')).toBeGreaterThan(2_569_500_000)
      await redis.call('RESTORE', 'k', 9_000_000_000_000, payload(hex), 'ABSTTL', 'REPLACE')
      expect(await redis.call('PEXPIRETIME', 'k')).toBe(9_000_000_000_000)
    }
    expect(await redis.call('RESTORE', 'past', 1, ada, 'ABSTTL')).toBe('OK')
    expect(await redis.call('RESTORE', 'k', 1, ada, 'ABSTTL', 'REPLACE')).toBe('OK')
    expect(await redis.call('EXISTS', 'past', 'k')).toBe(0)
  })

  test('is told of, and wakes who waits for an element', async () => {
    const { client } = await served({ redis: { notifyKeyspaceEvents: 'KEAn' } })
    const [redis, listener, waiting] = [await client(), await client(), await client()]
    await listener.call('PSUBSCRIBE', '__keyevent@0__:*')
    waiting.send('CLIENT', 'ID')
    await waiting.reply()
    waiting.send('BLPOP', 'list', 0)
    await redis.call('RESTORE', 'list', 0, payload('010201610162'))
    expect(await waiting.reply()).toEqual(['list', 'a'])
    await redis.call('SET', 'k', '1')
    await redis.call('RESTORE', 'k', 0, ada, 'REPLACE')
    await redis.call('RESTORE', 'k', 1, ada, 'REPLACE', 'ABSTTL')
    const heard: Reply[] = []
    while (heard.at(-1) !== 'del k') {
      const [, , channel, key] = (await listener.reply()) as string[]
      heard.push(`${channel?.split(':')[1] ?? ''} ${key ?? ''}`)
    }
    expect(heard).toEqual([
      ...['new list', 'restore list', 'lpop list', 'new k', 'set k'],
      ...['new k', 'restore k', 'del k'],
    ])
  })

  test('is a step of a transaction, which fails where a watched key was restored', async () => {
    const { client } = await served()
    const [redis, other] = [await client(), await client()]
    await redis.call('SET', 'k', '1')
    await redis.call('WATCH', 'k')
    await other.call('RESTORE', 'k', 0, ada, 'REPLACE')
    await redis.call('MULTI')
    await redis.call('GET', 'k')
    expect(await redis.call('EXEC')).toBeNull()
    await redis.call('MULTI')
    await redis.call('DUMP', 'k')
    await redis.call('RESTORE', 'k', 0, ada)
    await redis.call('DEL', 'k')
    await redis.call('RESTORE', 'k', 0, ada)
    await redis.call('GET', 'k')
    expect(await redis.call('EXEC')).toEqual([
      expect.any(String),
      new Failure('BUSYKEY Target key name already exists.'),
      ...[1, 'OK', 'Ada'],
    ])
  })

  test('of a script sees what the script has written', async () => {
    const { client } = await served()
    const redis = await client()
    const script = `
      redis.call('ZADD', KEYS[1], 1.5, 'm')
      redis.call('RESTORE', KEYS[2], 0, redis.call('DUMP', KEYS[1]))
      local ok = redis.pcall('RESTORE', KEYS[2], 0, 'x', 'REPLACE')
      return {redis.call('ZSCORE', KEYS[2], 'm'), ok.err}`
    expect(await redis.call('EVAL', script, 2, 'a', 'b')).toEqual([
      '1.5',
      'ERR DUMP payload version or checksum are wrong',
    ])
  })

  test('takes nothing that unpacks to more than a value may have', async () => {
    const { client } = await served({ redis: { maxBulkBytes: 1024 } })
    const redis = await client()
    // 4 pieces of 264 bytes, each the one before it.
    const bomb = payload(`00c30e4421${'0061'}${'e0ff00'.repeat(4)}`)
    expect(await redis.failure('RESTORE', 'k', 0, bomb)).toBe(
      'ERR the value of the payload is beyond redis.maxBulkBytes',
    )
    expect(await redis.call('EXISTS', 'k')).toBe(0)
  })
})

describe('of a row', () => {
  const schema = `
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, visits BIGINT NOT NULL DEFAULT 0, active BOOLEAN);
    CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
  `
  const options = {
    schema,
    caches: {
      users: { table: 'users', key: 'id', rowExpiry: 'evict' },
      notes: { table: 'notes', key: 'id' },
    },
  } as const

  test('DUMP gives the hash that HGETALL shows', async () => {
    const { client } = await served(options)
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada', 'visits', '3')
    const dumped = await dumpOf(redis, 'users:1')
    await redis.call('RESTORE', 'plain', 0, dumped)
    expect(await redis.call('HGETALL', 'plain')).toEqual(['name', 'Ada', 'visits', '3'])
    expect(await redis.call('RESTORE', 'users:2', 0, dumped)).toBe('OK')
    expect(await redis.call('HGETALL', 'users:2')).toEqual(['name', 'Ada', 'visits', '3'])
    await redis.call('HSET', 'notes:1', 'text', 'x')
    await redis.call('HDEL', 'notes:1', 'text')
    expect(await redis.call('EXISTS', 'notes:1')).toBe(1)
    expect(await redis.call('DUMP', 'notes:1')).toBeNull()
  })

  test('RESTORE is HSET of all fields after DEL', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada', 'visits', '3', 'active', 'true')
    const name = payload('0401046e616d65054772616365')
    expect(await redis.failure('RESTORE', 'users:1', 0, name)).toBe(
      'BUSYKEY Target key name already exists.',
    )
    expect(await redis.call('RESTORE', 'users:1', 0, name, 'REPLACE')).toBe('OK')
    expect(await redis.call('HGETALL', 'users:1')).toEqual(['name', 'Grace', 'visits', '0'])
    await book.flush()
    expect(rows('SELECT * FROM users')).toEqual([{ id: 1, name: 'Grace', visits: 0, active: null }])
  })

  test('RESTORE is refused where HSET would be, and leaves the row and its deadline as they are', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('PEXPIREAT', 'users:1', '9000000000000')
    await redis.call('HSET', 'notes:1', 'text', 'x')
    const wrong = ['0401067669736974730178', '040105636f6c6f750178']
    for (const hex of wrong) {
      const fields = (await redis.failure('RESTORE', 'users:1', 0, payload(hex), 'REPLACE')).split(
        ' ',
      )
      expect(fields[0]).toBe('ERR')
    }
    for (const hex of ['0003416461', '01010161', '02010161', '05010161000000000000f03f']) {
      for (const key of ['users:1', 'users:7']) {
        expect(await redis.failure('RESTORE', key, 0, payload(hex), 'REPLACE')).toMatch(
          /^WRONGTYPE/,
        )
      }
    }
    const text = payload('040104746578740179')
    expect(await redis.failure('RESTORE', 'notes:1', 1000, text, 'REPLACE')).toMatch(
      /the mapping does not say what EXPIRE/,
    )
    expect(await redis.call('HGETALL', 'notes:1')).toEqual(['text', 'x'])
    expect(await redis.call('HGETALL', 'users:1')).toEqual(['name', 'Ada', 'visits', '0'])
    expect(await redis.call('PEXPIRETIME', 'users:1')).toBe(9_000_000_000_000)
    expect(await redis.call('EXISTS', 'users:7')).toBe(0)
    await book.flush()
    expect(rows('SELECT id, name FROM users')).toEqual([{ id: 1, name: 'Ada' }])
  })

  test('RESTORE with a time to live does what EXPIRE does', async () => {
    const { client } = await served({
      ...options,
      caches: { ...options.caches, users: { ...options.caches.users, rowExpiry: 'delete' } },
    })
    const redis = await client()
    const name = payload('0401046e616d65054772616365')
    await redis.call('RESTORE', 'users:1', 9_000_000_000_000, name, 'ABSTTL')
    expect(await redis.call('PEXPIRETIME', 'users:1')).toBe(9_000_000_000_000)
    await redis.call('RESTORE', 'users:1', 0, name, 'REPLACE')
    expect(await redis.call('PTTL', 'users:1')).toBe(-1)
    await redis.call('RESTORE', 'users:1', 1, name, 'REPLACE', 'ABSTTL')
    expect(await redis.call('EXISTS', 'users:1')).toBe(0)
  })
})
