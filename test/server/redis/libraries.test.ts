/**
 * What people put on top of a Redis client: Keyv, sessions of Express by connect-redis, rate limiters, locks, and scripts of
 * their own.
 *
 * Method: each library does its work on `daybook serve` in a process of its own, which is killed with SIGKILL in the middle and
 * started anew on the same data; everything that the library was told must be there, with its time to live.
 */

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import KeyvRedis, { createClient as createKeyvClient } from '@keyv/redis'
import { RedisStore } from 'connect-redis'
import { rateLimit } from 'express-rate-limit'
import session from 'express-session'
import { Redis } from 'ioredis'
import { Keyv } from 'keyv'
import {
  RateLimiterRedis,
  RateLimiterRedisNonAtomic,
  RateLimiterRes,
  type IRateLimiterStoreOptions,
} from 'rate-limiter-flexible'
import { RedisStore as RateLimitStore } from 'rate-limit-redis'
import { createClient, defineScript } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ServeProcess } from '../serve-process.ts'
import { temporaryDirectory } from './redis-fixture.ts'
import { freePort } from './redis-tools.ts'

/** The package keeps its declarations where TypeScript does not look for them. */
interface Lock {
  extend(durationMs: number): Promise<Lock>
  release(): Promise<unknown>
}

type RedlockClass = new (
  clients: readonly Redis[],
  settings: { readonly retryCount: number },
) => { acquire(resources: readonly string[], durationMs: number): Promise<Lock> }

const { default: Redlock } = createRequire(import.meta.url)('redlock') as { default: RedlockClass }

interface Restartable {
  readonly port: number
  /** kill -9, and a start on the same data. */
  readonly restart: () => Promise<void>
}

async function restartable(): Promise<Restartable> {
  const directory = temporaryDirectory()
  const port = await freePort()
  let server = await ServeProcess.redis(directory, port)
  return {
    port,
    async restart() {
      await server.kill()
      server = await ServeProcess.redis(directory, port)
    },
  }
}

/** A client of node-redis that finds its way back after a restart by itself. */
async function nodeRedis(port: number) {
  const client = createClient({ url: `redis://127.0.0.1:${port}` })
  // That the connection is lost is what the test is about.
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(() => client.destroy())
  return client
}

function ioredis(port: number): Redis {
  const client = new Redis(port, '127.0.0.1', { enableReadyCheck: true })
  client.on('error', () => undefined)
  onTestFinished(() => client.disconnect())
  return client
}

/** Once a client that had lost its connection is back. */
async function reconnected(ping: () => Promise<unknown>): Promise<void> {
  await expect.poll(() => ping().catch(() => 'not yet'), { timeout: 20_000 }).toBe('PONG')
}

describe('Keyv', () => {
  test('keeps its values and their time to live over a kill', async () => {
    const { port, restart } = await restartable()
    const client = createKeyvClient({ url: `redis://127.0.0.1:${port}` })
    client.on('error', () => undefined)
    const store = new KeyvRedis(client)
    const keyv = new Keyv<unknown>({ store, namespace: 'shop' })
    keyv.on('error', () => undefined)
    onTestFinished(() => client.destroy())
    expect(await keyv.set('ada', { name: 'Ada', tags: ['a', 'Zoë'] })).toBe(true)
    expect(await keyv.set('brief', 'value', 600_000)).toBe(true)
    expect(await keyv.set('briefest', 'value', 50)).toBe(true)
    await keyv.set('gone', 1)
    expect(await keyv.delete('gone')).toBe(true)
    expect(await keyv.delete('gone')).toBe(false)

    await restart()
    await reconnected(() => client.ping())

    expect(await keyv.get('ada')).toEqual({ name: 'Ada', tags: ['a', 'Zoë'] })
    expect(await keyv.getMany(['brief', 'gone'])).toEqual(['value', undefined])
    expect(await keyv.has('gone')).toBe(false)
    await expect.poll(() => keyv.get('briefest')).toBeUndefined()
    const raw = await client.pTTL((await client.keys('*brief'))[0] ?? '')
    expect(raw).toBeGreaterThan(500_000)
    expect(raw).toBeLessThanOrEqual(600_000)
    const seen: string[] = []
    for await (const [key] of keyv.iterator?.('shop') ?? []) seen.push(String(key))
    expect(seen.sort()).toEqual(['ada', 'brief'])
    await keyv.clear()
    expect(await keyv.getMany(['ada', 'brief'])).toEqual([undefined, undefined])
  })
})

