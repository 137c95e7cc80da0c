/**
 * Streams: what the database has of them, what a kill leaves of them, what a change costs, and who waits for entries.
 * `streams-differential.test.ts` compares their commands with those of a real Redis.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { DiagnosticsMap } from '../../../src/observe/diagnostics.ts'
import { memoryStore } from '../../../src/store/memory-store.ts'
import { ServeProcess } from '../serve-process.ts'
import { RawClient, served, temporaryDirectory, type Reply } from './redis-fixture.ts'
import { freePort } from './redis-tools.ts'

const sql = "SELECT value FROM daybook_values WHERE key = 's'"

describe('a stream', () => {
  test('is a document that people can query', async () => {
    const { book, client, rows } = await served()
    const redis = await client()
    const stored = async (): Promise<unknown> => {
      await book.flush()
      return JSON.parse((rows(sql)[0] as { value: string } | undefined)?.value ?? 'null')
    }
    expect(await redis.call('XADD', 's', '5-1', 'name', 'Ada', '$x', '\u00ff')).toBe('5-1')
    await redis.call('XADD', 's', '5-*', 'name', 'Bob')
    await redis.call('XGROUP', 'CREATE', 's', 'mail', '0')
    await redis.call('XREADGROUP', 'GROUP', 'mail', 'eve', 'COUNT', 1, 'STREAMS', 's', '>')
    const time: unknown = expect.any(Number)
    expect(await stored()).toEqual({
      ...{ $type: 'stream', $last: '5-2', $added: 2 },
      ...{ '5-1': ['name', 'Ada', '$x', 'base64:/w=='], '5-2': ['name', 'Bob'] },
      '$group mail': { last: '5-1', read: 1 },
      '$consumer ["mail","eve"]': time,
      '$pending 5-1 mail': ['eve', time, 1],
    })
    await redis.call('XACK', 's', 'mail', '5-1')
    await redis.call('XDEL', 's', '5-1', '5-2')
    await redis.call('XGROUP', 'DESTROY', 's', 'mail')
    await redis.call('EXPIREAT', 's', 9_000_000_000)
    // Without an entry it is still there, and goes on with its ids.
    const empty = { $type: 'stream', $last: '5-2', $added: 2, $deleted: '5-2' }
    expect(await stored()).toEqual({ ...empty, $expiresAtMs: 9_000_000_000_000 })
    expect(await redis.call('XLEN', 's')).toBe(0)
    expect(await redis.failure('XADD', 's', '5-2', 'f', 'v')).toBe(
      'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    )
    expect(await redis.call('EXPIRE', 's', -1)).toBe(1)
    expect(await stored()).toBeNull()
  })

  test('that another program has written is read as far as it makes sense', async () => {
    const { book, client } = await served()
    const redis = await client()
    const cache = book.cache<unknown>('redis')
    await cache.set('s', {
      ...{ $type: 'stream', $last: 'x', '10-0': ['a', 1], '9-0': 'text', '2-01': ['b', 'c'] },
      ...{ '9-5': null, '$pending 9-0 g': ['ada', 'x'], '$pending x': [], '$consumer [1]': 1 },
      ...{ '$consumer {': 1, '$group h': 3, name: ['f', 'v'] },
    })
    expect(await redis.call('XRANGE', 's', '-', '+')).toEqual([
      ['9-0', ['value', 'text']],
      ['10-0', ['a', '1']],
    ])
    expect(await redis.call('XLEN', 's')).toBe(2)
    const groups = (await redis.call('XINFO', 'GROUPS', 's')) as Reply[][]
    expect(groups.map((group) => group[1])).toEqual(['h'])
    expect(await redis.failure('XADD', 's', '10-0', 'f', 'v')).toMatch(/equal or smaller/)
    expect(await redis.call('XADD', 's', '10-*', 'f', 'v')).toBe('10-1')
    // Written anew beside the server: nothing of the old order is left.
    await cache.set('s', { $type: 'stream', '3-0': ['x', 'y'] })
    expect(await redis.call('XRANGE', 's', '-', '+')).toEqual([['3-0', ['x', 'y']]])
    await cache.merge('s', { '2-0': ['w', 'v'] })
    expect(await redis.call('XREVRANGE', 's', '+', '-')).toEqual([
      ['3-0', ['x', 'y']],
      ['2-0', ['w', 'v']],
    ])
  })

  test('is of a type of its own, and no row is one', async () => {
    const { client } = await served({
      schema: 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)',
      caches: { users: { table: 'users', key: 'id' } },
    })
    const redis = await client()
    await redis.call('XADD', 's', '1-1', 'f', 'v')
    await redis.call('HSET', 'users:1', 'name', 'Ada')
    await redis.call('RPUSH', 'l', 'x')
    for (const key of ['users:1', 'l']) {
      for (const words of [
        ['XADD', key, '*', 'f', 'v'],
        ['XLEN', key],
        ['XRANGE', key, '-', '+'],
        ['XDEL', key, '1-1'],
        ['XTRIM', key, 'MAXLEN', '1'],
        ['XREAD', 'STREAMS', key, '0'],
        ['XREAD', 'BLOCK', '0', 'STREAMS', key, '0'],
        ['XGROUP', 'CREATE', key, 'g', '$', 'MKSTREAM'],
        ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', key, '>'],
        ['XACK', key, 'g', '1-1'],
        ['XPENDING', key, 'g'],
        ['XCLAIM', key, 'g', 'c', '0', '1-1'],
        ['XAUTOCLAIM', key, 'g', 'c', '0', '0'],
        ['XINFO', 'STREAM', key],
        ['XSETID', key, '9-9'],
      ]) {
        expect(await redis.failure(...words), words.join(' ')).toMatch(/^WRONGTYPE/)
      }
    }
    for (const name of ['GET', 'HGETALL', 'SMEMBERS', 'ZCARD', 'LLEN', 'SORT']) {
      expect(await redis.failure(name, 's')).toMatch(/^WRONGTYPE/)
    }
    expect(await redis.call('TYPE', 's')).toBe('stream')
    expect(await redis.call('OBJECT', 'ENCODING', 's')).toBe('stream')
    expect(await redis.call('SCAN', 0, 'TYPE', 'stream')).toEqual(['0', ['s']])
    expect(
      await redis.call('COMMAND', 'GETKEYS', 'XREAD', 'COUNT', '1', 'STREAMS', 'a', 'b', '0', '0'),
    ).toEqual(['a', 'b'])
    expect(await redis.call('COPY', 's', 't')).toBe(1)
    expect(await redis.call('XADD', 't', '2-0', 'f', 'v')).toBe('2-0')
    expect([await redis.call('XLEN', 's'), await redis.call('XLEN', 't')]).toEqual([1, 2])
  })

  test('has ids of the clock that only grow', async () => {
    const { client } = await served()
    const redis = await client()
    const ids = await redis.pipeline(Array.from({ length: 50 }, () => ['XADD', 's', '*', 'f', 'v']))
    const parts = ids.map((id) => textOf(id).split('-').map(Number))
    expect(
      parts.every(([ms = 0, seq = 0], at) => {
        const [before = 0, other = 0] = parts[at - 1] ?? []
        return ms > before || (ms === before && seq === other + 1)
      }),
    ).toBe(true)
    await redis.call('XADD', 's', '9999999999999-5', 'f', 'v')
    expect(await redis.call('XADD', 's', '*', 'f', 'v')).toBe('9999999999999-6')
    const largest = '18446744073709551615'
    await redis.call('XADD', 's', `${largest}-${largest}`, 'f', 'v')
    expect(await redis.failure('XADD', 's', '*', 'f', 'v')).toBe(
      'ERR The stream has exhausted the last possible ID, unable to add more items',
    )
  })

  test('tells its events', async () => {
    const { client } = await served({ redis: { notifyKeyspaceEvents: 'KEtg' } })
    const [redis, subscriber] = [await client(), await client()]
    await subscriber.call('PSUBSCRIBE', '__keyevent@0__:*')
    await redis.pipeline(
      [
        'XADD s 1-1 f v',
        'XADD s MAXLEN 1 1-2 f v',
        'XDEL s 9-9',
        'XDEL s 1-2',
        'XSETID s 5-0',
        'XADD s 6-0 f v',
        'XTRIM s MAXLEN 0',
        'XGROUP CREATE s g 0',
        'XADD s 7-0 f v',
        'XREADGROUP GROUP g c STREAMS s >',
        'XGROUP SETID s g 0',
        'XGROUP CREATECONSUMER s g d',
        'XGROUP DELCONSUMER s g d',
        'XGROUP DESTROY s g',
        'DEL s',
      ].map((line) => line.split(' ')),
    )
    const events: string[] = []
    while (events.at(-1) !== 'del') {
      const message = (await subscriber.reply()) as string[]
      events.push(message[2]?.replace('__keyevent@0__:', '') ?? '')
    }
    expect(events).toEqual([
      ...['xadd', 'xadd', 'xtrim', 'xdel', 'xsetid', 'xadd', 'xtrim', 'xgroup-create', 'xadd'],
      ...['xgroup-createconsumer', 'xgroup-setid', 'xgroup-createconsumer', 'xgroup-delconsumer'],
      ...['xgroup-destroy', 'del'],
    ])
  })

  test('is written whole where the store cannot take fields away', async () => {
    const { book, client } = await served({ book: { store: memoryStore({ patches: false }) } })
    const redis = await client()
    await redis.pipeline(
      Array.from({ length: 10 }, (_, n) => ['XADD', 's', `${n + 1}-0`, 'n', String(n)]),
    )
    await redis.call('XGROUP', 'CREATE', 's', 'g', '0')
    await redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', 3, 'STREAMS', 's', '>')
    expect(await redis.call('XACK', 's', 'g', '1-0')).toBe(1)
    expect(await redis.call('XDEL', 's', '2-0')).toBe(1)
    expect(await redis.call('XTRIM', 's', 'MAXLEN', 2)).toBe(7)
    const look = async (): Promise<Reply[]> => [
      await redis.call('XRANGE', 's', '-', '+'),
      await redis.call('XPENDING', 's', 'g'),
    ]
    const expected = [
      [
        ['9-0', ['n', '8']],
        ['10-0', ['n', '9']],
      ],
      [2, '2-0', '3-0', [['c', '2']]],
    ]
    expect(await look()).toEqual(expected)
    await book.flush()
    await book.cache('redis').invalidate('s')
    expect(await look()).toEqual(expected)
  })

  test('costs the same with a few entries and with very many', { timeout: 60_000 }, async () => {
    const { client } = await served({ book: { flush: { delayMs: 600_000 } } })
    const redis = await client()
    let journalBytes = 0
    const count = (commit: unknown): void => {
      journalBytes += (commit as DiagnosticsMap['daybook:commit']).bytes
    }
    subscribe('daybook:commit', count)
    onTestFinished(() => void unsubscribe('daybook:commit', count))
    const change = (n: number): string[][] => [
      ['XADD', 's', 'MAXLEN', '20000', `${n}-0`, 'f', 'value'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1', 'STREAMS', 's', '>'],
      ['XACK', 's', 'g', `${n - 30_000}-0`],
      ['XDEL', 's', `${n - 5}-0`],
    ]
    const fill = Array.from({ length: 20_000 }, (_, n) => ['XADD', 's', `${n + 1}-0`, 'f', 'value'])
    for (let at = 0; at < fill.length; at += 1000) await redis.pipeline(fill.slice(at, at + 1000))
    await redis.call('XGROUP', 'CREATE', 's', 'g', '0')
    const before = journalBytes
    for (let n = 30_001; n <= 30_200; n++) await redis.pipeline(change(n))
    // The document has two thirds of a megabyte: written anew 800 times it would be 500.
    const grown = journalBytes - before
    expect(grown).toBeGreaterThan(800 * 30)
    expect(grown).toBeLessThan(800 * 1000)
    expect(await redis.call('XLEN', 's')).toBeGreaterThan(19_000)
  })
})

describe('who waits for entries', () => {
  test('is told of those to come, and all who wait are', async () => {
    const { client } = await served()
    const [redis, first, second] = [await client(), await client(), await client()]
    await redis.call('XADD', 's', '1-0', 'f', 'old')
    const waiting = [
      first.call('XREAD', 'BLOCK', 0, 'STREAMS', 'none', 's', '0', '$'),
      second.call('XREAD', 'COUNT', 1, 'BLOCK', 60_000, 'STREAMS', 's', '1'),
    ]
    await blocked(redis, 2)
    await redis.pipeline([
      ['MULTI'],
      ['XADD', 's', '2-0', 'f', 'new'],
      ['XADD', 's', '3-0', 'f', 'newer'],
      ['EXEC'],
    ])
    const [two, three] = [
      ['2-0', ['f', 'new']],
      ['3-0', ['f', 'newer']],
    ]
    expect(await Promise.all(waiting)).toEqual([[['s', [two, three]]], [['s', [two]]]])
    // Of several streams, those that have something at once.
    expect(await redis.call('XREAD', 'BLOCK', 0, 'STREAMS', 's', 'none', '2', '0')).toEqual([
      ['s', [three]],
    ])
    await redis.call('HELLO', 3)
    expect(await redis.call('XREAD', 'STREAMS', 's', '2')).toEqual(['s', [three]])
  })

  test('waits no longer than it says, and not at all in a transaction', async () => {
    const { client } = await served()
    const [redis, other] = [await client(), await client()]
    expect(await redis.call('XREAD', 'BLOCK', 5, 'STREAMS', 's', '$')).toBeNull()
    expect(await redis.call('XREAD', 'STREAMS', 's', '$')).toBeNull()
    expect(await redis.failure('XREAD', 'BLOCK', '-1', 'STREAMS', 's', '$')).toBe(
      'ERR timeout is negative',
    )
    expect(await redis.failure('XREAD', 'BLOCK', 'x', 'STREAMS', 's', '$')).toBe(
      'ERR timeout is not an integer or out of range',
    )
    expect(
      await redis.pipeline([
        ['MULTI'],
        ['XREAD', 'BLOCK', '0', 'STREAMS', 's', '0'],
        ['XADD', 's', '1-0', 'f', 'v'],
        ['XREAD', 'BLOCK', '0', 'STREAMS', 's', '0'],
        ['EXEC'],
      ]),
    ).toEqual(['OK', 'QUEUED', 'QUEUED', 'QUEUED', [null, '1-0', [['s', [['1-0', ['f', 'v']]]]]]])
    const read = "return redis.call('xread', 'BLOCK', 0, 'STREAMS', KEYS[1], '0')"
    expect(await redis.failure('EVAL', read, 1, 's')).toMatch(
      /^ERR xread command is not allowed with BLOCK option from scripts/,
    )
    const add = "redis.call('xadd', KEYS[1], '2-0', 'f', 'w') return redis.call('xlen', KEYS[1])"
    const waiting = other.call('XREAD', 'BLOCK', 0, 'STREAMS', 's', '$')
    await blocked(redis, 1)
    expect(await redis.call('EVAL', add, 1, 's')).toBe(2)
    expect(await waiting).toEqual([['s', [['2-0', ['f', 'w']]]]])
    const id = Number(await other.call('CLIENT', 'ID'))
    const ended = other.call('XREAD', 'BLOCK', 0, 'STREAMS', 's', '$')
    await blocked(redis, 1)
    expect(await redis.call('CLIENT', 'UNBLOCK', id, 'TIMEOUT')).toBe(1)
    expect(await ended).toBeNull()
    const refused = other.failure('XREAD', 'BLOCK', 0, 'STREAMS', 's', '$')
    await blocked(redis, 1)
    expect(await redis.call('CLIENT', 'UNBLOCK', id, 'ERROR')).toBe(1)
    expect(await refused).toBe('UNBLOCKED client unblocked via CLIENT UNBLOCK')
  })

  test('gets what no other consumer of its group has got', async () => {
    const { client } = await served()
    const [redis, first, second] = [await client(), await client(), await client()]
    await redis.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
    const read = async (from: RawClient, name: string): Promise<Reply> =>
      from.call('XREADGROUP', 'GROUP', 'g', name, 'COUNT', 1, 'BLOCK', 0, 'STREAMS', 's', '>')
    const [one, two] = [read(first, 'ada'), blocked(redis, 1).then(() => read(second, 'bob'))]
    await blocked(redis, 2)
    await redis.call('XADD', 's', '1-0', 'f', 'v')
    expect(await one).toEqual([['s', [['1-0', ['f', 'v']]]]])
    await redis.call('XADD', 's', '2-0', 'f', 'w')
    expect(await two).toEqual([['s', [['2-0', ['f', 'w']]]]])
    expect(await redis.call('XPENDING', 's', 'g')).toEqual([
      ...[2, '1-0', '2-0'],
      [
        ['ada', '1'],
        ['bob', '1'],
      ],
    ])
  })

  test('is told where the stream, or its group, ends', async () => {
    const { client } = await served()
    const [redis, reader] = [await client(), await client()]
    const gone = 'UNBLOCKED the stream key no longer exists'
    for (const [words, expected] of [
      [['DEL', 's'], gone],
      [['SET', 's', 'x'], gone],
      [['FLUSHALL'], gone],
      [['PEXPIRE', 's', '1'], gone],
      [['RENAME', 's', 't'], gone],
      [['SWAPDB', '0', '1'], gone],
      [
        ['XGROUP', 'DESTROY', 's', 'g'],
        'NOGROUP the consumer group this client was blocked on no longer exists',
      ],
    ] as const) {
      await redis.call('FLUSHALL')
      await redis.call('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
      const group = ['GROUP', 'g', 'ada', 'BLOCK', '0', 'STREAMS', 's', '>']
      const waiting = reader.failure('XREADGROUP', ...group)
      await blocked(redis, 1)
      await redis.call(...words)
      expect(await waiting, words.join(' ')).toBe(expected)
    }
  })
})

function textOf(reply: Reply | undefined): string {
  return typeof reply === 'string' ? reply : JSON.stringify(reply)
}

/** Once so many clients wait. */
async function blocked(redis: RawClient, count: number): Promise<void> {
  await expect
    .poll(async () => /blocked_clients:(\d+)/.exec(textOf(await redis.call('INFO')))?.[1])
    .toBe(String(count))
}

