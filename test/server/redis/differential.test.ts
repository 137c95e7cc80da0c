/** Random sequences of commands on a real Redis and on this server: the same replies, one for one. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure, RawClient, served, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

const key = fc.constantFrom('a', 'b', 'c', 'd')
const field = fc.constantFrom('f', 'g', 'h', '7', '')
const value = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    '0',
    '1',
    '-1',
    '10',
    '3.5',
    '1e3',
    'nan',
    '9223372036854775807',
    '\u00ff\u0000',
    ' 1',
  ),
  fc.string({ maxLength: 6 }).map((text) => Buffer.from(text).toString('latin1')),
  fc.integer({ min: -1000, max: 1000 }).map(String),
)
const amount = fc.oneof(
  fc.integer({ min: -100, max: 100 }).map(String),
  fc.constantFrom('x', '9223372036854775807', '-9223372036854775808', '1.5'),
)
const index = fc.integer({ min: -4, max: 6 }).map(String)
/** Seconds so far away that no clock makes a difference. */
const seconds = fc.constantFrom('1000', '0', '-5', 'x', '2000')
const decimal = fc.constantFrom('0.1', '-0.25', '3', '1e2', 'x', '10.5')

const command: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constant('SET'), key, value),
  fc
    .tuple(key, value, fc.subarray(['NX', 'XX', 'GET', 'KEEPTTL', 'EX 1000']))
    .map(([k, v, flags]) => ['SET', k, v, ...flags.flatMap((flag) => flag.split(' '))]),
  fc.tuple(
    fc.constantFrom('GET', 'STRLEN', 'GETDEL', 'TYPE', 'EXISTS', 'DEL', 'PERSIST', 'INCR', 'DECR'),
    key,
  ),
  fc.tuple(fc.constantFrom('GETSET', 'SETNX', 'APPEND'), key, value),
  fc.tuple(fc.constantFrom('INCRBY', 'DECRBY'), key, amount),
  fc.tuple(fc.constant('INCRBYFLOAT'), key, decimal),
  fc.tuple(fc.constantFrom('GETRANGE', 'SUBSTR'), key, index, index),
  fc.tuple(fc.constant('SETRANGE'), key, index, value),
  fc.tuple(
    fc.constant('SETBIT'),
    key,
    fc.integer({ min: -1, max: 40 }).map(String),
    fc.constantFrom('0', '1', '2'),
  ),
  fc.tuple(fc.constant('GETBIT'), key, fc.integer({ min: -1, max: 40 }).map(String)),
  fc.tuple(fc.constant('BITCOUNT'), key, index, index, fc.constantFrom('BIT', 'BYTE')),
  fc.tuple(fc.constant('BITOP'), fc.constantFrom('AND', 'or', 'XOR', 'NOT', 'NO'), key, key),
  fc.tuple(fc.constant('BITOP'), fc.constantFrom('AND', 'OR', 'XOR', 'NOT'), key, key, key, key),
  fc.tuple(fc.constant('MGET'), key, key, key),
  fc.tuple(fc.constantFrom('MSET', 'MSETNX'), key, value, key, value),
  fc.tuple(fc.constantFrom('SETEX', 'PSETEX'), key, seconds, value),
  fc.tuple(
    fc.constantFrom('EXPIRE', 'PEXPIRE'),
    key,
    fc.constantFrom('2000000', '-1', 'x', '3000000'),
    fc.constantFrom('NX', 'XX', 'GT', 'LT', 'ZZ'),
  ),
  fc.tuple(
    fc.constantFrom('EXPIREAT', 'PEXPIREAT'),
    key,
    fc.constantFrom('9000000000', '9100000000000', '-1'),
  ),
  fc.tuple(fc.constantFrom('EXPIRETIME', 'PEXPIRETIME'), key),
  fc.tuple(fc.constantFrom('RENAME', 'RENAMENX', 'COPY'), key, key),
  fc.tuple(fc.constant('COPY'), key, key, fc.constant('REPLACE')),
  fc.tuple(fc.constantFrom('HSET', 'HMSET', 'HSETNX'), key, field, value),
  fc.tuple(fc.constantFrom('HSET', 'HMSET'), key, field, value, field, value),
  fc.tuple(fc.constantFrom('HGET', 'HEXISTS', 'HSTRLEN', 'HDEL'), key, field),
  fc.tuple(fc.constantFrom('HMGET', 'HDEL'), key, field, field),
  fc.tuple(fc.constantFrom('HLEN', 'SCARD'), key),
  fc.tuple(fc.constant('HINCRBY'), key, field, amount),
  fc.tuple(fc.constant('HINCRBYFLOAT'), key, field, decimal),
  fc.tuple(fc.constantFrom('SADD', 'SREM'), key, value, value),
  fc.tuple(fc.constant('SISMEMBER'), key, value),
  fc.tuple(fc.constant('SMISMEMBER'), key, value, value),
  fc.tuple(fc.constant('SMOVE'), key, key, value),
  fc.tuple(fc.constantFrom('SINTERCARD'), fc.constantFrom('2', '0', 'x'), key, key),
  fc.tuple(fc.constantFrom('SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE'), key, key, key),
  fc.tuple(fc.constant('LCS'), key, key, fc.constantFrom('LEN', 'IDX')),
  fc.tuple(fc.constantFrom('GETEX'), key, fc.constantFrom('PERSIST', 'EX')),
  fc.constantFrom(
    ['DBSIZE'],
    ['MULTI'],
    ['EXEC'],
    ['DISCARD'],
    ['UNWATCH'],
    ['GET'],
    ['NOPE', 'a'],
    ['PING', 'x'],
  ),
  fc.tuple(fc.constant('WATCH'), key),
)

