/**
 * What can happen to a journal's files behind its back: rot, and the mistakes of people and backups. All of it is to be
 * found; where it hits what means nothing (zeros, a segment that is not needed), the content must be the same.
 *
 * Left alone is the last batch that nothing follows: damage there cannot be told from a torn write. See
 * docs/guarantees.md, G9.
 */

import type { MemoryFiles } from '../src/testing/memory-files.ts'
import type { Chance } from './chance.ts'
import { batchesFrom, firstBatchOffset } from './oracle/journal-image.ts'

/** Says what it did, or undefined where there was nothing to do it to. */
export function corrupt(
  disk: MemoryFiles,
  segments: readonly string[],
  chance: Chance,
): string | undefined {
  const path = segments[chance.below(Math.max(1, segments.length))]
  if (path === undefined) return undefined
  const bytes = disk.contentOf(path)
  // Segments that begin at the same position are not in the order of their names.
  const isLast = positionOf(path) === positionOf(segments.at(-1) ?? path)
  const kind = chance.pick(['bit flip', 'lost segment', 'segment twice', 'older copy'] as const)
  switch (kind) {
    case 'bit flip': {
      const end = endOfCertain(bytes, isLast)
      let at = chance.below(end)
      // Most of a segment is zeros that mean nothing.
      for (let tries = 0; bytes[at] === 0 && tries < 50; tries++) at = chance.below(end)
      bytes[at] = (bytes[at] as number) ^ (1 << chance.below(8))
      disk.place(path, bytes)
      return kind
    }
    case 'lost segment':
      // That the last one was ever there only the database can know, where it has something of it.
      if (isLast) return undefined
      disk.erase(path)
      return kind
    case 'segment twice': {
      const copy = path.replace(/[0-9a-f]{32}\.wal$/, 'f'.repeat(32) + '.wal')
      if (copy === path) return undefined
      disk.place(copy, bytes)
      return kind
    }
    case 'older copy': {
      const batches = batchesFrom(bytes, firstBatchOffset)
      const cut = batches[chance.below(Math.max(1, batches.length - 1))]
      // Only an older copy of a full segment can be told from a crash.
      if (isLast || cut === undefined || batches.length < 2) return undefined
      bytes.fill(0, cut.end)
      disk.place(path, bytes)
      return kind
    }
  }
}

/** Where damage is found for certain: before the last batch of the last segment. */
function endOfCertain(bytes: Uint8Array, isLast: boolean): number {
  if (!isLast) return bytes.length
  return batchesFrom(bytes, firstBatchOffset).at(-2)?.end ?? firstBatchOffset
}

/** The first position that the segment may have. */
function positionOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('/') + 21)
}
