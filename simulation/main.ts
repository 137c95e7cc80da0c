/** The command behind `npm run simulate`. */

import { availableParallelism } from 'node:os'
import { Command, Option } from 'commander'
import { integer } from '../src/cli/flags.ts'
import { faults, faultShare, missing, states } from './coverage.ts'
import { gradeOf, runSeeds, sqliteDirectory, type Grades } from './seeds.ts'
import { shrink } from './shrink.ts'
import { swarmOf } from './swarm.ts'
import type { Failure, Tally } from './tally.ts'
import { runSideBySide } from './threads.ts'
import { runWorld } from './world.ts'

interface Given {
  readonly seeds: number
  readonly seed: number
  readonly grade: Grades
  readonly threads: number
  readonly twiceEvery: number
  readonly trace: boolean
  readonly skip: string | undefined
  readonly without: string | undefined
}

const wholeNumber = integer(0, Number.MAX_SAFE_INTEGER)

const command = new Command('simulate')
  .description(
    'Runs Daybook on a virtual clock, disk and database, with everything going wrong, and checks what it promises.',
  )
  .option('--seeds <count>', 'how many worlds', wholeNumber, 1000)
  .option('--seed <number>', 'the first one', wholeNumber, 1)
  .addOption(
    new Option(
      '--grade <grade>',
      'the database: a model, real SQLite, or SQLite for every 20th seed',
    )
      .choices(['memory', 'sqlite', 'mixed'])
      .default('mixed'),
  )
  .option('--threads <count>', 'side by side', wholeNumber, Math.min(8, availableParallelism()))
  .option(
    '--twice-every <count>',
    'run each so-manieth seed twice, and compare the traces',
    wholeNumber,
    100,
  )
  .option('--trace', 'print everything that happens in one world', false)
  .option('--skip <ids>', 'leave these operations out, as a failure says')
  .option('--without <kinds>', 'leave these kinds of faults out, as a failure says')
  .addHelpText(
    'after',
    `
Examples:
  npm run simulate -- --seeds 20000          what CI runs
  npm run simulate -- --seeds 1 --seed 1012 --trace
                                             one world, line by line

The exit code is 0 where all worlds hold, 1 where one does not, and 2 where a fault or a state that should have come
did not: then the run proves less than it says.`,
  )

const given = command.parse(process.argv).opts<Given>()
process.exitCode = given.trace ? await traceOne(given) : await runMany(given)

async function traceOne({ seed, grade, skip, without }: Given): Promise<number> {
  const swarm = swarmOf(seed, gradeOf(seed, grade), new Set(listOf(without)))
  console.log(JSON.stringify({ ...swarm, operations: swarm.operations.length }, undefined, 2))
  const report = await runWorld(swarm, {
    skip: new Set(listOf(skip).map(Number)),
    trace: (line) => console.log(line),
    sqliteDirectory: sqliteDirectory(),
  })
  return report.violation === undefined ? 0 : 1
}

async function runMany(options: Given): Promise<number> {
  const { seed, seeds, threads, grade, twiceEvery } = options
  const startedAt = performance.now()
  const show = (done: number, failures: number): void => {
    if (!process.stderr.isTTY) return
    const perSecond = done / ((performance.now() - startedAt) / 1000)
    const failed = failures > 0 ? `, ${failures} failed` : ''
    process.stderr.write(`\r${done} of ${seeds} worlds, ${perSecond.toFixed(0)} a second${failed} `)
  }
  const tally =
    threads === 1
      ? await runSeeds({ first: seed, count: seeds, step: 1, grades: grade, twiceEvery }, (so) =>
          show(so.seeds, so.failures.length),
        )
      : await runSideBySide({ first: seed, count: seeds, threads, grades: grade, twiceEvery }, show)
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  const seconds = (performance.now() - startedAt) / 1000
  printTally(tally, seconds)
  const { failures } = tally
  for (const failure of failures.slice(0, 5)) await printFailure(failure, grade)
  if (failures.length > 0) {
    console.log(`\n${failures.length} worlds failed: ${failures.map((one) => one.seed).join(', ')}`)
    return 1
  }
  const lacks = missing(tally)
  for (const lack of lacks) console.log(`MISSING  ${lack}`)
  return lacks.length > 0 ? 2 : 0
}

function printTally(tally: Tally, seconds: number): void {
  const days = tally.virtualMs / 86_400_000
  console.log(
    `${tally.seeds} worlds in ${seconds.toFixed(0)} s (${(tally.seeds / seconds).toFixed(0)} a second), ` +
      `${days.toFixed(1)} days of virtual time`,
  )
  console.log(
    `${tally.events} events, ${tally.boots} processes, ${tally.commits} commits and ${tally.reads} reads checked, ` +
      `${tally.twice} worlds run twice with the same trace`,
  )
  console.log(`\nFaults, and in how many of the worlds they came (at least ${faultShare * 100} %):`)
  printShares(faults, tally)
  console.log('\nStates that were reached:')
  printShares(states, tally)
}

function printShares(names: readonly string[], tally: Tally): void {
  for (const name of names) {
    const share = (tally.fired.get(name) ?? 0) / tally.seeds
    console.log(`  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`)
  }
}

async function printFailure({ seed, checker, message }: Failure, grades: Grades): Promise<void> {
  const grade = gradeOf(seed, grades)
  console.log(`\nFAILED  seed ${seed} (${grade}): ${checker}`)
  console.log(`  ${message.slice(0, 1000)}`)
  if (checker === 'the same seed gives the same trace') return
  const shrunk = await shrink(seed, grade, checker)
  console.log(
    `  needs: ${shrunk.needed.join(', ') || 'no fault'}  (shrunk in ${shrunk.worlds} worlds)`,
  )
  for (const operation of shrunk.operations) console.log(`    ${JSON.stringify(operation)}`)
  console.log(`  then: ${shrunk.message.slice(0, 1000)}`)
  const kept = new Set(shrunk.operations.map(({ id }) => id))
  const skipped = swarmOf(seed, grade)
    .operations.map(({ id }) => id)
    .filter((id) => !kept.has(id))
  console.log(
    `  npm run simulate -- --seed ${seed} --grade ${grade} --trace --skip ${skipped.join(',')} --without '${shrunk.without.join(',')}'`,
  )
}

function listOf(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : text.split(',')
}
