/**
 * The command behind `npm run torture`: cycles of real processes, disks, databases and kills, in an order that the seed
 * decides.
 */

import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpus, release, tmpdir, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Command, InvalidArgumentError, Option } from 'commander'
import { integer } from '../src/cli/flags.ts'
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

interface Given {
  readonly cycles: number
  readonly seed?: number
  readonly store: StoreName | 'both'
  readonly only?: readonly string[]
}

interface Options {
  readonly stores: readonly StoreName[]
  /** Undefined: all. */
  readonly only: readonly string[] | undefined
}

const command = new Command('torture')
  // What was given wrongly is no failed run.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .description(
    'Real processes write to real disks and databases while real faults strike, and an oracle outside of them says what was lost, doubled, reordered or read wrong.',
  )
  .option('--cycles <count>', 'how many faults', integer(1, 1e9), 1000)
  .option('--seed <number>', 'the first one (default: by chance)', integer(0, 2 ** 32 - 1))
  .addOption(
    new Option('--store <store>', 'the database')
      .choices(['sqlite', 'postgres', 'both'])
      .default('both'),
  )
  .option('--only <faults>', 'only these, apart by commas', namesOfFaults)
  .addHelpText(
    'after',
    `
Faults:
${faults.map(({ name, about }) => `  ${name.padEnd(24)}${about}`).join('\n')}

What cannot be done on this machine is skipped, with the reason. A cycle that fails says how it is run again, and its
directory stays. The exit code is 0 where there is no violation, 1 where there is one, and 2 where the options make no sense.`,
  )

function namesOfFaults(text: string): string[] {
  const names = text.split(',')
  const unknown = names.filter((name) => faults.every((fault) => fault.name !== name))
  if (unknown.length === 0) return names
  const known = faults.map(({ name }) => name).join(', ')
  throw new InvalidArgumentError(`There is no fault ${unknown.join(', ')}. There are: ${known}.`)
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

async function main(given: Given): Promise<boolean> {
  const { cycles, seed: first = randomInt(2 ** 31), store, only } = given
  const { planned, skipped } = plan({
    stores: store === 'both' ? ['sqlite', 'postgres'] : [store],
    only,
  })
  const report = new Report(planned, cycles, process.stdout)
  for (const reason of skipped) report.line(reason)
  if (planned.length === 0) command.error('Nothing of what was asked for can be done here.')
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
    report.line(`seed ${first}`)
    let pass: Planned[] = []
    for (let cycle = 0; cycle < cycles && !interrupted; cycle++) {
      const seed = cycle === 0 ? first : mixed(first, cycle)
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

process.exitCode = (await main(command.parse().opts<Given>())) ? 0 : 1
