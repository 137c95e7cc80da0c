/** SORT and SORT_RO: the orders, what patterns find, errors, and random calls beside a real Redis. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { served, type RawClient, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

const notANumber = "ERR One or more scores can't be converted into double"
const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value'

async function redisOf(): Promise<RawClient> {
  const { client } = await served()
  return client()
}

describe('SORT', () => {
  test('gives the elements of a list, a set and a sorted set as numbers', async () => {
    const redis = await redisOf()
    await redis.call('RPUSH', 'l', 10, 9, '-1.5', '1e1', 'inf', ' 3', '0x2', '')
    await redis.call('SADD', 's', 10, 9, 100)
    await redis.call('ZADD', 'z', 1, 30, 2, 20, 3, 10)
    expect(await redis.call('SORT', 'l')).toEqual(
      ...[['-1.5', '', '0x2', ' 3', '9', '10', '1e1', 'inf']],
    )
    expect(await redis.call('SORT', 's', 'desc')).toEqual(['100', '10', '9'])
    expect(await redis.call('sort', 'z')).toEqual(['10', '20', '30'])
    expect(await redis.call('SORT_RO', 's', 'LIMIT', 1, 1)).toEqual(['10'])
    expect(await redis.call('SORT', 'none')).toEqual([])
    expect(await redis.call('SORT', 'none', 'STORE', 'l')).toBe(0)
    expect(await redis.call('EXISTS', 'l')).toBe(0)
  })

  test('compares bytes with ALPHA', async () => {
    const redis = await redisOf()
    await redis.call('RPUSH', 'l', 'b', 'a', '\u00ff', 'B', 'a\u0000', '10', '9')
    expect(await redis.call('SORT', 'l', 'ALPHA')).toEqual(
      ...[['10', '9', 'B', 'a', 'a\u0000', 'b', '\u00ff']],
    )
    expect(await redis.call('SORT', 'l', 'ALPHA', 'DESC', 'LIMIT', 0, 2)).toEqual(['\u00ff', 'b'])
    expect(await redis.call('SORT', 'l', 'ALPHA', 'LIMIT', -5, 1)).toEqual(['10'])
    expect(await redis.call('SORT', 'l', 'ALPHA', 'LIMIT', 6, 100)).toEqual(['\u00ff'])
    expect(await redis.call('SORT', 'l', 'ALPHA', 'LIMIT', 7, -1)).toEqual([])
    const far = '9223372036854775807'
    expect(await redis.call('SORT', 'l', 'ALPHA', 'LIMIT', far, far)).toEqual([])
    expect(await redis.call('SORT', 'l', 'ALPHA', 'LIMIT', 5, far)).toEqual(['b', '\u00ff'])
  })

  test('reads other keys, and fields of hashes, by BY and GET', async () => {
    const redis = await redisOf()
    await redis.call('RPUSH', 'l', 'a', 'b', 'c', 'd')
    await redis.call('MSET', 'weight_a', 3, 'weight_b', 1, 'weight_c', 2, 'name_a', 'Ada')
    await redis.call('HSET', 'hash_a', 'w', 1, 'name', 'A')
    await redis.call('HSET', 'hash_b', 'w', 2)
    await redis.call('HSET', 'x->y', 'f', 'v')
    // One that has no weight counts as 0, or comes first.
    expect(await redis.call('SORT', 'l', 'BY', 'weight_*')).toEqual(['d', 'b', 'c', 'a'])
    expect(await redis.call('SORT', 'l', 'BY', 'weight_*', 'ALPHA')).toEqual(['d', 'b', 'c', 'a'])
    expect(await redis.call('SORT', 'l', 'BY', 'hash_*->w', 'DESC', 'LIMIT', 0, 2)).toEqual([
      ...['b', 'a'],
    ])
    expect(
      await redis.call('SORT', 'l', 'BY', 'nosort', 'GET', '#', 'GET', 'name_*', 'LIMIT', 0, 2),
    ).toEqual(['a', 'Ada', 'b', null])
    expect(
      await redis.call(
        'SORT',
        'l',
        'ALPHA',
        'GET',
        'hash_*->name',
        'GET',
        'hash_*',
        'GET',
        'name_a',
      ),
    ).toEqual(['A', ...Array.from({ length: 11 }, () => null)])
    // A type that does not fit is as if nothing were there.
    expect(await redis.call('SORT', 'l', 'BY', 'nosort', 'GET', 'name_*->f')).toEqual([
      ...[null, null, null, null],
    ])
    await redis.call('RPUSH', 'arrow', 'x')
    await redis.call('SET', 'x->', 'end')
    expect(await redis.call('SORT', 'arrow', 'ALPHA', 'GET', '*->')).toEqual(['end'])
  })

  test('leaves lists and sorted sets as they are with BY nosort', async () => {
    const redis = await redisOf()
    await redis.call('RPUSH', 'l', 2, 1, 3)
    await redis.call('ZADD', 'z', 1, 'c', 2, 'b', 3, 'a')
    await redis.call('SADD', 's', 'c', 'a', 'b')
    expect(await redis.call('SORT', 'l', 'BY', 'nosort')).toEqual(['2', '1', '3'])
    expect(await redis.call('SORT', 'l', 'BY', 'nosort', 'DESC', 'LIMIT', 0, 2)).toEqual(['3', '1'])
    expect(await redis.call('SORT', 'z', 'BY', 'nosort', 'DESC', 'LIMIT', 1, 5)).toEqual(['b', 'c'])
    // What comes behind it does not make a pattern of it again.
    expect(await redis.call('SORT', 'l', 'BY', 'x', 'BY', '*')).toEqual(['2', '1', '3'])
    expect(await redis.call('SORT', 's', 'BY', 'nosort', 'STORE', 'to')).toBe(3)
    expect(await redis.call('LRANGE', 'to', 0, -1)).toEqual(['a', 'b', 'c'])
    expect(
      await redis.call('EVAL', "return redis.call('SORT', KEYS[1], 'BY', 'x')", 1, 's'),
    ).toEqual(['a', 'b', 'c'])
  })

  test('stores a list over whatever was there, which who waits for it gets', async () => {
    const { client } = await served()
    const [redis, waiter, listener] = await Promise.all([1, 2, 3].map(client))
    if (redis === undefined || waiter === undefined || listener === undefined) return
    await redis.call('CONFIG', 'SET', 'notify-keyspace-events', 'KA')
    await listener.call('PSUBSCRIBE', '*')
    await redis.call('RPUSH', 'l', 2, 1)
    await redis.call('SET', 'to', 'x', 'EX', 1000)
    expect(await redis.call('SORT', 'l', 'GET', '#', 'GET', 'none_*', 'STORE', 'to')).toBe(4)
    expect(await redis.call('LRANGE', 'to', 0, -1)).toEqual(['1', '', '2', ''])
    expect(await redis.call('TTL', 'to')).toBe(-1)
    expect(await redis.call('SORT', 'l', 'LIMIT', 5, 1, 'STORE', 'to')).toBe(0)
    const events: Reply[] = []
    while (events.at(-1) !== 'del') {
      const message = await listener.reply()
      if (Array.isArray(message)) events.push(message.at(-1) ?? null)
    }
    expect(events).toEqual(['rpush', 'set', 'expire', 'sortstore', 'del'])
    waiter.send('BLPOP', 'to', 0)
    await expect.poll(() => redis.call('INFO', 'clients')).toMatch(/blocked_clients:1\r/)
    expect(await redis.call('SORT', 'l', 'STORE', 'l', 'STORE', 'to')).toBe(2)
    expect(await waiter.reply()).toEqual(['to', '1'])
    expect(await redis.call('LRANGE', 'l', 0, -1)).toEqual(['2', '1'])
    expect(await redis.call('SORT', 'l', 'STORE', 'l')).toBe(2)
    expect(await redis.call('LRANGE', 'l', 0, -1)).toEqual(['1', '2'])
  })

  test('finds what is not in memory, also in a transaction, a script, and another database', async () => {
    const first = await served()
    const redis = await first.client()
    const count = 1500
    for (const database of [0, 3]) {
      redis.send('SELECT', database)
      for (let n = 0; n < count; n++) {
        redis.send('RPUSH', 'l', n)
        redis.send('SET', `w:${n}`, (n * 7) % count)
        redis.send('HSET', `h:${n}`, 'name', `${database}/${n}`)
      }
      for (let n = 0; n <= 3 * count; n++) await redis.reply()
    }
    await first.stop()
    const words = ['SORT', 'l', 'BY', 'w:*', 'GET', 'h:*->name', 'LIMIT', 0, count]
    const script = "return redis.call('SORT', 'l', 'BY', 'w:*', 'GET', 'h:*->name')"
    const named = (database: number): string[] =>
      Array.from({ length: count }, (_, n) => n)
        .sort((a, b) => ((a * 7) % count) - ((b * 7) % count))
        .map((n) => `${database}/${n}`)
    for (const how of ['alone', 'transaction', 'script'] as const) {
      const { client, stop } = await served({ directory: first.directory })
      const cold = await client()
      if (how === 'transaction') {
        await cold.call('MULTI')
        await cold.call('SET', 'w:1', 7)
        await cold.call(...words)
        expect(await cold.call('EXEC')).toEqual(['OK', named(0)])
      } else {
        await cold.call('SELECT', 3)
        expect(
          await (how === 'script' ? cold.call('EVAL', script, 0) : cold.call(...words)),
        ).toEqual(named(3))
      }
      await stop()
    }
  }, 120_000)

  test('reads rows by patterns, and neither sorts one nor stores over one', async () => {
    const { client } = await served({
      schema: `CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, visits BIGINT);
        INSERT INTO users VALUES (1, 'Ada', 30), (2, 'Bob', NULL), (3, 'Cy', 20)`,
      caches: { users: { table: 'users', key: 'id', rowExpiry: 'delete' } },
    })
    const redis = await client()
    await redis.call('RPUSH', 'ids', 1, 2, 3, 4)
    expect(
      await redis.call('SORT', 'ids', 'BY', 'users:*->visits', 'GET', '#', 'GET', 'users:*->name'),
    ).toEqual(['2', 'Bob', '4', null, '3', 'Cy', '1', 'Ada'])
    expect(await redis.call('SORT', 'ids', 'LIMIT', 0, 1, 'GET', 'users:*')).toEqual([
      '{"name":"Ada","visits":30}',
    ])
    expect(await redis.failure('SORT', 'users:1')).toBe(wrongType)
    expect(await redis.failure('SORT', 'ids', 'STORE', 'users:1')).toBe(wrongType)
    expect(await redis.failure('SORT', 'none', 'STORE', 'users:1')).toBe(wrongType)
    expect(await redis.call('HGET', 'users:1', 'name')).toBe('Ada')
  })

  test('has the errors of Redis, and bounds of its own', async () => {
    const { client } = await served({ redis: { maxOutputBytes: 65_536 } })
    const redis = await client()
    await redis.call('SET', 'text', 'x')
    await redis.call('HSET', 'hash', 'f', 'v')
    await redis.call('RPUSH', 'l', 1, 2, 3)
    await redis.call('SET', 'w1', 'x')
    const syntax = 'ERR syntax error'
    const integer = 'ERR value is not an integer or out of range'
    for (const [words, message] of [
      [['text'], wrongType],
      [['hash'], wrongType],
      [['l', 'x'], syntax],
      [['l', 'LIMIT', '1'], syntax],
      [['l', 'LIMIT', 'x', '1'], integer],
      [['l', 'LIMIT', '0', '1.5'], integer],
      [['l', 'BY'], syntax],
      [['l', 'GET'], syntax],
      [['l', 'STORE'], syntax],
      [['text', 'x'], syntax],
      [['l', 'BY', 'w*'], notANumber],
      [['l', ...Array.from({ length: 101 }, () => ['GET', '#']).flat()], /at most 100 patterns/],
    ] as const) {
      expect(await redis.failure('SORT', ...words)).toMatch(message)
    }
    expect(await redis.failure('SORT')).toBe("ERR wrong number of arguments for 'sort' command")
    expect(await redis.failure('SORT_RO', 'l', 'STORE', 'to')).toBe(syntax)
    for (const none of ['x', 'nan', '1x', '1e400', '-1e400', '1e-400', '5e-324', ' ']) {
      await redis.call('DEL', 'bad')
      await redis.call('RPUSH', 'bad', none)
      expect(await redis.failure('SORT', 'bad')).toBe(notANumber)
    }
    await redis.call('SET', 'big1', 'x'.repeat(50_000))
    expect(await redis.call('SORT', 'l', 'GET', 'big*', 'STORE', 'to')).toBe(3)
    expect(await redis.failure('SORT', 'l', 'GET', 'big*', 'GET', 'big*')).toBe(
      'ERR the values that SORT reads take more than 65536 bytes',
    )
    const items = Array.from({ length: 1001 }, (_, n) => n)
    await redis.call('RPUSH', 'many', ...items)
    const gets = Array.from({ length: 100 }, (_, n) => ['GET', `${n}_*`]).flat()
    expect(await redis.failure('SORT', 'many', ...gets)).toBe(
      'ERR SORT reads at most 100000 other keys',
    )
  })

  test('says where its keys are', async () => {
    const redis = await redisOf()
    const keys = (...words: string[]): Promise<Reply> => redis.call('COMMAND', 'GETKEYS', ...words)
    expect(await keys('SORT', 'k')).toEqual(['k'])
    expect(await keys('SORT', 'k', 'GET', 'store', 'STORE', 'a', 'store', 'b')).toEqual(['k', 'b'])
    expect(await keys('SORT', 'k', 'LIMIT', '0', '1', 'BY', 'x')).toEqual(['k'])
  })
})

const key = fc.constantFrom('l', 's', 'z', 'to', 'text')
const numbers = Array.from({ length: 26 }, (_, n) => String(n - 5))
const others = ['a', 'b', 'B', 'inf', '-inf', '1.5', ' 2', '0x10', '']
const item = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...numbers) },
  { weight: 1, arbitrary: fc.constantFrom(...others) },
)
/** A text for each item, no two the same: where they are, Redis leaves the order to the C library. */
const texts = [...numbers, ...others].flatMap((each, at) => [`d_${each}`, `${(at * 13) % 35}x`])
const pattern = fc.constantFrom(
  ...[
    'w_*',
    'w_*',
    'd_*',
    'd_*',
    'h_*->f',
    'h_*->g',
    'h_*',
    '#',
    'nosort',
    'w_1',
    'w_*->',
    '*',
    's*t->f',
  ],
)
const option = fc.oneof(
  fc.constantFrom(['ASC'], ['DESC'], ['desc'], ['ALPHA'], ['alpha'], ['LIMIT', '0', '3']),
  fc
    .tuple(fc.integer({ min: -2, max: 6 }), fc.integer({ min: -2, max: 6 }))
    .map(([offset, count]) => ['LIMIT', String(offset), String(count)]),
  pattern.map((text) => ['BY', text]),
  pattern.map((text) => ['GET', text]),
)
const ending = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<readonly string[]>([]) },
  { weight: 3, arbitrary: key.map((name) => ['STORE', name]) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(['x'], ['LIMIT', '1'], ['LIMIT', 'x', '1'], ['GET'], ['STORE']),
  },
)
const sorting = fc
  .tuple(
    fc.constantFrom('SORT', 'SORT', 'SORT_RO'),
    key,
    fc.array(option, { maxLength: 4 }),
    ending,
  )
  .map(([name, sorted, options, end]) => [name, sorted, ...options.flat(), ...end])