describe('sessions of Express', () => {
  test('in connect-redis outlive a kill of the server', async () => {
    const { port, restart } = await restartable()
    const client = await nodeRedis(port)
    const store = new RedisStore({ client, prefix: 'sess:', ttl: 3600 })
    const middleware = session({
      store,
      secret: 'of this test',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 600_000 },
    })
    const shop = createServer((request, response) => {
      // As Express calls it; a session is all that it touches.
      middleware(request as never, response as never, (error?: unknown) => {
        if (error !== undefined) {
          response.writeHead(500).end()
          return
        }
        const { session: visitor } = request as unknown as { session: { visits?: number } }
        visitor.visits = (visitor.visits ?? 0) + 1
        response.end(String(visitor.visits))
      })
    })
    await new Promise<void>((resolve) => shop.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      shop.closeAllConnections()
      shop.close()
    })
    const url = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`
    const visit = async (cookie: string): Promise<{ text: string; cookie: string }> => {
      const answer = await fetch(url, { headers: { cookie } })
      return { text: await answer.text(), cookie: answer.headers.get('set-cookie') ?? cookie }
    }
    const first = await visit('')
    const cookie = first.cookie.split(';', 1)[0] ?? ''
    expect(first.text).toBe('1')
    expect((await visit(cookie)).text).toBe('2')

    await restart()
    await reconnected(() => client.ping())

    expect((await visit(cookie)).text).toBe('3')
    expect((await visit('')).text).toBe('1')
    const [key = ''] = await client.keys('sess:*')
    expect(await client.ttl(key)).toBeGreaterThan(500)

    const ids = await new Promise<string[]>((resolve, reject) => {
      void store.ids((error: unknown, found?: string[]) => {
        if (found === undefined) reject(error)
        else resolve(found)
      })
    })
    expect(ids).toHaveLength(2)
    await new Promise((resolve) => void store.clear(resolve))
    expect((await visit(cookie)).text).toBe('1')
  })
})

describe('rate-limiter-flexible', () => {
  const options = { points: 5, duration: 600, keyPrefix: 'login' }

  test('without Lua keeps its limits over a kill', async () => {
    const { port, restart } = await restartable()
    const client = ioredis(port)
    const limiter = new RateLimiterRedisNonAtomic({ ...options, storeClient: client })
    for (let n = 1; n <= 3; n++) {
      expect(await limiter.consume('ada')).toMatchObject({ consumedPoints: n })
    }

    await restart()
    await reconnected(() => client.ping())

    expect(await limiter.get('ada')).toMatchObject({ consumedPoints: 3, remainingPoints: 2 })
    await limiter.consume('ada', 2)
    const refused = await limiter.consume('ada').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(RateLimiterRes)
    expect((refused as RateLimiterRes).msBeforeNext).toBeGreaterThan(500_000)
    expect(await limiter.consume('ben')).toMatchObject({ remainingPoints: 4 })
    expect(await limiter.delete('ada')).toBe(true)
    expect(await limiter.consume('ada')).toMatchObject({ consumedPoints: 1 })
  })

  test('with its script as a transaction counts each of those who come at once, and keeps that over a kill', async () => {
    const { port, restart } = await restartable()
    const client = ioredis(port)
    const limiter = new TransactionLimiter({ ...options, storeClient: client })
    const together = await Promise.allSettled(
      Array.from({ length: 8 }, () => limiter.consume('ada')),
    )
    expect(together.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)

    await restart()
    await reconnected(() => client.ping())

    const refused: unknown = await limiter.consume('ada').catch((error: unknown) => error)
    expect(refused).toMatchObject({ consumedPoints: 9, remainingPoints: 0 })
    expect((refused as RateLimiterRes).msBeforeNext).toBeGreaterThan(500_000)
    expect((refused as RateLimiterRes).msBeforeNext).toBeLessThanOrEqual(600_000)
  })

  test.each(['ioredis', 'node-redis'])(
    'with Lua counts each of those who come at once, and keeps that over a kill, by %s',
    async (name) => {
      const { port, restart } = await restartable()
      const client = name === 'ioredis' ? ioredis(port) : await nodeRedis(port)
      const ping = client instanceof Redis ? () => client.ping() : () => client.ping()
      const useRedisPackage = name === 'node-redis'
      const limiter = new RateLimiterRedis({ ...options, storeClient: client, useRedisPackage })
      const together = await Promise.allSettled(
        Array.from({ length: 8 }, () => limiter.consume('ada')),
      )
      expect(together.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)

      await restart()
      await reconnected(ping)

      const refused: unknown = await limiter.consume('ada').catch((error: unknown) => error)
      expect(refused).toMatchObject({ consumedPoints: 9, remainingPoints: 0 })
      expect((refused as RateLimiterRes).msBeforeNext).toBeGreaterThan(500_000)
      expect(await limiter.consume('ben')).toMatchObject({ remainingPoints: 4 })
      expect(await limiter.penalty('ben', 2)).toMatchObject({ consumedPoints: 3 })
      await limiter.block('eve', 100)
      await expect(limiter.consume('eve')).rejects.toBeInstanceOf(RateLimiterRes)
    },
  )
})

describe('rate-limit-redis', () => {
  test('limits a server of Express over a kill', async () => {
    const { port, restart } = await restartable()
    const client = await nodeRedis(port)
    const limit = rateLimit({
      windowMs: 600_000,
      limit: 3,
      validate: false,
      store: new RateLimitStore({ sendCommand: async (...words) => client.sendCommand(words) }),
      keyGenerator: ({ headers }) => String(headers['x-visitor']),
      handler: (_request, response) => {
        response.statusCode = 429
        response.end()
      },
    })
    const shop = createServer((request, response) => {
      // As Express calls it.
      void limit(request as never, response as never, (error?: unknown) => {
        response.writeHead(error === undefined ? 200 : 500).end()
      })
    })
    await new Promise<void>((resolve) => shop.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      shop.closeAllConnections()
      shop.close()
    })
    const url = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`
    const visit = async (visitor: string): Promise<number> =>
      (await fetch(url, { headers: { 'x-visitor': visitor } })).status
    expect([await visit('ada'), await visit('ada')]).toEqual([200, 200])

    await restart()
    await reconnected(() => client.ping())

    expect([await visit('ada'), await visit('ada'), await visit('ben')]).toEqual([200, 429, 200])
    const [key = ''] = await client.keys('*ada')
    expect(await client.pTTL(key)).toBeGreaterThan(500_000)
  })
})

