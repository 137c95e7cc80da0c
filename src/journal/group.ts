/**
 * A group: the batch that is being gathered, and the one promise of all who wait for it.
 */

import type { Entry, Position } from '../mutation/mutation.ts'
import { encodeRecord } from '../mutation/record.ts'
import { batchHeaderBytes, type BatchKind } from './format.ts'
import type { Commit } from './journal.ts'

/** Buffers of the usual size that are kept for the next groups. */
const pooledBuffers = 4

export class Group implements Commit {
  readonly kind: BatchKind
  readonly done: Promise<void>
  readonly entries: Entry[] = []
  /** Over shared memory, so that the disk's thread writes from it directly. The header's place comes first. */
  readonly buffer: Buffer
  /** Where the next record goes. */
  end = batchHeaderBytes
  /** Bytes that this batch may take where it is going to be written. */
  room: number
  /** The size of the new segment that it begins; 0 where it goes behind the batch before. */
  segmentBytes = 0
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(kind: BatchKind, buffer: Buffer, room: number) {
    this.kind = kind
    this.buffer = buffer
    this.room = room
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Who does not wait for it must not end the process: the failure is the journal's state as well.
    this.done.catch(() => undefined)
  }

  succeed(): void {
    this.#resolve()
  }

  fail(error: Error): void {
    this.#reject(error)
  }

  get lastPosition(): Position {
    return this.entries.at(-1)?.position ?? 0
  }

  /**
   * Writes the records behind those that are there, without taking them in: returns where they end, or the negative of
   * a buffer size that may do.
   */
  encode(entries: readonly Entry[]): number {
    let end = this.end
    for (const entry of entries) {
      const bytes = encodeRecord(entry, this.buffer, end)
      if (bytes < 0) return bytes - end
      entry.bytes = bytes
      end += bytes
    }
    return end
  }
}

export class BufferPool {
  /** Of the buffers that are kept. */
  readonly #bytes: number
  readonly #free: Buffer[] = []

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  take(bytes = this.#bytes): Buffer {
    const pooled = bytes === this.#bytes ? this.#free.pop() : undefined
    return pooled ?? Buffer.from(new SharedArrayBuffer(bytes))
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === this.#bytes && this.#free.length < pooledBuffers) {
      this.#free.push(buffer)
    }
  }
}
