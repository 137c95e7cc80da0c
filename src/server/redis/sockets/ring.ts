/**
 * Frames from one thread to another: a ring of bytes in shared memory, with one writer and one reader.
 *
 *     control   int32, each where no other one is in the same line of a processor's cache
 *                0  written   where the writer is: what the reader may take
 *               16  read      where the reader is: what the writer may use again
 *               32  wanted    1: the writer found no room, and is to be told when there is some
 *
 *     frame     int32 kind          0: nothing more before the end of the memory; the next frame is at its start
 *               int32 connection
 *               int32 detail
 *               int32 length        of the bytes
 *               the bytes, and what fills up the last unit of 16
 *
 * Places are bytes since the beginning, modulo 2^32. A frame is never split at the end of the memory.
 */

import { assert } from '../../../base/assert.ts'
import { writeLatin1 } from '../latin1.ts'

export interface RingMemory {
  readonly control: Int32Array<SharedArrayBuffer>
  readonly bytes: SharedArrayBuffer
}

/** The bytes are in `memory` from `start` on, until the handler returns. */
export type FrameHandler = (
  kind: number,
  connection: number,
  detail: number,
  memory: Buffer,
  start: number,
  length: number,
) => void

const written = 0
const read = 16
const wanted = 32
const controlWords = 48
const unit = 16
const headBytes = 16
const restIsEmpty = 0

/** `capacityBytes` is a power of two. */
export function ringMemory(capacityBytes: number): RingMemory {
  return {
    control: new Int32Array(new SharedArrayBuffer(4 * controlWords)),
    bytes: new SharedArrayBuffer(capacityBytes),
  }
}

/** The most that a frame can carry: so much that a few of them always fit. */
export function maxFrameBytes({ bytes }: RingMemory): number {
  return bytes.byteLength / 8
}

export class RingWriter {
  readonly #control: Int32Array
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #capacity: number
  readonly #mask: number
  #at = 0
  #published = 0
  /** As it was last seen. */
  #read = 0

  constructor({ control, bytes }: RingMemory) {
    this.#control = control
    this.#words = new Int32Array(bytes)
    this.#bytes = Buffer.from(bytes)
    this.#capacity = bytes.byteLength
    this.#mask = bytes.byteLength - 1
  }

  /** `payload` is bytes, or a binary string. False where there is no room: `wantRoom`. */
  put(kind: number, connection: number, detail: number, payload: Uint8Array | string): boolean {
    const { length } = payload
    const needed = headBytes + roundedUp(length)
    const beforeEnd = this.#capacity - (this.#at & this.#mask)
    if (!this.#hasRoom(needed <= beforeEnd ? needed : beforeEnd + needed)) return false
    if (needed > beforeEnd) {
      this.#words[(this.#at & this.#mask) >> 2] = restIsEmpty
      this.#at = (this.#at + beforeEnd) | 0
    }
    const start = this.#at & this.#mask
    const head = start >> 2
    this.#words[head] = kind
    this.#words[head + 1] = connection
    this.#words[head + 2] = detail
    this.#words[head + 3] = length
    if (typeof payload === 'string') writeLatin1(this.#bytes, payload, start + headBytes)
    else this.#bytes.set(payload, start + headBytes)
    this.#at = (this.#at + needed) | 0
    return true
  }

  /** Lets the reader see what was put; false where that is nothing. */
  publish(): boolean {
    if (this.#published === this.#at) return false
    this.#published = this.#at
    Atomics.store(this.#control, written, this.#at)
    return true
  }

  /** The reader tells when it has taken something. True where it has done so since: then nobody tells. */
  wantRoom(): boolean {
    Atomics.store(this.#control, wanted, 1)
    if (Atomics.load(this.#control, read) === this.#read) return false
    Atomics.store(this.#control, wanted, 0)
    return true
  }

  #hasRoom(bytes: number): boolean {
    if (bytes <= this.#capacity - ((this.#at - this.#read) | 0)) return true
    this.#read = Atomics.load(this.#control, read)
    return bytes <= this.#capacity - ((this.#at - this.#read) | 0)
  }
}

export class RingReader {
  readonly #control: Int32Array
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #mask: number
  #at = 0

  constructor({ control, bytes }: RingMemory) {
    this.#control = control
    this.#words = new Int32Array(bytes)
    this.#bytes = Buffer.from(bytes)
    this.#mask = bytes.byteLength - 1
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#control, written) === this.#at
  }

  /** Hands over all frames that are there now. */
  take(handle: FrameHandler): void {
    const end = Atomics.load(this.#control, written)
    while (this.#at !== end) {
      const start = this.#at & this.#mask
      const head = start >> 2
      const kind = this.#word(head)
      if (kind === restIsEmpty) {
        this.#at = (this.#at + this.#bytes.length - start) | 0
        continue
      }
      const length = this.#word(head + 3)
      assert(length >= 0 && start + headBytes + length <= this.#bytes.length, 'a frame is whole')
      this.#at = (this.#at + headBytes + roundedUp(length)) | 0
      const [connection, detail] = [this.#word(head + 1), this.#word(head + 2)]
      handle(kind, connection, detail, this.#bytes, start + headBytes, length)
    }
    Atomics.store(this.#control, read, this.#at)
  }

  /** True once for each `wantRoom`: the writer is to be told. */
  get isRoomWanted(): boolean {
    return Atomics.exchange(this.#control, wanted, 0) === 1
  }

  #word(index: number): number {
    return this.#words[index] ?? 0
  }
}

function roundedUp(bytes: number): number {
  return (bytes + unit - 1) & -unit
}
