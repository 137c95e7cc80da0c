/**
 * What runs on the sockets' thread: reads the sockets into the wire, and writes to them what comes out of it.
 *
 * Where the wire has no room, a socket that had something to put there is not read any more until it has.
 */

import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../../base/clock.ts'
import { DaybookError, reasonOf } from '../../../base/errors.ts'
import { LocalListener } from './local-listener.ts'
import { LocalSocket } from './local-socket.ts'
import {
  fromServer,
  fromSockets,
  type MessageFromSockets,
  type MessageToSockets,
  type OpenedFrame,
} from './socket-frames.ts'
import type { SocketThreadData } from './threaded-listener.ts'
import { Wire } from './wire.ts'

/** The server is told of what the kernel took with what the client sends next, or once it is as much. */
const untoldBytes = 4096
const nothing = ''

const { memory, options } = workerData as SocketThreadData
const wire = new Wire(memory, 'sockets', systemClock)
const sockets = new Map<number, ServedSocket>()
const heldBack = new Set<ServedSocket>()
let lastId = 0

class ServedSocket {
  readonly #id: number
  readonly #socket: Socket
  /** Bytes that it was given so far, modulo 2^32, and those of which the server knows that they are out. */
  #given = 0
  #told = 0
  #isPaused = false
  readonly #written = (): void => {
    if (((this.#taken - this.#told) | 0) >= untoldBytes) {
      wire.put(fromSockets.taken, this.#id, this.#tell(), nothing)
    }
  }

  constructor(id: number, socket: Socket) {
    this.#id = id
    this.#socket = socket
    const { remoteAddress, localAddress } = new LocalSocket(socket)
    const opened = { remoteAddress, localAddress } satisfies OpenedFrame
    wire.put(fromSockets.opened, id, 0, JSON.stringify(opened))
    socket.on('data', (chunk: Buffer) => {
      if (wire.put(fromSockets.received, id, this.#tell(), chunk)) return
      heldBack.add(this)
      socket.pause()
    })
    socket.on('end', () => void wire.put(fromSockets.ended, id, 0, nothing))
    socket.on('close', () => {
      sockets.delete(id)
      heldBack.delete(this)
      wire.put(fromSockets.closed, id, 0, nothing)
    })
  }

  send(bytes: Buffer): void {
    this.#given = (this.#given + bytes.length) | 0
    this.#socket.write(bytes, this.#written)
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.hasRoom()
  }

  /** The wire has room again, or the server reads again. */
  hasRoom(): void {
    if (!this.#isPaused && !heldBack.has(this)) this.#socket.resume()
  }

  finish(): void {
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  get #taken(): number {
    return (this.#given - this.#socket.writableLength) | 0
  }

  #tell(): number {
    this.#told = this.#taken
    return this.#told
  }
}

function handle(
  kind: number,
  connection: number,
  _detail: number,
  from: Buffer,
  start: number,
  length: number,
): void {
  const socket = sockets.get(connection)
  switch (kind) {
    case fromServer.send: {
      if (socket === undefined) return
      const bytes = Buffer.allocUnsafe(length)
      from.copy(bytes, 0, start, start + length)
      socket.send(bytes)
      return
    }
    case fromServer.pause:
      socket?.pause()
      return
    case fromServer.resume:
      socket?.resume()
      return
    case fromServer.finish:
      socket?.finish()
      return
    case fromServer.destroy:
      socket?.destroy()
  }
}

function room(): void {
  const held = [...heldBack]
  heldBack.clear()
  for (const socket of held) socket.hasRoom()
}

function say(message: MessageFromSockets): void {
  parentPort?.postMessage(message)
}

async function obey(listener: LocalListener, message: MessageToSockets): Promise<void> {
  if (message.name === 'admit') listener.admit(message.maxClients)
  else if (message.name === 'renew') listener.renew(message.secrets)
  else {
    await listener.close()
    say({ name: 'closed' })
  }
}

try {
  const listener = await LocalListener.open(options, {
    accept(socket) {
      const id = ++lastId
      sockets.set(id, new ServedSocket(id, socket))
    },
    failed: (error) => say({ name: 'failed', message: reasonOf(error) }),
  })
  parentPort?.on('message', (message: MessageToSockets) => void obey(listener, message))
  wire.carry({ frame: handle, room })
  say({ name: 'listening', port: listener.port })
} catch (error) {
  if (!(error instanceof DaybookError)) throw error
  const { message, code } = error.cause as NodeJS.ErrnoException
  say({ name: 'refused', message, code })
}
