/**
 * The server against a Redis that syncs before it answers (`appendfsync always`): redis-benchmark, 50 clients, values of 180
 * bytes over 100,000 keys, without pipelining and with pipelines of 16 and 64.
 *
 * Daybook is measured twice: with the flusher paused, which compares the protocol and the journal alone, and while it
 * drains to PostgreSQL.
 *
 * All sides are filled first, with requests that do not count: a GET is of a key that is there (one that nobody has asked
 * for is looked up in the database, which Redis does not have), and code is compiled.
 */

import { spawn, spawnSync, execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ratio, type Bed, type Bench, type Measures, type Side, type Verdict } from './bench.ts'

const run = promisify(execFile)
const keys = 100_000
const valueBytes = 180
const clients = 50
/** Requests for each length of a pipeline: some seconds each. */
const requests = { 1: 150_000, 16: 1_000_000, 64: 2_000_000 } as const
const pipelines = [1, 16, 64] as const
/** Keys are chosen at random: this many leave five of 100,000 without a value. */
const fillRequests = 10 * keys

const redis = 'redis-server, appendfsync always'
const paused = 'daybook serve, flusher paused'
const draining = 'daybook serve, draining to PostgreSQL'

export const bench: Bench = {
  name: 'redis-protocol',
  about:
    'redis-benchmark, 50 clients, 180 bytes over 100,000 keys, on disk by fdatasync before the reply',
  rounds: 3,
  sides: [
    { name: redis, run: (bed) => measured(bed, redisServer) },
    { name: paused, run: (bed) => measured(bed, daybookServer(undefined)) },
    {
      name: draining,
      needs: 'postgres',
      run: (bed) => measured(bed, daybookServer(bed.postgres.url)),
    } satisfies Side,
  ],
  verdicts(figure) {
    const claims = (['set', 'get'] as const).flatMap((command) =>
      pipelines.map((length): Verdict => {
        const measure = `${command}${length}PerSecond`
        return {
          claim: `${command.toUpperCase()}, pipeline ${length}, to Redis`,
          value: ratio(figure(paused, measure), figure(redis, measure)),
          target: command === 'get' ? 0.6 : { 1: 0.75, 16: 1, 64: 1.15 }[length],
          bound: 'at least',
          unit: '×',
        }
      }),
    )
    const measure = 'set16PerSecond'
    return [
      ...claims,
      {
        claim: 'SET, pipeline 16, while draining to PostgreSQL, to the same while paused',
        value: ratio(figure(draining, measure), figure(paused, measure)),
        target: 0.6,
        bound: 'at least',
        unit: '×',
      },
      {
        claim: 'its p99 to the same while paused',
        value: ratio(figure(draining, 'set16P99Ms'), figure(paused, 'set16P99Ms')),
        target: 3,
        bound: 'at most',
        unit: '×',
      },
    ]
  },
}

type Command = readonly [program: string, args: readonly string[]]

function redisServer(port: number, directory: string): Command {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '']
  return ['redis-server', [...args, '--appendonly', 'yes', '--appendfsync', 'always']]
}

function daybookServer(store: string | undefined): (port: number, directory: string) => Command {
  const main = join(import.meta.dirname, '../dist/cli/main.js')
  return (port, directory) => {
    const args = [
      main,
      'serve',
      '--directory',
      directory,
      '--redis-port',
      String(port),
      '--no-http',
    ]
    return [process.execPath, store === undefined ? args : [...args, '--store', store]]
  }
}

async function measured(
  bed: Bed,
  command: (port: number, directory: string) => Command,
): Promise<Measures> {
  if (spawnSync('redis-benchmark', ['--version']).error !== undefined) {
    throw new Error('redis-benchmark is not installed')
  }
  const port = await freePort()
  const [program, args] = command(port, bed.directory)
  const server = spawn(program, args, { stdio: 'ignore' })
  const gone = once(server, 'exit')
  try {
    await answering(port)
    if (program !== 'redis-server' && !args.includes('--store')) await cli(port, 'DAYBOOK', 'PAUSE')
    const scaled = (count: number): number => Math.max(1000, Math.floor(count * bed.scale))
    await benchmark(port, 'set', 64, scaled(fillRequests))
    const measures: Record<string, number> = {}
    for (const length of pipelines) {
      const count = scaled(requests[length])
      for (const test of ['set', 'get'] as const) {
        const { perSecond, p99Ms } = await benchmark(port, test, length, count)
        measures[`${test}${length}PerSecond`] = perSecond
        measures[`${test}${length}P99Ms`] = p99Ms
      }
    }
    return measures
  } finally {
    server.kill('SIGKILL')
    await gone
  }
}

async function benchmark(
  port: number,
  test: 'set' | 'get',
  pipeline: number,
  count: number,
): Promise<{ perSecond: number; p99Ms: number }> {
  const { stdout } = await run('redis-benchmark', [
    ...['-p', String(port), '-t', test, '-c', String(clients), '-P', String(pipeline)],
    ...['-n', String(count), '-r', String(keys), '-d', String(valueBytes), '--csv'],
  ])
  // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
  const fields = stdout.trim().split('\n').at(-1)?.replaceAll('"', '').split(',') ?? []
  return { perSecond: Number(fields[1]), p99Ms: Number(fields[6]) }
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
