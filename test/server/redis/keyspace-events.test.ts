/** Keyspace notifications; `differential.test.ts` compares them with those of a real Redis. */

import { describe, expect, test } from 'vitest'
import { canonicalEvents } from '../../../src/server/redis/keyspace-events.ts'
import { readRedisOptions } from '../../../src/server/redis/options.ts'
import { memoryStore } from '../../../src/store/memory-store.ts'
import { served, type RawClient, type ServedOptions } from './redis-fixture.ts'

const options: ServedOptions = {
  schema: `
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, visits BIGINT NOT NULL DEFAULT 0);
    CREATE TABLE carts (id INTEGER PRIMARY KEY, name TEXT);
  `,
  caches: {
    users: { table: 'users', key: 'id', expire: 'delete', ttlMs: 1e11, rowExpiry: 'delete' },
    carts: { table: 'carts', key: 'id', rowExpiry: 'evict' },
  },
}

async function listening(events: string, served_: ServedOptions = {}) {
  const server = await served({ ...served_, redis: { notifyKeyspaceEvents: events } })
  const [redis, subscriber] = [await server.client(), await server.client()]
  await subscriber.call('PSUBSCRIBE', '*')
  return { ...server, redis, next: () => nextEvent(subscriber), subscriber }
}

/** Such as `set a`: of `__keyevent@0__:set` and its message. */
async function nextEvent(subscriber: RawClient): Promise<string> {
  const message = (await subscriber.reply()) as string[]
  return `${message[2]?.replace('__keyevent@0__:', '') ?? ''} ${message[3] ?? ''}`
}

async function take(next: () => Promise<string>, count: number): Promise<string[]> {
  const events: string[] = []
  while (events.length < count) events.push(await next())
  return events
}

