/**
 * Cuts a damaged journal at its first damage: the last resort, when no copy of the files is left.
 *
 * What is cut had been acknowledged. So nothing happens before the caller names the position from which on everything
 * is given up, and all of it is kept aside. New writes get positions beyond those that were lost.
 */

import { join } from 'node:path'
import { DaybookError } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { Position } from '../mutation/mutation.ts'
import { writeCopy } from './copy.ts'
import { damageError, type Damage } from './damage.ts'
import {
  batchHeaderBytes,
  checksum,
  decodeBatchHeader,
  encodeBatchHeader,
  lastPositionOf,
  pageBytes,
} from './format.ts'
import { restoreLast } from './last-batch.ts'
import { scanChunkBytes, SegmentWalker } from './reader.ts'
import { foreignDamage, listSegments } from './recovery.ts'
import { lockName, lockedError, loadSegment, type Segment } from './segment.ts'
import { verifyJournal } from './verify.ts'

export interface RepairOptions {
  /** The first position that is given up, as the plan says it. undefined: only the plan is made. */
  readonly acceptLossFrom?: Position | undefined
}

export interface RepairReport {
  /** undefined where there is nothing to repair. */
  readonly damage: Damage | undefined
  /** All records from here on are given up. */
  readonly firstLost: Position
  /** Of those, the ones in batches whose header is whole. */
  readonly lostRecords: number
  /** The newest position that any whole header names. */
  readonly lastLost: Position
  /** False where it is only a plan. */
  readonly repaired: boolean
  /** Where everything that was cut is kept. */
  readonly copies: readonly string[]
}

interface Cut {
  readonly damage: Damage
  /** Becomes the last one. */
  readonly segment: Segment
  readonly offset: number
  readonly link: number
  readonly epoch: number
  readonly firstLost: Position
  readonly lostRecords: number
  readonly lastLost: Position
  /** Names of the segment files behind it, newest first. */
  readonly behind: readonly string[]
}

/**
 * Repairs, or plans to. Throws JOURNAL_LOCKED while the journal is open, INVALID_OPTION where `acceptLossFrom` is not
 * the first lost position, and the damage itself where it cannot be cut away: a foreign or newer segment, or no
 * whole one before it. It can be interrupted and repeated.
 */
export async function repairJournal(
  directory: string,
  files: Files,
  options: RepairOptions = {},
): Promise<RepairReport> {
  const lock = await files.lock(join(directory, lockName))
  if (lock === undefined) throw lockedError(directory)
  try {
    const cut = await findCut(directory, files)
    if (cut === undefined) return nothingToRepair
    const { damage, firstLost, lostRecords, lastLost } = cut
    const plan = { damage, firstLost, lostRecords, lastLost, repaired: false, copies: [] }
    if (options.acceptLossFrom === undefined) return plan
    if (options.acceptLossFrom !== firstLost) {
      throw new DaybookError(
        'INVALID_OPTION',
        `The first position that would be lost is ${firstLost}, not ${options.acceptLossFrom}.`,
        { details: { path: 'acceptLossFrom', firstLost, lostRecords } },
      )
    }
    return { ...plan, repaired: true, copies: await makeCut(directory, files, cut) }
  } finally {
    await lock.release()
  }
}

const nothingToRepair: RepairReport = {
  damage: undefined,
  firstLost: 0,
  lostRecords: 0,
  lastLost: 0,
  repaired: false,
  copies: [],
}

async function findCut(directory: string, files: Files): Promise<Cut | undefined> {
  await restoreSaved(directory, files)
  const { damage, segments: reports } = await verifyJournal(directory, files)
  if (damage === undefined) return undefined
  const names = await files.list(directory)
  const { segments } = await listSegments(files, directory, names)
  const segment = segments[reports.length - 1]
  if (segment === undefined || damage.kind !== 'damaged') throw damageError(directory, damage)
  const end = await endBefore(files, segment, damage)
  const behind = await segmentsBehind(files, directory, names, segments.slice(0, reports.length))
  // Which of two journals is the right one is not for a repair to decide.
  for (const { segment: other } of behind) {
    const foreign = other && foreignDamage(other, segment)
    if (foreign !== undefined) throw damageError(directory, foreign)
  }
  let lostRecords = 0
  let lastLost = end.firstLost - 1
  const lose = (count: number, position: Position): void => {
    lostRecords += count
    lastLost = Math.max(lastLost, position)
  }
  await visitHeaders(files, segment, end.offset, lose)
  for (const { segment } of behind) if (segment) await visitHeaders(files, segment, pageBytes, lose)
  return {
    damage,
    segment,
    ...end,
    lostRecords,
    lastLost,
    behind: behind.map(({ name }) => name),
  }
}

