/**
 * The bytes of a journal's files; docs/journal-format.md says the same in prose. All numbers are little-endian.
 *
 *     segment   ┌ header ┬ batch ┬ batch ┬ … ┬ zeros, never written ┐      every part starts on a page of 4 KiB
 *
 *     segment header (one page)                     batch header (96 bytes), then the body, then zeros to the page's end
 *       0   8  magic "DAYBOOK\n"                      0  u32  magic "BTCH"
 *       8  u32 format version                         4  u32  CRC-32 of bytes 8 to 95; the batch's link
 *      12  u32 CRC-32 of the page without itself      8  16   journal id
 *      16  u32 checksum algorithm: 1 is CRC-32       24  16   segment id
 *      20  u32 lanes                                 40  u64  offset of this header in the segment
 *      24  16  journal id                            48  u64  position of the first record
 *      40  16  segment id                            56  u32  epoch
 *      56  u64 ordinal: 1, 2, 3 …                    60  u32  kind: 1 data, 2 seal
 *      64  u64 base: no record is below it           64  u32  count of records
 *      72  u64 size of the segment in bytes          68  u32  length of the body
 *      80  u32 epoch                                 72  u32  CRC-32 of the body
 *      84  u32 link of the last batch before         76  u32  link of the batch before (the segment header's CRC
 *      88  u64 where that one's segment ended                 for the first)
 *      96  16  id of that segment, or zeros          80  16   zeros
 *
 * The ids and the offset make a batch valid at one place only, and the links make it valid after one predecessor only.
 */

import { crc32 } from 'node:zlib'
import type { Position } from '../mutation/mutation.ts'

/** 2: records of kind `text`. Segments of version 1 are read, and continued by one of version 2. */
export const formatVersion = 2
/** What is written later never shares a page with what was acknowledged. */
export const pageBytes = 4096
export const batchHeaderBytes = 96
export const maxLanes = 65_535
/** What one append may take, as a batch of its own, header included. */
export const maxBatchBytes = 16 << 20

/**
 * Positions, ordinals and epochs stay below these. A header that says more was not written by a journal, and counting on
 * from there would leave what numbers can hold.
 */
const maxPosition = 2 ** 52
const maxEpoch = 2 ** 32 - 1

const segmentMagic = Buffer.from('DAYBOOK\n', 'latin1')
const batchMagic = 0x48435442
const crc32Algorithm = 1

export interface SegmentHeader {
  readonly version: number
  readonly lanes: number
  readonly journalId: string
  readonly segmentId: string
  readonly ordinal: number
  readonly base: Position
  readonly bytes: number
  readonly epoch: number
  /** How the segment before ended; undefined in a journal's first one. */
  readonly previous: PreviousSegment | undefined
  /** This header's checksum: what the first batch links to. */
  readonly link: number
}

export interface PreviousSegment {
  readonly segmentId: string
  readonly end: number
  readonly link: number
}

export type BatchKind = 'data' | 'seal'

export interface BatchHeader {
  readonly offset: number
  readonly firstPosition: Position
  readonly epoch: number
  readonly kind: BatchKind
  readonly count: number
  readonly bodyBytes: number
  readonly bodyChecksum: number
  readonly previousLink: number
  readonly link: number
}

export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / pageBytes) * pageBytes
}

/** Bytes that a batch takes in its segment. */
export function batchBytes(bodyBytes: number): number {
  return pagesFor(batchHeaderBytes + bodyBytes)
}

export function lastPositionOf(batch: BatchHeader): Position {
  return batch.firstPosition + batch.count - 1
}

export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version' | 'link'>): Buffer {
  const page = Buffer.alloc(pageBytes)
  segmentMagic.copy(page)
  page.writeUInt32LE(formatVersion, 8)
  page.writeUInt32LE(crc32Algorithm, 16)
  page.writeUInt32LE(header.lanes, 20)
  writeId(page, header.journalId, 24)
  writeId(page, header.segmentId, 40)
  writeU64(page, header.ordinal, 56)
  writeU64(page, header.base, 64)
  writeU64(page, header.bytes, 72)
  page.writeUInt32LE(header.epoch, 80)
  if (header.previous !== undefined) {
    page.writeUInt32LE(header.previous.link, 84)
    writeU64(page, header.previous.end, 88)
    writeId(page, header.previous.segmentId, 96)
  }
  page.writeUInt32LE(segmentChecksum(page), 12)
  return page
}

/**
 * `damaged`: not a header, or not as it was written. `newer`: intact, but of a version that this code does not know;
 * magic, version and checksum keep their places in every version.
 */
