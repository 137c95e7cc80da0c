/** BITPOS, BITFIELD and BITFIELD_RO: what they find and change, errors, and random calls beside a real Redis. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { requestOf, served, type RawClient, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value'
const syntax = 'ERR syntax error'
const notAnInteger = 'ERR value is not an integer or out of range'
const badOffset = 'ERR bit offset is not an integer or out of range'
const badType =
  'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.'

const table = {
  schema: `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ada')`,
  caches: { users: { table: 'users', key: 'id' } },
}

async function redisOf(): Promise<RawClient> {
  const { client } = await served(table)
  return client()
}

describe('BITPOS', () => {
  test('finds the first bit that is set or clear, in a range of bytes or bits', async () => {
    const redis = await redisOf()
    await redis.call('SET', 'k', '\u0000\u000f\u00ff')
    expect(await redis.call('BITPOS', 'k', 1)).toBe(12)
    expect(await redis.call('BITPOS', 'k', 0)).toBe(0)
    expect(await redis.call('BITPOS', 'k', 1, 2)).toBe(16)
    expect(await redis.call('BITPOS', 'k', 1, 0, 0)).toBe(-1)
    expect(await redis.call('BITPOS', 'k', 1, '-1', '-1', 'BYTE')).toBe(16)
    expect(await redis.call('BITPOS', 'k', 0, 12, 14, 'bit')).toBe(-1)
    expect(await redis.call('BITPOS', 'k', 0, 11, 14, 'BIT')).toBe(11)
    expect(await redis.call('BITPOS', 'k', 1, '-13', '-12', 'BIT')).toBe(12)
    expect(await redis.call('BITPOS', 'k', 1, 2, 1)).toBe(-1)
  })

  test('takes a string for one that goes on in zeros, unless an end is given', async () => {
    const redis = await redisOf()
    await redis.call('SET', 'ones', '\u00ff\u00ff')
    await redis.call('SET', 'empty', '')
    expect(await redis.call('BITPOS', 'ones', 0)).toBe(16)
    expect(await redis.call('BITPOS', 'ones', 0, 1)).toBe(16)
    expect(await redis.call('BITPOS', 'ones', 0, 0, '-1')).toBe(-1)
    expect(await redis.call('BITPOS', 'ones', 0, 2)).toBe(-1)
    expect(await redis.call('BITPOS', 'empty', 0)).toBe(-1)
    expect(await redis.call('BITPOS', 'none', 0)).toBe(0)
    expect(await redis.call('BITPOS', 'none', 1)).toBe(-1)
    // Of a key that is not there, nobody looks at the range.
    expect(await redis.call('BITPOS', 'none', 0, 'x', 'y', 'z', 'more')).toBe(0)
  })

  test('has the errors of Redis', async () => {
    const redis = await redisOf()
    await redis.call('SET', 'k', 'x')
    await redis.call('RPUSH', 'l', 'x')
    for (const [words, message] of [
      [['k', 'x'], notAnInteger],
      [['k', '2'], 'ERR The bit argument must be 1 or 0.'],
      [['none', '-1'], 'ERR The bit argument must be 1 or 0.'],
      [['l', '1'], wrongType],
      [['users:1', '1'], wrongType],
      [['k', '1', 'x'], notAnInteger],
      [['k', '1', '0', 'x'], notAnInteger],
      [['k', '1', '0', 'x', 'BITS'], syntax],
      [['k', '1', 'x', '0', 'BITS'], notAnInteger],
      [['k', '1', '0', '1', 'BIT', 'x'], syntax],
    ] as const) {
      expect(await redis.failure('BITPOS', ...words)).toBe(message)
    }
    expect(await redis.failure('BITPOS', 'k')).toMatch("wrong number of arguments for 'bitpos'")
  })
})

describe('BITFIELD', () => {
  test('reads and writes integers of any width, at any bit', async () => {
    const redis = await redisOf()
    expect(
      await redis.call(
        'BITFIELD',
        'k',
        'SET',
        'u8',
        0,
        255,
        'SET',
        'i5',
        '#2',
        -3,
        'GET',
        'i5',
        10,
      ),
    ).toEqual([0, 0, -3])
    expect(await redis.call('GET', 'k')).toBe('\u00ff\u003a')
    expect(await redis.call('BITFIELD', 'k', 'GET', 'u4', 2, 'get', 'u63', 100)).toEqual([15, 0])
    expect(await redis.call('BITFIELD_RO', 'k', 'GET', 'i8', '#0', 'GET', 'u8', 4)).toEqual([
      ...[-1, 243],
    ])
    expect(await redis.call('BITFIELD', 'none')).toEqual([])
    expect(await redis.call('BITFIELD', 'none', 'GET', 'u8', 0)).toEqual([0])
    expect(await redis.call('EXISTS', 'none')).toBe(0)
    await redis.call('EXPIRE', 'k', 1000)
    expect(await redis.call('BITFIELD', 'k', 'INCRBY', 'u8', 0, 10)).toEqual([9])
    expect(await redis.call('TTL', 'k')).toBeGreaterThan(900)
  })

  test('wraps, saturates or fails where a value is too large', async () => {
    const redis = await redisOf()
    const field = (...words: (string | number)[]): Promise<Reply> =>
      redis.call('BITFIELD', 'k', ...words)
    expect(await field('SET', 'u2', 0, 5, 'GET', 'u2', 0)).toEqual([0, 1])
    expect(await field('OVERFLOW', 'SAT', 'INCRBY', 'u2', 0, 9, 'INCRBY', 'u2', 0, -9)).toEqual([
      ...[3, 0],
    ])
    expect(
      await field(
        'overflow',
        'fail',
        'INCRBY',
        'i8',
        8,
        128,
        'OVERFLOW',
        'WRAP',
        'SET',
        'i8',
        8,
        128,
      ),
    ).toEqual([null, 0])
    expect(await field('GET', 'i8', 8)).toEqual([-128])
    const most = '9223372036854775807'
    expect(await field('SET', 'i64', 64, most, 'INCRBY', 'i64', 64, 1)).toEqual([
      ...[0, Number('-9223372036854775808')],
    ])
    // As in Redis, what is so far below that the difference overflows counts as above.
    const least = '-9223372036854775808'
    expect(
      await field(
        'OVERFLOW',
        'SAT',
        'SET',
        'i8',
        24,
        -1000,
        'SET',
        'i8',
        24,
        least,
        'GET',
        'i8',
        24,
      ),
    ).toEqual([0, -128, 127])
    // A negative value is one of 64 bits.
    expect(await field('OVERFLOW', 'SAT', 'SET', 'u4', 16, -1, 'GET', 'u4', 16)).toEqual([0, 15])
  })

  test('tells of a change as SETBIT does, and writes nothing where there is none', async () => {
    const { client, book } = await served()
    const [redis, listener] = await Promise.all([1, 2].map(client))
    if (redis === undefined || listener === undefined) return
    await redis.call('CONFIG', 'SET', 'notify-keyspace-events', 'KA')
    await listener.call('PSUBSCRIBE', '*')
    await redis.call('BITFIELD', 'k', 'SET', 'u8', 0, 1)
    await book.flush()
    const before = book.stats().lanes.map(({ position }) => position)
    await redis.call('BITFIELD', 'k', 'SET', 'u8', 0, 1, 'OVERFLOW', 'FAIL', 'SET', 'u1', 0, 2)
    expect(book.stats().lanes.map(({ position }) => position)).toEqual(before)
    // There is room for what failed, as in Redis.
    await redis.call('BITFIELD', 'room', 'OVERFLOW', 'FAIL', 'SET', 'u1', 15, 2)
    expect(await redis.call('GET', 'room')).toBe('\u0000\u0000')
    await redis.call('DEL', 'room')
    const events: Reply[] = []
    while (events.at(-1) !== 'del') {
      const message = await listener.reply()
      if (Array.isArray(message)) events.push(message.at(-1) ?? null)
    }
    expect(events).toEqual(['setbit', 'del'])
  })

  test('has the errors of Redis, and then has written nothing', async () => {
    const { client } = await served({ ...table, redis: { maxBulkBytes: 1024 } })
    const redis = await client()
    await redis.call('RPUSH', 'l', 'x')
    const set = ['SET', 'u8', '0', '1']
    for (const [words, message] of [
      [['k', ...set, 'x'], syntax],
      [['k', ...set, 'GET', 'u8'], syntax],
      [['k', ...set, 'SET', 'u8', '0'], syntax],
      [['k', ...set, 'INCRBY', 'u8', '0'], syntax],
      [['k', ...set, 'OVERFLOW'], syntax],
      [['k', ...set, 'OVERFLOW', 'x'], 'ERR Invalid OVERFLOW type specified'],
      [['k', ...set, 'GET', 'u64', '0'], badType],
      [['k', ...set, 'GET', 'i65', '0'], badType],
      [['k', ...set, 'GET', 'u0', '0'], badType],
      [['k', ...set, 'GET', 'x8', '0'], badType],
      [['k', ...set, 'GET', 'u', '0'], badType],
      [['k', ...set, 'GET', '', '0'], badType],
      [['k', ...set, 'GET', 'u8', '-1'], badOffset],
      [['k', ...set, 'GET', 'u8', '#x'], badOffset],
      [['k', ...set, 'GET', 'u8', '8192'], badOffset],
      [['k', ...set, 'GET', 'u8', '#1024'], badOffset],
      [['k', ...set, 'GET', 'u8', '9223372036854775808'], badOffset],
      [['k', ...set, 'SET', 'u8', '0', 'x'], notAnInteger],
      [['k', ...set, 'INCRBY', 'u8', '0', '1.5'], notAnInteger],
      [['k', ...set, 'SET', 'u8', '8191', '1'], /^ERR string exceeds maximum allowed size/],
      [['l', ...set], wrongType],
      [['l', 'GET', 'u8', '0'], wrongType],
      [['users:1', ...set], wrongType],
      [['users:1', 'GET', 'u8', '0'], wrongType],
      [['l', 'GET', 'x', '0'], badType],
    ] as const) {
      expect(await redis.failure('BITFIELD', ...words)).toMatch(message)
    }
    const readOnly = 'ERR BITFIELD_RO only supports the GET subcommand'
    expect(await redis.failure('BITFIELD_RO', 'k', 'SET', 'u8', 0, 1)).toBe(readOnly)
    expect(await redis.failure('BITFIELD_RO', 'l', 'INCRBY', 'u8', 0, 1)).toBe(readOnly)
    expect(await redis.failure('BITFIELD_RO', 'l', 'GET', 'u8', 0)).toBe(wrongType)
    expect(await redis.failure('BITFIELD')).toMatch("wrong number of arguments for 'bitfield'")
    expect(await redis.call('EXISTS', 'k')).toBe(0)
  })

  test('takes very many operations', async () => {
    const redis = await redisOf()
    const count = 150_000
    const operations = Array.from({ length: count }, () => ['INCRBY', 'u20', 3, 1]).flat()
    redis.write(requestOf(['BITFIELD', 'k', ...operations]))
    const replies = await redis.reply()
    expect(Array.isArray(replies) && replies.at(-1)).toBe(count)
  }, 60_000)
})

const key = fc.constantFrom('a', 'b')
const far = ['9223372036854775807', '-9223372036854775808', '9223372036854775808', 'x', '-0', '']
const bits = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 64 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('0', '65', '', '08', '-1') },
)
const type = fc
  .tuple(fc.constantFrom('u', 'i', 'i', 'u', 'u', 'i', 'x'), bits)
  .map(([sign, width]) => sign + width)
const offset = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 140 }).map(String) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }).map((n) => `#${n}`) },
  { weight: 1, arbitrary: fc.constantFrom('-1', '#-1', '#', '4294967296', 'x') },
)
const amount = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -300, max: 300 }).map(String) },
  { weight: 4, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom(...far) },
)
const operation: fc.Arbitrary<readonly string[]> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constant('GET'), type, offset) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('SET', 'incrby'), type, offset, amount) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('OVERFLOW'),
      fc.constantFrom('WRAP', 'SAT', 'FAIL', 'SAT', 'fail', 'wrap', 'sat', 'FAIL', 'none'),
    ),
  },
)
const value = fc
  .array(fc.constantFrom(0, 0, 255, 255, 1, 128, 170, 7), { maxLength: 9 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
const at = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -80, max: 80 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom(...far) },
)
const command: fc.Arbitrary<readonly string[]> = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.constant('SET'), key, value) },
  fc.tuple(fc.constantFrom('GET', 'DEL', 'TTL'), key),
  fc.tuple(fc.constant('EXPIRE'), key, fc.constant('1000')),
  fc.constantFrom(['RPUSH', 'b', 'x'], ['MULTI'], ['EXEC']),
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        key,
        fc.constantFrom('0', '1', '0', '1', '2'),
        fc.array(at, { maxLength: 2 }),
        fc.constantFrom('BIT', 'byte', 'bit', 'BYTE', 'x'),
      )
      .map(([name, bit, range, unit]) => [
        ...['BITPOS', name, bit, ...range, ...(range.length === 2 ? [unit] : [])],
      ]),
  },
  fc.tuple(fc.constant('BITPOS'), key, fc.constantFrom('0', '1'), at, at),
  {
    weight: 8,
    arbitrary: fc
      .tuple(
        fc.constantFrom('BITFIELD', 'BITFIELD', 'BITFIELD', 'BITFIELD_RO'),
        key,
        fc.array(operation, { maxLength: 4 }),
      )
      .map(([name, of, operations]) => [name, of, ...operations.flat()]),
  },
)

describe('random calls of BITPOS and BITFIELD', () => {
  test('are answered as Redis answers them', { timeout: 300_000 }, async (context) => {
    context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
    const real = await realRedis()
    const ours = await redisOf()
    let answered = 0
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
        const sent = [...commands, ['EXEC'], ['GET', 'a'], ['GET', 'b']]
        const found: Reply[][] = []
        for (const redis of [real, ours]) {
          await redis.call('RESET')
          await redis.call('FLUSHALL')
          found.push(await redis.pipeline(sent))
        }
        expect(found[1]).toEqual(found[0])
        answered += sent.filter(
          ([name], index) => name === 'BITFIELD' && Array.isArray(found[0]?.[index]),
        ).length
      }),
      {
        numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 300),
        seed: 20261129,
        endOnFailure: false,
      },
    )
    expect(answered).toBeGreaterThan(500)
  })
})