const side = fc.constantFrom('LEFT', 'RIGHT', 'right', 'UP')
const listing: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constantFrom('LPUSH', 'RPUSH'), key, field, field, field),
  fc.tuple(fc.constantFrom('LPUSHX', 'RPUSHX'), key, field),
  fc.tuple(fc.constantFrom('LPOP', 'RPOP', 'LLEN'), key),
  fc.tuple(fc.constantFrom('LPOP', 'RPOP'), key, fc.constantFrom('0', '1', '3')),
  fc.tuple(fc.constantFrom('LRANGE', 'LTRIM'), key, index, index),
  fc.tuple(fc.constantFrom('LINDEX'), key, index),
  fc.tuple(fc.constant('LSET'), key, fc.oneof(index, fc.constant('x')), field),
  fc.tuple(fc.constant('LREM'), key, fc.constantFrom('0', '1', '-1', '-2', 'x'), field),
  fc.tuple(fc.constant('LINSERT'), key, fc.constantFrom('BEFORE', 'after', 'x'), field, field),
  fc
    .tuple(
      key,
      field,
      fc.subarray(['RANK 2', 'RANK -1', 'RANK 0', 'COUNT 0', 'COUNT 2', 'COUNT x', 'MAXLEN 2']),
    )
    .map(([k, item, options]) => ['LPOS', k, item, ...options.flatMap((each) => each.split(' '))]),
  fc.tuple(fc.constant('LMOVE'), key, key, side, side),
  fc.tuple(fc.constant('RPOPLPUSH'), key, key),
  fc.tuple(fc.constant('BRPOPLPUSH'), key, key, fc.constantFrom('0.001', '-1')),
  fc.tuple(fc.constant('BLMOVE'), key, key, side, side, fc.constant('0.001')),
)

const member = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('m', 'n', 'o', '7', '', '$type', '__proto__') },
  { weight: 1, arbitrary: value },
)
const score = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 5 }).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['inf', '-inf', '+Infinity', '-0', '3.1', '-1.5', '.5', '5.', '+7', '0x1p-2', '1e17'],
      ...['1e300', '5e-324', '9007199254740993', '0.1', '1e400', '1e-400', 'nan', 'x', ' 1', ''],
    ),
  },
  { weight: 1, arbitrary: fc.double({ noNaN: true }).map(String) },
)
const scoreBound = fc
  .tuple(fc.constantFrom('', '', '('), score)
  .map(([mark, given]) => `${mark}${given}`)
