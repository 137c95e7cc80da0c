/**
 * `npm run torture -- [--cycles 1000] [--seed S] [--store sqlite|postgres|both] [--only FAULT,…]`
 *
 * Cycles of real processes, disks, databases and kills, in an order that the seed decides. A cycle that fails says how it
 * is run again, and its directory stays.
 */

import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpus, release, tmpdir, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { mountsUnavailable } from '../test/recovery/small-disk.ts'
import { between, seeded } from '../test/recovery/seeded.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../test/support/postgres-server.ts'
import { straceUnavailable } from '../test/support/strace.ts'
import { runCycle } from './cycle.ts'
import type { StoreName } from './database.ts'
import { faults } from './faults.ts'
import { Report, type Planned } from './report.ts'
import { mixed } from './workload.ts'

/** What was given is not what can be given. */
class UsageError extends Error {}

interface Options {
  readonly cycles: number
  readonly seed: number
  readonly stores: readonly StoreName[]
  /** Undefined: all. */
  readonly only: readonly string[] | undefined
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      cycles: { type: 'string', default: '1000' },
      seed: { type: 'string' },
      store: { type: 'string', default: 'both' },
      only: { type: 'string' },
    },
  })
  const cycles = wholeNumber('--cycles', values.cycles)
  const seed = wholeNumber('--seed', values.seed ?? String(randomInt(2 ** 31)))
  const stores = { sqlite: ['sqlite'], postgres: ['postgres'], both: ['sqlite', 'postgres'] }
  if (!Object.hasOwn(stores, values.store)) {
    throw new UsageError(`--store is sqlite, postgres or both, not ${values.store}.`)
  }
  const only = values.only?.split(',')
  const unknown = only?.filter((name) => faults.every((fault) => fault.name !== name)) ?? []
  if (unknown.length > 0) {
    const names = faults.map(({ name, about }) => `\n  ${name}: ${about}`).join('')
    throw new UsageError(`There is no fault ${unknown.join(', ')}. There are:${names}`)
  }
  return {
    cycles,
    seed,
    stores: stores[values.store as keyof typeof stores] as StoreName[],
    only,
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number < 2 ** 32) return number
  throw new UsageError(`${name} is a whole number below 2^32, not ${text}.`)
}

/** What can be done here. What cannot is said with its reason, once. */
function plan({ stores, only }: Options): { planned: Planned[]; skipped: string[] } {
  const reasons = {
    postgres: stores.includes('postgres') ? postgresUnavailable() : undefined,
    strace: straceUnavailable(),
    mount: mountsUnavailable,
  }
  const planned: Planned[] = []
  const skipped: string[] = []
  for (const fault of faults) {
    if (only?.includes(fault.name) === false) continue
    for (const store of fault.stores) {
      if (!stores.includes(store)) continue
      const reason =
        (store === 'postgres' ? reasons.postgres : undefined) ??
        (fault.needs === undefined ? undefined : reasons[fault.needs])
      if (reason === undefined) planned.push({ fault, store })
      else skipped.push(`skipped: ${fault.name} on ${store}: ${reason}`)
    }
  }
  return { planned, skipped }
}

/** Each pass is all of them, in an order of its own. */
function shuffled(planned: readonly Planned[], seed: number): Planned[] {
  const random = seeded(seed)
  const left = [...planned]
  return planned.map(() => left.splice(between(random, 0, left.length - 1), 1)).flat()
}

async function describeMachine(server: PostgresServer | undefined): Promise<string> {
  const [version] = server === undefined ? [] : await administer(server.url, 'show server_version')
  const database = new DatabaseSync(':memory:')
  const sqlite = Object.values(database.prepare('select sqlite_version()').get() ?? {})[0]
  database.close()
  const strace = /version (\S+)/.exec(spawnSync('strace', ['-V'], { encoding: 'utf8' }).stdout)?.[1]
  return [
    new Date().toISOString().slice(0, 16),
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${release()}`,
    `Node ${process.version}`,
    `SQLite ${String(sqlite)}`,
    ...(version === undefined ? [] : [`PostgreSQL ${String(version['server_version'])}`]),
    ...(strace === undefined ? [] : [`strace ${strace}`]),
  ].join(' · ')
}

async function main(): Promise<boolean> {
  const options = readOptions()
  const { planned, skipped } = plan(options)
  const report = new Report(planned, options.cycles, process.stdout)
  for (const reason of skipped) report.line(reason)
  if (planned.length === 0) throw new UsageError('Nothing of what was asked for can be done here.')
  // What is compiled once is compiled for all of them: half of a cycle would be the compiler's otherwise.
  process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'daybook-torture-compiled')

  const needsServer = planned.some(({ store }) => store === 'postgres')
  const server = needsServer ? await startPostgres() : undefined
  let interrupted = false
  process.once('SIGINT', () => {
    report.line('after this cycle …')
    interrupted = true
    process.once('SIGINT', () => process.exit(130))
  })
  // Processes and the server end with this one, but not by a signal alone.
  process.once('SIGTERM', () => process.exit(143))
  try {
    report.line(await describeMachine(server))
    report.line(`seed ${options.seed}`)
    let pass: Planned[] = []
    for (let cycle = 0; cycle < options.cycles && !interrupted; cycle++) {
      const seed = cycle === 0 ? options.seed : mixed(options.seed, cycle)
      if (pass.length === 0) pass = shuffled(planned, seed)
      const next = pass.pop()
      if (next === undefined) break
      report.live(next, 'begins')
      const phase = (name: string): void => report.live(next, name)
      report.add(next, seed, await runCycle(seed, next.fault, next.store, server, phase))
    }
  } finally {
    await server?.stop()
  }
  report.table()
  const { failures } = report
  report.line(failures.length === 0 ? 'no violations' : `FAILED: ${failures.join('; ')}`)
  return failures.length === 0
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
