/**
 * `npm run bench -- --help`
 *
 * Installs the peers, starts a private PostgreSQL, runs the sides of each bench in turn, each in a process of its own,
 * and prints medians, ratios, and whether they meet their targets. What cannot be measured is said with its reason.
 */

import { execFileSync, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { median, met, type Bench, type Measures, type Side, type Verdict } from './bench.ts'
import packageFile from './package.json' with { type: 'json' }
import { benches } from './benches.ts'
import {
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../test/support/postgres-server.ts'
import { loadLmdb } from './peers.ts'
import type { FromSide, Task, ToSide } from './side.ts'

const usage = `npm run bench -- [names] [options]

  names               which benches; all of them without one: ${Object.keys(benches).join(', ')}
  --rounds n          how often each side runs; the median counts. Default: what the bench says
  --side text         only sides with this in their name
  --quick             sizes are cut down: does it work? The figures mean nothing
  --json              one object for a machine
  --profile directory writes a processor profile of each side's process
  --help              this`

const { values: options, positionals } = readArguments()

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        side: { type: 'string' },
        profile: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(2)
  }
}

const sideDeadlineMs = 600_000

interface SideResult {
  readonly side: string
  readonly rounds: Measures[]
  /** Why it could not be measured. */
  reason?: string
}

const say = (line = ''): void => {
  if (!options.json) console.log(line)
}

let postgres: PostgresServer | undefined

async function main(): Promise<void> {
  if (options.help) {
    console.log(usage)
    return
  }
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name))
  if (unknown.length > 0) {
    console.error(
      `There is no bench ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}.`,
    )
    process.exitCode = 2
    return
  }
  installPeers()
  const machine = await describeMachine()
  say(Object.values(machine).join(' · '))
  if (options.quick)
    say('--quick: sizes are cut down. This shows that it works; the figures mean nothing.')

  const report = []
  try {
    for (const [name, load] of Object.entries(benches)) {
      if (positionals.length > 0 && !positionals.includes(name)) continue
      report.push(await measure(await load()))
    }
  } finally {
    await postgres?.stop()
  }

  if (options.json) console.log(JSON.stringify({ machine, quick: options.quick, benches: report }))
  else summarize(report.flatMap(({ verdicts }) => verdicts))
}

async function measure(bench: Bench) {
  say(`\n${bench.name}: ${bench.about}`)
  const rounds =
    options.rounds === undefined ? (options.quick ? 1 : bench.rounds) : Number(options.rounds)
  const sides = bench.sides.filter(({ name }) => name.includes(options.side ?? ''))
  const results = sides.map((side): SideResult => ({ side: side.name, rounds: [] }))
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      const result = results[index]
      if (result === undefined || result.reason !== undefined) continue
      try {
        result.rounds.push(await runSide(bench, side))
      } catch (error) {
        result.reason = error instanceof Error ? error.message : String(error)
      }
    }
  }
  for (const result of results) say(describe(result))

  const figure = (side: string, measure: string): number | undefined => {
    const result = results.find((candidate) => candidate.side === side)
    if (result === undefined || result.reason !== undefined) return undefined
    const values = result.rounds.flatMap((measures) => measures[measure] ?? [])
    return values.length === 0 ? undefined : median(values)
  }
  const verdicts = bench.verdicts(figure)
  for (const verdict of verdicts) say(`  → ${sentence(verdict)}`)
  return {
    name: bench.name,
    about: bench.about,
    sides: results,
    verdicts: verdicts.map((verdict) => ({ ...verdict, met: met(verdict) ?? null })),
  }
}

