/**
 * The demonstration: replay real flights through Daybook while its process is killed, compare every row with the oracle,
 * and measure what the pattern is about.
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DaybookError } from '../base/errors.ts'
import { cacheWrites } from './cache-writes.ts'
import { compare, type Comparison } from './comparison.ts'
import type { ContenderName } from './contender.ts'
import { openDemoDatabase, type Target } from './database.ts'
import { compareRows, type Verdict } from './differences.ts'
import { expectedRows } from './expected.ts'
import { type Flight, loadFlights } from './flights.ts'
import { replay, type ReplayResult, type ReplayWatch } from './replay.ts'
import { seededRandom } from './seeded-random.ts'
import { Workload } from './workload.ts'

export interface DemoOptions {
  /** `sqlite` (a file in the directory), `sqlite:<path>` or `postgres://…`. */
  readonly store: string
  readonly flights: number
  readonly kills: number
  readonly seed: number
  /** How long each contender of the comparison is measured; 0: no comparison. */
  readonly compareMs: number
  /** An empty or new one; undefined: a temporary one. */
  readonly directory: string | undefined
  /** Leave the directory and the tables. */
  readonly keep: boolean
  readonly watch: DemoWatch
  readonly signal: AbortSignal
}

export interface DemoWatch extends ReplayWatch {
  started(start: DemoStart): void
  /** Every row has been compared. */
  verified(replayed: Replayed): void
  contending(contender: ContenderName): void
}

export interface DemoStart {
  readonly database: string
  readonly directory: string
  readonly flights: number
  readonly kills: number
  readonly seed: number
}

export interface Replayed extends ReplayResult {
  readonly database: string
  readonly seed: number
  readonly flights: number
  readonly mutations: number
  readonly verdict: Verdict
}

export interface DemoResult extends Replayed {
  readonly comparison: Comparison | undefined
  /** Where everything is, if it was kept. */
  readonly directory: string | undefined
}

/** Clients that wait for their acknowledgements at the same time. */
const concurrency = 64

export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const all = await loadFlights()
  const flights = all.slice(0, options.flights)
  const directory = makeDirectory(options.directory)
  const keep = options.keep || options.directory !== undefined
  try {
    const result = await runIn(directory, all, flights, { ...options, keep })
    return { ...result, directory: keep ? directory : undefined }
  } finally {
    if (!keep) rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function runIn(
  directory: string,
  all: readonly Flight[],
  flights: readonly Flight[],
  options: DemoOptions,
): Promise<Omit<DemoResult, 'directory'>> {
  const { store, kills, seed, watch, signal, keep } = options
  const random = seededRandom(seed)
  const run = `daybook_demo_${process.pid}_${Math.floor(random() * 2 ** 32).toString(36)}`
  const target = targetOf(store, run, join(directory, 'flights.sqlite'))
  const database = await openDemoDatabase(target)
  try {
    await database.createTables()
    watch.started({ database: database.version, directory, flights: flights.length, kills, seed })
    const result = await replay({
      contender: 'write-behind',
      target,
      directory: join(directory, 'data'),
      flights: flights.length,
      kills,
      concurrency,
      random,
      watch,
      signal,
    })
    const verdict = compareRows(expectedRows(flights), await database.read())
    const replayed = {
      ...result,
      database: database.version,
      seed,
      flights: flights.length,
      mutations: countMutations(flights),
      verdict,
    }
    watch.verified(replayed)
    const place = (contender: ContenderName) => ({
      target: targetOf(
        store,
        `${run}_${contender.replace('-', '_')}`,
        join(directory, `${contender}.sqlite`),
      ),
      directory: join(directory, `${contender}-data`),
    })
    const comparison =
      options.compareMs === 0
        ? undefined
        : await compare({
            flights: all,
            concurrency,
            measureMs: options.compareMs,
            random,
            place,
            keep,
            started: (contender) => watch.contending(contender),
            signal,
          })
    return { ...replayed, comparison }
  } finally {
    if (keep) await database.close()
    else await database.drop()
  }
}

function makeDirectory(given: string | undefined): string {
  if (given === undefined) return mkdtempSync(join(tmpdir(), 'daybook-demo-'))
  mkdirSync(given, { recursive: true, mode: 0o700 })
  if (readdirSync(given).length > 0) {
    throw new DaybookError('INVALID_OPTION', 'The directory for the demonstration is not empty.', {
      details: { directory: given },
      hint: 'Give one that is empty or does not exist.',
    })
  }
  return given
}

/** PostgreSQL: a schema named for the run. SQLite: a file. */
function targetOf(store: string, schema: string, file: string): Target {
  if (store === 'sqlite') return { url: `sqlite:${file}`, schema: undefined }
  return { url: store, schema }
}

function countMutations(flights: readonly Flight[]): number {
  if (flights.length === 0) return 0
  const workload = new Workload(flights)
  return flights.reduce((total) => total + cacheWrites(workload.next()).length, 0)
}