export function decodeSegmentHeader(page: Buffer): SegmentHeader | 'damaged' | 'newer' {
  if (page.length < pageBytes || !page.subarray(0, 8).equals(segmentMagic)) return 'damaged'
  const link = page.readUInt32LE(12)
  if (link !== segmentChecksum(page)) return 'damaged'
  const version = page.readUInt32LE(8)
  if (version > formatVersion || page.readUInt32LE(16) !== crc32Algorithm) return 'newer'
  const ordinal = readU64(page, 56)
  const header = {
    version,
    lanes: page.readUInt32LE(20),
    journalId: readId(page, 24),
    segmentId: readId(page, 40),
    ordinal,
    base: readU64(page, 64),
    bytes: readU64(page, 72),
    epoch: page.readUInt32LE(80),
    previous:
      ordinal === 1
        ? undefined
        : { link: page.readUInt32LE(84), end: readU64(page, 88), segmentId: readId(page, 96) },
    link,
  }
  const possible =
    header.lanes >= 1 &&
    header.lanes <= maxLanes &&
    ordinal >= 1 &&
    ordinal < maxPosition &&
    header.base >= 1 &&
    header.base < maxPosition &&
    header.epoch < maxEpoch
  return possible ? header : 'damaged'
}

/** Whose batches are read or written. */
export interface BatchScope {
  readonly journalId: string
  readonly segmentId: string
}

export function encodeBatchHeader(
  target: Buffer,
  scope: BatchScope,
  header: Omit<BatchHeader, 'link'>,
): BatchHeader {
  target.fill(0, 0, batchHeaderBytes)
  target.writeUInt32LE(batchMagic, 0)
  writeId(target, scope.journalId, 8)
  writeId(target, scope.segmentId, 24)
  writeU64(target, header.offset, 40)
  writeU64(target, header.firstPosition, 48)
  target.writeUInt32LE(header.epoch, 56)
  target.writeUInt32LE(header.kind === 'data' ? 1 : 2, 60)
  target.writeUInt32LE(header.count, 64)
  target.writeUInt32LE(header.bodyBytes, 68)
  target.writeUInt32LE(header.bodyChecksum, 72)
  target.writeUInt32LE(header.previousLink, 76)
  const link = crc32(target.subarray(8, batchHeaderBytes))
  target.writeUInt32LE(link, 4)
  return { ...header, link }
}

/** The header at `at` of `bytes`, which is at `offset` of its segment; undefined where there is no valid one. */
export function decodeBatchHeader(
  bytes: Buffer,
  at: number,
  scope: BatchScope,
  offset: number,
): BatchHeader | undefined {
  if (at + batchHeaderBytes > bytes.length || bytes.readUInt32LE(at) !== batchMagic)
    return undefined
  const link = bytes.readUInt32LE(at + 4)
  if (crc32(bytes.subarray(at + 8, at + batchHeaderBytes)) !== link) return undefined
  if (readId(bytes, at + 8) !== scope.journalId) return undefined
  if (readId(bytes, at + 24) !== scope.segmentId) return undefined
  if (readU64(bytes, at + 40) !== offset) return undefined
  const kind = bytes.readUInt32LE(at + 60)
  if (kind !== 1 && kind !== 2) return undefined
  return {
    offset,
    firstPosition: readU64(bytes, at + 48),
    epoch: bytes.readUInt32LE(at + 56),
    kind: kind === 1 ? 'data' : 'seal',
    count: bytes.readUInt32LE(at + 64),
    bodyBytes: bytes.readUInt32LE(at + 68),
    bodyChecksum: bytes.readUInt32LE(at + 72),
    previousLink: bytes.readUInt32LE(at + 76),
    link,
  }
}

/** False for what no journal has written, whatever the checksums say. */
export function isPossible(batch: BatchHeader): boolean {
  return batch.firstPosition >= 1 && lastPositionOf(batch) < maxPosition && batch.epoch < maxEpoch
}

export function checksum(bytes: Uint8Array): number {
  return crc32(bytes)
}

function segmentChecksum(page: Buffer): number {
  return crc32(page.subarray(16, pageBytes), crc32(page.subarray(0, 12)))
}

/** Ids are UUIDs, 16 bytes. */
function writeId(target: Buffer, id: string, offset: number): void {
  target.write(id.replaceAll('-', ''), offset, 16, 'hex')
}

function readId(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + 16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}

/** Positions and sizes stay below 2^53. */
function writeU64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32LE(value >>> 0, offset)
  target.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4)
}

function readU64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 2 ** 32
}
