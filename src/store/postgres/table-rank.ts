/** The order of tables in a transaction: a table that others refer to ranks before them. */

import type { Connection } from './connection.ts'

/** From a referring table to the one that it refers to, by oid. */
export type Reference = readonly [child: string, parent: string]

/** Above every oid: the level decides, and the oid makes the rank unique. */
const levelStep = 2 ** 32

/** Unique in the database. Tables that refer to each other in a circle have one level. */
export async function tableRank(
  connection: Connection,
  oid: string,
  signal: AbortSignal,
): Promise<number> {
  // A partition's own copies of its table's foreign keys say nothing new.
  const [result] = await connection.query(
    `SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND conparentid = 0`,
    signal,
  )
  const references = (result?.rows ?? []).map(([child, parent]): Reference => [
    child ?? '',
    parent ?? '',
  ])
  return referenceLevel(references, oid) * levelStep + Number(oid)
}

/** How many steps of parents lie below a table, where those in a circle count as one. */
export function referenceLevel(references: readonly Reference[], table: string): number {
  const parents = new Map<string, Set<string>>()
  for (const [child, parent] of references) {
    if (!parents.has(child)) parents.set(child, new Set())
    if (child !== parent) parents.get(child)?.add(parent)
  }
  return levelOf(table, parents, new Map())
}

function levelOf(
  table: string,
  parents: ReadonlyMap<string, ReadonlySet<string>>,
  known: Map<string, number>,
): number {
  const found = known.get(table)
  if (found !== undefined) return found
  const circle = circleOf(table, parents)
  let level = 0
  for (const member of circle) {
    for (const parent of parents.get(member) ?? []) {
      if (!circle.has(parent)) level = Math.max(level, levelOf(parent, parents, known) + 1)
    }
  }
  for (const member of circle) known.set(member, level)
  return level
}

/** The table itself, and all that it reaches by its parents and that reach it. */
function circleOf(table: string, parents: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const above = reachable(table, parents)
  return new Set([table, ...[...above].filter((other) => reachable(other, parents).has(table))])
}

function reachable(table: string, parents: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  const found = new Set<string>()
  const open = [table]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const parent of parents.get(next) ?? []) {
      if (found.has(parent)) continue
      found.add(parent)
      open.push(parent)
    }
  }
  return found
}
