/** The caller's side of a disk thread: starts it with the first call, and puts calls in its mailbox. */

import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import {
  maxKept,
  maxKeptBytes,
  type DiskCall,
  type DiskFailure,
  type DiskReply,
  type DiskRequest,
  type DiskThreadData,
} from './disk-calls.ts'
import { Mailbox, mailboxSlots, nextCall } from './mailbox.ts'

/** A failed file call, with what Node's own error has. */
export class FileError extends Error {
  override readonly name = 'FileError'
  readonly code: string | undefined
  readonly syscall: string | undefined
  readonly path: string

  constructor(failure: DiskFailure, path: string) {
    super(failure.message)
    this.code = failure.code
    this.syscall = failure.syscall
    this.path = path
  }
}

interface Waiter {
  readonly call: DiskCall
  readonly resolve: (result: unknown) => void
  readonly reject: (error: FileError) => void
}

/** A thread that runs, and what belongs to it. */
interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
  readonly mailbox: Mailbox
  /** Buffers that it keeps, by their number. */
  readonly kept: (SharedArrayBuffer | undefined)[]
  nextKept: number
  /** The number of the call that is answered next. */
  next: number
  /** Someone waits for answers. */
  listening: boolean
}

export class DiskCaller {
  readonly #name: string
  readonly #module: URL
  #thread: Thread | undefined
  /** In the order of their answers: those in the mailbox, and those that wait for a slot. */
  #waiters: Waiter[] = []
  #underWay = 0

  /** `module`: `disk-thread.ts`. */
  constructor(name: string, module: URL) {
    this.#name = name
    this.#module = module
  }

  get idle(): boolean {
    return this.#waiters.length === 0
  }

  perform(call: DiskCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const thread = (this.#thread ??= this.#start())
      if (this.idle) thread.worker.ref()
      this.#waiters.push({ call, resolve, reject })
      if (this.#underWay < mailboxSlots) this.#put(thread, call)
      if (!thread.listening) void this.#listen(thread)
    })
  }

  /** Only while idle. */
  stop(): void {
    const thread = this.#thread
    this.#thread = undefined
    if (thread === undefined) return
    thread.port.close()
    void thread.worker.terminate()
  }

  #start(): Thread {
    const mailbox = new Mailbox()
    const { port1: port, port2 } = new MessageChannel()
    const worker = new Worker(this.#module, {
      name: `daybook-${this.#name}`,
      execArgv: [],
      // It holds no data of its own: without limits V8 would let its garbage grow first.
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      workerData: { memory: mailbox.memory, port: port2 } satisfies DiskThreadData,
      transferList: [port2],
    })
    worker.unref()
    const thread: Thread = {
      worker,
      port,
      mailbox,
      kept: [],
      nextKept: 0,
      next: 0,
      listening: false,
    }
    // Without a thread nobody knows what became of its calls: they fail, and a failed sync is never repeated.
    worker.on('error', (error: Error) => this.#abandon(thread, error.message))
    worker.on('exit', () => this.#abandon(thread, 'The disk thread ended.'))
    return thread
  }

  #put(thread: Thread, call: DiskCall): void {
    this.#underWay++
    let keep: number | undefined
    if ('bytes' in call && call.bytes.buffer instanceof SharedArrayBuffer) {
      const { buffer, byteOffset, byteLength } = call.bytes
      const kept = thread.kept.indexOf(buffer)
      if (kept >= 0) {
        thread.mailbox.putWrite({
          durably: call.name === 'writeDurably',
          fd: call.fd,
          kept,
          start: byteOffset,
          length: byteLength,
          offset: call.offset,
        })
        return
      }
      keep = keepIn(thread, buffer)
    }
    thread.port.postMessage({ call, keep } satisfies DiskRequest)
    thread.mailbox.putMessage()
  }

  /** Settles calls as they are answered, until there are none. */
  async #listen(thread: Thread): Promise<void> {
    thread.listening = true
    while (this.#thread === thread && !this.idle) {
      const { answered } = thread.mailbox
      if (answered === thread.next) await thread.mailbox.whenAnswered(answered)
      else this.#settle(thread)
    }
    thread.listening = false
  }

  #settle(thread: Thread): void {
    const waiter = this.#waiters.shift()
    const isMessage = thread.mailbox.isAnsweredByMessage(thread.next)
    const reply = isMessage ? (receiveMessageOnPort(thread.port)?.message as DiskReply) : undefined
    thread.next = nextCall(thread.next)
    this.#underWay--
    if (this.idle) thread.worker.unref()
    const waiting = this.#waiters[this.#underWay]
    if (waiting !== undefined) this.#put(thread, waiting.call)
    if (reply?.failure === undefined) waiter?.resolve(reply?.result)
    else waiter?.reject(new FileError(reply.failure, waiter.call.path))
  }

  #abandon(thread: Thread, message: string): void {
    if (this.#thread !== thread) return
    this.#thread = undefined
    this.#underWay = 0
    const waiters = this.#waiters
    this.#waiters = []
    // Who listens to it ends.
    thread.mailbox.wakeCaller()
    thread.port.close()
    for (const { call, reject } of waiters) {
      reject(new FileError({ message, code: 'ERR_DISK_THREAD', syscall: undefined }, call.path))
    }
  }
}

/** The number under which the thread keeps it from now on; undefined: it is too large to be kept. */
function keepIn(thread: Thread, buffer: SharedArrayBuffer): number | undefined {
  if (buffer.byteLength > maxKeptBytes) return undefined
  const keep = thread.nextKept
  thread.kept[keep] = buffer
  thread.nextKept = (keep + 1) % maxKept
  return keep
}
