/**
 * What joins the server's thread and the sockets' thread: a ring of frames in each direction, and a bell for each side.
 *
 * A side that has looked and found nothing sleeps until the other one rings; while there is work it looks once in a turn of
 * its loop, and the other one need not wake it. So under load nobody makes a system call for what passes here.
 *
 * Frames that find no room wait in a list, in order, until the other side has taken some. Nothing bounds that list here: who
 * puts frames sees to it (a socket that was told to wait is paused; a client that does not read is cut off).
 *
 *     awake ─▶ nothing to take, nothing to put ─▶ asleep ─▶ the bell rings ─▶ awake
 */

import type { Clock } from '../../../base/clock.ts'
import {
  maxFrameBytes,
  ringMemory,
  RingReader,
  RingWriter,
  type FrameHandler,
  type RingMemory,
} from './ring.ts'

export interface WireMemory {
  readonly toServer: RingMemory
  readonly toSockets: RingMemory
  /** int32: 0 the server's, 16 the sockets': 1 where that side sleeps. */
  readonly bells: Int32Array<SharedArrayBuffer>
}

export type WireSide = 'server' | 'sockets'

export interface WireEvents {
  readonly frame: FrameHandler
  /** All that waited has been put: after a `put` that was false. */
  readonly room: () => void
}

interface Waiting {
  readonly kind: number
  readonly connection: number
  readonly detail: number
  readonly payload: Uint8Array | string
}

const bellOf: Readonly<Record<WireSide, number>> = { server: 0, sockets: 16 }

export function wireMemory(capacityBytes: number): WireMemory {
  return {
    toServer: ringMemory(capacityBytes),
    toSockets: ringMemory(capacityBytes),
    bells: new Int32Array(new SharedArrayBuffer(4 * 32)),
  }
}

export class Wire {
  readonly #bells: Int32Array<SharedArrayBuffer>
  readonly #own: number
  readonly #others: number
  readonly #reader: RingReader
  readonly #writer: RingWriter
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #publish = (): void => {
    this.#due = false
    if (this.#writer.publish()) this.#ring()
  }
  readonly #step = (): void => {
    if (this.#closed) return
    if (this.#look()) this.#clock.defer(this.#step)
    else this.#sleep()
  }
  readonly #waiting: Waiting[] = []
  #events: WireEvents | undefined
  /** Someone is about to publish. */
  #due = false
  /**
   * The server's replies to a turn's requests, or to a commit, are there at once: they leave when its promises are done.
   * Sockets are read one after the other: what one turn has read leaves together, for then it shares a commit.
   */
  readonly #soon: (publish: () => void) => void
  #closed = false

  constructor(memory: WireMemory, side: WireSide, clock: Clock) {
    this.#soon =
      side === 'server' ? (publish) => process.nextTick(publish) : (publish) => clock.defer(publish)
    const [inward, outward] =
      side === 'server' ? [memory.toServer, memory.toSockets] : [memory.toSockets, memory.toServer]
    this.#bells = memory.bells
    this.#own = bellOf[side]
    this.#others = bellOf[side === 'server' ? 'sockets' : 'server']
    this.#reader = new RingReader(inward)
    this.#writer = new RingWriter(outward)
    this.#maxBytes = maxFrameBytes(outward)
    this.#clock = clock
  }

  /**
   * The other side sees it together with what else this one puts about now (see `#soon`). Bytes that are too many for one frame come in
   * several of the same kind. False where it waits for room; it is kept as it is, so nobody may write to it.
   */
  put(kind: number, connection: number, detail: number, payload: Uint8Array | string): boolean {
    if (!this.#due) {
      this.#due = true
      this.#soon(this.#publish)
    }
    const most = this.#maxBytes
    if (payload.length <= most) return this.#putOne({ kind, connection, detail, payload })
    let isPut = true
    for (let at = 0; at < payload.length; at += most) {
      const part =
        typeof payload === 'string' ? payload.slice(at, at + most) : payload.subarray(at, at + most)
      isPut = this.#putOne({ kind, connection, detail, payload: part })
    }
    return isPut
  }

  /** From now on, until `close`. */
  carry(events: WireEvents): void {
    this.#events = events
    this.#step()
  }

  close(): void {
    this.#closed = true
    Atomics.notify(this.#bells, this.#own)
  }

  #putOne(frame: Waiting): boolean {
    if (this.#waiting.length === 0 && this.#tryPut(frame)) return true
    this.#waiting.push(frame)
    return false
  }

  #tryPut({ kind, connection, detail, payload }: Waiting): boolean {
    while (!this.#writer.put(kind, connection, detail, payload)) {
      if (!this.#writer.wantRoom()) return false
    }
    return true
  }

  /** False where there was nothing to do. */
  #look(): boolean {
    const events = this.#events
    if (events === undefined) return false
    const hasFrames = !this.#reader.isEmpty
    if (hasFrames) {
      this.#reader.take(events.frame)
      if (this.#reader.isRoomWanted) this.#ring()
    }
    return this.#putWaiting(events) || hasFrames
  }

  /** False where none could be put. */
  #putWaiting({ room }: WireEvents): boolean {
    let count = 0
    for (const frame of this.#waiting) {
      if (!this.#tryPut(frame)) break
      count++
    }
    if (count === 0) return false
    this.#waiting.splice(0, count)
    this.#publish()
    if (this.#waiting.length === 0) room()
    return true
  }

  /** The other side may have rung just before: so once more a look with the bell set, and only then to sleep. */
  #sleep(): void {
    const bells = this.#bells
    Atomics.store(bells, this.#own, 1)
    if (this.#look()) {
      Atomics.store(bells, this.#own, 0)
      this.#clock.defer(this.#step)
      return
    }
    const rung = Atomics.waitAsync(bells, this.#own, 1)
    if (rung.async) void rung.value.then(this.#step)
    else this.#clock.defer(this.#step)
  }

  #ring(): void {
    if (Atomics.exchange(this.#bells, this.#others, 0) === 1) {
      Atomics.notify(this.#bells, this.#others)
    }
  }
}