/** What an interrupted open was writing is no damage; and behind a cut it would be one. */
async function restoreSaved(directory: string, files: Files): Promise<void> {
  const names = await files.list(directory)
  const { segments } = await listSegments(files, directory, names)
  await restoreLast(files, directory, names, segments)
}

/** Where the whole batches of the segment end: at the damage, or at a later segment's. */
async function endBefore(
  files: Files,
  segment: Segment,
  damage: Damage,
): Promise<Pick<Cut, 'offset' | 'link' | 'epoch' | 'firstLost'>> {
  const here = damage.file === segment.path
  const end = here ? Math.max(pageBytes, damage.offset) : segment.header.bytes
  const walker = await SegmentWalker.open(files, segment, { end, chunkBytes: scanChunkBytes })
  try {
    while ((await walker.next()) !== undefined);
    const { offset, link, epoch, nextPosition } = walker
    return { offset, link: link ?? segment.header.link, epoch, firstLost: nextPosition }
  } finally {
    await walker.close()
  }
}

/** All other segment files, newest first; those without a whole header first of all. */
async function segmentsBehind(
  files: Files,
  directory: string,
  names: readonly string[],
  kept: readonly Segment[],
): Promise<{ name: string; segment: Segment | undefined }[]> {
  const behind: { name: string; segment: Segment | undefined }[] = []
  for (const name of names) {
    if (!name.endsWith('.wal') || kept.some((segment) => segment.name === name)) continue
    const loaded = await loadSegment(files, directory, name)
    behind.push({ name, segment: 'kind' in loaded ? undefined : loaded })
  }
  const ordinalOf = ({ segment }: { segment: Segment | undefined }): number =>
    segment?.header.ordinal ?? Infinity
  return behind.sort((a, b) => ordinalOf(b) - ordinalOf(a) || (a.name < b.name ? 1 : -1))
}

/** Every whole batch header at or behind an offset, whether what is before it is whole or not. */
async function visitHeaders(
  files: Files,
  segment: Segment,
  from: number,
  visit: (count: number, lastPosition: Position) => void,
): Promise<void> {
  const file = await files.open(segment.path, 'read')
  try {
    for (let offset = from; offset < segment.header.bytes; offset += scanChunkBytes) {
      const read = await file.read(offset, scanChunkBytes)
      const chunk = Buffer.from(read.buffer, read.byteOffset, read.byteLength)
      for (let at = 0; at < chunk.length; at += pageBytes) {
        const header = decodeBatchHeader(chunk, at, segment.header, offset + at)
        if (header !== undefined) visit(header.count, lastPositionOf(header))
      }
    }
  } finally {
    await file.close()
  }
}

async function makeCut(directory: string, files: Files, cut: Cut): Promise<string[]> {
  const { segment, offset, behind } = cut
  const copies: string[] = []
  const file = await files.open(segment.path, 'write')
  try {
    const bytes = await file.read(offset, segment.header.bytes - offset)
    if (bytes.some((byte) => byte !== 0)) {
      const content = checksum(bytes).toString(16).padStart(8, '0')
      const copy = join(directory, `damaged-${segment.name}-${offset}-${content}.bin`)
      if ((await files.size(copy)) === undefined) await writeCopy(files, directory, copy, bytes)
      copies.push(copy)
    }
    // Newest first: after each step what is left is still a sequence, with the damage at its end.
    for (const name of behind) {
      const copy = join(directory, `damaged-${name}.bin`)
      await files.rename(join(directory, name), copy)
      await files.syncDirectory(directory)
      copies.push(copy)
    }
    await file.zeroFill(offset, segment.header.bytes - offset)
    await file.sync()
    await sealBeyondLoss(file, cut)
  } finally {
    await file.close()
  }
  return copies
}

/**
 * The store may have mutations that were lost here: positions go on beyond them, so that none is used twice. Where no
 * page is left the next segment begins at the first lost one.
 */
async function sealBeyondLoss(
  file: { writeDurably(bytes: Uint8Array, offset: number): Promise<void> },
  { segment, offset, link, epoch, lastLost, firstLost }: Cut,
): Promise<void> {
  if (offset + pageBytes > segment.header.bytes) return
  const page = Buffer.alloc(pageBytes)
  encodeBatchHeader(page, segment.header, {
    offset,
    firstPosition: Math.max(firstLost, lastLost + 1),
    epoch,
    kind: 'seal',
    count: 0,
    bodyBytes: 0,
    bodyChecksum: checksum(page.subarray(batchHeaderBytes, batchHeaderBytes)),
    previousLink: link,
  })
  await file.writeDurably(page, offset)
}
