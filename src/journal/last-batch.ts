/**
 * The last batch is written once more at open.
 *
 * After a sync that failed, the page cache shows a batch as written and clean although the disk does not have it. Only
 * the last one can be in that state. So its bytes are written again, in the same place, and synced.
 *
 * They may be acknowledged ones, and a power cut in the middle of a write may leave neither the old bytes nor the new
 * ones, even where these are the same. So there is a durable copy of them meanwhile, and an open that finds it begins
 * with putting them back.
 */

import { join } from 'node:path'
import type { Files } from '../base/files.ts'
import { temporaryCopy, writeCopy } from './copy.ts'
import {
  batchBytes,
  batchHeaderBytes,
  checksum,
  decodeBatchHeader,
  maxBatchBytes,
  type BatchHeader,
} from './format.ts'
import { isDiskFull } from './segment-supply.ts'
import type { Segment } from './segment.ts'

const savedPattern = /^saved-(\d{20}-[0-9a-f]{32})-(\d+)\.bin$/

/** Writes the batch once more. It is whole on the disk, or in a copy, at every moment. */
export async function rewriteLast(
  files: Files,
  directory: string,
  segment: Segment,
  batch: BatchHeader,
): Promise<void> {
  const file = await files.open(segment.path, 'write')
  try {
    const bytes = await file.read(batch.offset, batchBytes(batch.bodyBytes))
    const copy = join(
      directory,
      `saved-${segment.name.slice(0, -'.wal'.length)}-${batch.offset}.bin`,
    )
    const saved = await save(files, directory, copy, bytes)
    await file.writeDurably(bytes, batch.offset)
    if (saved) await removeSaved(files, directory, [copy])
  } finally {
    await file.close()
  }
}

/** Puts back what an interrupted `rewriteLast` had saved. Nothing was appended since. */
export async function restoreLast(
  files: Files,
  directory: string,
  names: readonly string[],
  segments: readonly Segment[],
): Promise<void> {
  const copies: string[] = []
  for (const name of names) {
    const [, segmentName, offset] = savedPattern.exec(name) ?? []
    const segment = segments.find(({ name }) => name === `${segmentName}.wal`)
    if (segment === undefined) continue
    const copy = join(directory, name)
    await putBack(files, copy, segment, Number(offset))
    copies.push(copy)
  }
  if (copies.length > 0) await removeSaved(files, directory, copies)
}

/** False where the disk is full: what is pending must get to the store all the same, and this one write is the risk. */
async function save(
  files: Files,
  directory: string,
  copy: string,
  bytes: Uint8Array,
): Promise<boolean> {
  try {
    await writeCopy(files, directory, copy, bytes)
    return true
  } catch (error) {
    if (!isDiskFull(error)) throw error
    await files.remove(temporaryCopy(copy))
    return false
  }
}

async function putBack(
  files: Files,
  copy: string,
  segment: Segment,
  offset: number,
): Promise<void> {
  const read = await files.read(copy, maxBatchBytes)
  const bytes = read && Buffer.from(read.buffer, read.byteOffset, read.byteLength)
  // A copy has its name only once it is whole. One that rotted since is of no use.
  if (bytes === undefined || !isWhole(bytes, segment, offset)) return
  const file = await files.open(segment.path, 'write')
  try {
    await file.writeDurably(bytes, offset)
  } finally {
    await file.close()
  }
}

function isWhole(bytes: Buffer, segment: Segment, offset: number): boolean {
  const header = decodeBatchHeader(bytes, 0, segment.header, offset)
  if (header === undefined || batchBytes(header.bodyBytes) !== bytes.length) return false
  const body = bytes.subarray(batchHeaderBytes, batchHeaderBytes + header.bodyBytes)
  return checksum(body) === header.bodyChecksum
}

/** Durably: a copy must never be found once something else may be in its place. */
async function removeSaved(
  files: Files,
  directory: string,
  copies: readonly string[],
): Promise<void> {
  for (const copy of copies) await files.remove(copy)
  await files.syncDirectory(directory)
}
