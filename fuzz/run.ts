/**
 * The command behind `npm run fuzz`: the targets in turn, a round of each at a time, with a new seed for each round. All
 * seeds follow from the first one, which is printed.
 */

import { randomInt } from 'node:crypto'
import { Command } from 'commander'
import { integer } from '../src/cli/flags.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { targets } from './targets.ts'
import { startWatchdog } from './watchdog.ts'

/** A round has seconds of work; ten times that is a hang. */
const silenceMs = 120_000

interface Given {
  readonly seconds: number
  readonly target?: string
  readonly seed?: number
  readonly path?: string
}

const command = new Command('fuzz')
  // What was given wrongly is no failed run.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .description(
    'Feeds random and damaged input to everything in Daybook that reads what others wrote.',
  )
  .option('--seconds <count>', 'how long; each target has one round at least', integer(1, 1e9), 60)
  .option(
    '--target <name>',
    'only this one, or all whose names begin so (journal: journal-damage, …)',
  )
  .option(
    '--seed <number>',
    'the first one (default: by chance)',
    integer(0, Number.MAX_SAFE_INTEGER),
  )
  .option('--path <path>', 'of the one case that failed, as the failure says')
  .addHelpText(
    'after',
    `
Targets:
${targets.map(({ name, doc }) => `  ${name.padEnd(20)}${doc}`).join('\n')}

A case that fails is shrunk, and printed with what repeats it. The exit code is 0 where all hold, 1 where one does not,
or where a target never came to an outcome that it can come to, and 2 where the options make no sense.`,
  )

async function main({ seconds, target, seed = randomInt(2 ** 31), path }: Given): Promise<number> {
  const chosen = targets.filter(({ name }) => `${name}-`.startsWith(`${target ?? name}-`))
  if (chosen.length === 0) command.error(`There is no target ${target ?? ''}: see --help.`)
  console.log(`seed ${seed}, ${seconds} s, ${chosen.length} targets`)
  const watchdog = startWatchdog(silenceMs)
  try {
    return await fuzz(chosen, { seconds, seed, path }, (what) => watchdog.alive(what))
  } finally {
    await watchdog.stop()
  }
}

interface Run {
  readonly seconds: number
  readonly seed: number
  readonly path: string | undefined
}

async function fuzz(
  chosen: readonly FuzzTarget[],
  { seconds, seed, path }: Run,
  alive: (what: string) => void,
): Promise<number> {
  const totals = new Map(chosen.map(({ name }) => [name, new Map<string, number>()]))
  const endAt = performance.now() + seconds * 1000
  for (let round = 0; round === 0 || performance.now() < endAt; round++) {
    for (const target of chosen) {
      if (round > 0 && performance.now() >= endAt) break
      alive(`--target ${target.name} --seed ${seed + round}`)
      const { cases } = target
      const report = await target.run({ seed: seed + round, cases, path })
      count(totals.get(target.name), report.outcomes)
      if (report.failure === undefined) continue
      console.log(`\n${target.name}: ${target.doc}\n${report.failure}`)
      console.log(`\nAgain: npm run fuzz -- --target ${target.name} --seed ${seed + round}`)
      return 1
    }
    if (path !== undefined) return 0
  }
  return summarize(chosen, totals)
}

function count(total: Map<string, number> = new Map(), more: ReadonlyMap<string, number>): void {
  for (const [outcome, times] of more) total.set(outcome, (total.get(outcome) ?? 0) + times)
}

function summarize(
  chosen: readonly FuzzTarget[],
  totals: ReadonlyMap<string, ReadonlyMap<string, number>>,
): number {
  let status = 0
  for (const { name, outcomes } of chosen) {
    const total = totals.get(name) ?? new Map<string, number>()
    const counts = outcomes.map((outcome) => `${outcome} ${total.get(outcome) ?? 0}`)
    console.log(`${name.padEnd(18)} ${counts.join(', ')}`)
    const missed = outcomes.filter((outcome) => !total.has(outcome))
    if (missed.length > 0) {
      console.log(`${name} never came to: ${missed.join(', ')}`)
      status = 1
    }
  }
  return status
}

process.exitCode = await main(command.parse().opts<Given>())
