/**
 * Random sequences of commands of streams on a real Redis and on this server: the same replies, one for one, with everything
 * read from the database anew in the middle. The ids are given, so that both have the same.
 */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { served, type RawClient, type Reply } from './redis-fixture.ts'
import { realRedis, toolUnavailable } from './redis-tools.ts'

type Words = readonly string[]

/** Each part is a word, or a choice of words. */
function words(
  ...parts: readonly (string | fc.Arbitrary<string> | fc.Arbitrary<Words>)[]
): fc.Arbitrary<Words> {
  const each = parts.map((part): fc.Arbitrary<Words> =>
    typeof part === 'string'
      ? fc.constant([part])
      : part.map((given: string | Words) => (typeof given === 'string' ? [given] : given)),
  )
  return fc.tuple(...each).map((found) => found.flat())
}

const key = fc.constantFrom('s', 's', 's', 't', 'x')
const largest = '18446744073709551615'
const plainId = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 2 }))
  .map(([ms, seq]) => `${ms}-${seq}`)
/** Ids that grow are what a stream takes. */
const growing = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 60 }).map((ms) => `${ms}-*`) },
  { weight: 2, arbitrary: plainId },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 40 }).map(String) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('x', '-', '0-0', '1-x', '', '0-*', `1-${largest}0`, '007-01'),
  },
)
const id = fc.oneof(
  { weight: 6, arbitrary: plainId },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 60 }).map((ms) => `${ms}-0`) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 60 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('x', '-', '+', '0-0', `${largest}-${largest}`) },
)
const bound = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('-', '+') },
  { weight: 3, arbitrary: id },
  { weight: 1, arbitrary: id.map((given) => `(${given}`) },
)
const value = fc.oneof(
  fc.constantFrom('', 'x', '1', '\u00ff\u0000', '$type', 'base64:'),
  fc.string({ maxLength: 5 }).map((text) => Buffer.from(text).toString('latin1')),
)
const few = fc.integer({ min: -1, max: 7 }).map(String)
const count = fc.oneof(
  fc.constant<Words>([]),
  few.map((given): Words => ['COUNT', given]),
  fc.constant<Words>(['COUNT', 'x']),
)
const trim = fc.oneof(
  few.map((given): Words => ['MAXLEN', given]),
  few.map((given): Words => ['MAXLEN', '=', given]),
  few.map((given): Words => ['MAXLEN', '~', given]),
  id.map((given): Words => ['MINID', given]),
  id.map((given): Words => ['MINID', '~', given]),
  fc.constantFrom<Words>(
    ['MAXLEN', '~', '0', 'LIMIT', '2'],
    ['MAXLEN', '2', 'LIMIT', '2'],
    ['MAXLEN', '2', 'MINID', '2'],
    ['LIMIT', '2'],
    ['MAXLEN', '~', '0', 'LIMIT', '0'],
    ['MINID', '-'],
  ),
)
const group = fc.constantFrom('g', 'g', 'h', '', '\u00ff', 'a b', '["q"]')
const consumer = fc.constantFrom('ada', 'ada', 'bob', '', 'c d', '\u00fe')
/** Nothing is ever so old, but what XCLAIM says is. */
const idle = fc.constantFrom('0', '0', '500000', '-1', 'x')

