/**
 * Walks the batches of one segment in large reads. Every batch it gives is whole: both checksums and the link to its
 * predecessor hold, and it has the records that its header says. Where that ends before the limit, `stopped` says why.
 */

import type { File, Files } from '../base/files.ts'
import { reasonOf } from '../base/errors.ts'
import type { Position } from '../mutation/mutation.ts'
import { visitRecords } from '../mutation/record.ts'
import {
  batchBytes,
  batchHeaderBytes,
  checksum,
  decodeBatchHeader,
  isPossible,
  lastPositionOf,
  pageBytes,
  type BatchHeader,
  type BatchScope,
} from './format.ts'
import type { Segment } from './segment.ts'

export const scanChunkBytes = 1 << 20
export const findChunkBytes = 64 << 10

export interface Batch {
  /** Path of its segment. */
  readonly file: string
  readonly header: BatchHeader
  /** The records. Valid until the next call. */
  readonly body: Buffer
}

export interface WalkRange {
  /** Where a batch starts. Default: the first one. */
  readonly from?: number | undefined
  /** No batch ends beyond it. */
  readonly end: number
  readonly chunkBytes: number
  /** No record is beyond it: the next segment begins there. Default: no bound. */
  readonly lastPosition?: Position | undefined
}

export class SegmentWalker {
  readonly #segment: Segment
  readonly #scope: BatchScope
  readonly #file: File
  readonly #end: number
  readonly #chunkBytes: number
  readonly #lastPosition: Position
  #chunk: Buffer = Buffer.alloc(0)
  #chunkOffset = 0
  /** Where the next batch starts. */
  offset: number
  /** What the next batch must link to; undefined where the walk began in the middle. */
  link: number | undefined
  /** The next batch's first position is not below it. */
  nextPosition: Position
  epoch: number
  last: BatchHeader | undefined
  /** Why there is no batch at `offset`. `intruder`: its checksums hold, and it does not belong there. */
  stopped: 'invalid' | 'intruder' | undefined
  /** What is wrong with an intruder. */
  problem: string | undefined

  static async open(files: Files, segment: Segment, range: WalkRange): Promise<SegmentWalker> {
    return new SegmentWalker(segment, await files.open(segment.path, 'read'), range)
  }

  constructor(segment: Segment, file: File, range: WalkRange) {
    this.#segment = segment
    this.#scope = segment.header
    this.#file = file
    this.#end = range.end
    this.#chunkBytes = range.chunkBytes
    this.#lastPosition = range.lastPosition ?? Infinity
    this.offset = range.from ?? pageBytes
    this.link = this.offset === pageBytes ? segment.header.link : undefined
    this.nextPosition = segment.header.base
    this.epoch = segment.header.epoch
  }

  /** The next batch; undefined at the end of the range, or where the walk stopped. */
  async next(): Promise<Batch | undefined> {
    if (this.stopped !== undefined || this.offset >= this.#end) return undefined
    const batch = await this.#read()
    if (batch === undefined) {
      this.stopped = 'invalid'
      return undefined
    }
    this.problem = this.#problemOf(batch)
    if (this.problem !== undefined) {
      this.stopped = 'intruder'
      return undefined
    }
    const { header } = batch
    if (header.count > 0) this.#segment.index.add(header.firstPosition, header.offset)
    this.offset += batchBytes(header.bodyBytes)
    this.link = header.link
    this.nextPosition = lastPositionOf(header) + 1
    this.epoch = header.epoch
    this.last = header
    return batch
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #problemOf({ header, body }: Batch): string | undefined {
    const follows =
      (this.link === undefined || header.previousLink === this.link) &&
      header.firstPosition >= this.nextPosition &&
      header.epoch >= this.epoch
    if (!follows) return 'the batch does not follow the one before it'
    if (lastPositionOf(header) > this.#lastPosition) return 'the batch is of a later segment'
    if (!isPossible(header)) return 'the batch has a position or an epoch that no journal reaches'
    return recordsProblem(header, body, this.#segment.header.lanes)
  }

  async #read(): Promise<Batch | undefined> {
    if (!this.#holds(batchHeaderBytes)) await this.#fill(this.#chunkBytes)
    const header = decodeBatchHeader(
      this.#chunk,
      this.offset - this.#chunkOffset,
      this.#scope,
      this.offset,
    )
    if (header === undefined) return undefined
    const bytes = batchHeaderBytes + header.bodyBytes
    if (this.offset + bytes > this.#end) return undefined
    if (!this.#holds(bytes)) await this.#fill(Math.max(this.#chunkBytes, bytes))
    const start = this.offset - this.#chunkOffset
    const body = this.#chunk.subarray(start + batchHeaderBytes, start + bytes)
    if (body.byteLength !== header.bodyBytes || checksum(body) !== header.bodyChecksum) {
      return undefined
    }
    return { file: this.#segment.path, header, body }
  }

  #holds(bytes: number): boolean {
    const start = this.offset - this.#chunkOffset
    return start >= 0 && start + bytes <= this.#chunk.length
  }

  async #fill(bytes: number): Promise<void> {
    const read = await this.#file.read(this.offset, Math.min(bytes, this.#end - this.offset))
    this.#chunk = Buffer.from(read.buffer, read.byteOffset, read.byteLength)
    this.#chunkOffset = this.offset
  }
}

/** What is wrong with a batch's records, without decoding them; undefined where they are what its header says. */
function recordsProblem(header: BatchHeader, body: Buffer, lanes: number): string | undefined {
  let count = 0
  let strayPosition: Position | undefined
  try {
    visitRecords(body, 0, body.length, header.firstPosition, (position, lane) => {
      count++
      if (lane >= lanes) strayPosition ??= position
    })
  } catch (error) {
    return `the record at position ${header.firstPosition + count} cannot be read: ${reasonOf(error)}`
  }
  if (strayPosition !== undefined) {
    return `the record at position ${strayPosition} has a lane that does not exist`
  }
  return count === header.count ? undefined : 'the batch has another count of records'
}
