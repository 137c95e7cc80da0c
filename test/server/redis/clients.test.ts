/** What people really use: client libraries, redis-cli and redis-benchmark. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { served } from './redis-fixture.ts'
import { toolUnavailable } from './redis-tools.ts'

const run = promisify(execFile)

describe('ioredis', () => {
  test.each([2, 3] as const)('over version %i of the protocol', async (protocol) => {
    const { redis } = await served()
    const client = new Redis({
      port: redis.port,
      host: '127.0.0.1',
      protocol,
      lazyConnect: true,
    })
    onTestFinished(() => client.disconnect())
    await client.connect()
    expect(await client.set('a', 'Zoë', 'EX', 100)).toBe('OK')
    expect(await client.get('a')).toBe('Zoë')
    expect(await client.hset('users:1', { name: 'Ada', visits: 3 })).toBe(2)
    expect(await client.hgetall('users:1')).toEqual({ name: 'Ada', visits: '3' })
    expect(await client.multi().incr('n').incrby('n', 10).get('n').exec()).toEqual([
      [null, 1],
      [null, 11],
      [null, '11'],
    ])
    const pipeline = client.pipeline()
    for (let n = 0; n < 1000; n++) pipeline.set(`p:${n}`, n)
    const replies = await pipeline.exec()
    expect(replies?.every(([error, reply]) => error === null && reply === 'OK')).toBe(true)
    const seen: string[] = []
    for await (const keys of client.scanStream({ match: 'p:*', count: 100 })) {
      seen.push(...(keys as string[]))
    }
    expect(new Set(seen).size).toBe(1000)
    expect(await client.getBuffer('a')).toEqual(Buffer.from('Zoë'))
    expect(await client.call('DAYBOOK', 'FLUSH')).toBe('OK')
    await expect(client.call('HGET', 'a', 'b')).rejects.toThrow(/^WRONGTYPE/)
    await client.quit()
  })

  test('subscribes and publishes', async () => {
    const { redis } = await served()
    const listener = new Redis(redis.port, '127.0.0.1')
    const speaker = new Redis(redis.port, '127.0.0.1')
    onTestFinished(() => {
      listener.disconnect()
      speaker.disconnect()
    })
    const heard = new Promise((resolve) => {
      listener.on('message', (channel: string, message: string) => resolve([channel, message]))
    })
    await listener.subscribe('news')
    expect(await speaker.publish('news', 'hello')).toBe(1)
    expect(await heard).toEqual(['news', 'hello'])
  })
})

describe('node-redis', () => {
  test('subscribes to shard channels', async () => {
    const { redis } = await served()
    const speaker = createClient({ url: `redis://127.0.0.1:${redis.port}` })
    const listener = speaker.duplicate()
    await Promise.all([speaker.connect(), listener.connect()])
    onTestFinished(() => {
      speaker.destroy()
      listener.destroy()
    })
    const heard = new Promise((resolve) => {
      void listener.sSubscribe('news', (message, channel) => resolve([channel, message]))
    })
    await expect.poll(() => speaker.pubSubShardNumSub(['news'])).toEqual({ news: 1 })
    expect(await speaker.sPublish('news', 'hello')).toBe(1)
    expect(await heard).toEqual(['news', 'hello'])
    await listener.sUnsubscribe('news')
    expect(await speaker.sPublish('news', 'hello')).toBe(0)
  })

  test('as it is', async () => {
    const { redis } = await served()
    const client = createClient({ url: `redis://127.0.0.1:${redis.port}` })
    client.on('error', (error: Error) => {
      throw error
    })
    await client.connect()
    onTestFinished(() => client.destroy())
    expect(await client.set('a', '1', { expiration: { type: 'EX', value: 100 } })).toBe('OK')
    expect(await client.incrBy('a', 41)).toBe(42)
    expect(await client.hSet('users:1', { name: 'Ada', visits: '3' })).toBe(2)
    expect({ ...(await client.hGetAll('users:1')) }).toEqual({ name: 'Ada', visits: '3' })
    expect(await client.multi().set('b', 'x').get('b').exec()).toEqual(['OK', 'x'])
    expect(await client.mGet(['a', 'b', 'none'])).toEqual(['42', 'x', null])
    expect(await client.sAdd('set', ['a', 'b'])).toBe(2)
    expect(new Set(await client.sMembers('set'))).toEqual(new Set(['a', 'b']))
    const seen: string[] = []
    for await (const keys of client.scanIterator({ COUNT: 2 })) seen.push(...keys)
    expect(seen.sort()).toEqual(['a', 'b', 'set', 'users:1'])
    expect(await client.wait(1, 5000)).toBe(1)
    await client.close()
  })

  test('with a password, over the protocol that it likes', async () => {
    const { redis } = await served({ redis: { password: 'secret' } })
    const client = createClient({ url: `redis://:secret@127.0.0.1:${redis.port}` })
    await client.connect()
    onTestFinished(() => client.destroy())
    expect(await client.ping()).toBe('PONG')
    const stranger = createClient({
      url: `redis://:wrong@127.0.0.1:${redis.port}`,
      socket: { reconnectStrategy: false },
    })
    stranger.on('error', () => undefined)
    await expect(stranger.connect()).rejects.toThrow(/WRONGPASS/)
  })
})

describe('the tools of Redis', () => {
  test('redis-cli writes a row that is in SQLite', async (context) => {
    context.skip(toolUnavailable('redis-cli') !== undefined, toolUnavailable('redis-cli'))
    const { book, redis, rows } = await served({
      schema: 'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)',
      caches: { users: { table: 'users', key: 'id' } },
    })
    const cli = ['-p', String(redis.port)]
    expect((await run('redis-cli', [...cli, 'hset', 'users:1', 'name', 'Ada'])).stdout).toBe('1\n')
    await book.flush()
    expect(rows('SELECT * FROM users')).toEqual([{ id: 1, name: 'Ada' }])
    expect((await run('redis-cli', [...cli, '-3', 'hgetall', 'users:1'])).stdout).toMatch(
      /name.*Ada/,
    )
  })

  test('redis-benchmark runs, with pipelines too', async (context) => {
    context.skip(
      toolUnavailable('redis-benchmark') !== undefined,
      toolUnavailable('redis-benchmark'),
    )
    const { redis } = await served()
    const { stdout } = await run('redis-benchmark', [
      ...['-p', String(redis.port), '-t', 'ping,set,get,incr,hset,sadd,spop,mset', '-n', '2000'],
      ...['-c', '20', '-P', '8', '-r', '500', '-q', '--csv'],
    ])
    expect(stdout).toMatch(/"SET"/)
    expect(stdout).toMatch(/"MSET \(10 keys\)"/)
  })
})