const lexBound = fc.oneof(
  fc.constantFrom('-', '+', '[', '(', 'x', ''),
  fc.tuple(fc.constantFrom('[', '('), member).map(([mark, given]) => `${mark}${given}`),
)
const limit = fc.constantFrom(
  ...[[], [], ['LIMIT', '0', '2'], ['LIMIT', '1', '-1'], ['LIMIT', '-1', '2'], ['LIMIT', '1', '1']],
  ['LIMIT', 'x', '1'],
)
const withScores = fc.constantFrom([], ['WITHSCORES'], ['withscores', 'withscores'])
const scored = fc
  .array(fc.tuple(score, member), { minLength: 1, maxLength: 6 })
  .map((pairs) => pairs.flat())
const counted = fc.oneof(
  fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => [String(keys.length), ...keys]),
  fc.constantFrom(['0', 'a'], ['x', 'a'], ['3', 'a']),
)
const weighing = fc.constantFrom<readonly string[]>(
  ...[[], [], ['WEIGHTS', '2'], ['WEIGHTS', '2', '-0.5'], ['weights', '1', 'inf', '3']],
  ...[
    ['AGGREGATE', 'MIN'],
    ['AGGREGATE', 'max'],
    ['WEIGHTS', '1', '0', 'AGGREGATE', 'SUM'],
  ],
  ...[['AGGREGATE', 'x'], ['LIMIT', '1'], ['LIMIT', '-1'], ['WEIGHTS', 'x'], ['nope']],
)

/** Lists of words, one after the other. */
function words(
  ...parts: readonly (string | fc.Arbitrary<string | readonly string[]>)[]
): fc.Arbitrary<readonly string[]> {
  const arbitraries = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))
  return fc.tuple(...arbitraries).map((found) => found.flat())
}

/** Lexical ranges mean nothing but among equal scores: those are all in one key. */
const lexical = 'e'
const sorting: fc.Arbitrary<readonly string[]> = fc.oneof(
  {
    weight: 6,
    arbitrary: words('ZADD', key, fc.subarray(['NX', 'xx', 'GT', 'LT', 'CH']), scored),
  },
  { weight: 2, arbitrary: words('ZADD', key, scored) },
  words('ZADD', key, fc.subarray(['INCR', 'NX', 'XX', 'GT', 'LT']), score, member),
  words('ZINCRBY', key, score, member),
  words(fc.constantFrom('ZSCORE', 'ZRANK', 'ZREVRANK', 'ZREM'), key, member),
  words(fc.constantFrom('ZMSCORE', 'ZREM'), key, member, member),
  words('ZCARD', key),
  words('ZCOUNT', key, scoreBound, scoreBound),
  words(
    fc.constantFrom('ZRANGE', 'ZREVRANGE'),
    key,
    fc.oneof(index, fc.constant('x')),
    index,
    withScores,
  ),
  words('ZRANGE', key, index, index, fc.constantFrom('REV', 'rev', 'LIMIT'), withScores),
  words('ZRANGE', key, scoreBound, scoreBound, fc.shuffledSubarray(['BYSCORE', 'REV']), limit),
  words(
    fc.constantFrom('ZRANGEBYSCORE', 'ZREVRANGEBYSCORE'),
    ...[key, scoreBound, scoreBound, withScores, limit],
  ),
  words('ZRANGESTORE', key, key, index, index, fc.subarray(['REV', 'WITHSCORES'])),
  words('ZRANGESTORE', key, key, scoreBound, scoreBound, 'BYSCORE', limit),
  words('ZREMRANGEBYRANK', key, index, index),
  words('ZREMRANGEBYSCORE', key, scoreBound, scoreBound),
  words('ZADD', lexical, '0', member, '0', member),
  words('ZLEXCOUNT', lexical, lexBound, lexBound),
  words(fc.constantFrom('ZRANGEBYLEX', 'ZREVRANGEBYLEX'), lexical, lexBound, lexBound, limit),
  words(
    'ZRANGE',
    ...[lexical, lexBound, lexBound, 'BYLEX', fc.constantFrom([], ['REV'], ['WITHSCORES'])],
  ),
  words('ZREMRANGEBYLEX', lexical, lexBound, lexBound),
  words('ZRANGESTORE', key, lexical, lexBound, lexBound, 'BYLEX', limit),
  words(fc.constantFrom('ZPOPMIN', 'ZPOPMAX'), key),
  words(fc.constantFrom('ZPOPMIN', 'ZPOPMAX'), key, fc.constantFrom('0', '1', '3', '-1', 'x')),
  words(
    fc.constantFrom('ZMPOP', 'LMPOP'),
    counted,
    fc.constantFrom('MIN', 'max', 'LEFT', 'right'),
    fc.constantFrom([], ['COUNT', '2'], ['COUNT', '0'], ['COUNT']),
  ),
  words(fc.constantFrom('BZPOPMIN', 'BZPOPMAX'), key, key, '0.001'),
  words('BZMPOP', '0.001', counted, 'MIN'),
  words('BLMPOP', '0.001', counted, 'LEFT', 'COUNT', '2'),
  words(
    fc.constantFrom('ZUNION', 'ZINTER', 'ZDIFF', 'ZINTERCARD'),
    ...[counted, weighing, fc.constantFrom([], ['WITHSCORES'])],
  ),
  words(fc.constantFrom('ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE'), key, counted, weighing),
  words('SADD', key, member, member),
  words(fc.constantFrom('TYPE', 'DEL', 'PERSIST', 'GET', 'LLEN', 'SCARD'), key),
  words('EXPIRE', key, '2000000'),
  words(fc.constantFrom('RENAME', 'COPY'), key, key),
  fc.constantFrom(['MULTI'], ['EXEC']),
)

