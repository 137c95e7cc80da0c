/**
 * Walks the batches of one segment in large reads. Every batch it gives is whole: both checksums and the link to its
 * predecessor hold. Where that ends before the limit, `stopped` says why.
 */

import type { File, Files } from '../base/files.ts'
import type { Position } from '../mutation/mutation.ts'
import {
  batchBytes,
  batchHeaderBytes,
  checksum,
  decodeBatchHeader,
  lastPositionOf,
  pageBytes,
  type BatchHeader,
  type BatchScope,
} from './format.ts'
import type { Segment } from './segment.ts'

export const scanChunkBytes = 1 << 20
export const findChunkBytes = 64 << 10

export interface Batch {
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
}

export class SegmentWalker {
  readonly #segment: Segment
  readonly #scope: BatchScope
  readonly #file: File
  readonly #end: number
  readonly #chunkBytes: number
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
  /** Why there is no batch at `offset`. `intruder`: there is a valid one, which does not follow the one before. */
  stopped: 'invalid' | 'intruder' | undefined

  static async open(files: Files, segment: Segment, range: WalkRange): Promise<SegmentWalker> {
    return new SegmentWalker(segment, await files.open(segment.path, 'read'), range)
  }

  constructor(segment: Segment, file: File, range: WalkRange) {
    this.#segment = segment
    this.#scope = segment.header
    this.#file = file
    this.#end = range.end
    this.#chunkBytes = range.chunkBytes
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
    const { header } = batch
    const follows =
      (this.link === undefined || header.previousLink === this.link) &&
      header.firstPosition >= this.nextPosition &&
      header.epoch >= this.epoch
    if (!follows) {
      this.stopped = 'intruder'
      return undefined
    }
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
    return { header, body }
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