describe('the letters of events', () => {
  test('are in the order of Redis, each once', () => {
    expect(canonicalEvents('')).toBe('')
    expect(canonicalEvents('EKg')).toBe('gKE')
    expect(canonicalEvents('$lshzxeKE')).toBe('$lshzxeKE')
    expect(canonicalEvents('KxA')).toBe('AK')
    expect(canonicalEvents('g$lshzxetdmnE')).toBe('AEmn')
    expect(canonicalEvents('Eq')).toBeUndefined()
  })

  test('are an option, and a parameter that clients may set', async () => {
    expect(readRedisOptions({ notifyKeyspaceEvents: 'xE' }).notifyKeyspaceEvents).toBe('xE')
    expect(() => readRedisOptions({ notifyKeyspaceEvents: 'nope' })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
    const { client } = await served()
    const redis = await client()
    const name = 'notify-keyspace-events'
    expect(await redis.call('CONFIG', 'GET', name)).toEqual([name, ''])
    expect(await redis.call('CONFIG', 'SET', name, 'EKA')).toBe('OK')
    expect(await redis.call('CONFIG', 'GET', name)).toEqual([name, 'AKE'])
    expect(await redis.failure('CONFIG', 'SET', name, 'E!')).toMatch(/Invalid event class/)
    expect(await redis.call('CONFIG', 'GET', name)).toEqual([name, 'AKE'])
  })
})

describe('an event', () => {
  test('goes to the channel of the key and to that of the event, with its database', async () => {
    const { redis, subscriber } = await listening('KEA')
    await redis.call('SELECT', 3)
    await redis.call('SET', 'a:b', 1)
    expect(await subscriber.reply()).toEqual(['pmessage', '*', '__keyspace@3__:a:b', 'set'])
    expect(await subscriber.reply()).toEqual(['pmessage', '*', '__keyevent@3__:set', 'a:b'])
  })

  test('comes to a client that wants no replies, in both versions of the protocol', async () => {
    const { client } = await served({ redis: { notifyKeyspaceEvents: 'EA' } })
    const [redis, silent, newer] = [await client(), await client(), await client()]
    silent.send('CLIENT', 'REPLY', 'OFF')
    expect(await silent.call('SUBSCRIBE', '__keyevent@0__:set')).toEqual([
      ...['subscribe', '__keyevent@0__:set', 1],
    ])
    await newer.call('HELLO', 3)
    newer.send('CLIENT', 'REPLY', 'SKIP')
    expect(await newer.call('PSUBSCRIBE', '*')).toEqual(['psubscribe', '*', 1])
    expect(await newer.call('PING')).toBe('PONG')
    await redis.call('SET', 'a', 1)
    expect(await silent.reply()).toEqual(['message', '__keyevent@0__:set', 'a'])
    expect(await newer.reply()).toEqual(['pmessage', '*', '__keyevent@0__:set', 'a'])
  })

  test('is told of rows as of other keys', async () => {
    const { redis, next } = await listening('EAn', options)
    await redis.call('HMSET', 'users:1', 'name', 'Ada')
    await redis.call('HINCRBY', 'users:1', 'visits', 1)
    await redis.call('HDEL', 'users:1', 'name')
    await redis.call('EXPIRE', 'users:1', 1000)
    await redis.call('DEL', 'users:1')
    await redis.call('SET', 'carts:1', '{"name":"x"}', 'EX', 1000)
    expect(await take(next, 9)).toEqual([
      ...['new users:1', 'hset users:1', 'hincrby users:1', 'hdel users:1', 'expire users:1'],
      ...['del users:1', 'new carts:1', 'set carts:1', 'expire carts:1'],
    ])
  })

  test('of a transaction comes in its order, and not where a part of it failed', async () => {
    const { redis, next } = await listening('EA')
    await redis.call('SET', 'text', 'x')
    await redis.call('MULTI')
    await redis.call('RPUSH', 'l', 'a', 'b')
    await redis.call('INCR', 'text')
    await redis.call('LPOP', 'l', 2)
    await redis.call('EXEC')
    expect(await take(next, 4)).toEqual(['set text', 'rpush l', 'lpop l', 'del l'])
  })

  test('is not told of a write that failed', async () => {
    const text = { type: { kind: 'text' } } as const
    const email = { ...text, unique: true }
    const tables = { users: { key: { id: { kind: 'text' } }, columns: { email } } } as const
    const { redis, next } = await listening('EA', {
      book: { store: memoryStore({ tables }) },
      caches: { users: { table: 'users', key: 'id', durability: 'store' } },
    })
    await redis.call('HMSET', 'users:1', 'email', 'a@example.org')
    expect(await redis.failure('HMSET', 'users:2', 'email', 'a@example.org')).toMatch(/refused/)
    await redis.call('SET', 'other', 1)
    expect(await take(next, 2)).toEqual(['hset users:1', 'set other'])
  })
})

describe('the end of a key', () => {
  test('is told once, to who looks and by the sweep', async () => {
    const { redis, next, book } = await listening('Ex')
    await redis.call('SADD', 'replaced', 1)
    await redis.call('PEXPIRE', 'replaced', 20)
    await redis.call('SET', 'swept', 1, 'PX', 60)
    await redis.call('SET', 'looked', 1, 'PX', 60)
    await expect.poll(() => redis.call('EXISTS', 'looked')).toBe(0)
    expect(await next()).toBe('expired looked')
    // It looks at nothing, and still ends what it replaces.
    await redis.call('SET', 'replaced', 2)
    expect(await next()).toBe('expired replaced')
    expect(await next()).toBe('expired swept')
    await book.flush()
    await redis.call('SET', 'last', 1, 'PX', 20)
    expect(await next()).toBe('expired last')
    expect(await redis.call('INFO', 'stats')).toContain('expired_keys:4')
    await redis.call('CONFIG', 'RESETSTAT')
    expect(await redis.call('INFO', 'stats')).toContain('expired_keys:0')
  })

  test('is told of rows that end with their time', async () => {
    const { redis, next } = await listening('Ex', options)
    for (const id of [1, 2, 3]) await redis.call('HSET', `users:${id}`, 'name', 'Ada')
    for (const [at, id] of [2, 3, 1].entries())
      await redis.call('PEXPIRE', `users:${id}`, 30 + 20 * at)
    await expect.poll(() => redis.call('HGET', 'users:1', 'name')).toBeNull()
    await redis.call('SET', 'users:2', '{"name":"Bob"}')
    const ends = await take(next, 3)
    expect(ends.sort()).toEqual(['expired users:1', 'expired users:2', 'expired users:3'])
    expect(await redis.call('HGET', 'users:2', 'name')).toBe('Bob')
  })

  test('in a deadline that is over already is told at once', async () => {
    const { redis, next } = await listening('EA')
    await redis.call('SET', 'a', 1, 'PXAT', 1)
    expect(await take(next, 3)).toEqual(['set a', 'expire a', 'expired a'])
  })
})
