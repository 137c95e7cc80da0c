/**
 * `npm run fuzz -- [--seconds n] [--target name] [--seed s] [--path p]`
 *
 * Runs the targets in turn, a round of each at a time, with a new seed for each round: the first one is printed, and all
 * others follow from it. `--target journal` is `journal-damage`, `journal-repair` and all others whose names begin so. A
 * case that fails is shrunk and printed with what repeats it, and ends the run with status 1; so does an outcome that a
 * target can come to and never came to.
 */

import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { FuzzTarget } from './fuzz-target.ts'
import { targets } from './targets.ts'
import { startWatchdog } from './watchdog.ts'

/** A round has seconds of work; ten times that is a hang. */
const silenceMs = 120_000

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      target: { type: 'string' },
      seed: { type: 'string' },
      path: { type: 'string' },
    },
  })
  const seconds = Number(values.seconds)
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const chosen = targets.filter(({ name }) => `${name}-`.startsWith(`${values.target ?? name}-`))
  if (!(seconds > 0) || !Number.isSafeInteger(seed) || chosen.length === 0) {
    console.error('Usage: npm run fuzz -- [--seconds n] [--target name] [--seed s] [--path p]')
    console.error(`Targets: ${targets.map(({ name }) => name).join(', ')}`)
    return 2
  }
  console.log(`seed ${seed}, ${seconds} s, ${chosen.length} targets`)
  const watchdog = startWatchdog(silenceMs)
  try {
    return await fuzz(chosen, { seconds, seed, path: values.path }, (what) => watchdog.alive(what))
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

process.exitCode = await main()