async function runSide(bench: Bench, side: Side): Promise<Measures> {
  if (side.needs === 'postgres') await needPostgres()
  if (side.needs === 'lmdb') await loadLmdb()
  const directory = await mkdtemp(join(tmpdir(), 'daybook-bench-'))
  const task = {
    bench: bench.name,
    side: side.name,
    directory,
    scale: options.quick ? 0.05 : 1,
    postgresUrl: postgres?.url ?? '',
  }
  try {
    if (side.prepare !== undefined) await inProcess({ ...task, phase: 'prepare' })
    return await inProcess({ ...task, phase: 'run' })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function needPostgres(): Promise<void> {
  if (postgres !== undefined) return
  const reason = postgresUnavailable()
  if (reason !== undefined) throw new Error(reason)
  postgres = await startPostgres()
}

/** Runs one phase in a new process, and kills that process with SIGKILL as soon as it has answered. */
function inProcess(task: Task): Promise<Measures> {
  const profiling = options.profile !== undefined && task.phase === 'run'
  const child = fork(join(import.meta.dirname, 'side.ts'), {
    execArgv: profiling ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`] : [],
  })
  return new Promise<Measures>((resolve, reject) => {
    const deadline = setTimeout(
      () => end(() => reject(new Error(`no result within ${sideDeadlineMs / 1000} s`))),
      sideDeadlineMs,
    )
    const end = (settle: () => void): void => {
      clearTimeout(deadline)
      child.removeAllListeners('exit')
      child.once('exit', settle)
      // A profile is written at a regular exit only.
      if (profiling) child.send({ kind: 'exit' } satisfies ToSide)
      else child.kill('SIGKILL')
    }
    child.on('message', (message: FromSide) => {
      if (message.kind === 'done') return end(() => resolve(message.measures))
      if (message.kind === 'failed') return end(() => reject(new Error(message.reason)))
      const acted = message.action === 'stop' ? postgres?.kill() : postgres?.start()
      Promise.resolve(acted).then(
        () => child.send({ kind: 'postgres-done' } satisfies ToSide),
        (error: Error) => end(() => reject(error)),
      )
    })
    child.once('exit', (code, signal) => {
      clearTimeout(deadline)
      reject(new Error(`the process ended by itself (${signal ?? code})`))
    })
    child.send({ kind: 'task', task } satisfies ToSide)
  })
}

function installPeers(): void {
  const { dependencies } = packageFile
  const missing = Object.keys(dependencies).filter(
    (name) => !existsSync(join(import.meta.dirname, 'node_modules', name)),
  )
  if (missing.length === 0) return
  say('installing the peers …')
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: import.meta.dirname,
      stdio: 'pipe',
    })
  } catch (error) {
    // Each side that needs one says so by itself.
    say(
      `the peers could not be installed: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

async function describeMachine() {
  // A memory file system answers fdatasync at once: nothing measured there would mean anything.
  const inMemory = (await statfs(tmpdir())).type === 0x01021994
  return {
    date: new Date().toISOString().slice(0, 16),
    node: `Node ${process.version}`,
    processors: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    directory: `${tmpdir()}${inMemory ? ' (IN MEMORY: set TMPDIR to a directory on a disk)' : ''}`,
    load: `load ${loadavg()[0]?.toFixed(2) ?? '?'} before the start`,
  }
}

function describe(result: SideResult): string {
  if (result.reason !== undefined) return `  ${result.side}: not measured: ${result.reason}`
  const measures = Object.keys(result.rounds[0] ?? {}).map((measure) => {
    const values = result.rounds.map((measures) => measures[measure] ?? NaN)
    const range =
      values.length > 1 ? ` (${number(Math.min(...values))} to ${number(Math.max(...values))})` : ''
    return `${measure} ${number(median(values))}${range}`
  })
  // Few measures stand side by side, many below each other.
  if (measures.length > 6) return [`  ${result.side}`, ...measures].join('\n    ')
  return `  ${result.side.padEnd(30)} ${measures.join('  ')}`
}

function sentence(verdict: Verdict): string {
  const { claim, value, bound, target, unit } = verdict
  const outcome = { true: 'met', false: 'MISSED', undefined: 'not measured' }[
    String(met(verdict)) as 'true'
  ]
  return `${outcome}: ${claim}: ${value === undefined ? '?' : number(value)} ${unit}, ${bound} ${number(target)}`
}

function summarize(verdicts: readonly Verdict[]): void {
  say('\nAll targets')
  for (const verdict of verdicts) say(`  ${sentence(verdict)}`)
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

// The server is stopped when this process exits; a signal alone would end it without that.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
await main()
