/** Looks for the first seed whose world shows a planted bug, in a thread whose engine has it. */

import { Worker } from 'node:worker_threads'
import type { Checker } from '../oracle/violation.ts'
import type { PlantedBug } from './planting.ts'

/** Each bug is caught by one of the first so many seeds. */
export const maxSeeds = 1000
/** Of wall time, on a machine that does other things too. */
const maxHuntMs = 900_000

export interface Caught {
  readonly seed: number
  readonly checker: Checker
  readonly message: string
}

export interface Hunt {
  readonly bug: PlantedBug
  /** undefined: by none of the seeds. */
  readonly caught: Caught | undefined
  /** Of its threads, compiling included. */
  readonly userMs: number
}

/** What a thread is to do. */
export interface HuntOrder {
  /** Its name; undefined: the engine as it is. */
  readonly bug: string | undefined
  readonly grade: 'memory' | 'sqlite'
  readonly seeds: readonly number[]
}

/** What became of it. */
export type HuntReport = Omit<Hunt, 'bug'>

/** Every bug's hunt over the seeds from 1 to `seeds`, so many at a time, in the order of the bugs. */
export function huntAll(
  bugs: readonly PlantedBug[],
  seeds: number,
  threads: number,
): ReadonlyMap<PlantedBug, Promise<Hunt>> {
  const hunts = new Map<PlantedBug, Promise<Hunt>>()
  const lines: Promise<unknown>[] = Array.from({ length: threads }, () => Promise.resolve())
  for (const [at, bug] of bugs.entries()) {
    const line = at % threads
    const result = (lines[line] as Promise<unknown>).then(() => hunt(bug, seeds))
    // Whoever asks for this hunt gets its error; the next one begins all the same.
    lines[line] = result.catch(() => undefined)
    hunts.set(bug, result)
  }
  return hunts
}

/** The engine without the bug must hold in the world that catches it: a seed that fails by itself catches nothing. */
async function hunt(bug: PlantedBug, seeds: number): Promise<Hunt> {
  const grade = bug.grade ?? 'memory'
  let left = seedsUpTo(seeds)
  let userMs = 0
  for (;;) {
    const planted = await runThread({ bug: bug.name, grade, seeds: left })
    userMs += planted.userMs
    const { caught } = planted
    if (caught === undefined) return { bug, caught, userMs }
    const control = await runThread({ bug: undefined, grade, seeds: [caught.seed] })
    userMs += control.userMs
    if (control.caught === undefined) return { bug, caught, userMs }
    left = left.slice(left.indexOf(caught.seed) + 1)
  }
}

export function seedsUpTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1)
}

/** The worlds of the seeds, one after the other, up to the first violation. */
export function runThread(order: HuntOrder): Promise<HuntReport> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('hunt-thread.ts', import.meta.url), { workerData: order })
    const end = (): void => {
      clearTimeout(deadline)
      void worker.terminate()
    }
    const fail = (error: Error): void => {
      end()
      reject(error)
    }
    const deadline = setTimeout(() => {
      fail(new Error(`the worlds with ${order.bug ?? 'no bug'} did not end within ${maxHuntMs} ms`))
    }, maxHuntMs)
    worker.once('message', (report: HuntReport) => {
      end()
      resolve(report)
    })
    worker.once('error', fail)
  })
}