/** These give members in an order that is nobody's promise. */
const unordered: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constantFrom('HKEYS', 'HVALS', 'SMEMBERS', 'HGETALL'), key),
  fc.tuple(fc.constantFrom('SINTER', 'SUNION', 'SDIFF'), key, key),
  fc.constant(['KEYS', '*']),
)

async function replies(
  client: RawClient,
  commands: readonly (readonly string[])[],
): Promise<Reply[]> {
  const found = await client.pipeline(commands)
  return found.map((reply, at) => {
    const words = commands[at] ?? []
    if (isUnordered(words) && Array.isArray(reply)) return sorted(words, reply)
    if (words[0] === 'EXEC' && Array.isArray(reply)) return reply.map(roundedIfNear)
    return isDeadline(words) && typeof reply === 'number' ? rounded(reply) : reply
  })
}

const unorderedNames = new Set([
  'HKEYS',
  'HVALS',
  'SMEMBERS',
  'HGETALL',
  'SINTER',
  'SUNION',
  'SDIFF',
  'KEYS',
])

function isUnordered(words: readonly string[]): boolean {
  return unorderedNames.has(words[0] ?? '')
}

/** Where it was given as a time from now, the two servers were not asked in the same millisecond. */
function isDeadline(words: readonly string[]): boolean {
  return words[0] === 'EXPIRETIME' || words[0] === 'PEXPIRETIME'
}

function rounded(deadline: number): number {
  return Math.round(deadline / 1_000_000)
}

/** In a transaction nobody knows any more which command a reply is of: deadlines are known by what they are. */
function roundedIfNear(reply: Reply): Reply {
  if (typeof reply !== 'number') return reply
  const now = Date.now()
  return [now, now / 1000].some((time) => reply > time && reply < 1.1 * time)
    ? rounded(reply)
    : reply
}

