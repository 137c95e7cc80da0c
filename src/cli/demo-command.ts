/** `daybook demo`: the demonstration, with a live picture on a terminal. */

import { Command } from 'commander'
import { availableFlights } from '../demo/flights.ts'
import { type DemoResult, type DemoWatch, runDemo } from '../demo/demo.ts'
import type { Kill, ReplayProgress } from '../demo/replay.ts'
import type { CommandContext } from './context.ts'
import { comparisonLines, demoJson, verdictLines } from './demo-report.ts'
import { type ExitCode, exitCodes, exitCodesHelp, UsageError } from './exit-codes.ts'
import { integer } from './flags.ts'
import { count, counted, duration, ratio } from './quantities.ts'
import { bar, type Progress, type Terminal } from './terminal.ts'

interface DemoFlags {
  readonly store: string
  readonly flights: number
  readonly kills: number
  readonly seed?: number
  readonly compareMs: number
  readonly directory?: string
  readonly keep?: true
  readonly json?: true
}

export function demoCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('demo')
    .summary('replay real flights through Daybook while its process is killed')
    .description(
      'Replays 20,000 real flights as a write-heavy application would, kills the application with SIGKILL on the way, ' +
        'compares every row of the database with the result computed straight from the file, and then measures ' +
        'write-through against write-behind on the same database. The exit code is 0 only without a difference.',
    )
    .option(
      '--store <store>',
      'sqlite, postgres (from DATABASE_URL or PGHOST, …) or a postgres:// URL',
      'sqlite',
    )
    .option(
      '--flights <n>',
      `how many of the ${count(availableFlights)} flights`,
      integer(1, availableFlights),
      availableFlights,
    )
    .option('--kills <n>', 'how often to kill the application', integer(0, 100), 4)
    .option(
      '--seed <n>',
      'repeats the moments of an earlier run (default: a new one)',
      integer(0, 2 ** 32 - 1),
    )
    .option(
      '--compare-ms <ms>',
      'how long to measure each side of the comparison; 0 leaves it out',
      integer(0, 60_000),
      2_000,
    )
    .option(
      '--directory <path>',
      'a new or empty directory to keep everything in (default: a temporary one)',
    )
    .option('--keep', 'leave the directory and the tables for you to look at')
    .option('--json', 'print one JSON object; progress goes to the error output')
    .addHelpText(
      'after',
      `
Examples:
  daybook demo
  daybook demo --store postgres://localhost/test --kills 10
  daybook demo --flights 5000 --seed 7 --json | tail -n 1
${exitCodesHelp}`,
    )
    .action(async (flags: DemoFlags) => {
      finish(await demo(flags, context))
    })
}

async function demo(
  flags: DemoFlags,
  { terminal, environment, signal }: CommandContext,
): Promise<ExitCode> {
  const picture = new DemoPicture(terminal, flags.json === true)
  let result: DemoResult
  try {
    result = await runDemo({
      store: storeOf(flags.store, environment),
      flights: flags.flights,
      kills: flags.kills,
      seed: flags.seed ?? Math.floor(Math.random() * 2 ** 32),
      compareMs: flags.compareMs,
      directory: flags.directory,
      keep: flags.keep === true,
      watch: picture,
      signal,
    })
  } finally {
    picture.end()
  }
  const good = result.verdict.differences.length === 0 && result.acknowledgedLost === 0
  if (flags.json === true) terminal.line(JSON.stringify(demoJson(result)))
  else for (const line of comparisonLines(terminal, result)) terminal.line(line)
  return good ? exitCodes.ok : exitCodes.problem
}