const entry: fc.Arbitrary<Words> = fc.oneof(
  {
    weight: 8,
    arbitrary: words(
      'XADD',
      ...[key, growing, value, value, fc.oneof(fc.constant<Words>([]), words(value, value))],
    ),
  },
  { weight: 2, arbitrary: words('XADD', key, trim, growing, 'f', value) },
  { weight: 1, arbitrary: words('XADD', key, 'NOMKSTREAM', growing, 'f', value) },
  { weight: 1, arbitrary: words('XADD', key, growing, 'f', 'v', 'w') },
  { weight: 4, arbitrary: words('XDEL', key, id, id) },
  { weight: 2, arbitrary: words('XTRIM', key, trim) },
  { weight: 1, arbitrary: words('XLEN', key) },
  {
    weight: 4,
    arbitrary: words(fc.constantFrom('XRANGE', 'XREVRANGE'), key, bound, bound, count),
  },
  {
    weight: 1,
    arbitrary: words(
      'XSETID',
      ...[key, id, fc.constantFrom<Words>([], ['ENTRIESADDED', '100'], ['ENTRIESADDED', '1'])],
      fc.oneof(
        fc.constant<Words>([]),
        id.map((given): Words => ['MAXDELETEDID', given]),
      ),
    ),
  },
  {
    weight: 3,
    arbitrary: words(
      ...['XREAD', count, fc.constantFrom<Words>([], ['BLOCK', '1'], ['BLOCK', '-1'])],
      ...['STREAMS', key, key, id, fc.oneof(id, fc.constantFrom('$', '>'))],
    ),
  },
  { weight: 2, arbitrary: words('XINFO', 'STREAM', key) },
  { weight: 1, arbitrary: words('XINFO', 'STREAM', key, 'FULL', count) },
  { weight: 1, arbitrary: words(fc.constantFrom('RENAME', 'COPY'), key, key) },
  {
    weight: 1,
    arbitrary: words(
      fc.constantFrom('TYPE', 'DEL', 'PERSIST', 'GET', 'HGETALL', 'ZCARD', 'SMEMBERS'),
      key,
    ),
  },
  { weight: 1, arbitrary: words('EXPIRE', key, '2000000') },
  { weight: 1, arbitrary: words('OBJECT', 'ENCODING', key) },
  { weight: 1, arbitrary: fc.constantFrom<Words>(['MULTI'], ['EXEC'], ['SET', 'x', '1']) },
)

const grouped: fc.Arbitrary<Words> = fc.oneof(
  {
    weight: 2,
    arbitrary: words(
      ...['XGROUP', 'CREATE', key, group, fc.oneof(id, fc.constantFrom('$', '0', '0'))],
      fc.constantFrom<Words>([], ['MKSTREAM'], ['ENTRIESREAD', '3'], ['ENTRIESREAD', '-2'], ['x']),
    ),
  },
  {
    weight: 1,
    arbitrary: words(
      ...['XGROUP', 'SETID', key, group, fc.oneof(id, fc.constant('$'))],
      fc.constantFrom<Words>([], ['ENTRIESREAD', '2'], ['MKSTREAM']),
    ),
  },
  { weight: 1, arbitrary: words('XGROUP', 'DESTROY', key, fc.constantFrom('h', '', 'a b')) },
  {
    weight: 1,
    arbitrary: words(
      ...['XGROUP', fc.constantFrom('CREATECONSUMER', 'DELCONSUMER'), key, group, consumer],
    ),
  },
  {
    weight: 8,
    arbitrary: words(
      ...['XREADGROUP', 'GROUP', group, consumer, count, fc.constantFrom<Words>([], [], ['NOACK'])],
      ...['STREAMS', key, fc.oneof(fc.constant('>'), fc.constantFrom('>', '0', '3'), id)],
    ),
  },
  {
    weight: 1,
    arbitrary: words(
      ...['XREADGROUP', 'GROUP', group, consumer, 'BLOCK', '1', 'STREAMS', key, key, '>', '>'],
    ),
  },
  { weight: 5, arbitrary: words('XACK', key, group, id, id) },
  { weight: 2, arbitrary: words('XPENDING', key, group) },
  {
    weight: 3,
    arbitrary: words(
      ...['XPENDING', key, group, fc.constantFrom<Words>([], ['IDLE', '500000'], ['IDLE', '0'])],
      ...[bound, bound, few, fc.oneof(fc.constant<Words>([]), words(consumer))],
    ),
  },
  {
    weight: 5,
    arbitrary: words(
      ...['XCLAIM', key, group, consumer, idle, id, id],
      fc
        .subarray<Words>([
          ['IDLE', '1000000'],
          ['TIME', '1000'],
          ['RETRYCOUNT', '7'],
          ['FORCE'],
          ['JUSTID'],
          ['LASTID', '30-0'],
          ['NOPE'],
        ])
        .map((given) => given.flat()),
    ),
  },
  {
    weight: 4,
    arbitrary: words(
      ...['XAUTOCLAIM', key, group, consumer, idle, bound, count],
      fc.constantFrom<Words>([], ['JUSTID']),
    ),
  },
  { weight: 2, arbitrary: words('XINFO', 'GROUPS', key) },
  { weight: 2, arbitrary: words('XINFO', 'CONSUMERS', key, group) },
)

