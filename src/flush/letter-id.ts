/**
 * The name of a dead letter: `3-120` is the mutation at position 120 of lane 3. A retry that is refused again is a new
 * letter at a new position, which keeps its place in the key's order: `3-240.120`.
 */

import type { Entry, Position } from '../mutation/mutation.ts'

export function letterId(entry: Entry): string {
  const id = `${entry.lane}-${entry.position}`
  return entry.retryOf === undefined ? id : `${id}.${letterOrigin(entry.retryOf)}`
}

/** Where the mutation first stood in the journal. */
export function letterOrigin(id: string): Position {
  return Number(id.slice(Math.max(id.indexOf('-'), id.indexOf('.')) + 1))
}

/** Where the mutation stood when it became this letter. */
export function letterPosition(id: string): Position {
  return Number.parseInt(id.slice(id.indexOf('-') + 1), 10)
}

export function letterLane(id: string): number {
  return Number.parseInt(id, 10)
}
