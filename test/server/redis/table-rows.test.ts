/** Keys of a mapped cache: the rows of a table of one's own. */

import { describe, expect, test } from 'vitest'
import { served, type ServedOptions } from './redis-fixture.ts'

const schema = `
  CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT, visits BIGINT NOT NULL DEFAULT 0, balance DECIMAL(12,2), score REAL,
    active BOOLEAN, tags JSON, photo BLOB, extra JSON
  );
  CREATE TABLE orders (tenant TEXT NOT NULL, id INTEGER NOT NULL, total BIGINT, PRIMARY KEY (tenant, id));
`

const options: ServedOptions = {
  schema,
  caches: {
    users: { table: 'users', key: 'id', rest: 'extra', rowExpiry: 'evict' },
    orders: { table: 'orders', key: ['tenant', 'id'] },
  },
}

describe('a row', () => {
  test('is a hash, and a hash is a row', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    expect(
      await redis.call(
        'HSET',
        'users:1',
        'name',
        'Zo\u00c3\u00ab',
        'active',
        'true',
        'city',
        'Ghent',
      ),
    ).toBe(3)
    expect(await redis.call('HINCRBY', 'users:1', 'visits', 5)).toBe(5)
    expect(await redis.call('HINCRBYFLOAT', 'users:1', 'balance', '10.50')).toBe('10.50')
    expect(await redis.call('HINCRBYFLOAT', 'users:1', 'score', '0.1')).toBe('0.1')
    await redis.call('HSET', 'users:1', 'tags', '["a","b"]', 'photo', '\u00ff\u0000')
    await book.flush()
    expect(
      rows(
        `SELECT id, name, visits, balance, score, active, tags, hex(photo) AS photo, extra FROM users`,
      ),
    ).toEqual([
      {
        id: 1,
        name: 'Zoë',
        visits: 5,
        balance: 10.5,
        score: 0.1,
        active: 1,
        tags: '["a","b"]',
        photo: 'FF00',
        extra: '{"city":"Ghent"}',
      },
    ])
    expect(await redis.call('HDEL', 'users:1', 'name', 'nothing')).toBe(1)
    expect(await redis.call('HEXISTS', 'users:1', 'name')).toBe(0)
    expect(await redis.call('HMGET', 'users:1', 'visits', 'city', 'active')).toEqual([
      '5',
      'Ghent',
      'true',
    ])
    expect(await redis.call('TYPE', 'users:1')).toBe('hash')
    expect(await redis.call('DEL', 'users:1', 'users:2')).toBe(1)
    await book.flush()
    expect(rows('SELECT * FROM users')).toEqual([])
  })

  test('that someone else wrote is read through', async () => {
    const { client } = await served({
      ...options,
      schema: `${schema} INSERT INTO users (id, name, visits) VALUES (7, 'Grace', 41)`,
    })
    const redis = await client()
    expect(await redis.call('HGETALL', 'users:7')).toEqual(['name', 'Grace', 'visits', '41'])
    expect(await redis.call('HINCRBY', 'users:07', 'visits', 1)).toBe(42)
    expect(await redis.call('EXISTS', 'users:7', 'users:8')).toBe(1)
    expect(await redis.call('KEYS', 'users:*')).toEqual(['users:7'])
  })

  test('is JSON as a string', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    await redis.call('SET', 'users:1', '{"name":"Ada","visits":"9007199254740993","tags":[1]}')
    expect(JSON.parse((await redis.call('GET', 'users:1')) as string)).toMatchObject({
      name: 'Ada',
      visits: '9007199254740993',
      tags: [1],
      active: null,
    })
    expect(await redis.failure('SET', 'users:1', 'Ada')).toMatch('JSON object')
    expect(await redis.failure('APPEND', 'users:1', 'x')).toMatch('WRONGTYPE')
    await book.flush()
    expect(rows('SELECT CAST(visits AS TEXT) AS visits FROM users')).toEqual([
      { visits: '9007199254740993' },
    ])
  })

  test('of a composite key has all of its parts in the key', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    expect(await redis.call('HINCRBY', 'orders:acme:7', 'total', 3)).toBe(3)
    await book.flush()
    expect(rows('SELECT * FROM orders')).toEqual([{ tenant: 'acme', id: 7, total: 3 }])
    expect(await redis.failure('HGETALL', 'orders:acme')).toMatch('orders:<tenant>:<id>')
    expect(await redis.failure('HGETALL', 'orders:acme:x')).toMatch('integer')
    expect(await redis.call('SCAN', '0', 'MATCH', 'orders:*', 'COUNT', 100)).toEqual([
      '0',
      ['orders:acme:7'],
    ])
  })

  test.each(['a:b', ':', '[', '["x"', 'b:"\\'])(
    'of a composite key has a name that leads back to it where a part is %j',
    async (tenant) => {
      const { book, client, rows } = await served(options)
      const redis = await client()
      const name = `orders:${JSON.stringify([tenant, '7'])}`
      expect(await redis.call('HINCRBY', name, 'total', 3)).toBe(3)
      await book.flush()
      expect(rows('SELECT * FROM orders')).toEqual([{ tenant, id: 7, total: 3 }])
      const [listed] = (await redis.call('KEYS', 'orders:*')) as string[]
      expect(listed).toBe(name)
      expect(await redis.call('HGET', name, 'total')).toBe('3')
      expect(await redis.failure('HGETALL', 'orders:["a"]')).toMatch('JSON array')
    },
  )

  test('takes nothing that its table does not, and says what', async () => {
    const { client } = await served(options)
    const redis = await client()
    expect(await redis.failure('HSET', 'users:1', 'visits', 'many')).toMatch('visits')
    expect(await redis.failure('HSET', 'users:1', 'tags', '{')).toMatch('takes JSON')
    expect(await redis.failure('HSET', 'orders:a:1', 'nope', '1')).toMatch('no column "nope"')
    expect(await redis.failure('HSET', 'users:1', 'name', '\u00ff')).toMatch('UTF-8')
    expect(await redis.failure('HINCRBY', 'users:1', 'name', 1)).toMatch('not an integer')
    expect(await redis.failure('HINCRBYFLOAT', 'users:1', 'visits', '0.5')).toMatch('integer')
    await redis.call('HSET', 'users:1', 'visits', '9223372036854775807')
    expect(await redis.failure('HINCRBY', 'users:1', 'visits', 1)).toMatch('overflow')
    expect(await redis.failure('SADD', 'users:1', 'a')).toMatch('WRONGTYPE')
    expect(await redis.failure('HDEL', 'users:1', 'visits')).toMatch('NOT NULL')
    expect(await redis.call('HGETALL', 'users:1')).toEqual(['visits', '9223372036854775807'])
  })

  test.each([
    ['SINTERSTORE', 'users:1', 'none', 'none'],
    ['SDIFFSTORE', 'users:1', 'set', 'set'],
    ['SUNIONSTORE', 'users:1', 'set'],
    ['ZINTERSTORE', 'users:1', '1', 'none'],
    ['ZRANGESTORE', 'users:1', 'none', '0', '-1'],
    ['BITOP', 'AND', 'users:1', 'none'],
    ['BITOP', 'AND', 'users:1', 'text'],
  ])('is not replaced by %s, and not deleted where there is no result', async (...words) => {
    const { client } = await served(options)
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('SADD', 'set', 'a')
    await redis.call('SET', 'text', 'x')
    expect(await redis.failure(...words)).toMatch(/^WRONGTYPE/)
    expect(await redis.call('HGET', 'users:1', 'name')).toBe('Ada')
  })

  test('leaves memory by EXPIRE and FLUSHDB, and the table never', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('HSET', 'orders:a:1', 'total', '1')
    expect(await redis.failure('EXPIRE', 'orders:a:1', 10)).toMatch(
      'add expire: "evict" or "delete"',
    )
    expect(await redis.call('EXPIRE', 'users:1', 100)).toBe(1)
    expect(await redis.call('TTL', 'users:1')).toBe(100)
    expect(await redis.call('PERSIST', 'users:1')).toBe(1)
    expect(await redis.call('PEXPIRE', 'users:1', 1)).toBe(1)
    await expect.poll(() => redis.call('TTL', 'users:1')).toBe(-1)
    expect(await redis.call('HGET', 'users:1', 'name')).toBe('Ada')
    await redis.call('FLUSHALL')
    await book.flush()
    expect(rows('SELECT name FROM users')).toEqual([{ name: 'Ada' }])
    expect(await redis.call('HGET', 'users:1', 'name')).toBe('Ada')
  })

  test('is written in one batch with the others of a transaction', async () => {
    const { book, client, rows } = await served(options)
    const redis = await client()
    await redis.call('MULTI')
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('HINCRBY', 'orders:a:1', 'total', 2)
    await redis.call('HSET', 'users:2', 'visits', 'many')
    await redis.call('HGET', 'users:1', 'name')
    const [added, total, , name] = (await redis.call('EXEC')) as unknown[]
    expect([added, total, name]).toEqual([1, 2, 'Ada'])
    await book.flush()
    expect(rows('SELECT id FROM users')).toEqual([{ id: 1 }])
  })

  test('ends with its time, where the mapping says so; over a restart too', async () => {
    const ending: ServedOptions = {
      ...options,
      caches: {
        users: { table: 'users', key: 'id', expire: 'delete', ttlMs: 1e11, rowExpiry: 'delete' },
      },
    }
    const first = await served(ending)
    const before = await first.client()
    await before.call('HSET', 'users:1', 'name', 'Ada')
    await before.call('HSET', 'users:2', 'name', 'Bob')
    expect(await before.call('TTL', 'users:1')).toBe(-1)
    expect(await before.call('EXPIRE', 'users:1', 1000)).toBe(1)
    expect(await before.call('EXPIRE', 'users:2', 1000)).toBe(1)
    await first.stop()

    const second = await served({ ...ending, directory: first.directory, schema: '' })
    const redis = await second.client()
    // A write of the row does not forget its time.
    expect(await redis.call('HINCRBY', 'users:1', 'visits', 1)).toBe(1)
    expect(await redis.call('TTL', 'users:1')).toBeGreaterThan(900)
    expect(await redis.call('PERSIST', 'users:2')).toBe(1)
    expect(await redis.call('TTL', 'users:2')).toBe(-1)
    expect(await redis.call('PEXPIRE', 'users:1', 1)).toBe(1)
    await expect.poll(() => redis.call('EXISTS', 'users:1')).toBe(0)
    expect(await redis.call('HMSET', 'users:1', 'name', 'Eve')).toBe('OK')
    expect(await redis.call('HGETALL', 'users:1')).toEqual(['name', 'Eve', 'visits', '0'])
    await redis.call('SET', 'users:3', '{"name":"Cyd"}', 'PX', 50)
    await redis.call('DAYBOOK', 'FLUSH')
    await expect
      .poll(
        async () => {
          await second.book.flush()
          return second.rows('SELECT name FROM users ORDER BY id')
        },
        { timeout: 20_000 },
      )
      .toEqual([{ name: 'Eve' }, { name: 'Bob' }])
    expect(await redis.call('EXPIRE', 'users:2', -1)).toBe(1)
    expect(await redis.call('EXISTS', 'users:2')).toBe(0)
  })

  test('has a deadline that is known for longer than the row is there, and ends no row that comes later', async () => {
    const { book, client, rows } = await served({
      ...options,
      caches: {
        users: { table: 'users', key: 'id', expire: 'delete', ttlMs: 1e11, rowExpiry: 'delete' },
      },
    })
    const redis = await client()
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('EXPIRE', 'users:1', 1000)
    await book.flush()
    // Else the sweep could forget the deadline first, and who then asks for the row would find it without one.
    const [deadline, row] = rows(
      'SELECT cache, expires_at_ms AS at FROM daybook_expiries ORDER BY cache',
    ) as { cache: string; at: number }[]
    expect([deadline?.cache, row?.cache]).toEqual(['redis:deadlines', 'users'])
    expect(deadline?.at ?? 0).toBeGreaterThan((row?.at ?? 0) + 3_600_000)

    await redis.call('PEXPIRE', 'users:1', 1)
    await expect
      .poll(async () => {
        await book.flush()
        return rows('SELECT name FROM users')
      })
      .toEqual([])
    await redis.call('HSET', 'users:1', 'name', 'Eve')
    expect(await redis.call('TTL', 'users:1')).toBe(-1)
    await book.flush()
    expect(rows('SELECT cache FROM daybook_expiries')).toEqual([])
  })
})
