/**
 * Reads a whole journal without changing or locking anything: for the command line, beside a running application too.
 */

import { join } from 'node:path'
import type { Files } from '../base/files.ts'
import { hashText } from '../base/hash.ts'
import { entryHash } from '../mutation/entry-hash.ts'
import type { Position } from '../mutation/mutation.ts'
import { decodeRecord, visitRecords } from '../mutation/record.ts'
import { reasonOf } from '../base/errors.ts'
import type { Damage } from './damage.ts'
import { scanChunkBytes, SegmentWalker, type Batch } from './reader.ts'
import { copyPrefixes, examineTail, listSegments } from './recovery.ts'
import type { Segment } from './segment.ts'

export interface SegmentReport {
  readonly file: string
  readonly ordinal: number
  readonly epoch: number
  readonly base: Position
  readonly bytes: number
  /** Header and batches. */
  readonly usedBytes: number
  readonly batches: number
  readonly seals: number
  readonly records: number
  /** undefined where it has no records. */
  readonly firstPosition: Position | undefined
  readonly lastPosition: Position | undefined
}

export interface JournalReport {
  readonly directory: string
  /** undefined where there is no journal, or its first header cannot be read. */
  readonly journalId: string | undefined
  readonly lanes: number
  readonly epoch: number
  readonly bytes: number
  readonly records: number
  readonly recordsByLane: readonly number[]
  readonly oldestPosition: Position
  readonly lastPosition: Position
  /** Up to the first damage. */
  readonly segments: readonly SegmentReport[]
  /** What the next open would cut: a batch that was never acknowledged, or one that is just being written. */
  readonly tornBytes: number
  /** The first damage; undefined where the journal is whole. */
  readonly damage: Damage | undefined
  /** Copies of what was cut before. */
  readonly copies: readonly string[]
}

/** A writer beside this reader makes files come and go, and fills what was just read as empty. */
const attempts = 5

/** Segments, positions, batches and counts per lane. Every checksum is checked, no record is decoded. */
export function inspectJournal(directory: string, files: Files): Promise<JournalReport> {
  return examine(directory, files, countRecords)
}

/** The same, and every record is decoded, and its place among the lanes checked. */
export function verifyJournal(directory: string, files: Files): Promise<JournalReport> {
  return examine(directory, files, checkRecords)
}

/** Counts a batch's records by lane. Returns what is wrong with them. */
type BatchCheck = (batch: Batch, recordsByLane: number[]) => string | undefined

async function examine(directory: string, files: Files, check: BatchCheck): Promise<JournalReport> {
  for (let attempt = 1; ; attempt++) {
    try {
      const report = await examineOnce(directory, files, check)
      if (report.damage === undefined || attempt === attempts) return report
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === attempts) throw error
    }
  }
}

async function examineOnce(
  directory: string,
  files: Files,
  check: BatchCheck,
): Promise<JournalReport> {
  const names = await files.list(directory)
  const { segments, damage: listingDamage } = await listSegments(files, directory, names)
  const first = segments[0]?.header
  const recordsByLane = new Array<number>(first?.lanes ?? 0).fill(0)
  const reports: SegmentReport[] = []
  let damage: Damage | undefined
  for (const [index, segment] of segments.entries()) {
    const walked = await walkSegment(files, segment, segments[index + 1], (batch) =>
      check(batch, recordsByLane),
    )
    reports.push(walked.report)
    damage = walked.damage
    if (damage !== undefined) break
  }
  const last = segments.at(-1)
  let tornBytes = 0
  if (damage === undefined && last !== undefined && listingDamage === undefined) {
    const tail = await examineTail(files, last)
    tornBytes = tail.tornBytes
    damage = tail.damage
  }
  const newest = reports.findLast(({ lastPosition }) => lastPosition !== undefined)
  return {
    directory,
    journalId: first?.journalId,
    lanes: first?.lanes ?? 0,
    epoch: last?.header.epoch ?? 0,
    bytes: segments.reduce((bytes, { header }) => bytes + header.bytes, 0),
    records: reports.reduce((records, report) => records + report.records, 0),
    recordsByLane,
    oldestPosition: first?.base ?? 1,
    lastPosition: newest?.lastPosition ?? (last?.header.base ?? 1) - 1,
    segments: reports,
    tornBytes,
    damage: damage ?? listingDamage,
    copies: names
      .filter((name) => copyPrefixes.some((prefix) => name.startsWith(prefix)))
      .sort()
      .map((name) => join(directory, name)),
  }
}

/** Walks one segment to where its successor says that it ends, or to the first batch that is not whole. */
async function walkSegment(
  files: Files,
  segment: Segment,
  next: Segment | undefined,
  check: (batch: Batch) => string | undefined,
): Promise<{ report: SegmentReport; damage: Damage | undefined }> {
  const end = next?.header.previous?.end ?? segment.header.bytes
  const lastPosition = next === undefined ? undefined : next.header.base - 1
  const range = { end, chunkBytes: scanChunkBytes, lastPosition }
  const walker = await SegmentWalker.open(files, segment, range)
  let [batches, seals, records] = [0, 0, 0]
  let firstPosition: Position | undefined
  let reason: string | undefined
  let offset = walker.offset
  try {
    for (let batch; reason === undefined && (batch = await walker.next()) !== undefined;) {
      const { count, firstPosition: position, kind } = batch.header
      offset = batch.header.offset
      batches++
      if (kind === 'seal') seals++
      records += count
      if (count > 0) firstPosition ??= position
      reason = check(batch)
    }
    if (reason === undefined) offset = walker.offset
    if (reason === undefined && next !== undefined) {
      const { previous } = next.header
      const whole =
        walker.stopped === undefined && walker.offset === end && walker.link === previous?.link
      if (!whole) reason = walker.problem ?? 'the batch is damaged, and a later segment follows'
    }
  } finally {
    await walker.close()
  }
  const damage: Damage | undefined =
    reason === undefined ? undefined : { kind: 'damaged', file: segment.path, offset, reason }
  const { ordinal, epoch, base, bytes } = segment.header
  const report: SegmentReport = {
    file: segment.path,
    ordinal,
    epoch,
    base,
    bytes,
    usedBytes: walker.offset,
    batches,
    seals,
    records,
    firstPosition,
    lastPosition: firstPosition === undefined ? undefined : walker.nextPosition - 1,
  }
  return { report, damage }
}

function countRecords({ header, body }: Batch, recordsByLane: number[]): string | undefined {
  visitRecords(body, 0, body.length, header.firstPosition, (_position, lane) => {
    recordsByLane[lane] = (recordsByLane[lane] ?? 0) + 1
  })
  return undefined
}

function checkRecords({ header, body }: Batch, recordsByLane: number[]): string | undefined {
  let position = header.firstPosition
  for (let at = 0; at < body.length; position++) {
    try {
      const { cache, key, hash, lane, bytes } = decodeRecord(body, at, position)
      if (hash !== entryHash(hashText(cache), hashText(key))) {
        return `the record at position ${position} has another key’s hash`
      }
      recordsByLane[lane] = (recordsByLane[lane] ?? 0) + 1
      at += bytes
    } catch (error) {
      return `the record at position ${position} cannot be read: ${reasonOf(error)}`
    }
  }
  return undefined
}