function sorted(words: readonly string[], reply: readonly Reply[]): Reply[] {
  if (words[0] !== 'HGETALL') return [...reply].sort()
  const pairs = reply
    .filter((_, at) => at % 2 === 0)
    .map((name, at): Reply[] => [name, reply[2 * at + 1] ?? null])
  return pairs.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** A list that has a field for each item. */
const long = 'l'
const names = ['a', 'b', 'c', 'd', lexical, long]

/** What is compared in the end of each sequence. */
const looks = names.flatMap((name) => [
  ['TYPE', name],
  ['GET', name],
  ['HGETALL', name],
  ['SMEMBERS', name],
  ['LRANGE', name, '0', '-1'],
  ['ZRANGE', name, '0', '-1', 'WITHSCORES'],
])

/**
 * More than what is copied at each change: from the first one on they are changed. Redis still packs them, and loses the
 * sign of a zero as we do.
 */
const large: readonly (readonly string[])[] = [
  ['HSET', 'a', ...manyOf((name, at) => [`field ${name}`, String(at)]), 'f', '1', 'g', 'x'],
  ['SADD', 'b', ...manyOf((name) => [`member ${name}`]), 'x', '7'],
  ['ZADD', 'c', ...manyOf((name, at) => [String(at % 5), `member ${name}`]), '2', 'm', '1', '7'],
  ['ZADD', lexical, ...manyOf((name) => ['0', `member ${name}`]), '0', 'n', '0', ''],
  ['RPUSH', long, ...manyOf((name, at) => [`item ${name}`, 'fgh'.charAt(at % 7)])],
]

/** Of one collection again and again, and of what was copied of it. */
const changing: fc.Arbitrary<readonly string[]> = fc.oneof(
  words(fc.constantFrom('HSET', 'HINCRBY'), fc.constantFrom('a', 'd'), field, '7'),
  words('HDEL', fc.constantFrom('a', 'd'), field),
  words(fc.constantFrom('SADD', 'SREM'), fc.constantFrom('b', 'd'), member),
  words('ZADD', fc.constantFrom('c', 'd'), '3', member),
  words('ZADD', lexical, '0', member),
  words('ZREM', fc.constantFrom('c', 'd'), member),
  {
    weight: 6,
    arbitrary: fc.oneof(
      words(fc.constantFrom('LPUSH', 'RPUSH'), fc.constantFrom(long, 'd'), field, value),
      words(fc.constantFrom('LPOP', 'RPOP'), fc.constantFrom(long, 'd')),
      words(fc.constantFrom('LPOP', 'RPOP'), long, fc.constantFrom('2', '30', '90')),
      words('LTRIM', long, fc.constantFrom('0', '1', '3', '120'), fc.constantFrom('-1', '-2')),
      words('LTRIM', long, '0', '150'),
      words('LSET', long, fc.oneof(index, fc.constantFrom('70', '-70')), field),
      words('LINSERT', long, fc.constantFrom('BEFORE', 'AFTER'), field, field),
      words('LREM', long, fc.constantFrom('0', '1', '-1', '-2'), field),
      words('LRANGE', long, index, fc.oneof(index, fc.constantFrom('40', '-40'))),
      words(fc.constantFrom('LINDEX'), long, fc.oneof(index, fc.constantFrom('70', '-70'))),
      words('LPOS', long, field, 'RANK', fc.constantFrom('2', '-3'), 'COUNT', '2'),
      words('LMOVE', long, fc.constantFrom(long, 'd'), side, side),
      words('LMOVE', 'd', long, side, side),
      words('EXPIRE', long, '2000000'),
      words('LLEN', long),
    ),
  },
  words('COPY', fc.constantFrom('a', 'b', 'c', long), 'd', 'REPLACE'),
  words('RENAME', 'd', fc.constantFrom('a', 'b', 'c', long)),
  words(fc.constantFrom('TTL', 'TYPE'), long),
)

/** What looks at it, or fails. */
const looking: fc.Arbitrary<readonly string[]> = fc.oneof(
  words(fc.constantFrom('HLEN', 'SCARD', 'ZCARD', 'TYPE', 'TTL'), key),
  words(fc.constantFrom('HGET', 'HEXISTS'), fc.constantFrom('a', 'd'), field),
  words('SISMEMBER', fc.constantFrom('b', 'd'), member),
  words(fc.constantFrom('ZSCORE', 'ZRANK'), fc.constantFrom('c', 'd'), member),
  words('ZRANGE', fc.constantFrom('c', 'd', lexical), index, index, 'WITHSCORES'),
  words('ZREMRANGEBYSCORE', 'c', scoreBound, scoreBound),
  words('ZREMRANGEBYRANK', fc.constantFrom('c', 'd'), index, index),
  words(fc.constantFrom('ZPOPMIN', 'ZPOPMAX'), fc.constantFrom('c', 'd')),
  words('HINCRBY', fc.constantFrom('a', 'b', 'd'), field, amount),
  words(fc.constantFrom('HSET', 'HDEL'), key, field, '1'),
  words('ZADD', key, score, member, score, member),
  words('SMOVE', fc.constantFrom('b', 'd'), fc.constantFrom('a', 'b', 'd'), member),
  words('EXPIRE', key, fc.constantFrom('2000000', 'x')),
  words('DEL', 'd'),
)

/** Runs what it is given, each behind the number of its words; `call` ends it at the first that fails. */
const script = (call: string): string =>
  `local replies, at = {}, 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local reply = redis.${call}(unpack(ARGV, at + 1, at + count))
  replies[#replies + 1] = reply
  at = at + count + 1
end
return replies`

/** Several commands in one step. */
const together: fc.Arbitrary<readonly (readonly string[])[]> = fc
  .tuple(
    fc.array(fc.oneof(changing, looking), { minLength: 2, maxLength: 8, size: 'max' }),
    fc.constantFrom('EXEC', 'EXEC', 'DISCARD', 'call', 'pcall', 'pcall'),
  )
  .map(([commands, way]) => {
    if (way === 'EXEC' || way === 'DISCARD') return [['MULTI'], ...commands, [way]]
    const args = commands.flatMap((words) => [String(words.length), ...words])
    return [['EVAL', script(way), String(names.length), ...names, ...args]]
  })

function manyOf(words: (name: string, at: number) => readonly string[]): string[] {
  return Array.from({ length: 100 }, (_, at) => words('x'.repeat(50) + String(at), at)).flat()
}

function alone(
  commands: fc.Arbitrary<readonly string[]>,
): fc.Arbitrary<readonly (readonly string[])[]> {
  return commands.map((words) => [words])
}

describe('random commands', () => {
  test.for([
    ['of all kinds', 2, { command: 12, listing: 4, sorting: 6, changing: 0, together: 0 }, []],
    ['of sorted sets', 2, { command: 1, listing: 1, sorting: 12, changing: 0, together: 0 }, []],
    ['of sorted sets', 3, { command: 1, listing: 1, sorting: 12, changing: 0, together: 0 }, []],
    [
      'of all kinds over large collections',
      2,
      { command: 4, listing: 0, sorting: 4, changing: 16, together: 0 },
      large,
    ],
    [
      'of large collections, many of them in transactions and scripts,',
      2,
      { command: 0, listing: 0, sorting: 0, changing: 8, together: 16 },
      large,
    ],
  ] as const)(
    '%s are answered as Redis answers them, over version %i of the protocol',
    { timeout: 300_000 },
    async ([, version, weights, first], context) => {
      context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
      const real = await realRedis()
      const { client, book } = await served()
      const ours = await client()
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.oneof(
              { weight: weights.command, arbitrary: alone(command) },
              { weight: weights.listing, arbitrary: alone(listing) },
              { weight: weights.sorting, arbitrary: alone(sorting) },
              { weight: weights.changing, arbitrary: alone(changing) },
              { weight: weights.together, arbitrary: together },
              { weight: 1, arbitrary: alone(unordered) },
            ),
            {
              minLength: 1,
              maxLength: 60,
              // What is changed where it is shows after several changes.
              size: first === large ? 'max' : 'small',
            },
          ),
          async (groups) => {
            const commands = groups.flat()
            const begin = async (redis: RawClient): Promise<void> => {
              await redis.call('RESET')
              if (version === 3) await redis.call('HELLO', 3)
            }
            for (const redis of [real, ours]) {
              await begin(redis)
              await redis.call('FLUSHALL')
              await replies(redis, first)
            }
            // EXEC answers with whatever order its parts have.
            const outside = commands.filter((words) => !isUnordered(words))
            const expected = await replies(real, outside)
            expect(await replies(ours, outside)).toEqual(expected)
            for (const redis of [real, ours]) await begin(redis)
            const left = commands.filter(isUnordered)
            const last = await replies(real, [...left, ...looks])
            expect(await replies(ours, [...left, ...looks])).toEqual(last)
            // The same from the database, where it came by other ways.
            await book.flush()
            for (const name of names) await book.cache('redis').invalidate(name)
            expect(await replies(ours, [...left, ...looks])).toEqual(last)
          },
        ),
        {
          numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 150),
          seed: 20261125,
          endOnFailure: false,
        },
      )
    },
  )
})

