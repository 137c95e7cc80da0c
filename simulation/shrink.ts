/**
 * Makes a failing world smaller: fewer kinds of faults, then fewer operations, as long as the same checker complains.
 * Operations go in ever smaller pieces, after Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
 * IEEE Transactions on Software Engineering, 2002.
 */

import { swarmOf, type Grade } from './swarm.ts'
import type { Operation } from './workload.ts'
import { runWorld } from './world.ts'
import { sqliteDirectory } from './seeds.ts'

export interface Shrunk {
  /** Kinds that the failure does not need. */
  readonly without: readonly string[]
  /** Kinds that it does. */
  readonly needed: readonly string[]
  readonly operations: readonly Operation[]
  readonly message: string
  readonly worlds: number
}

/** Worlds that are tried at most. */
const maxWorlds = 400

export async function shrink(seed: number, grade: Grade, checker: string): Promise<Shrunk> {
  let worlds = 0
  let message = ''
  const without = new Set<string>()
  const all = swarmOf(seed, grade)
  let operations = all.operations.map(({ id }) => id)

  const fails = async (kept: readonly number[], left: ReadonlySet<string>): Promise<boolean> => {
    if (worlds >= maxWorlds) return false
    worlds++
    const skip = new Set(all.operations.map(({ id }) => id).filter((id) => !kept.includes(id)))
    const report = await runWorld(swarmOf(seed, grade, left), {
      skip,
      sqliteDirectory: sqliteDirectory(),
    })
    if (report.violation?.checker !== checker) return false
    message = report.violation.message
    return true
  }

  await fails(operations, without)
  for (const kind of all.active) {
    without.add(kind)
    if (!(await fails(operations, without))) without.delete(kind)
  }
  for (let size = Math.ceil(operations.length / 2); size >= 1;) {
    let shorter = false
    for (let at = 0; at < operations.length; at += size) {
      const rest = operations.filter((_, index) => index < at || index >= at + size)
      if (!(await fails(rest, without))) continue
      operations = rest
      shorter = true
      at -= size
    }
    if (!shorter || size > operations.length) size = size === 1 ? 0 : Math.ceil(size / 2)
  }
  return {
    without: [...without],
    needed: all.active.filter((kind) => !without.has(kind)),
    operations: all.operations.filter(({ id }) => operations.includes(id)),
    message,
    worlds,
  }
}
