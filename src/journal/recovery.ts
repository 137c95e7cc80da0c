/**
 * From the files of a directory to a journal that can be appended to.
 *
 * Only an unacknowledged tail may be cut: what follows the last whole batch of the last segment, where nothing shows
 * that it had been durable. With one batch in flight at a time, a valid batch behind a bad one does show that; so does
 * anything beyond what one batch can reach. Everything else is damage and refused.
 *
 * Nothing here depends on having been run to its end: it can be interrupted anywhere and repeated.
 */

import { join } from 'node:path'
import type { Files } from '../base/files.ts'
import type { Logger } from '../base/log.ts'
import type { Position } from '../mutation/mutation.ts'
import { writeCopy } from './copy.ts'
import { damageError, type Damage } from './damage.ts'
import {
  batchBytes,
  checksum,
  decodeBatchHeader,
  maxBatchBytes,
  pageBytes,
  type BatchHeader,
} from './format.ts'
import { restoreLast, rewriteLast } from './last-batch.ts'
import { scanChunkBytes, SegmentWalker } from './reader.ts'
import { isSegmentName, isTemporaryName, loadSegment, lockName, type Segment } from './segment.ts'

/** Where the last segment's batches end, and what is behind that. */
export interface Tail {
  readonly end: number
  readonly link: number
  readonly nextPosition: Position
  readonly epoch: number
  readonly last: BatchHeader | undefined
  /** Bytes behind `end` that are not zero, up to the end of the last such page. */
  readonly tornBytes: number
  /** Set where what is behind `end` had been durable. */
  readonly damage: Damage | undefined
}

/** An unacknowledged tail that was cut. */
export interface CutTail {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /** Where the bytes were copied. */
  readonly copy: string
}

export interface Recovered {
  /** Oldest first; at least one. */
  readonly segments: readonly Segment[]
  /** The last of them. */
  readonly last: Segment
  readonly tail: Tail
  readonly cut: CutTail | undefined
}

export interface SegmentListing {
  readonly segments: readonly Segment[]
  /** The first problem of the headers and of how they follow each other. */
  readonly damage: Damage | undefined
}

/** Copies of cut tails that are kept. */
const maxCopies = 16
/** Names of files that keep what was cut. */
export const copyPrefixes = ['torn-', 'damaged-'] as const
const copyPattern = /^torn-\d{10}-\d+-[0-9a-f]{8}\.bin$/
const zeroPage = Buffer.alloc(pageBytes)

/** Opens what is there, or gives undefined where there is no journal yet. Throws what `damageError` makes. */
export async function recover(
  files: Files,
  directory: string,
  logger: Logger,
): Promise<Recovered | undefined> {
  const names = await files.list(directory)
  for (const name of names.filter(isTemporaryName)) await files.remove(join(directory, name))
  const { segments, damage } = await listSegments(files, directory, names)
  if (damage !== undefined) throw damageError(directory, damage)
  const last = segments.at(-1)
  if (last === undefined) {
    refuseForeign(directory, names)
    return undefined
  }
  await syncAll(files, directory, segments)
  await restoreLast(files, directory, names, segments)
  const tail = await examineTail(files, last)
  if (tail.damage !== undefined) throw damageError(directory, tail.damage)
  if (tail.last !== undefined) await rewriteLast(files, directory, last, tail.last)
  if (tail.tornBytes === 0) return { segments, last, tail, cut: undefined }
  const cut = await cutTail(files, directory, last, tail)
  logger.warn({ ...cut, position: tail.nextPosition }, 'cut an unacknowledged tail of the journal')
  return { segments, last, tail: { ...tail, tornBytes: 0 }, cut }
}

/** Reads every segment's header, and checks that they are one unbroken sequence of one journal. */
export async function listSegments(
  files: Files,
  directory: string,
  names: readonly string[],
): Promise<SegmentListing> {
  const segments: Segment[] = []
  for (const name of names.filter((name) => name.endsWith('.wal')).sort()) {
    const file = join(directory, name)
    if (!isSegmentName(name)) {
      return { segments, damage: damaged(file, 0, 'the name is not one of a segment') }
    }
    const loaded = await loadSegment(files, directory, name)
    if ('kind' in loaded) return { segments, damage: loaded }
    segments.push(loaded)
  }
  segments.sort((a, b) => a.header.ordinal - b.header.ordinal)
  for (const [index, segment] of segments.entries()) {
    const previous = segments[index - 1]
    const damage = previous && sequenceDamage(previous, segment)
    if (damage) return { segments: segments.slice(0, index), damage }
  }
  return { segments, damage: undefined }
}

/** Set where the two segments are not of one journal. */
export function foreignDamage(segment: Segment, other: Segment): Damage | undefined {
  const { journalId } = segment.header
  if (journalId === other.header.journalId) return undefined
  const reason = `it belongs to the journal ${journalId}, not to ${other.header.journalId}`
  return { kind: 'foreign', file: segment.path, offset: 0, reason }
}