const looks: readonly Words[] = ['s', 't', 'x'].flatMap((name) => [
  ['TYPE', name],
  ['XLEN', name],
  ['XRANGE', name, '-', '+'],
  ['XINFO', 'STREAM', name],
  ['XINFO', 'STREAM', name, 'FULL', 'COUNT', '0'],
  ['XINFO', 'GROUPS', name],
  ['PTTL', name],
])

/** Times, and how entries are packed, are not the same. */
function comparable(given: Words, reply: Reply): Reply {
  if (given[0] === 'PTTL' && typeof reply === 'number') return Math.sign(reply)
  if (!Array.isArray(reply)) return reply
  // Of XINFO and XPENDING, also in a transaction.
  return ['XINFO', 'XPENDING', 'EXEC'].includes(given[0] ?? '') ? withoutTimes(reply) : reply
}

const otherwise = new Set<Reply>(['radix-tree-keys', 'radix-tree-nodes', 'idle', 'seen-time'])

function withoutTimes(reply: readonly Reply[]): Reply[] {
  return reply.map((item, at) => {
    if (otherwise.has(reply[at - 1] ?? null)) return 0
    if (Array.isArray(item)) return withoutTimes(item)
    const isIdle = at === 2 && reply.length === 4 && typeof reply[3] === 'number'
    return typeof item === 'number' && (isIdle || item > 1_000_000_000) ? 0 : item
  })
}

async function replies(client: RawClient, commands: readonly Words[]): Promise<Reply[]> {
  const found = await client.pipeline(commands)
  return found.map((reply, at) => comparable(commands[at] ?? [], reply))
}

const small: readonly Words[] = [['XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM']]

/** More than what is copied at each change: from the first one on it is changed where it is. */
const large: readonly Words[] = [
  ...Array.from({ length: 120 }, (_, at): Words => {
    return ['XADD', 's', `${at >> 1}-${1 + (at % 2)}`, 'f', 'x'.repeat(30)]
  }),
  ['XGROUP', 'CREATE', 's', 'g', '0'],
  ['XREADGROUP', 'GROUP', 'g', 'ada', 'COUNT', '60', 'STREAMS', 's', '>'],
]

describe('random commands of streams', () => {
  test.for([
    ['with small streams', 2, small],
    ['with small streams', 3, small],
    ['with a large stream', 2, large],
  ] as const)(
    '%s are answered as Redis answers them, over version %i of the protocol',
    { timeout: 300_000 },
    async ([, version, first], context) => {
      context.skip(toolUnavailable('redis-server') !== undefined, toolUnavailable('redis-server'))
      const real = await realRedis()
      const { client, book } = await served()
      const ours = await client()
      const command = fc.oneof({ weight: 3, arbitrary: entry }, { weight: 3, arbitrary: grouped })
      const some = fc.array(command, { minLength: 1, maxLength: 40, size: 'max' })
      await fc.assert(
        fc.asyncProperty(some, some, async (before, after) => {
          for (const redis of [real, ours]) {
            await redis.call('RESET')
            if (version === 3) await redis.call('HELLO', 3)
            await redis.call('FLUSHALL')
            await replies(redis, first)
          }
          for (const given of [before, after]) {
            // How many nodes a large one has is not the same: Redis also looks at their bytes.
            const commands = first === large ? given.filter((one) => !one.includes('~')) : given
            expect(await replies(ours, commands)).toEqual(await replies(real, commands))
            for (const redis of [real, ours]) await redis.call('DISCARD')
            const expected = await replies(real, looks)
            expect(await replies(ours, looks)).toEqual(expected)
            // The same from the database, where it came by other ways.
            await book.flush()
            for (const name of ['s', 't', 'x']) await book.cache('redis').invalidate(name)
            expect(await replies(ours, looks)).toEqual(expected)
          }
        }),
        {
          numRuns: Number(process.env.DAYBOOK_DIFFERENTIAL_RUNS ?? 100),
          seed: 20261127,
          endOnFailure: false,
        },
      )
    },
  )
})