describe('a stream after a restart', () => {
  test('is as it was acknowledged, where the server was killed', { timeout: 60_000 }, async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    const acknowledged: string[] = []
    for (let round = 0; round < 2; round++) {
      const server = await ServeProcess.redis(directory, port)
      const redis = await RawClient.connect(port)
      if (round === 0) await redis.call('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM')
      const begun = acknowledged.length
      const work = async (): Promise<void> => {
        for (;;) {
          const id = textOf(await redis.call('XADD', 's', '*', 'n', acknowledged.length))
          acknowledged.push(id)
          await redis.call('XREADGROUP', 'GROUP', 'g', 'ada', 'STREAMS', 's', '>')
          if (acknowledged.length % 2 === 0) await redis.call('XACK', 's', 'g', id)
        }
      }
      const working = work().catch(() => undefined)
      await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(begun + 50)
      await server.kill()
      await working
      redis.destroy()
    }
    const server = await ServeProcess.redis(directory, port)
    const redis = await RawClient.connect(port)
    const ids = ((await redis.call('XRANGE', 's', '-', '+')) as Reply[][]).map(([id]) => textOf(id))
    // What was sent and not acknowledged may be there, too: one in each round.
    expect(ids.length).toBeLessThanOrEqual(acknowledged.length + 2)
    expect(acknowledged.filter((id) => !ids.includes(id))).toEqual([])
    const pending = (await redis.call('XPENDING', 's', 'g')) as Reply[]
    const unread = (await redis.call('XREADGROUP', 'GROUP', 'g', 'ada', 'STREAMS', 's', '>')) ?? []
    const rest = Array.isArray(unread) && Array.isArray(unread[0]) ? (unread[0][1] as Reply[]) : []
    const acked = ids.length - Number(pending[0]) - rest.length
    const told = Math.floor(acknowledged.length / 2)
    expect(Math.abs(acked - told)).toBeLessThanOrEqual(2)
    redis.destroy()
    await server.kill()
  })
})
