/** How long commands took: SLOWLOG, LATENCY, and the figures of INFO. */

import { describe, expect, test } from 'vitest'
import type { Command } from '../../../src/server/redis/command.ts'
import { CommandTimes, Times } from '../../../src/server/redis/command-times.ts'
import { LatencyMonitor } from '../../../src/server/redis/latency-monitor.ts'
import type { Session } from '../../../src/server/redis/session.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { memoryStore } from '../../../src/store/memory-store.ts'
import { served, type Reply } from './redis-fixture.ts'

const session = { address: '127.0.0.1:7', name: 'me' } as Session
const command: Command = { name: 'sunion', arity: -2, flags: ['readonly'], run: () => '' }

function watched() {
  const clock = new ManualClock()
  const times = new CommandTimes(clock)
  const stats = new Times()
  const run = (count: number, ms: number): void => {
    times.begin()
    for (let n = 1; n <= count; n++) {
      if (n === count) void clock.advance(ms)
      times.ran(session, command, ['SUNION', `s${n}`], stats)
    }
    times.end()
  }
  const logged = (): (readonly string[])[] => times.slowLog.newest(10).map(({ args }) => args)
  return { clock, times, stats, run, logged }
}

describe('commands of a pipeline', () => {
  test('share their time, and are logged as a group where it was slow', () => {
    const { run, stats, logged } = watched()
    run(4, 8)
    expect(stats.us).toBeCloseTo(8000)
    expect(stats.histogram[11]).toBe(4)
    expect(logged()).toEqual([])
    run(4, 12)
    expect(logged()).toEqual([['SUNION', 's1', '... (3 more commands of the pipeline)']])
  })

  test('are timed one by one for a second after one that was slow, once a minute', () => {
    const { run, logged, times, clock } = watched()
    run(20, 12)
    // A group has sixteen at most.
    expect(logged()).toEqual([['SUNION', 's17', '... (3 more commands of the pipeline)']])
    run(20, 12)
    expect(logged()[0]).toEqual(['SUNION', 's20'])
    void clock.advance(1001)
    times.sweep()
    for (let round = 0; round < 2; round++) {
      run(2, 12)
      expect(logged()[0]).toEqual(['SUNION', 's1', '... (1 more commands of the pipeline)'])
    }
    void clock.advance(60_001)
    run(2, 12)
    run(2, 12)
    expect(logged()[0]).toEqual(['SUNION', 's2'])
  })

  test('are timed one by one where the threshold is small, and not at all below zero', () => {
    const { run, logged, times } = watched()
    times.slowerThanUs = 0
    run(3, 0)
    expect(logged()).toEqual([
      ['SUNION', 's3'],
      ['SUNION', 's2'],
      ['SUNION', 's1'],
    ])
    times.slowerThanUs = -1
    run(1, 1e6)
    expect(logged()).toHaveLength(3)
  })
})

describe('SLOWLOG', () => {
  test('has what took long, shortened, and without passwords', async () => {
    const { client } = await served({ redis: { password: 'secret' } })
    const redis = await client()
    await redis.call('AUTH', 'secret')
    await redis.call('CONFIG', 'SET', 'slowlog-log-slower-than', 0)
    await redis.call('SLOWLOG', 'RESET')
    await redis.call('CLIENT', 'SETNAME', 'me')
    await redis.call('AUTH', 'default', 'secret')
    await redis.call('HELLO', 2, 'AUTH', 'default', 'secret', 'SETNAME', 'you')
    await redis.call('SADD', 's', ...Array.from({ length: 40 }, (_, n) => n))
    await redis.call('SET', 'a', 'x'.repeat(130))
    const entries = (await redis.call('SLOWLOG', 'GET')) as Reply[][]
    expect(entries.map((entry) => entry[3])).toEqual([
      ['SET', 'a', `${'x'.repeat(128)}... (2 more bytes)`],
      ['SADD', 's', ...Array.from({ length: 29 }, (_, n) => `${n}`), '... (11 more arguments)'],
      ['HELLO', '2', 'AUTH', '(redacted)', '(redacted)', 'SETNAME', 'you'],
      ['AUTH', '(redacted)', '(redacted)'],
      ['CLIENT', 'SETNAME', 'me'],
      ['SLOWLOG', 'RESET'],
    ])
    const [id, seconds, us, , address, name] = entries[0] ?? []
    expect(id).toBe(Number(entries[1]?.[0]) + 1)
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60)
    expect(us).toBeGreaterThan(0)
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(name).toBe('you')
    expect(await redis.call('SLOWLOG', 'GET', 1)).toHaveLength(1)
    expect(await redis.call('SLOWLOG', 'GET', 0)).toEqual([])
    expect(await redis.failure('SLOWLOG', 'GET', -2)).toMatch('greater than or equal to -1')
    expect(await redis.failure('SLOWLOG', 'GET', 'x')).toMatch('not an integer')
    await redis.call('CONFIG', 'SET', 'slowlog-max-len', 2)
    expect(await redis.call('SLOWLOG', 'LEN')).toBe(2)
    expect(await redis.call('SLOWLOG', 'GET', -1)).toHaveLength(2)
    expect(await redis.failure('CONFIG', 'SET', 'slowlog-max-len', -1)).toMatch('between 0 and')
    expect(await redis.call('SLOWLOG', 'HELP')).toHaveLength(4)
  })

  test('has the commands of a transaction by themselves, and not what waits by its nature', async () => {
    const { client } = await served()
    const [redis, pusher] = [await client(), await client()]
    await redis.call('CONFIG', 'SET', 'slowlog-log-slower-than', 0)
    for (const words of [['MULTI'], ['SET', 'a', '1'], ['EXEC']]) await redis.call(...words)
    redis.send('BLPOP', 'l', 0)
    await expect.poll(() => pusher.call('CLIENT', 'LIST')).toMatch(/cmd=blpop/)
    await pusher.call('RPUSH', 'l', 'x')
    await redis.reply()
    const entries = (await pusher.call('SLOWLOG', 'GET', -1)) as Reply[][]
    const names = entries.map((entry) => (entry[3] as string[])[0])
    expect(names.filter((name) => name !== 'CLIENT')).toEqual(['RPUSH', 'SET', 'MULTI', 'CONFIG'])
  })

  test('counts what a command had to wait for', async () => {
    const store = memoryStore({ tables: {} })
    const { client, book } = await served({ book: { store } })
    const redis = await client()
    await redis.call('SET', 'cold', 'x')
    await book.flush()
    await book.cache('redis').invalidate('cold')
    await redis.call('CONFIG', 'SET', 'slowlog-log-slower-than', 20_000)
    await redis.call('CONFIG', 'SET', 'latency-monitor-threshold', 20)
    const until = new Promise((resolve) => setTimeout(resolve, 50))
    store.inject({ at: 'load', kind: 'none', until })
    await redis.call('GET', 'cold')
    const [entry] = (await redis.call('SLOWLOG', 'GET')) as Reply[][]
    expect(entry?.[3]).toEqual(['GET', 'cold'])
    expect(entry?.[2]).toBeGreaterThan(45_000)
    expect(await redis.call('LATENCY', 'LATEST')).toEqual([
      ['fast-command', expect.any(Number), expect.any(Number), expect.any(Number)],
    ])
  })
})

