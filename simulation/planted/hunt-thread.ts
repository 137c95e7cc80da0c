/** A thread whose engine has one planted bug, or none: runs worlds, and stops at the first violation. */

import { parentPort, workerData } from 'node:worker_threads'
import { plantedBugs } from './bugs.ts'
import type { HuntOrder, HuntReport } from './hunt.ts'
import { plant } from './planting.ts'

const { bug: name, grade, seeds } = workerData as HuntOrder
if (name !== undefined) plant(bugNamed(name))
// Only now: a file that is loaded before the planting has no bug.
const { sqliteDirectory } = await import('../seeds.ts')
const { swarmOf } = await import('../swarm.ts')
const { runWorld } = await import('../world.ts')

// Errors are made by the thousand, and nobody reads where they come from.
Error.stackTraceLimit = 0
parentPort?.postMessage(await run())

async function run(): Promise<HuntReport> {
  for (const seed of seeds) {
    const { violation } = await runWorld(swarmOf(seed, grade), {
      sqliteDirectory: sqliteDirectory(),
    })
    if (violation === undefined) continue
    const { checker, message } = violation
    return { caught: { seed, checker, message }, userMs: userMs() }
  }
  return { caught: undefined, userMs: userMs() }
}

function bugNamed(wanted: string): (typeof plantedBugs)[number] {
  const bug = plantedBugs.find((one) => one.name === wanted)
  if (bug === undefined) throw new Error(`there is no planted bug ${wanted}`)
  return bug
}

function userMs(): number {
  return process.threadCpuUsage().user / 1000
}
