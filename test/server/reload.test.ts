/** What a running server takes over of a changed configuration. */

import { describe, expect, test } from 'vitest'
import { readServerConfig } from '../../src/server/config.ts'
import { differences, liveOptionsOf } from '../../src/server/reload.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { user, userTables } from '../support/book-fixture.ts'
import { serve } from './http/http-fixture.ts'
import { served } from './redis/redis-fixture.ts'

describe('a configuration that was read again', () => {
  const before = {
    flush: { delayMs: 100, maxKeys: 50 },
    caches: { users: { table: 'users', key: 'id' } },
    redis: { maxClients: 10, port: 7000 },
    http: { port: 7001 },
  }

  test('is the same where nothing has changed', () => {
    expect(differences(readServerConfig(before), readServerConfig(before))).toEqual({
      takenOver: [],
      needRestart: [],
    })
  })

  test('says what is in force at once, and what only after a restart', () => {
    const after = {
      ...before,
      directory: './elsewhere',
      flush: { delayMs: 200 },
      stallMs: 5000,
      caches: { users: { table: 'people', key: 'id' }, carts: { table: 'carts', key: 'id' } },
      redis: { maxClients: 20, port: 7002, idleTimeoutMs: 1000 },
      http: { port: 7002, readyLagMs: 5, token: 'x'.repeat(16), limits: { bodyBytes: 2048 } },
      journal: { maxBytes: 2 ** 30 },
    }
    const { takenOver, needRestart } = differences(
      readServerConfig(before),
      readServerConfig(after),
    )
    expect(takenOver).toEqual([
      ...['caches.carts', 'flush.delayMs', 'flush.maxKeys', 'http.limits.bodyBytes'],
      ...['http.readyLagMs', 'redis.idleTimeoutMs', 'redis.maxClients', 'stallMs'],
    ])
    expect(needRestart).toEqual([
      ...['caches.users', 'directory', 'http.port', 'http.token'],
      ...['journal.maxBytes', 'redis.port', 'store'],
    ])
  })

  test('reads a certificate again, but cannot begin or end to use one', () => {
    const without = readServerConfig({})
    const tls = { cert: 'a.pem', key: 'b.pem' }
    const with_ = readServerConfig({ redis: { tls } })
    const asking = readServerConfig({ redis: { tls: { ...tls, ca: 'c.pem' } } })
    expect(differences(with_, with_).takenOver).toEqual(['redis.tls'])
    expect(differences(without, with_).needRestart).toEqual(['redis.tls'])
    expect(differences(with_, asking).needRestart).toEqual(['redis.tls'])
  })

  test('gives what it does not say any more its default', async () => {
    const { book } = await served()
    const { flush, pressure, stallMs } = book.options
    book.configure(
      liveOptionsOf(
        readServerConfig({
          flush: { delayMs: 1234, maxRowsPerSecond: 10 },
          pressure: { waitMs: 99 },
          stallMs: 999,
        }),
      ),
    )
    expect(book.options).toMatchObject({
      flush: { delayMs: 1234, maxRowsPerSecond: 10 },
      pressure: { waitMs: 99 },
      stallMs: 999,
    })
    book.configure(liveOptionsOf(readServerConfig({ flush: { delayMs: flush.delayMs } })))
    expect(book.options).toMatchObject({ flush, pressure, stallMs })
  })
})

describe('the Redis port', () => {
  test('takes limits over, for connections that there are where they bound no request', async () => {
    const { redis, client, directory } = await served()
    const [first, other] = [await client(), await client()]
    const config = readServerConfig({ directory, redis: { maxClients: 2, maxOutputBytes: 65_536 } })
    const takeOver = await redis.prepare(config.redis)
    expect(await first.call('CONFIG', 'GET', 'maxclients')).toEqual(['maxclients', '10000'])
    takeOver()
    expect(await first.call('CONFIG', 'GET', 'maxclients')).toEqual(['maxclients', '2'])
    expect(await (await client()).untilEnd()).toMatch(/max number of clients/)
    await first.call('SET', 'v', 'x'.repeat(60_000))
    other.send('MGET', ...Array.from({ length: 300 }, () => 'v'))
    expect((await other.untilEnd()).length).toBeLessThan(300 * 60_000)
  })

  test('asks those who come later for a new password', async () => {
    const { redis, client } = await served({ redis: { password: 'old' } })
    const before = await client()
    expect(await before.call('AUTH', 'old')).toBe('OK')
    ;(await redis.prepare(readServerConfig({ redis: { password: 'new' } }).redis))()
    expect(await before.call('SET', 'a', 1)).toBe('OK')
    const after = await client()
    expect(await after.failure('AUTH', 'old')).toMatch(/^WRONGPASS/)
    expect(await after.call('AUTH', 'new')).toBe('OK')
  })
})

