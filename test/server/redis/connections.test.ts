/** Connections: pipelines, limits, and everything that a client can do wrong. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RawClient, requestOf, served } from './redis-fixture.ts'

const errorEnd = (reason: string): string => `-ERR Protocol error: ${reason}\r\n`

describe('connections side by side', () => {
  test('share a group commit where all of them have sent a write', async () => {
    const { client } = await served()
    const clients = await Promise.all(Array.from({ length: 20 }, client))
    let commits = 0
    const note = (): void => void commits++
    subscribe('daybook:commit', note)
    onTestFinished(() => void unsubscribe('daybook:commit', note))
    let shared = 0
    for (let round = 0; round < 20; round++) {
      commits = 0
      for (const [at, redis] of clients.entries()) redis.send('SET', `key:${at}`, round)
      for (const redis of clients) expect(await redis.reply()).toBe('OK')
      if (commits === 1) shared++
    }
    // Else it is never one: the first write has a commit of its own. What a busy machine delivers in two turns has two, too.
    expect(shared).toBeGreaterThan(3)
  })
})

describe('a pipeline', () => {
  test('is answered in its order, whatever has to be loaded meanwhile', async () => {
    const { book, client } = await served()
    const redis = await client()
    for (let n = 0; n < 50; n++) await redis.call('SET', `cold:${n}`, n)
    await book.flush()
    for (let n = 0; n < 50; n++) await book.cache('redis').invalidate(`cold:${n}`)
    const before = book.stats().cache.loads
    const expected: unknown[] = []
    for (let n = 0; n < 50; n++) {
      redis.send('GET', `cold:${n}`)
      redis.send('SET', `warm:${n}`, n)
      redis.send('INCR', `cold:${n}`)
      redis.send('PING')
      expected.push(String(n), 'OK', n + 1, 'PONG')
    }
    const replies: unknown[] = []
    while (replies.length < expected.length) replies.push(await redis.reply())
    expect(replies).toEqual(expected)
    // What the commands behind a cold one need is loaded together.
    expect(book.stats().cache.loads - before).toBeLessThan(20)
  })

  test('may change the database on its way', async () => {
    const { client } = await served()
    const redis = await client()
    const calls = [
      ...[
        ['SET', 'k', 'in 0'],
        ['GET', 'k'],
        ['SELECT', '1'],
        ['GET', 'k'],
        ['SET', 'k', 'in 1'],
      ],
      ...[
        ['GET', 'k'],
        ['SELECT', '0'],
        ['GET', 'k'],
        ['DEL', 'k'],
        ['GET', 'k'],
      ],
    ]
    redis.write(calls.map(requestOf).join(''))
    const replies: unknown[] = []
    while (replies.length < calls.length) replies.push(await redis.reply())
    expect(replies).toEqual(['OK', 'in 0', 'OK', null, 'OK', 'in 1', 'OK', 'in 0', 1, null])
  })

  test('that begins with AUTH has the limits of those who are known behind it', async () => {
    const { client } = await served({ redis: { password: 'secret' } })
    const redis = await client()
    const many = Array.from({ length: 30 }, (_, n) => `member-${n}`)
    redis.write(requestOf(['AUTH', 'secret']) + requestOf(['SADD', 's', ...many]))
    expect([await redis.reply(), await redis.reply()]).toEqual(['OK', 30])
  })

  test('shares group commits', async () => {
    const { book, client } = await served()
    const redis = await client()
    await redis.call('PING')
    const before = book.stats().journal.commits
    redis.write(Array.from({ length: 500 }, (_, n) => requestOf(['SET', `k${n}`, n])).join(''))
    for (let n = 0; n < 500; n++) expect(await redis.reply()).toBe('OK')
    expect(book.stats().journal.commits - before).toBeLessThan(20)
  })

  test('is understood wherever its bytes are cut', async () => {
    const { client } = await served()
    const redis = await client()
    const stream = requestOf(['SET', 'a', 'x\r\ny']) + 'GET a\r\n' + requestOf(['PING'])
    for (const byte of stream) {
      redis.write(byte)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect([await redis.reply(), await redis.reply(), await redis.reply()]).toEqual([
      'OK',
      'x\r\ny',
      'PONG',
    ])
  })

  test('of values in megabytes is taken in pieces', async () => {
    const { client } = await served()
    const redis = await client()
    const value = 'v'.repeat(3 * 1024 * 1024)
    expect(await redis.call('SET', 'large', value)).toBe('OK')
    redis.send('GET', 'large')
    redis.send('STRLEN', 'large')
    expect(await redis.reply()).toBe(value)
    expect(await redis.reply()).toBe(value.length)
    expect(await redis.failure('APPEND', 'large', 'v'.repeat(6 * 1024 * 1024))).toMatch('exceeds')
  })
})

describe('a client', () => {
  test('that says it is done is still answered', async () => {
    const { client } = await served()
    const redis = await client()
    redis.write(requestOf(['SET', 'a', '1']) + requestOf(['GET', 'a']))
    redis.socket.end()
    expect(await redis.untilEnd()).toBe('+OK\r\n$1\r\n1\r\n')
  })

  test('that says it is done without having asked for anything is let go', async () => {
    const { client } = await served()
    const [silent, halfway] = [await client(), await client()]
    silent.socket.end()
    expect(await silent.untilEnd()).toBe('')
    halfway.write('*2\r\n$3\r\nGET\r\n')
    halfway.socket.end()
    expect(await halfway.untilEnd()).toBe('')
  })

  test('that is cut off in the middle of a request and of replies is forgotten', async () => {
    const { client } = await served()
    const observer = await client()
    await observer.call('SET', 'v', 'x'.repeat(100_000))
    for (let n = 0; n < 20; n++) {
      const lost = await client()
      lost.write(requestOf(['GET', 'v']).repeat(20) + '*2\r\n$3\r\nSE')
      await lost.reply()
      lost.socket.resetAndDestroy()
    }
    await expect
      .poll(() => observer.call('INFO', 'clients'), { timeout: 20_000 })
      .toContain('connected_clients:1\r')
    expect(await observer.call('STRLEN', 'v')).toBe(100_000)
  })

  test('that never reads what it asked for is ended after a while', async () => {
    const { client } = await served({
      redis: { requestTimeoutMs: 200, maxOutputBytes: 64 * 1024 * 1024 },
    })
    const observer = await client()
    await observer.call('SET', 'v', 'x'.repeat(1024 * 1024))
    const slow = await client()
    slow.socket.pause()
    for (let n = 0; n < 40; n++) slow.send('GET', 'v')
    await expect
      .poll(() => observer.call('INFO', 'clients'), { timeout: 20_000 })
      .toContain('connected_clients:1\r')
  })

  test('that breaks the protocol is told so, after what it asked before', async () => {
    const { client } = await served()
    const redis = await client()
    redis.write(`${requestOf(['PING'])}*1\r\n:5\r\nPING\r\n`)
    expect(await redis.untilEnd()).toBe(`+PONG\r\n${errorEnd("expected '$', got ':'")}`)
  })

  test.each(['POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n', 'Host: localhost\r\n'])(
    'that is a browser is hung up on: %j',
    async (bytes) => {
      const { client } = await served()
      const redis = await client()
      redis.write(bytes)
      expect(await redis.untilEnd()).toBe('')
      const other = await client()
      expect(await other.call('EXISTS', 'a')).toBe(0)
    },
  )

  test('that says QUIT is answered, and what comes behind it is not', async () => {
    const { client } = await served()
    const redis = await client()
    redis.write('QUIT\r\nPING\r\n')
    expect(await redis.untilEnd()).toBe('+OK\r\n')
  })

  test('can be ended by another one', async () => {
    const { client } = await served()
    const [first, second] = [await client(), await client()]
    const id = Number(await first.call('CLIENT', 'ID'))
    expect(await second.call('CLIENT', 'LIST')).toContain(`id=${id} `)
    expect(await second.call('CLIENT', 'KILL', 'ID', id)).toBe(1)
    expect(await first.untilEnd()).toBe('')
  })

  test('that does not read its replies is made to wait, and takes no memory beyond its limit', async () => {
    const { client, redis } = await served({ redis: { maxOutputBytes: 256 * 1024 } })
    const writer = await client()
    await writer.call('SET', 'v', 'x'.repeat(32 * 1024))
    const slow = await client()
    slow.socket.pause()
    for (let n = 0; n < 2000; n++) slow.send('GET', 'v')
    const owed = async (): Promise<number> => {
      const list = (await writer.call('CLIENT', 'LIST')) as string
      return Math.max(...[...list.matchAll(/omem=(\d+)/g)].map((match) => Number(match[1])))
    }
    await expect.poll(owed, { timeout: 20_000 }).toBeGreaterThan(32 * 1024)
    expect(await owed()).toBeLessThan(256 * 1024)
    expect(redis.port).toBeGreaterThan(0)
    // As soon as it reads, it gets all of it.
    slow.socket.resume()
    for (let n = 0; n < 2000; n++) expect(await slow.reply()).toHaveLength(32 * 1024)
  })

  test('that asks for more than its limit at once is cut off', async () => {
    const { client } = await served({ redis: { maxOutputBytes: 128 * 1024 } })
    const redis = await client()
    await redis.call('SET', 'v', 'x'.repeat(100 * 1024))
    redis.send('MGET', ...Array.from({ length: 300 }, () => 'v'))
    expect((await redis.untilEnd()).length).toBeLessThan(30 * 1024 * 1024)
    expect(await (await client()).call('INFO', 'stats')).toContain(
      'client_output_buffer_limit_disconnections:1',
    )
  })

  test('that leaves a request unfinished, or says nothing, is ended after a while', async () => {
    const { client } = await served({ redis: { requestTimeoutMs: 200, idleTimeoutMs: 5000 } })
    const [unfinished, begun, idle] = [await client(), await client(), await client()]
    unfinished.write('*2\r\n$3\r\nGET\r\n')
    // Not a byte of it is buffered, and yet it is not complete.
    begun.write('*2\r\n')
    const startedAt = performance.now()
    expect(await unfinished.untilEnd()).toBe('')
    expect(await begun.untilEnd()).toBe('')
    expect(performance.now() - startedAt).toBeLessThan(4000)
    expect(await idle.untilEnd()).toBe('')
  })

  test('beyond the greatest number is told so', async () => {
    const { client } = await served({ redis: { maxClients: 2 } })
    const first = await client()
    await first.call('PING')
    await (await client()).call('PING')
    const third = await client()
    expect(await third.untilEnd()).toBe('-ERR max number of clients reached\r\n')
    first.destroy()
    await expect
      .poll(
        async () => {
          const next = await client()
          return next.call('PING').catch(() => 'refused')
        },
        { timeout: 20_000 },
      )
      .toBe('PONG')
  })
})

describe('a password', () => {
  const redis = { password: 's\u00e9cret', authTimeoutMs: 1000 }

  test('is asked for before anything else', async () => {
    const { client } = await served({ redis })
    const stranger = await client()
    expect(await stranger.failure('GET', 'a')).toBe('NOAUTH Authentication required.')
    expect(await stranger.failure('HELLO', 3)).toMatch(/^NOAUTH HELLO must be called/)
    expect(await stranger.failure('AUTH', 'wrong')).toMatch(/^WRONGPASS/)
    expect(await stranger.call('AUTH', 's\u00c3\u00a9cret')).toBe('OK')
    expect(await stranger.call('SET', 'a', 'x'.repeat(100_000))).toBe('OK')
    const other = await client()
    expect(
      await other.call('HELLO', 3, 'AUTH', 'default', 's\u00c3\u00a9cret', 'SETNAME', 'me'),
    ).toContain('proto')
    expect(await other.call('CLIENT', 'GETNAME')).toBe('me')
    expect(await other.call('RESET')).toBe('RESET')
    expect(await other.failure('GET', 'a')).toMatch('NOAUTH')
  })

  test('lets those who have not given it send little, and not for long', async () => {
    const { client } = await served({ redis })
    const large = await client()
    large.write('*1\r\n$20000\r\n')
    expect(await large.untilEnd()).toBe(errorEnd('unauthenticated bulk length'))
    const many = await client()
    many.write('*11\r\n')
    expect(await many.untilEnd()).toBe(errorEnd('unauthenticated multibulk length'))
    expect(await (await client()).untilEnd()).toBe('')
  })

  test('is needed where others can reach the port', async () => {
    await expect(served({ redis: { host: '0.0.0.0' } })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path: 'redis.password' },
    })
  })
})

describe('the port', () => {
  test('that is taken is said so', async () => {
    const { redis } = await served()
    await expect(served({ redis: { port: redis.port } })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('EADDRINUSE') as string,
    })
  })

  test('survives noise', async () => {
    const { redis, client } = await served()
    let state = 12345
    const byte = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }
    for (let n = 0; n < 100; n++) {
      const noise = await RawClient.connect(redis.port)
      noise.write(String.fromCharCode(...Array.from({ length: 1 + byte() * 8 }, byte)))
      noise.write('\r\n*3\r\n$3\r\nSET\r\n$-5\r\n')
      noise.socket.end()
      await noise.untilEnd()
      noise.destroy()
    }
    expect(await (await client()).call('PING')).toBe('PONG')
  })
})
