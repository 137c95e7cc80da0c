/** A client's socket that is read and written in this thread. */

import type { Socket } from 'node:net'
import type { ClientSocket, SocketEvents } from './client-socket.ts'

export class LocalSocket implements ClientSocket {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    this.remoteAddress = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`
    this.localAddress = `${socket.localAddress ?? ''}:${socket.localPort ?? 0}`
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed
  }

  get isPaused(): boolean {
    return this.#socket.isPaused()
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  listen(events: SocketEvents): void {
    this.#socket.on('data', (chunk: Buffer) => events.received(chunk))
    this.#socket.on('drain', () => events.drained())
    this.#socket.on('end', () => events.ended())
    this.#socket.on('close', () => events.closed())
  }

  send(text: string): boolean {
    return this.#socket.write(text, 'latin1')
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  finish(): void {
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