describe('a cache that is mapped while the server runs', () => {
  test('has the keys of its name from then on, those of commands that wait among them', async () => {
    const store = memoryStore({ tables: userTables })
    const { book, redis, client } = await served({ book: { store } })
    const [writer, watcher, other] = [await client(), await client(), await client()]
    await writer.call('HSET', 'users:1', 'name', 'a document')
    await watcher.call('WATCH', 'users:1')
    await book.flush()
    await book.cache('redis').invalidate('users:1')
    const gate = Promise.withResolvers<void>()
    store.inject({ at: 'load', kind: 'none', until: gate.promise })
    writer.send('HSET', 'users:1', 'name', 'Ada')
    await expect.poll(() => other.call('CLIENT', 'LIST')).toMatch(/cmd=hset/)
    await book.cache('users', { table: 'users', key: 'id' }).ready()
    await redis.map({ cache: 'users', rowExpiry: undefined })
    gate.resolve()
    expect(await writer.reply()).toBe(1)
    await book.flush()
    expect(store.database.rows('users').get('1')).toMatchObject({ name: 'Ada' })
    expect(await other.call('HGET', 'users:1', 'name')).toBe('Ada')
    await watcher.call('MULTI')
    await watcher.call('HSET', 'users:1', 'name', 'Bob')
    expect(await watcher.call('EXEC')).toBeNull()
    expect(redis.caches).toContain('users')
  })
})

describe('the HTTP server', () => {
  const limits = { bodyBytes: 2048, wrongTokens: 1, sessionMs: 5000, liveClients: 0 }

  test('takes limits over, for requests and sessions to come', async () => {
    const { http, api, book, users } = await serve()
    const signIn = (): Promise<Response> =>
      fetch(`${http.url}/api/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: http.url },
        body: JSON.stringify({ token: http.token }),
      })
    expect((await signIn()).headers.get('set-cookie')).toMatch('Max-Age=43200')
    expect((await api('GET', '/readyz')).status).toBe(200)
    const takeOver = http.prepare({ readyLagMs: 1, limits })
    expect(() => http.prepare({ limits: { bodyBytes: 1 } })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
    const large = { nothing: 'y'.repeat(3000) }
    expect((await api('POST', '/api/pause', large)).status).not.toBe(413)
    takeOver()
    expect((await api('POST', '/api/pause', large)).status).toBe(413)
    expect((await signIn()).headers.get('set-cookie')).toMatch(/Max-Age=5$/)
    expect((await api('GET', '/api/live')).status).toBe(503)
    book.pause()
    await users.set('1', user('Ada'))
    await expect.poll(async () => (await api('GET', '/readyz')).status).toBe(503)
    book.resume()
    const wrong = { authorization: 'Bearer wrong' }
    expect((await fetch(`${http.url}/api/status`, { headers: wrong })).status).toBe(401)
    expect((await fetch(`${http.url}/api/status`, { headers: wrong })).status).toBe(429)
  })
})

describe('CONFIG SET', () => {
  test('changes the greatest number of clients and how long one may be idle', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.call('CONFIG', 'SET', 'maxclients', 1, 'timeout', 3600)).toBe('OK')
    expect(await redis.call('CONFIG', 'GET', 'timeout')).toEqual(['timeout', '3600'])
    expect(await (await client()).untilEnd()).toMatch(/max number of clients/)
    expect(await redis.failure('CONFIG', 'SET', 'maxclients', 0)).toMatch(/must be between 1 and/)
    expect(await redis.failure('CONFIG', 'SET', 'timeout', 'soon')).toMatch(/integer/)
    expect(await redis.call('CONFIG', 'GET', 'maxclients')).toEqual(['maxclients', '1'])
  })

  test('says so where it cannot change something, or there is no such thing', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.failure('CONFIG', 'SET', 'proto-max-bulk-len', 1)).toMatch(/immutable/)
    expect(await redis.failure('CONFIG', 'SET', 'nonsense', 1)).toMatch(/Unknown option/)
  })
})