/** What else has events. */
const telling: fc.Arbitrary<readonly string[]> = fc.oneof(
  listing,
  sorting,
  fc.tuple(fc.constantFrom('LPUSH', 'RPUSH'), key, value),
  fc.tuple(fc.constantFrom('LPOP', 'RPOP', 'LLEN', 'SRANDMEMBER', 'HRANDFIELD', 'TTL'), key),
  fc.tuple(fc.constantFrom('LPOP', 'RPOP'), key, fc.constantFrom('0', '1', '3')),
  fc.tuple(fc.constant('LRANGE'), key, index, index),
  fc.tuple(fc.constantFrom('HKEYS', 'SMEMBERS', 'HGETALL'), key),
  fc.tuple(fc.constantFrom('SINTER', 'SUNION', 'SDIFF'), key, key),
  fc.tuple(fc.constant('BLPOP'), key, key, fc.constant('0.001')),
  fc.tuple(fc.constantFrom('MOVE'), key, fc.constantFrom('1', '0')),
  fc.tuple(fc.constant('COPY'), key, key, fc.constant('DB'), fc.constant('1')),
  fc.tuple(fc.constant('GETEX'), key, fc.constant('EX'), fc.constantFrom('1000', '-1')),
  fc.tuple(fc.constant('SELECT'), fc.constantFrom('0', '1')),
  words(
    'SORT',
    key,
    fc.constantFrom([], ['ALPHA'], ['BY', 'x'], ['BY', '*', 'GET', '*']),
    'STORE',
    key,
  ),
  words('BITFIELD', key, fc.constantFrom('GET', 'SET', 'INCRBY'), 'i3', index, '2'),
  words('BITPOS', key, '1'),
)