const setting: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constantFrom('RPUSH', 'LPUSH'), fc.constantFrom('l', 'to'), item, item),
  fc.tuple(fc.constant('SADD'), fc.constant('s'), item, item),
  fc.tuple(fc.constant('ZADD'), fc.constant('z'), fc.constantFrom('1', '2', '3'), item),
  item.map((element) => ['SET', `w_${element}`, element]),
  fc.tuple(item, fc.constantFrom('f', 'g')).map(([of, field]) => ['HSET', `h_${of}`, field, of]),
  fc.tuple(fc.constant('DEL'), key),
  fc.constant(['SET', 'text', 'x']),
  fc.constantFrom(['LRANGE', 'to', '0', '-1'], ['TYPE', 'to'], ['LRANGE', 'l', '0', '-1']),
  fc.constantFrom(['MULTI'], ['EXEC']),
)

/** A set as it is, and texts of which two may be equal or missing, have an order that is nobody's promise. */
function isDetermined(words: readonly string[]): boolean {
  if (!words[0]?.startsWith('SORT')) return true
  const by = words.flatMap((word, at) => (word === 'BY' ? [words[at + 1] ?? ''] : []))
  if (by.some((text) => !text.includes('*'))) return words[1] !== 's'
  const last = by.at(-1)
  if (last === undefined || last === 'd_*') return true
  return !words.some((word) => word.toLowerCase() === 'alpha')
}

describe('random calls of SORT', () => {
  test('are answered as Redis answers them', { timeout: 300_000 }, async (context) => {
    context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
    const real = await realRedis()
    const ours = await redisOf()
    let elements = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 2, arbitrary: sorting }, { weight: 3, arbitrary: setting }), {
          minLength: 5,
          maxLength: 60,
        }),
        async (commands) => {
          const sent = commands.filter(isDetermined)
          const found: Reply[][] = []
          for (const redis of [real, ours]) {
            await redis.call('RESET')
            await redis.call('FLUSHALL')
            await redis.call('MSET', ...texts)
            found.push(await redis.pipeline(sent))
          }
          expect(found[1]).toEqual(found[0])
          elements += sent.filter(
            ([name], at) => name === 'SORT' && Array.isArray(found[0]?.[at]),
          ).length
        },
      ),
      {
        numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 300),
        seed: 20261128,
        endOnFailure: false,
      },
    )
    expect(elements).toBeGreaterThan(300)
  })
})
