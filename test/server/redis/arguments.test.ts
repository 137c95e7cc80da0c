/**
 * Goal: whatever a client sends to whatever command, it gets one reply, and never an error of the server's own making.
 * Method: every command that the server has, with random arguments that are likely to mean something to one of them, in pipelines
 * on keys without a mapping and on rows.
 */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { waitFor } from '../../../src/base/deadline.ts'
import { Failure, requestOf, served, type Reply } from './redis-fixture.ts'

/** Longer than the longest wait of a command, which is that of SAVE for the database. */
const replyMs = 60_000

/** They have several replies or none, wait for others, or end what the test needs. */
const left = new Set([
  ...[
    'subscribe',
    'psubscribe',
    'ssubscribe',
    'unsubscribe',
    'punsubscribe',
    'sunsubscribe',
    'monitor',
    'quit',
    'hello',
    'client',
  ],
  ...['blpop', 'brpop', 'blmove', 'brpoplpush', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop'],
  ...['wait', 'waitaof', 'auth', 'reset'],
])

const key = fc.constantFrom(
  'a',
  'b',
  'hash',
  'set',
  'list',
  'zset',
  'users:1',
  'users:2',
  'users:x',
  'users:',
  ':',
)
const number = fc.constantFrom(
  ...['0', '1', '-1', '2', '10', '100', '-0', '01', '1.5', '1e3', 'inf', 'nan', '4294967296'],
  ...['9223372036854775807', '-9223372036854775808', '9223372036854775808', '99999999999999999999'],
)
const option = fc.constantFrom(
  ...[
    'EX',
    'PX',
    'EXAT',
    'PXAT',
    'NX',
    'XX',
    'GT',
    'LT',
    'GET',
    'KEEPTTL',
    'PERSIST',
    'MATCH',
    'COUNT',
  ],
  ...['LIMIT', 'WITHVALUES', 'REPLACE', 'DB', 'BYTE', 'BIT', 'LEN', 'IDX', 'ASYNC', 'SYNC', 'TYPE'],
  ...['BY', 'ASC', 'DESC', 'ALPHA', 'STORE', '*', 'users:*', 'users:*->visits', '#', 'nosort'],
  ...['OVERFLOW', 'SAT', 'FAIL', 'INCRBY', 'SET', 'u8', 'i64', '#1'],
  ...['LEFT', 'RIGHT', 'BEFORE', 'AFTER', 'RANK', 'MAXLEN'],
  ...['BYSCORE', 'BYLEX', 'REV', 'WITHSCORES', 'WEIGHTS', 'AGGREGATE', 'MIN', 'MAX', 'INCR'],
  ...[
    'get',
    'set',
    'help',
    'list',
    'info',
    'usage',
    'encoding',
    'string',
    'name',
    'visits',
    'FIELDS',
  ],
)
const bytes = fc.oneof(
  fc.constantFrom(
    '',
    '*',
    '[a-',
    '(1',
    '\\',
    '__proto__',
    'constructor',
    '$',
    '\u0000',
    '\u00ff',
    '{"id":1}',
  ),
  fc.uint8Array({ maxLength: 12 }).map((given) => Buffer.from(given).toString('latin1')),
)
const words = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: key },
    { weight: 3, arbitrary: number },
    { weight: 2, arbitrary: option },
    { weight: 2, arbitrary: bytes },
  ),
  { maxLength: 7 },
)

function messagesIn(reply: Reply): string[] {
  if (reply instanceof Failure) return [reply.message]
  return Array.isArray(reply) ? reply.flatMap(messagesIn) : []
}

describe('every command', () => {
  test(
    'answers whatever it is given, with a result or an error that says what is wrong',
    { timeout: 180_000 },
    async () => {
      const { client, book } = await served({
        schema:
          'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, visits INTEGER NOT NULL DEFAULT 0, score REAL)',
        caches: { users: { table: 'users', key: 'id', rowExpiry: 'evict' } },
      })
      const redis = await client()
      const commands = ((await redis.call('COMMAND', 'LIST')) as string[]).filter(
        (name) => !left.has(name) && !name.startsWith('daybook'),
      )
      expect(commands.length).toBeGreaterThan(100)
      const called = new Set<string>()
      const answered = new Set<string>()
      const request = fc.tuple(fc.constantFrom(...commands), words)
      await fc.assert(
        fc.asyncProperty(fc.array(request, { minLength: 50, maxLength: 100 }), async (requests) => {
          redis.write(requests.map(([name, args]) => requestOf([name, ...args])).join(''))
          // Out of a transaction, if one is open.
          redis.write(requestOf(['DISCARD']) + requestOf(['ECHO', 'the end']))
          for (const [name, args] of requests) {
            const reply = await waitFor(redis.reply(), {
              clock: systemClock,
              timeoutMs: replyMs,
              what: `The reply to ${JSON.stringify([name, ...args])}`,
            })
            called.add(name)
            if (!(reply instanceof Failure)) answered.add(name)
            for (const message of messagesIn(reply)) {
              expect(`${name} ${args.join(' ')}: ${message}`).not.toMatch(
                /internal error|undefined|\[object/,
              )
              expect(message).toMatch(/^[A-Z]+ ./)
            }
          }
          await redis.reply()
          expect(await redis.reply()).toBe('the end')
        }),
        // What comes after a failure on the same connection says nothing.
        { numRuns: 500, seed: 20_261_126, endOnFailure: true },
      )
      expect(called.size).toBe(commands.length)
      // Most of them have also been given what they understand.
      expect(answered.size).toBeGreaterThan(0.8 * commands.length)
      await book.flush({ timeoutMs: 30_000 })
      expect(book.stats().deadLetters.count).toBe(0)
    },
  )
})
