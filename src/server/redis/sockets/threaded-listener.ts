/**
 * Listens in a thread of its own (`socket-thread.ts`), which does nothing but read and write the sockets, and encrypt: half
 * of what a request costs is that. Here is the server's side of it.
 *
 * A fault of the thread is one of the process: it is not caught, as one of this thread would not be. The journal has what
 * was acknowledged.
 */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Clock } from '../../../base/clock.ts'
import {
  cannotListen,
  type Listener,
  type ListenerEvents,
  type ListenerOptions,
} from './listener.ts'
import {
  fromSockets,
  type MessageFromSockets,
  type MessageToSockets,
  type OpenedFrame,
} from './socket-frames.ts'
import { ThreadedSocket } from './threaded-socket.ts'
import type { TlsSecrets } from './tls-secrets.ts'
import { Wire, wireMemory, type WireMemory } from './wire.ts'
import { latin1Of } from '../latin1.ts'

export interface SocketThreadData {
  readonly memory: WireMemory
  readonly options: ListenerOptions
}

/** Each way: what all pipelines of a turn hold, and more. */
const wireBytes = 4 * 1024 * 1024
/** Of the thread's own memory, which is but for objects of sockets. */
const baseHeapMegabytes = 64
const clientsPerMegabyte = 100

const module = new URL(
  import.meta.url.endsWith('.ts') ? './socket-thread.ts' : './socket-thread.js',
  import.meta.url,
)

export class ThreadedListener implements Listener {
  readonly port: number
  readonly #worker: Worker
  readonly #wire: Wire
  readonly #sockets = new Map<number, ThreadedSocket>()
  readonly #events: ListenerEvents
  readonly #closed = Promise.withResolvers<void>()

  private constructor(worker: Worker, wire: Wire, port: number, events: ListenerEvents) {
    this.#worker = worker
    this.#wire = wire
    this.port = port
    this.#events = events
    worker.on('message', (message: MessageFromSockets) => {
      if (message.name === 'failed') events.failed(new Error(message.message))
      else if (message.name === 'closed') this.#closed.resolve()
    })
    wire.carry({
      frame: (kind, connection, detail, memory, start, length) => {
        this.#handle(kind, connection, detail, memory, start, length)
      },
      // What waits here is bounded by what each client may leave unread.
      room: () => undefined,
    })
  }

  /** Throws INVALID_OPTION. */
  static async open(
    options: ListenerOptions,
    events: ListenerEvents,
    clock: Clock,
  ): Promise<ThreadedListener> {
    const memory = wireMemory(wireBytes)
    const worker = new Worker(module, {
      name: 'daybook-sockets',
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb:
          baseHeapMegabytes + Math.ceil(options.maxClients / clientsPerMegabyte),
      },
      workerData: { memory, options } satisfies SocketThreadData,
    })
    const [answer] = (await once(worker, 'message')) as [MessageFromSockets]
    if (answer.name === 'listening') {
      return new ThreadedListener(worker, new Wire(memory, 'server', clock), answer.port, events)
    }
    await worker.terminate()
    const { message, code } = answer.name === 'refused' ? answer : { message: '', code: undefined }
    throw cannotListen(options, Object.assign(new Error(message), { code }))
  }

  admit(maxClients: number): void {
    this.#tell({ name: 'admit', maxClients })
  }

  renew(secrets: TlsSecrets): void {
    this.#tell({ name: 'renew', secrets })
  }

  async close(): Promise<void> {
    this.#tell({ name: 'close' })
    await this.#closed.promise
    this.#wire.close()
    await this.#worker.terminate()
    for (const socket of this.#sockets.values()) socket.closed()
    this.#sockets.clear()
  }

  #tell(message: MessageToSockets): void {
    this.#worker.postMessage(message)
  }

  #handle(
    kind: number,
    connection: number,
    detail: number,
    memory: Buffer,
    start: number,
    length: number,
  ): void {
    if (kind === fromSockets.opened) {
      const opened = JSON.parse(latin1Of(memory, start, start + length)) as OpenedFrame
      const socket = new ThreadedSocket(connection, opened, this.#wire)
      this.#sockets.set(connection, socket)
      this.#events.accept(socket)
      return
    }
    const socket = this.#sockets.get(connection)
    if (socket === undefined) return
    switch (kind) {
      case fromSockets.received: {
        const bytes = Buffer.allocUnsafe(length)
        memory.copy(bytes, 0, start, start + length)
        socket.taken(detail)
        socket.received(bytes)
        return
      }
      case fromSockets.taken:
        socket.taken(detail)
        return
      case fromSockets.ended:
        socket.ended()
        return
      case fromSockets.closed:
        this.#sockets.delete(connection)
        socket.closed()
    }
  }
}
