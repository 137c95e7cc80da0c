/**
 * BullMQ, which keeps its queues in hashes, lists, sorted sets and streams, and changes them by scripts: what its documentation
 * promises, on `daybook serve` in a process of its own, which is killed with SIGKILL under load.
 */

import type { EventEmitter } from 'node:events'
import { FlowProducer, Queue, QueueEvents, Worker, type Job, type Processor } from 'bullmq'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ServeProcess } from '../serve-process.ts'
import { temporaryDirectory } from './redis-fixture.ts'
import { freePort } from './redis-tools.ts'

interface Input {
  readonly n: number
}

const name = 'mails'
const waitMs = 20_000

/** What a queue consists of. That a connection is lost is told to each, and no failure of a test. */
class Office {
  readonly #connection: { host: string; port: number; maxRetriesPerRequest: null }

  constructor(port: number) {
    this.#connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  }

  queue(queue = name): Queue<Input> {
    return this.#closed(new Queue<Input>(queue, { connection: this.#connection }))
  }

  async events(queue = name): Promise<QueueEvents> {
    const events = this.#closed(new QueueEvents(queue, { connection: this.#connection }))
    await events.waitUntilReady()
    return events
  }

  worker(process: Processor<Input>, options: object = {}, queue = name): Worker<Input> {
    const settings = { connection: this.#connection, ...options }
    return this.#closed(new Worker<Input>(queue, process, settings))
  }

  flows(): FlowProducer {
    return this.#closed(new FlowProducer({ connection: this.#connection }))
  }

  #closed<T extends Queue | QueueEvents | Worker | FlowProducer>(part: T): T {
    const emitter: EventEmitter = part
    emitter.on('error', () => undefined)
    // Each job that is waited for is one.
    emitter.setMaxListeners(100)
    onTestFinished(async () => {
      await (part instanceof Worker ? part.close(true) : part.close())
      await part.disconnect()
    })
    return part
  }
}

async function office(): Promise<Office> {
  const port = await freePort()
  await ServeProcess.redis(temporaryDirectory(), port)
  return new Office(port)
}

async function double({ data }: Job<Input>): Promise<number> {
  return Promise.resolve(2 * data.n)
}

describe('BullMQ', { timeout: 60_000 }, () => {
  test('runs jobs, tells of them, and keeps what they said', async () => {
    const made = await office()
    const queue = made.queue()
    const events = await made.events()
    const told = new Set<string>()
    for (const kind of ['added', 'waiting', 'active', 'progress', 'completed'] as const) {
      events.on(kind, () => told.add(kind))
    }
    made.worker(async (job) => {
      await job.updateProgress(50)
      await job.log('half of it')
      return double(job)
    })
    const job = await queue.add('one', { n: 21 })
    expect(await job.waitUntilFinished(events, waitMs)).toBe(42)
    expect((await queue.getJobLogs(job.id ?? '')).logs).toEqual(['half of it'])
    const many = await queue.addBulk(
      Array.from({ length: 60 }, (_, n) => ({
        name: 'many',
        data: { n },
        opts: { priority: n % 3 },
      })),
    )
    const results = await Promise.all(many.map((each) => each.waitUntilFinished(events, waitMs)))
    expect(results).toEqual(many.map((_, n) => 2 * n))
    expect(await queue.getJobCounts('completed', 'failed', 'waiting', 'active')).toMatchObject({
      ...{ completed: 61, failed: 0, waiting: 0, active: 0 },
    })
    await expect
      .poll(() => [...told].sort())
      .toEqual(['active', 'added', 'completed', 'progress', 'waiting'])
    expect(await queue.trimEvents(10)).toBeGreaterThan(0)
    expect(await queue.clean(0, 1000, 'completed')).toHaveLength(61)
    await queue.obliterate({ force: true })
    expect(await queue.count()).toBe(0)
  })

  test('delays jobs, and tries those again that fail', async () => {
    const made = await office()
    const queue = made.queue()
    const events = await made.events()
    const begun: number[] = []
    made.worker(async (job) => {
      begun.push(Date.now())
      if (job.name === 'flaky' && job.attemptsMade < 2) throw new Error('not yet')
      if (job.name === 'doomed') throw new Error('never')
      return double(job)
    })
    const delayMs = 300
    const since = Date.now()
    const late = await queue.add('late', { n: 1 }, { delay: delayMs })
    expect(await late.isDelayed()).toBe(true)
    expect(await late.waitUntilFinished(events, waitMs)).toBe(2)
    expect((begun[0] ?? 0) - since).toBeGreaterThanOrEqual(delayMs - 5)
    const backoff = { type: 'exponential', delay: 50 }
    const flaky = await queue.add('flaky', { n: 2 }, { attempts: 5, backoff })
    expect(await flaky.waitUntilFinished(events, waitMs)).toBe(4)
    expect(begun).toHaveLength(4)
    expect((begun[3] ?? 0) - (begun[2] ?? 0)).toBeGreaterThanOrEqual(95)
    const doomed = await queue.add('doomed', { n: 3 }, { attempts: 2 })
    await expect(doomed.waitUntilFinished(events, waitMs)).rejects.toThrow('never')
    expect((await queue.getFailed()).map(({ id }) => id)).toEqual([doomed.id])
  })

  test('runs parents after their children, and no more jobs than the limit', async () => {
    const made = await office()
    const events = await made.events()
    const begun: number[] = []
    made.worker(
      async (job) => {
        begun.push(Date.now())
        const values = Object.values(await job.getChildrenValues<number>())
        return job.data.n + values.reduce((sum, value) => sum + value, 0)
      },
      { limiter: { max: 2, duration: 300 } },
    )
    const child = (n: number): object => ({ name: 'child', queueName: name, data: { n } })
    const { job } = await made.flows().add({
      ...{ name: 'parent', queueName: name, data: { n: 100 } },
      children: [
        { name: 'child', queueName: name, data: { n: 10 }, children: [child(1) as never] },
        child(5) as never,
      ],
    })
    expect(await job.waitUntilFinished(events, waitMs)).toBe(116)
    expect(begun).toHaveLength(4)
    expect((begun[3] ?? 0) - (begun[0] ?? 0)).toBeGreaterThanOrEqual(250)
  })

  test('repeats jobs until it is told not to, and adds one only once', async () => {
    const made = await office()
    const queue = made.queue()
    const runs: number[] = []
    const third = Promise.withResolvers<undefined>()
    made.worker(async ({ data }) => {
      if (runs.push(data.n) === 3) third.resolve(undefined)
      return Promise.resolve()
    })
    await queue.upsertJobScheduler('tick', { every: 100 }, { name: 'tick', data: { n: 7 } })
    await third.promise
    expect(runs.slice(0, 3)).toEqual([7, 7, 7])
    expect(await queue.getJobSchedulers()).toHaveLength(1)
    expect(await queue.removeJobScheduler('tick')).toBe(true)
    expect(await queue.getJobSchedulers()).toEqual([])
    const once = { deduplication: { id: 'once', ttl: 60_000 }, delay: 60_000 }
    const [first, second] = [
      await queue.add('only', { n: 1 }, once),
      await queue.add('only', { n: 2 }, once),
    ]
    expect(second.id).toBe(first.id)
  })

  test('loses no job that was acknowledged when the server is killed', async () => {
    const directory = temporaryDirectory()
    const port = await freePort()
    let server = await ServeProcess.redis(directory, port)
    const made = new Office(port)
    const queue = made.queue()
    const ran = new Map<string, number>()
    made.worker(
      async (job) => {
        ran.set(job.id ?? '', (ran.get(job.id ?? '') ?? 0) + 1)
        return double(job)
      },
      { concurrency: 4, lockDuration: 2000, stalledInterval: 500, maxStalledCount: 100 },
    )
    const acknowledged = new Map<string, number>()
    let isOver = false
    let n = 0
    const produce = async (): Promise<void> => {
      while (!isOver) {
        const given = n++
        const { id } = await queue.add('load', { n: given })
        if (id !== undefined) acknowledged.set(id, given)
      }
    }
    const producers = Array.from({ length: 4 }, produce)
    for (let round = 1; round <= 3; round++) {
      const least = acknowledged.size + 40
      await expect.poll(() => acknowledged.size, { timeout: waitMs }).toBeGreaterThan(least)
      await server.kill()
      server = await ServeProcess.redis(directory, port)
    }
    isOver = true
    await Promise.all(producers)
    expect(acknowledged.size).toBeGreaterThan(120)
    const unfinished = async (): Promise<number> =>
      queue.getJobCountByTypes('wait', 'active', 'delayed', 'prioritized')
    await expect.poll(unfinished, { timeout: 40_000, interval: 200 }).toBe(0)
    for (const [id, given] of acknowledged) {
      const job = await queue.getJob(id)
      expect([job?.data.n, await job?.getState(), job?.returnvalue]).toEqual([
        ...[given, 'completed', 2 * given],
      ])
      expect(ran.get(id)).toBeGreaterThanOrEqual(1)
    }
  })
})
