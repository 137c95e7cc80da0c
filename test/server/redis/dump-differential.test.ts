/** Values of a real Redis, in all of its encodings, here, and values of this server there. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { damaged, anyDamage, type Damage } from '../../../fuzz/damage.ts'
import { withFooter } from '../../../src/server/redis/rdb/footer.ts'
import { Failure, served, type RawClient, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

/** What a Redis holds small values in, where they have at most so many elements of so many bytes. */
const settings = [
  {
    'list-max-listpack-size': '-2',
    'hash-max-listpack-entries': '128',
    'hash-max-listpack-value': '64',
    'zset-max-listpack-entries': '128',
    'zset-max-listpack-value': '64',
    'set-max-intset-entries': '512',
    rdbcompression: 'yes',
  },
  {
    'list-max-listpack-size': '3',
    'hash-max-listpack-entries': '0',
    'hash-max-listpack-value': '0',
    'zset-max-listpack-entries': '0',
    'zset-max-listpack-value': '0',
    'set-max-intset-entries': '0',
    rdbcompression: 'no',
  },
  {
    'list-max-listpack-size': '-5',
    'hash-max-listpack-entries': '100000',
    'hash-max-listpack-value': '100000',
    'zset-max-listpack-entries': '100000',
    'zset-max-listpack-value': '100000',
    'set-max-intset-entries': '100000',
    rdbcompression: 'yes',
  },
] as const

async function configure(real: RawClient, index: number): Promise<void> {
  for (const [name, value] of Object.entries(settings[index] ?? {})) {
    expect(await real.call('CONFIG', 'SET', name, value)).toBe('OK')
  }
}

const text = fc.oneof(
  fc.constantFrom('', '0', '-1', '127', '128', '4095', '-4096', '-4097', '32767', '-32768'),
  fc.constantFrom('8388607', '-8388609', '2147483647', '-2147483648', '2147483648'),
  fc.constantFrom('9223372036854775807', '-9223372036854775808', '9223372036854775808', '007'),
  fc.constantFrom('$type', '__proto__', 'a'.repeat(63), 'b'.repeat(64), 'c'.repeat(65)),
  fc.integer({ min: -20, max: 20 }).map(String),
  fc.maxSafeInteger().map(String),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc
    .tuple(fc.constantFrom('x', 'xyz', '\u00ff\u0000'), fc.integer({ min: 1, max: 3000 }))
    .map(([piece, times]) => piece.repeat(times)),
)
const score = fc.oneof(
  fc.integer({ min: -40_000, max: 40_000 }).map(String),
  fc.double({ noNaN: true }).map((value) => String(value + 0).replace('Infinity', 'inf')),
)
const texts = fc.oneof(
  { weight: 4, arbitrary: fc.array(text, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(text, { minLength: 100, maxLength: 300, size: 'max' }) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 2000 })
      .map((count) => Array.from({ length: count }, (_, at) => String(at * at - 1000))),
  },
)
const making: fc.Arbitrary<readonly string[]> = fc.oneof(
  text.map((value) => ['SET', 'k', value]),
  texts.map((items) => ['RPUSH', 'k', ...items]),
  texts.map((members) => ['SADD', 'k', ...members]),
  texts.map((words) => ['HSET', 'k', ...words.flatMap((word, at) => [word, words.at(-at) ?? ''])]),
  fc
    .tuple(texts, fc.array(score, { minLength: 1, maxLength: 20 }))
    .map(([members, scores]) => [
      ...['ZADD', 'k'],
      ...members.flatMap((member, at) => [scores[at % scores.length] ?? '0', member]),
    ]),
)

/** A real Redis lets a value reach into its checksum. Here it may only reach into this, which is left alone otherwise. */
const behind = '\0'.repeat(16)

/** All that can be seen of the key, in an order of its own where the type has none, or where a damaged one has another. */
async function seen(redis: RawClient): Promise<Reply> {
  const type = (await redis.call('TYPE', 'k')) as string
  switch (type) {
    case 'string':
      return [type, await redis.call('GET', 'k')]
    case 'list':
      return [type, await redis.call('LRANGE', 'k', 0, -1)]
    case 'set':
      return [type, ...((await redis.call('SMEMBERS', 'k')) as string[]).sort()]
    case 'hash':
      return [type, ...sortedPairs((await redis.call('HGETALL', 'k')) as string[])]
    case 'zset':
      return [
        type,
        ...sortedPairs((await redis.call('ZRANGE', 'k', 0, -1, 'WITHSCORES')) as string[]),
      ]
    default:
      return type
  }
}

function sortedPairs(words: readonly string[]): string[][] {
  const pairs: string[][] = []
  for (let at = 0; at < words.length; at += 2) {
    const [name = '', value = ''] = words.slice(at, at + 2)
    pairs.push([name, value === '-0' ? '0' : value])
  }
  return pairs.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
}