describe('LATENCY', () => {
  test('notes the worst of each second above its threshold', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.call('LATENCY', 'DOCTOR')).toMatch(/is off/)
    await redis.call('CONFIG', 'SET', 'latency-monitor-threshold', 1)
    expect(await redis.call('LATENCY', 'DOCTOR')).toMatch(/No command took 1 ms/)
    const big = Array.from({ length: 20_000 }, (_, n) => n)
    await redis.call('SADD', 's', ...big)
    await redis.call('SUNION', 's', 's')
    const latest = (await redis.call('LATENCY', 'LATEST')) as Reply[][]
    const [, seconds, ms, worst] = latest.find(([event]) => event === 'command') ?? []
    expect(Number(worst)).toBeGreaterThanOrEqual(Number(ms))
    expect(await redis.call('LATENCY', 'HISTORY', 'command')).toContainEqual([seconds, ms])
    expect(await redis.call('LATENCY', 'HISTORY', 'nothing')).toEqual([])
    expect(await redis.call('LATENCY', 'DOCTOR')).toMatch(/command: \d+ seconds/)
    expect(await redis.call('LATENCY', 'RESET', 'nothing')).toBe(0)
    expect(await redis.call('LATENCY', 'RESET')).toBeGreaterThan(0)
    expect(await redis.call('LATENCY', 'LATEST')).toEqual([])
    expect(await redis.call('LATENCY', 'HELP')).toHaveLength(6)
  })

  test('keeps 160 seconds, of each the worst', () => {
    const monitor = new LatencyMonitor()
    for (let second = 0; second < 200; second++) {
      monitor.note('command', 5, second * 1000)
      monitor.note('command', 7, second * 1000 + 5)
      monitor.note('command', 6, second * 1000 + 6)
    }
    const samples = monitor.samples('command')
    expect(samples).toHaveLength(160)
    expect(samples.at(-1)).toEqual({ seconds: 199, ms: 7 })
  })

  test('has a histogram of each command, and INFO the sum', async () => {
    const { client } = await served()
    const redis = await client()
    await redis.call('CONFIG', 'RESETSTAT')
    await redis.call('SET', 'a', 1)
    await redis.call('SET', 'b', 1)
    await redis.call('CLIENT', 'ID')
    const histogram = (await redis.call('LATENCY', 'HISTOGRAM', 'set', 'client', 'get')) as Reply[]
    expect(histogram[0]).toBe('set')
    const [calls, count, name, steps] = histogram[1] as Reply[]
    expect([calls, count, name]).toEqual(['calls', 2, 'histogram_usec'])
    // Cumulative: the last step has all.
    expect((steps as number[]).at(-1)).toBe(2)
    expect(histogram.filter((_, at) => at % 2 === 0)).toEqual(['set', 'client|id'])
    const all = (await redis.call('LATENCY', 'HISTOGRAM')) as Reply[]
    expect(all).toContain('config|resetstat')
    expect(await redis.call('INFO', 'commandstats')).toMatch(
      /cmdstat_set:calls=2,usec=[1-9]\d*,usec_per_call=\d+\.\d\d,/,
    )
  })
})
