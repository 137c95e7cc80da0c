/**
 * The server against a Redis that syncs before it answers (`appendfsync always`): redis-benchmark, 50 clients, values of 180
 * bytes over 100,000 keys, without pipelining and with pipelines of 16 and 64. And the server while it drains to PostgreSQL
 * against itself while it does not.
 *
 * Servers that are compared are up side by side and asked in turns, a second or so each: how fast the machine is changes from
 * one minute to the next, and this way for both. Of a figure the median of all turns counts, and of a ratio the median of
 * the turns' own ratios. All servers are filled first, with requests that do not count: a GET is of a key that is there (one
 * that nobody has asked for is looked up in the database, which Redis does not have), and code is compiled.
 */

import { spawn, spawnSync, execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { administer } from '../test/support/postgres-server.ts'
import { median, type Bed, type Bench, type Measures, type Verdict } from './bench.ts'

const run = promisify(execFile)
const keys = 100_000
const valueBytes = 180
const clients = 50
/** Keys are chosen at random: this many leave five of 100,000 without a value. */
const fillRequests = 10 * keys

const commands = ['set', 'get'] as const
const pipelines = [1, 16, 64] as const
/** Requests of one turn. */
const requests = {
  set: { 1: 20_000, 16: 100_000, 64: 200_000 },
  get: { 1: 30_000, 16: 200_000, 64: 400_000 },
} as const
const turns = 20
/** Of a server that drains. As many go before them, so that the flusher is at it from the first one that counts. */
const drainingRequests = 600_000
const drainingTurns = 5

/** Batches that gather for long write a key less often. The memory is for them. */
const gatheringOptions = {
  flush: { delayMs: 4_000, maxKeys: 50_000, maxBytes: 32 * 1024 * 1024 },
  pressure: { memoryBytes: 128 * 1024 * 1024 },
}

const protocol = 'redis-server and daybook serve'
const drain = 'daybook serve, paused and draining'

export const bench: Bench = {
  name: 'redis-protocol',
  about:
    'redis-benchmark, 50 clients, 180 bytes over 100,000 keys, on disk by fdatasync before the reply',
  rounds: 1,
  sides: [
    { name: protocol, run: compareProtocol },
    { name: drain, needs: 'postgres', run: compareDraining },
  ],
  verdicts(figure) {
    const claims = commands.flatMap((command) =>
      pipelines.map((length): Verdict => {
        const target = command === 'get' ? 0.6 : { 1: 0.75, 16: 1, 64: 1.15 }[length]
        const value = figure(protocol, `${command}${length}Ratio`)
        const claim = `${command.toUpperCase()}, pipeline ${length}, to Redis`
        return { claim, value, target, bound: 'at least', unit: '×' }
      }),
    )
    const drains = (['draining', 'gathering'] as const).flatMap((name): Verdict[] => {
      const how = name === 'draining' ? '' : ', in batches that gather for 4 s'
      return [
        {
          claim: `SET, pipeline 16, while draining to PostgreSQL${how}, to paused`,
          value: figure(drain, `${name}Ratio`),
          target: 0.6,
          bound: 'at least',
          unit: '×',
        },
        {
          claim: 'its p99 to the same while paused',
          value: figure(drain, `${name}P99Ratio`),
          target: 3,
          bound: 'at most',
          unit: '×',
        },
      ]
    })
    return [...claims, ...drains]
  },
}

async function compareProtocol(bed: Bed): Promise<Measures> {
  const programs = [redisServer(), await daybookServer(bed, 'daybook')]
  return withServers(bed, programs, async ([redis, daybook]) => {
    await cli(daybook, 'DAYBOOK', 'PAUSE')
    const measures: Record<string, number> = {}
    for (const command of commands) {
      for (const length of pipelines) {
        const count = scaled(bed, requests[command][length])
        const theirs: Result[] = []
        const ours: Result[] = []
        for (let turn = 0; turn < turns; turn++) {
          theirs.push(await benchmark(redis, command, length, count))
          ours.push(await benchmark(daybook, command, length, count))
        }
        const name = `${command}${length}`
        measures[`redis ${name} per second`] = median(theirs.map(perSecond))
        measures[`daybook ${name} per second`] = median(ours.map(perSecond))
        measures[`${name}Ratio`] = medianRatio(ours, theirs, perSecond)
      }
    }
    return measures
  })
}

async function compareDraining(bed: Bed): Promise<Measures> {
  for (const database of ['draining', 'gathering']) {
    // An earlier round has left it, with the connections of a server that was killed.
    await administer(bed.postgres.url, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
    await administer(bed.postgres.url, `CREATE DATABASE ${database}`)
  }
  const store = (database: string): { readonly store: string } => {
    const url = new URL(bed.postgres.url)
    url.pathname = database
    return { store: url.href }
  }
  const programs = [
    await daybookServer(bed, 'paused'),
    await daybookServer(bed, 'draining', store('draining')),
    await daybookServer(bed, 'gathering', { ...store('gathering'), ...gatheringOptions }),
  ]
  return withServers(bed, programs, async ([paused, ...drains]) => {
    await cli(paused, 'DAYBOOK', 'PAUSE')
    const results: Result[][] = programs.map(() => [])
    for (let turn = 0; turn < drainingTurns; turn++) {
      for (const [at, port] of [paused, ...drains].entries()) {
        const count = scaled(bed, drainingRequests)
        if (port !== paused) await benchmark(port, 'set', 16, count)
        results[at]?.push(await benchmark(port, 'set', 16, count))
        // The next one is to have the machine for itself.
        if (port !== paused) await cli(port, 'DAYBOOK', 'FLUSH')
      }
    }
    const [without = [], draining = [], gathering = []] = results
    return {
      'paused per second': median(without.map(perSecond)),
      'draining per second': median(draining.map(perSecond)),
      'gathering per second': median(gathering.map(perSecond)),
      'paused p99 ms': median(without.map(p99Ms)),
      'draining p99 ms': median(draining.map(p99Ms)),
      'gathering p99 ms': median(gathering.map(p99Ms)),
      drainingRatio: medianRatio(draining, without, perSecond),
      drainingP99Ratio: medianRatio(draining, without, p99Ms),
      gatheringRatio: medianRatio(gathering, without, perSecond),
      gatheringP99Ratio: medianRatio(gathering, without, p99Ms),
    }
  })
}

interface Program {
  readonly path: string
  readonly args: (port: number, directory: string) => readonly string[]
}

function redisServer(): Program {
  return {
    path: 'redis-server',
    args: (port, directory) => [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', 'always'],
    ],
  }
}

async function daybookServer(bed: Bed, name: string, config: object = {}): Promise<Program> {
  const file = join(bed.directory, `${name}.json`)
  await writeFile(file, JSON.stringify(config))
  const main = join(import.meta.dirname, '../dist/cli/main.js')
  return {
    path: process.execPath,
    args: (port, directory) => [
      ...[main, 'serve', '--config', file, '--directory', directory],
      ...['--redis-port', String(port), '--no-http'],
    ],
  }
}

/** `use` gets the ports of the programs, all filled. They are killed after it. */
async function withServers(
  bed: Bed,
  programs: readonly Program[],
  use: (ports: [number, number, ...number[]]) => Promise<Measures>,
): Promise<Measures> {
  if (spawnSync('redis-benchmark', ['--version']).error !== undefined) {
    throw new Error('redis-benchmark is not installed')
  }
  const ports: number[] = []
  const stops: (() => Promise<unknown>)[] = []
  try {
    for (const { path, args } of programs) {
      const port = await freePort()
      const directory = join(bed.directory, String(port))
      await mkdir(directory)
      const server = spawn(path, args(port, directory), { stdio: 'ignore' })
      const gone = once(server, 'exit')
      stops.push(() => {
        server.kill('SIGKILL')
        return gone
      })
      await answering(port)
      await benchmark(port, 'set', 64, scaled(bed, fillRequests))
      ports.push(port)
    }
    return await use(ports as [number, number, ...number[]])
  } finally {
    for (const stop of stops) await stop()
  }
}

function scaled(bed: Bed, count: number): number {
  return Math.max(1000, Math.floor(count * bed.scale))
}

interface Result {
  readonly perSecond: number
  readonly p99Ms: number
}

const perSecond = (result: Result): number => result.perSecond
const p99Ms = (result: Result): number => result.p99Ms

async function benchmark(
  port: number,
  test: 'set' | 'get',
  pipeline: number,
  count: number,
): Promise<Result> {
  const { stdout } = await run('redis-benchmark', [
    ...['-p', String(port), '-t', test, '-c', String(clients), '-P', String(pipeline)],
    ...['-n', String(count), '-r', String(keys), '-d', String(valueBytes), '--csv'],
  ])
  // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
  const fields = stdout.trim().split('\n').at(-1)?.replaceAll('"', '').split(',') ?? []
  return { perSecond: Number(fields[1]), p99Ms: Number(fields[6]) }
}

/** Of each turn's own ratio: what made the machine slow for a while was the same for both. */
function medianRatio(
  of: readonly Result[],
  to: readonly Result[],
  measure: (result: Result) => number,
): number {
  return median(of.map((result, at) => measure(result) / measure(to[at] ?? result)))
}

async function cli(port: number, ...words: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-p', String(port), ...words])
  return stdout.trim()
}

async function answering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if ((await cli(port, 'PING').catch(() => '')) === 'PONG') return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('the server did not answer within 15 s')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address === 'object' && address !== null) return address.port
  throw new Error('a server that listens has an address')
}
