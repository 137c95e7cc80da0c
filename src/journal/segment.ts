/**
 * Segments as files: their names, how one comes into being, and how one is known again.
 *
 * A segment is zero-filled and synced under a temporary name, gets its header, and only then its own name, durable by a
 * sync of the directory, before the first batch is written. So a file under a segment's name is always whole, and one
 * under a temporary name never holds anything acknowledged. Files are never reused.
 */

import { firstWhere } from '../base/binary-search.ts'
import { join } from 'node:path'
import { DaybookError } from '../base/errors.ts'
import type { Damage } from './damage.ts'
import type { File, Files } from '../base/files.ts'
import type { Position } from '../mutation/mutation.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  pageBytes,
  type SegmentHeader,
} from './format.ts'

export const lockName = 'lock'
const segmentPattern = /^\d{20}-[0-9a-f]{32}\.wal$/
const temporaryPattern = /^preparing-[0-9a-f-]{36}\.tmp$|^(torn|damaged|saved)-.*\.tmp$/
const fillBytes = 4 << 20

export function lockedError(directory: string): DaybookError {
  return new DaybookError('JOURNAL_LOCKED', `${directory} is open in another daybook.`, {
    details: { directory },
    hint: 'Close the other one, or give this one a directory of its own.',
  })
}

/** A segment that is known by its header. */
export interface Segment {
  readonly path: string
  readonly name: string
  readonly header: SegmentHeader
  /** Where batches start, sparsely, in order: for finding a position without walking the whole segment. */
  readonly index: BatchIndex
}

/** Every `stepBytes` of a segment, where a batch starts and which position it starts with. */
export class BatchIndex {
  readonly #positions: Position[] = []
  readonly #offsets: number[] = []

  get empty(): boolean {
    return this.#offsets.length === 0
  }

  add(firstPosition: Position, offset: number): void {
    const last = this.#offsets.at(-1)
    if (last !== undefined && offset < last + BatchIndex.#stepBytes) return
    this.#positions.push(firstPosition)
    this.#offsets.push(offset)
  }

  /** Where to start walking to reach the batch with this position. */
  offsetOf(position: Position): number {
    const positions = this.#positions
    const beyond = firstWhere(positions.length, (at) => (positions[at] ?? 0) > position)
    return this.#offsets[beyond - 1] ?? pageBytes
  }

  static readonly #stepBytes = 64 << 10
}

/** A zero-filled file under a temporary name. */
export interface PreparedSegment {
  readonly path: string
  readonly id: string
  readonly bytes: number
  readonly file: File
}

export function segmentName(base: Position, id: string): string {
  return `${String(base).padStart(20, '0')}-${id.replaceAll('-', '')}.wal`
}

export function isSegmentName(name: string): boolean {
  return segmentPattern.test(name)
}

/** Made by a step that did not come to its end: never holds anything acknowledged. */
export function isTemporaryName(name: string): boolean {
  return temporaryPattern.test(name)
}

/** Makes a zero-filled, synced file. Removes it again and throws where that fails or `cancelled` says so. */
export async function prepareSegment(
  files: Files,
  directory: string,
  id: string,
  bytes: number,
  cancelled: () => boolean,
): Promise<PreparedSegment> {
  const path = join(directory, `preparing-${id}.tmp`)
  const file = await files.open(path, 'create')
  try {
    for (let offset = 0; offset < bytes; offset += fillBytes) {
      if (cancelled()) throw new DaybookError('CLOSED', 'The journal was closed.')
      await file.zeroFill(offset, Math.min(fillBytes, bytes - offset))
    }
    await file.sync()
    return { path, id, bytes, file }
  } catch (error) {
    await discardSegment(files, { path, id, bytes, file })
    throw error
  }
}

/** Closes and removes a prepared file. A failure is of no consequence: the next open removes it. */
export async function discardSegment(files: Files, prepared: PreparedSegment): Promise<void> {
  await Promise.allSettled([prepared.file.close(), files.remove(prepared.path)])
}

/** Gives a prepared file its header, durably, and then its name, which only a sync of the directory makes durable. */
export async function publishSegment(
  files: Files,
  directory: string,
  prepared: PreparedSegment,
  fields: Omit<SegmentHeader, 'version' | 'link' | 'segmentId' | 'bytes'>,
): Promise<Segment> {
  const page = encodeSegmentHeader({ ...fields, segmentId: prepared.id, bytes: prepared.bytes })
  const header = decodeSegmentHeader(page)
  if (typeof header === 'string') throw new Error('a header that was just encoded is intact')
  await prepared.file.writeDurably(page, 0)
  const name = segmentName(fields.base, prepared.id)
  const path = join(directory, name)
  await files.rename(prepared.path, path)
  return { path, name, header, index: new BatchIndex() }
}

/** Reads and checks the header of one segment file. */
export async function loadSegment(
  files: Files,
  directory: string,
  name: string,
): Promise<Segment | Damage> {
  const path = join(directory, name)
  const size = (await files.size(path)) ?? 0
  const page = await readRange(files, path, 0, pageBytes)
  const header = decodeSegmentHeader(page)
  const problem = (kind: Damage['kind'], reason: string, offset = 0): Damage => ({
    kind,
    file: path,
    offset,
    reason,
  })
  if (header === 'newer') return problem('newer', 'it has a newer format')
  if (header === 'damaged') return problem('damaged', 'its header is damaged')
  if (segmentName(header.base, header.segmentId) !== name) {
    return problem('damaged', 'its header belongs to another segment')
  }
  if (size !== header.bytes) {
    const reason = `it has ${size} bytes instead of ${header.bytes}`
    return problem('damaged', reason, Math.min(size, header.bytes))
  }
  return { path, name, header, index: new BatchIndex() }
}

async function readRange(
  files: Files,
  path: string,
  offset: number,
  length: number,
): Promise<Buffer> {
  const file = await files.open(path, 'read')
  try {
    const bytes = await file.read(offset, length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } finally {
    await file.close()
  }
}