describe.skipIf(toolUnavailable('redis-server') !== undefined)(
  `values move${toolUnavailable('redis-server') ?? ''}`,
  () => {
    test.each([0, 1, 2])(
      'from a real Redis with settings %i to this server and back',
      { timeout: 120_000 },
      async (index) => {
        const real = await realRedis()
        const here = await (await served()).client()
        await configure(real, index)
        const encodings = new Set<Reply>()
        await fc.assert(
          fc.asyncProperty(making, async (command) => {
            await real.call('DEL', 'k')
            await real.call(...command)
            encodings.add(await real.call('OBJECT', 'ENCODING', 'k'))
            const before = await seen(real)
            const there = (await real.call('DUMP', 'k')) as string
            expect(await here.call('RESTORE', 'k', 0, there, 'REPLACE')).toBe('OK')
            expect(await seen(here)).toEqual(before)
            const mine = (await here.call('DUMP', 'k')) as string
            expect(await real.call('RESTORE', 'k', 0, mine, 'REPLACE')).toBe('OK')
            expect(await seen(real)).toEqual(before)
            expect(await here.call('RESTORE', 'k', 0, mine, 'REPLACE')).toBe('OK')
            expect(await seen(here)).toEqual(before)
          }),
          { numRuns: 250, seed: 20261127 + index, endOnFailure: true },
        )
        const expected = [
          ['embstr', 'raw', 'int', 'quicklist', 'listpack', 'intset', 'hashtable', 'skiplist'],
          ['embstr', 'raw', 'int', 'quicklist', 'hashtable', 'skiplist'],
          ['embstr', 'raw', 'int', 'quicklist', 'listpack', 'intset', 'hashtable'],
        ]
        expect([...encodings].sort()).toEqual(expected[index]?.sort())
      },
    )

    test('by MIGRATE of a real Redis, with a password, to another database', async () => {
      const real = await realRedis()
      const { client, redis } = await served({ redis: { password: 'secret' } })
      const here = await client()
      await here.call('AUTH', 'secret')
      await real.call('SET', 'k', 'Ada', 'PX', 1_000_000)
      await real.call('RPUSH', 'list', 'a', 'b')
      await real.call('ZADD', 'zset', 1.5, 'm')
      const migrate = ['MIGRATE', '127.0.0.1', redis.port]
      expect(await real.failure(...migrate, 'k', 0, 5000)).toContain('NOAUTH')
      expect(await real.failure(...migrate, 'k', 0, 5000, 'AUTH', 'x')).toContain('WRONGPASS')
      expect(await real.call(...migrate, 'k', 0, 5000, 'COPY', 'AUTH', 'secret')).toBe('OK')
      expect(await real.failure(...migrate, 'k', 0, 5000, 'AUTH', 'secret')).toContain('BUSYKEY')
      const rest = ['AUTH2', 'default', 'secret', 'KEYS', 'k', 'nothing', 'list', 'zset']
      expect(await real.call(...migrate, '', 3, 5000, 'REPLACE', ...rest)).toBe('OK')
      expect(await real.call('DBSIZE')).toBe(0)
      expect(await here.call('GET', 'k')).toBe('Ada')
      await here.call('SELECT', 3)
      expect(await here.call('PTTL', 'k')).toBeGreaterThan(900_000)
      expect(await here.call('LRANGE', 'list', 0, -1)).toEqual(['a', 'b'])
      expect(await here.call('ZSCORE', 'zset', 'm')).toBe('1.5')
    })

    test(
      'and damaged ones are refused where a real Redis refuses them',
      { timeout: 240_000 },
      async () => {
        const real = await realRedis()
        const here = await (await served()).client()
        const counts = { both: 0, neither: 0, onlyThere: 0 }
        const small = fc.tuple(
          fc.constantFrom(...settings.keys()),
          making.filter((command) => command.join('').length < 600),
          fc.array(anyDamage, { minLength: 1, maxLength: 2 }),
        )
        expect(await real.call('CONFIG', 'SET', 'sanitize-dump-payload', 'yes')).toBe('OK')
        await fc.assert(
          fc.asyncProperty(small, async ([index, command, damages]) => {
            await configure(real, index)
            await real.call('DEL', 'k')
            await real.call(...command)
            const payload = (await real.call('DUMP', 'k')) as string
            const broken = withFooter(damagedText(payload.slice(0, -10), damages) + behind, 10)
            await real.call('DEL', 'k')
            await here.call('DEL', 'k')
            const there = await real.call('RESTORE', 'k', 0, broken)
            const mine = await here.call('RESTORE', 'k', 0, broken)
            if (there instanceof Failure) {
              expect(mine).toBeInstanceOf(Failure)
              expect((mine as Failure).message).toContain('ERR Bad data format')
              counts.neither++
            } else if (mine instanceof Failure) {
              expect(mine.message).toContain('ERR Bad data format')
              counts.onlyThere++
            } else {
              expect(await seen(here)).toEqual(await seen(real))
              counts.both++
            }
          }),
          { numRuns: 1500, seed: 20261127, endOnFailure: true },
        )
        // A score that is no number, for which a real Redis may even end, and what reaches yet further.
        expect(counts.onlyThere).toBeLessThan(30)
        expect(counts.both).toBeGreaterThan(300)
        expect(counts.neither).toBeGreaterThan(300)
      },
    )
  },
)

function damagedText(original: string, damages: readonly Damage[]): string {
  let bytes: Uint8Array = Buffer.from(original, 'latin1')
  for (const damage of damages) bytes = damaged(bytes, damage)
  return Buffer.from(bytes).toString('latin1')
}