function isMiss(message: Reply): boolean {
  return JSON.stringify(message).includes('keymiss')
}

/** Everything that a subscriber of all channels gets, until a message to `end`. */
async function messages(subscriber: RawClient): Promise<Reply[]> {
  const found: Reply[] = []
  for (;;) {
    const message = await subscriber.reply()
    if (Array.isArray(message) && message[2] === 'end') return found
    found.push(message)
  }
}

describe('random commands, and who waits for events', () => {
  test('is told what Redis tells', { timeout: 300_000 }, async (context) => {
    context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
    const real = await realRedis()
    const { client } = await served()
    const pairs = [
      { commander: real, subscriber: await RawClient.connect(real.socket.remotePort ?? 0) },
      { commander: await client(), subscriber: await client() },
    ]
    for (const { commander, subscriber } of pairs) {
      await commander.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEAmn')
      await subscriber.call('PSUBSCRIBE', '*')
    }
    let told = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 3, arbitrary: command }, { weight: 1, arbitrary: telling }), {
          minLength: 1,
          maxLength: 40,
        }),
        async (commands) => {
          const heard: Reply[][] = []
          for (const { commander, subscriber } of pairs) {
            await commander.call('RESET')
            await commander.call('FLUSHALL')
            const answers = await commander.pipeline(commands)
            const failed = answers.some((answer) => answer instanceof Failure)
            await commander.call('RESET')
            await commander.call('PUBLISH', 'end', '')
            const all = await messages(subscriber)
            // A command that fails tells nothing here, and in Redis the misses that it had before.
            heard.push(failed ? all.filter((message) => !isMiss(message)) : all)
          }
          expect(heard[1]).toEqual(heard[0])
          told += heard[0]?.length ?? 0
        },
      ),
      {
        numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 150),
        seed: 20261126,
        endOnFailure: false,
      },
    )
    for (const { subscriber } of pairs) subscriber.destroy()
    expect(told).toBeGreaterThan(1000)
  })
})