/** `postgres` alone is the database that the usual variables name. */
export function storeOf(store: string, environment: CommandContext['environment']): string {
  if (store === 'sqlite' || /^postgres(ql)?:\/\//.test(store)) return store
  if (store !== 'postgres') {
    throw new UsageError(
      `--store is sqlite, postgres or a postgres:// URL, not ‘${store.slice(0, 40)}’.`,
    )
  }
  const url = environment['DATABASE_URL']
  if (url !== undefined && /^postgres(ql)?:\/\//.test(url)) return url
  if (environment['PGHOST'] !== undefined) return urlOf(environment)
  throw new UsageError(
    '--store postgres needs to know which: set DATABASE_URL or PGHOST, or give --store postgres://user:password@host/database.',
  )
}

function urlOf(environment: CommandContext['environment']): string {
  const part = (name: string): string => encodeURIComponent(environment[name] ?? '')
  const password = part('PGPASSWORD') === '' ? '' : `:${part('PGPASSWORD')}`
  const user = part('PGUSER') === '' ? '' : `${part('PGUSER')}${password}@`
  const port = part('PGPORT') === '' ? '' : `:${part('PGPORT')}`
  return `postgres://${user}${part('PGHOST')}${port}/${part('PGDATABASE')}`
}

/** Everything that the demonstration shows before its result. */
class DemoPicture implements DemoWatch {
  readonly #terminal: Terminal
  readonly #progress: Progress
  readonly #json: boolean
  #kills = 0

  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal
    this.#json = json
    this.#progress = terminal.progress(json ? 'errors' : 'output')
  }

  started({
    database,
    directory,
    flights,
    kills,
    seed,
  }: Parameters<DemoWatch['started']>[0]): void {
    this.#kills = kills
    const t = this.#terminal
    this.#progress.note(
      `${t.style('bold', 'Daybook demonstration')}  ${t.style('dim', `${database} · seed ${seed}`)}`,
    )
    this.#progress.note(
      `Replaying ${count(flights)} real flights. The application is killed ${counted(kills, 'time')} on the way.`,
    )
    this.#progress.note(
      t.style('dim', `Watch it from another terminal: daybook status ${directory}/data`),
    )
    this.#progress.note('')
  }

  progress(progress: ReplayProgress): void {
    this.#progress.show(
      () => this.#live(progress),
      () => this.#plain(progress),
    )
  }

  #live(progress: ReplayProgress): string[] {
    const t = this.#terminal
    const { acknowledged, flights, kills, pending, lagMs } = progress
    const { filled, rest } = bar(acknowledged / flights, Math.max(10, Math.min(48, t.columns - 40)))
    const percent = `${Math.floor((100 * acknowledged) / flights)}%`.padStart(4)
    return [
      ` ${t.style('cyan', filled)}${t.style('dim', rest)} ${t.style('bold', percent)}  ${count(acknowledged)} / ${count(flights)} flights`,
      ` ${count(rateOf(progress))} flights/s · lag ${duration(lagMs)} · pending ${count(pending)} · ${coalescing(progress)} · kills ${kills} of ${this.#kills}`,
    ]
  }

  #plain(progress: ReplayProgress): string {
    const { acknowledged, flights, kills, pending, lagMs } = progress
    return (
      `${count(acknowledged)} / ${count(flights)} flights, ${count(rateOf(progress))} a second, lag ${duration(lagMs)}, ` +
      `pending ${count(pending)}, ${coalescing(progress)}, kills ${kills} of ${this.#kills}`
    )
  }

  killed({ acknowledged, recovered, recoveryMs }: Kill): void {
    const t = this.#terminal
    const more = recovered - acknowledged
    const found =
      more < 0
        ? t.style('red', `${counted(-more, 'acknowledged flight')} missing`)
        : `all there${more === 0 ? '' : `, and ${count(more)} more whose acknowledgement was cut off`}`
    this.#progress.note(
      ` ${t.style('yellow', 'kill -9')} after ${count(acknowledged)} flights · back in ${duration(recoveryMs)} · ${found}`,
    )
  }

  verified(result: Parameters<DemoWatch['verified']>[0]): void {
    this.#progress.end()
    if (this.#json) return
    for (const line of verdictLines(this.#terminal, result)) this.#terminal.line(line)
  }

  contending(contender: string): void {
    this.#progress.show(
      () => [this.#terminal.style('dim', ` measuring ${contender} …`)],
      () => `measuring ${contender}`,
    )
  }

  end(): void {
    this.#progress.end()
  }
}

function rateOf({ acknowledged, elapsedMs }: ReplayProgress): number {
  return elapsedMs === 0 ? 0 : (acknowledged * 1000) / elapsedMs
}

function coalescing({ flushed, rowsWritten }: ReplayProgress): string {
  if (rowsWritten === 0) return 'nothing flushed yet'
  return `${count(flushed)} writes → ${count(rowsWritten)} rows (${ratio(flushed / rowsWritten)} : 1)`
}