describe('Redlock', () => {
  test('holds a lock against others over a kill, extends it and gives it back', async () => {
    const { port, restart } = await restartable()
    const clients = [ioredis(port), ioredis(port)]
    const [mine, other] = clients.map((client) => new Redlock([client], { retryCount: 0 }))
    if (mine === undefined || other === undefined) throw new Error('There are two.')
    let lock = await mine.acquire(['orders', 'stock'], 600_000)
    await expect(other.acquire(['stock'], 1000)).rejects.toThrow()

    await restart()
    for (const client of clients) await reconnected(() => client.ping())

    await expect(other.acquire(['orders'], 1000)).rejects.toThrow()
    lock = await lock.extend(700_000)
    expect(await clients[0]?.pttl('orders')).toBeGreaterThan(600_000)
    await lock.release()
    const theirs = await other.acquire(['stock', 'orders'], 1000)
    // It is not mine any more: its value is another.
    await expect(lock.release()).rejects.toThrow()
    await theirs.release()
    expect(await clients[0]?.exists('orders', 'stock')).toBe(0)
  })
})

describe('scripts of ioredis and node-redis', () => {
  const take = `local left = tonumber(redis.call('HGET', KEYS[1], 'left') or ARGV[1])
    if left < tonumber(ARGV[2]) then return redis.error_reply('EMPTY nothing is left') end
    redis.call('HSET', KEYS[1], 'left', left - ARGV[2])
    redis.call('RPUSH', KEYS[1] .. ':log', cjson.encode({took = tonumber(ARGV[2])}))
    return {left - ARGV[2], redis.call('LLEN', KEYS[1] .. ':log')}`

  test('are found again after a kill, with all that they wrote', async () => {
    const { port, restart } = await restartable()
    const first = ioredis(port)
    first.defineCommand('take', { numberOfKeys: 1, lua: take })
    const taking = first as unknown as {
      take: (key: string, full: number, count: number) => Promise<unknown>
    }
    const second = createClient({
      url: `redis://127.0.0.1:${port}`,
      scripts: {
        take: defineScript({
          NUMBER_OF_KEYS: 1,
          SCRIPT: take,
          parseCommand(parser, key: string, full: number, count: number) {
            parser.pushKey(key)
            parser.push(String(full), String(count))
          },
          transformReply: (reply: unknown) => reply,
        }),
      },
    })
    second.on('error', () => undefined)
    await second.connect()
    onTestFinished(() => second.destroy())
    expect(await taking.take('box', 10, 3)).toEqual([7, 1])
    expect(await second.take('box', 10, 2)).toEqual([5, 2])
    const pipelined = await first
      .pipeline([
        ['take', 'box', 10, 1],
        ['take', 'box', 10, 1],
      ])
      .exec()
    expect(pipelined).toEqual([
      [null, [4, 3]],
      [null, [3, 4]],
    ])

    await restart()
    await reconnected(() => first.ping())
    await reconnected(() => second.ping())

    expect(await second.take('box', 10, 1)).toEqual([2, 5])
    expect(await taking.take('box', 10, 2)).toEqual([0, 6])
    await expect(taking.take('box', 10, 1)).rejects.toThrow('EMPTY nothing is left')
    expect(await first.lrange('box:log', 0, 0)).toEqual(['{"took":3}'])
    const multi = await first.multi().set('a', 1).eval("return redis.call('INCR', 'a')", 0).exec()
    expect(multi).toEqual([
      [null, 'OK'],
      [null, 2],
    ])
  })
})

