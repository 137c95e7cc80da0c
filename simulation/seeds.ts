/** Runs seeds one after the other. */

import { tmpdir } from 'node:os'
import { existsSync } from 'node:fs'
import { swarmOf, type Grade } from './swarm.ts'
import { Tally } from './tally.ts'
import { runWorld } from './world.ts'

/** `mixed`: every twentieth seed runs on SQLite. */
export type Grades = Grade | 'mixed'

export interface SeedRange {
  readonly first: number
  readonly count: number
  /** Every so many seeds one is run. */
  readonly step: number
  readonly grades: Grades
  /** Every so many seeds one is run twice, and both traces are compared. 0: none. */
  readonly twiceEvery: number
}

const sqliteEvery = 20
/** A run stops after so many failures: they are mostly one bug. */
export const maxFailures = 20

export function gradeOf(seed: number, grades: Grades): Grade {
  if (grades !== 'mixed') return grades
  return seed % sqliteEvery === 0 ? 'sqlite' : 'memory'
}

/** In memory where the system has such a place. */
export function sqliteDirectory(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
}

export async function runSeeds(range: SeedRange, progress: (tally: Tally) => void): Promise<Tally> {
  // Errors are made by the thousand, and nobody reads where they come from.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const tally = new Tally()
  try {
    for (let at = 0; at < range.count && tally.failures.length < maxFailures; at++) {
      const seed = range.first + at * range.step
      const isTwice = range.twiceEvery > 0 && seed % range.twiceEvery === 0
      await runSeed(seed, range.grades, isTwice, tally)
      progress(tally)
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  return tally
}

async function runSeed(
  seed: number,
  grades: Grades,
  isTwice: boolean,
  tally: Tally,
): Promise<void> {
  const swarm = swarmOf(seed, gradeOf(seed, grades))
  const options = { sqliteDirectory: sqliteDirectory() }
  if (!isTwice) {
    tally.add(await runWorld(swarm, options))
    return
  }
  const first: string[] = []
  tally.add(await runWorld(swarm, { ...options, trace: (line) => void first.push(line) }))
  const second: string[] = []
  await runWorld(swarm, { ...options, trace: (line) => void second.push(line) })
  const at = first.findIndex((line, index) => line !== second[index])
  if (at < 0 && first.length === second.length) tally.twice++
  else {
    const message = `line ${at + 1} is "${first[at] ?? ''}" the first time and "${second[at] ?? ''}" the second`
    tally.failures.push({ seed, checker: 'the same seed gives the same trace', message })
  }
}
