/** A client's socket that is read and written in the sockets' thread, as the server's thread sees it. */

import type { ClientSocket, SocketEvents } from './client-socket.ts'
import { fromServer, type OpenedFrame } from './socket-frames.ts'
import type { Wire } from './wire.ts'

/** As Node's own sockets: with more than that unsent, `send` is false. */
const highWaterBytes = 64 * 1024
const lowWaterBytes = 16 * 1024
const nothing = ''

/** `open` ─▶ `destroyed` (by the server; the thread has yet to do it) ─▶ `closed`; or `open` ─▶ `closed`. */
export class ThreadedSocket implements ClientSocket {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly #id: number
  readonly #wire: Wire
  #events: SocketEvents | undefined
  /** Bytes so far, modulo 2^32. */
  #sent = 0
  #taken = 0
  /** A `send` was false. */
  #isFull = false
  #isPaused = false
  #isDestroyed = false

  constructor(id: number, { remoteAddress, localAddress }: OpenedFrame, wire: Wire) {
    this.#id = id
    this.remoteAddress = remoteAddress
    this.localAddress = localAddress
    this.#wire = wire
  }

  get isDestroyed(): boolean {
    return this.#isDestroyed
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get unsentBytes(): number {
    return (this.#sent - this.#taken) | 0
  }

  listen(events: SocketEvents): void {
    this.#events = events
  }

  send(text: string): boolean {
    if (this.#isDestroyed) return true
    this.#sent = (this.#sent + text.length) | 0
    this.#wire.put(fromServer.send, this.#id, 0, text)
    if (this.unsentBytes < highWaterBytes) return true
    this.#isFull = true
    return false
  }

  pause(): void {
    this.#isPaused = true
    this.#tell(fromServer.pause)
  }

  resume(): void {
    this.#isPaused = false
    this.#tell(fromServer.resume)
  }

  finish(): void {
    this.#tell(fromServer.finish)
  }

  destroy(): void {
    this.#tell(fromServer.destroy)
    this.#isDestroyed = true
  }

  // ── What the thread tells ──

  received(bytes: Buffer): void {
    if (!this.#isDestroyed) this.#events?.received(bytes)
  }

  /** The kernel has taken so many bytes so far, modulo 2^32. */
  taken(bytes: number): void {
    this.#taken = bytes
    if (!this.#isFull || this.unsentBytes > lowWaterBytes) return
    this.#isFull = false
    this.#events?.drained()
  }

  ended(): void {
    if (!this.#isDestroyed) this.#events?.ended()
  }

  closed(): void {
    this.#isDestroyed = true
    this.#events?.closed()
  }

  #tell(kind: number): void {
    if (!this.#isDestroyed) this.#wire.put(kind, this.#id, 0, nothing)
  }
}