describe('sorted sets of ioredis and node-redis', () => {
  /** A sliding window, as rate limiters write it: ARGV has the time, the window, how many, and a name. */
  const slide = `local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
      return {0, tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]) + window - now}
    end
    redis.call('ZADD', KEYS[1], now, ARGV[4])
    redis.call('PEXPIRE', KEYS[1], window * 1000)
    return {1, redis.call('ZCARD', KEYS[1])}`

  test('are windows, boards and queues that outlive a kill', async () => {
    const { port, restart } = await restartable()
    const first = ioredis(port)
    const second = createClient({ url: `redis://127.0.0.1:${port}`, RESP: 3 })
    second.on('error', () => undefined)
    await second.connect()
    onTestFinished(() => second.destroy())
    const asks = (now: number, name: string): Promise<unknown> =>
      first.eval(slide, 1, 'window', now, 1000, 2, name)
    expect([await asks(5000, 'a'), await asks(5400, 'b'), await asks(5500, 'c')]).toEqual([
      ...[
        [1, 1],
        [1, 2],
        [0, 500],
      ],
    ])
    await second.zAdd('board', [
      { value: 'ada', score: 12.5 },
      { value: 'bob', score: 3 },
      { value: 'eve', score: Infinity },
    ])
    expect(await second.zIncrBy('board', 0.25, 'bob')).toBe(3.25)
    await first.zadd('later', 'NX', 200, 'second job', 100, 'first job')

    await restart()
    await reconnected(() => first.ping())
    await reconnected(() => second.ping())

    expect([await asks(5600, 'c'), await asks(6100, 'c')]).toEqual([
      ...[
        [0, 400],
        [1, 2],
      ],
    ])
    expect(await second.zRangeWithScores('board', 0, -1)).toEqual([
      { value: 'bob', score: 3.25 },
      { value: 'ada', score: 12.5 },
      { value: 'eve', score: Infinity },
    ])
    expect(await first.zrevrank('board', 'ada')).toBe(1)
    expect(await first.zrangebyscore('later', '-inf', 150)).toEqual(['first job'])
    expect(await second.bzPopMin('later', 1)).toEqual({
      key: 'later',
      value: 'first job',
      score: 100,
    })
    expect(await first.zpopmax('later', 5)).toEqual(['second job', '200'])
    expect(await first.exists('later')).toBe(0)
  })
})

/** What the script of RateLimiterRedis does, in one step as well. A transaction does without Lua. */
class TransactionLimiter extends RateLimiterRedis {
  readonly #redis: Redis

  constructor(
    given: Omit<IRateLimiterStoreOptions, 'storeClient'> & { readonly storeClient: Redis },
  ) {
    super(given)
    this.#redis = given.storeClient
  }

  async _upsert(key: string, points: number, durationMs: number): Promise<unknown> {
    const replies = await this.#redis
      .multi()
      .set(key, 0, 'EX', Math.floor(durationMs / 1000), 'NX')
      .incrby(key, points)
      .pttl(key)
      .exec()
    return replies?.slice(1)
  }
}