function sequenceDamage(previous: Segment, segment: Segment): Damage | undefined {
  const before = previous.header
  const header = segment.header
  const foreign = foreignDamage(segment, previous)
  if (foreign !== undefined) return foreign
  if (header.ordinal !== before.ordinal + 1) {
    const reason =
      header.ordinal === before.ordinal
        ? `it is a second segment number ${header.ordinal}`
        : `segment number ${before.ordinal + 1} is missing before it`
    return damaged(segment.path, 0, reason)
  }
  const follows =
    header.previous?.segmentId === before.segmentId &&
    header.previous.end <= before.bytes &&
    header.base >= before.base &&
    header.epoch >= before.epoch &&
    header.lanes === before.lanes
  return follows ? undefined : damaged(segment.path, 0, `it does not follow ${previous.name}`)
}

/** Walks the last segment to the end of its batches, and decides what is behind it. Changes nothing. */
export async function examineTail(files: Files, segment: Segment): Promise<Tail> {
  const file = await files.open(segment.path, 'read')
  try {
    const end = segment.header.bytes
    const walker = new SegmentWalker(segment, file, { end, chunkBytes: scanChunkBytes })
    while ((await walker.next()) !== undefined);
    const tail = {
      end: walker.offset,
      link: walker.link ?? segment.header.link,
      nextPosition: walker.nextPosition,
      epoch: walker.epoch,
      last: walker.last,
      tornBytes: 0,
      damage: undefined,
    }
    if (walker.problem !== undefined) {
      return { ...tail, damage: damaged(segment.path, tail.end, walker.problem) }
    }
    let reach = maxBatchBytes
    let tornBytes = 0
    for (let offset = tail.end; offset < end; offset += scanChunkBytes) {
      const read = await file.read(offset, Math.min(scanChunkBytes, end - offset))
      const chunk = Buffer.from(read.buffer, read.byteOffset, read.byteLength)
      for (let at = 0; at < chunk.length; at += pageBytes) {
        if (chunk.compare(zeroPage, 0, pageBytes, at, at + pageBytes) === 0) continue
        const place = offset + at
        const header = decodeBatchHeader(chunk, at, segment.header, place)
        if (header !== undefined && place === tail.end) {
          reach = batchBytes(header.bodyBytes)
        } else if (header !== undefined && header.firstPosition >= tail.nextPosition) {
          const reason = `the batch is damaged, and a whole one follows at ${place}`
          return { ...tail, damage: damaged(segment.path, tail.end, reason) }
        }
        tornBytes = place + pageBytes - tail.end
        if (tornBytes > reach) {
          const reason = 'there are bytes where nothing had been written'
          return { ...tail, damage: damaged(segment.path, place, reason) }
        }
      }
    }
    return { ...tail, tornBytes }
  } finally {
    await file.close()
  }
}

/**
 * A process that was killed leaves written pages that nobody synced: what is read now must not vanish in a power cut
 * after it was served.
 */
async function syncAll(
  files: Files,
  directory: string,
  segments: readonly Segment[],
): Promise<void> {
  for (const { path } of segments) {
    const file = await files.open(path, 'write')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
  await files.syncDirectory(directory)
}

/** Keeps a copy of the torn bytes, then makes zeros of them. */
async function cutTail(
  files: Files,
  directory: string,
  segment: Segment,
  tail: Tail,
): Promise<CutTail> {
  const file = await files.open(segment.path, 'write')
  let copy: string
  try {
    const bytes = await file.read(tail.end, tail.tornBytes)
    // Named for its content, a copy that is already there is the one that an interrupted open has made.
    const epoch = String(tail.epoch).padStart(10, '0')
    const content = checksum(bytes).toString(16).padStart(8, '0')
    copy = join(directory, `torn-${epoch}-${tail.end}-${content}.bin`)
    if ((await files.size(copy)) === undefined) await writeCopy(files, directory, copy, bytes)
    await file.zeroFill(tail.end, tail.tornBytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await removeOldCopies(files, directory)
  return { file: segment.path, offset: tail.end, bytes: tail.tornBytes, copy }
}

async function removeOldCopies(files: Files, directory: string): Promise<void> {
  const copies = (await files.list(directory)).filter((name) => copyPattern.test(name)).sort()
  for (const name of copies.slice(0, -maxCopies)) await files.remove(join(directory, name))
}

/** A journal is only begun in a directory that has nothing else in it. */
function refuseForeign(directory: string, names: readonly string[]): void {
  const foreign = names.find(
    (name) => name !== lockName && !name.startsWith('.') && !isTemporaryName(name),
  )
  if (foreign === undefined) return
  const reason = 'the directory holds files, but no journal'
  throw damageError(directory, {
    kind: 'foreign',
    file: join(directory, foreign),
    offset: 0,
    reason,
  })
}

function damaged(file: string, offset: number, reason: string): Damage {
  return { kind: 'damaged', file, offset, reason }
}