const channel = fc.constantFrom('a', 'b')
const shardTalk: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constantFrom('SSUBSCRIBE', 'SUBSCRIBE', 'PSUBSCRIBE'), channel),
  fc.tuple(fc.constantFrom('SSUBSCRIBE', 'SUNSUBSCRIBE'), key, channel),
  fc.tuple(fc.constantFrom('SUNSUBSCRIBE', 'UNSUBSCRIBE', 'PUNSUBSCRIBE'), channel),
  fc.constantFrom(['SUNSUBSCRIBE'], ['UNSUBSCRIBE'], ['PING'], ['GET', 'a'], ['RESET']),
)
const shardTold: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.tuple(fc.constantFrom('SPUBLISH', 'PUBLISH'), channel, value),
  fc.constantFrom(
    ['PUBSUB', 'SHARDCHANNELS', 'a*'],
    ['PUBSUB', 'SHARDCHANNELS', 'a', 'b'],
    ['PUBSUB', 'SHARDNUMSUB', 'a', 'b', 'z'],
    ['PUBSUB', 'SHARDNUMSUB'],
    ['PUBSUB', 'NUMSUB', 'a', 'b'],
    ['SPUBLISH', 'a'],
  ),
)

/** Who unsubscribes from all is told of them in an order that is nobody's promise. */
function comparable(reply: Reply): Reply {
  if (reply instanceof Failure) return reply.message
  if (!Array.isArray(reply)) return reply
  const [word = null, name, count = null] = reply as readonly Reply[]
  const isNamed = typeof word === 'string' && word.endsWith('unsubscribe') && name !== null
  return isNamed ? [word, '', count] : reply
}

const noRedis = toolUnavailable('redis-server')

describe.skipIf(noRedis !== undefined)(
  `random subscriptions (${noRedis ?? 'a real Redis'})`,
  () => {
    test.each([2, 3])(
      'to shard channels are as Redis has them, in version %i',
      { timeout: 120_000 },
      async (version) => {
        const real = await realRedis()
        const { client } = await served()
        const pairs = [
          { speaker: real, listener: await RawClient.connect(real.socket.remotePort ?? 0) },
          { speaker: await client(), listener: await client() },
        ]
        let told = 0
        const words = fc.oneof(
          shardTalk.map((talk) => ({ talk })),
          shardTold.map((tells) => ({ tells })),
        )
        await fc.assert(
          fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 30 }), async (steps) => {
            const heard: Reply[][] = []
            for (const { speaker, listener } of pairs) {
              const found: Reply[] = []
              await listener.call('RESET')
              await listener.call('HELLO', version)
              for (const step of steps) {
                if ('talk' in step) listener.send(...step.talk)
                else listener.send('PING', 'before')
                // Each has been there before the other speaks: what it has heard stands between two answers.
                listener.send('PING', 'mark')
                for (;;) {
                  const reply = await listener.reply()
                  if (JSON.stringify(reply).includes('mark')) break
                  found.push(reply)
                }
                if ('tells' in step) {
                  speaker.send(...step.tells)
                  found.push(await speaker.reply())
                }
              }
              listener.send('PING', 'mark')
              for (;;) {
                const reply = await listener.reply()
                if (JSON.stringify(reply).includes('mark')) break
                found.push(reply)
              }
              heard.push(found.map(comparable))
              told += found.filter((reply) => JSON.stringify(reply).includes('smessage')).length
            }
            expect(heard[1]).toEqual(heard[0])
          }),
          { numRuns: 150, seed: 20261127, endOnFailure: true },
        )
        for (const { listener } of pairs) listener.destroy()
        expect(told).toBeGreaterThan(20)
      },
    )
  },
)
