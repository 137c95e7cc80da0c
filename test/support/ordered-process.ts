/**
 * A program in a process of its own that is given orders over IPC, and is ended in every way that there is. The other end
 * is `ordered-program.ts`.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Failure, Heard } from './ordered-program.ts'

/** What an order that failed rejects with. */
export class OrderError extends Error {
  readonly code: string

  constructor({ code, message }: Failure) {
    super(message)
    this.code = code
  }
}

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

export interface Start {
  readonly program: string
  /** Goes to the program as JSON. */
  readonly options: unknown
  /** Runs Node; by default it does so itself. */
  readonly command?: readonly string[] | undefined
  readonly environment?: Readonly<Record<string, string>> | undefined
}

export abstract class OrderedProcess<Order, Said> {
  /** Resolves once it is gone and all that it said has been heard. */
  readonly exited: Promise<Exit>
  errors = ''
  readonly #child: ChildProcess
  readonly #orders = new Map<number, Waiting>()
  #opening: Waiting | undefined
  /** Before anyone waits for it. */
  #opened: { readonly failure?: Failure } | undefined
  #gone = false
  #lastId = 0
  /** Not the child's own where a command has started it. */
  #pid: number | undefined

  /** Without waiting for it to be ready. */
  constructor({ program, options, command = [], environment }: Start) {
    const [executable = '', ...parameters] = [
      ...command,
      process.execPath,
      program,
      JSON.stringify(options),
    ]
    const child = spawn(executable, parameters, {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc', 'pipe'],
      ...(environment === undefined ? {} : { env: { ...process.env, ...environment } }),
    })
    this.#child = child
    // One that is stopped would not notice that its parent is gone.
    const killAtExit = (): void => this.killAll()
    process.once('exit', killAtExit)
    child.stderr?.on('data', (text: Buffer) => (this.errors += text.toString()))
    child.on('message', (heard: Heard<Said>) => this.#hear(heard))
    const ended = Promise.all([once(child, 'close'), once(child, 'disconnect')])
    this.exited = ended.then(([[code, signal]]) => {
      this.#gone = true
      process.off('exit', killAtExit)
      const gone = this.#goneError()
      this.#opening?.reject(gone)
      for (const { reject } of this.#orders.values()) reject(gone)
      this.#orders.clear()
      return { code: code as number | null, signal: signal as string | null }
    })
  }

  /** What it writes to descriptor 4, which blocks it: nothing of that is lost when it is killed. */
  protected get reports(): Readable {
    return this.#child.stdio[4] as Readable
  }

  get gone(): boolean {
    return this.#gone
  }

  /** Rejects with the program's own error where it does not get ready, and with GONE where it ends before. */
  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { resolve: () => resolve(), reject }
      if (this.#gone) reject(this.#goneError())
      else if (this.#opened === undefined) this.#opening = waiting
      else settle(waiting, this.#opened.failure)
    })
  }

  order(order: Order): Promise<unknown> {
    if (this.#gone) return Promise.reject(this.#goneError())
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#orders.set(id, { resolve, reject })
      this.#child.send({ id, order }, (error) => {
        if (error !== null) reject(new OrderError({ code: 'GONE', message: error.message }))
      })
    })
  }

  /** SIGKILL. What a command has started in its stead goes first, so that the command can still say how it ended. */
  async kill(): Promise<Exit> {
    const pid = this.#program
    if (pid !== undefined && pid !== this.#child.pid) signalTo(pid, 'SIGKILL')
    else this.killAll()
    return this.exited
  }

  terminate(): Promise<Exit> {
    this.signal('SIGTERM')
    return this.exited
  }

  /** Returns once the process stands still, with all of its threads. */
  stop(): void {
    this.signal('SIGSTOP')
    while (!this.isStopped());
  }

  continue(): void {
    this.signal('SIGCONT')
  }

  /** All threads, by whomever; false where it is gone. */
  isStopped(): boolean {
    const tasks = `/proc/${String(this.#program)}/task`
    try {
      return readdirSync(tasks).every((task) =>
        /^\d+ \(.*\) [Tt] /.test(readFileSync(join(tasks, task, 'stat'), 'utf8')),
      )
    } catch {
      return false
    }
  }

  /** Anything else than what every ordered program says. */
  protected abstract hear(said: Said): void

  protected signal(signal: NodeJS.Signals): void {
    const pid = this.#program
    if (pid !== undefined && !this.#gone) signalTo(pid, signal)
  }

  /** The process, and what a command has started in its stead; also one that is stopped. */
  protected killAll(): void {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    for (const other of childrenOf(pid)) signalTo(other, 'SIGKILL')
    this.#child.kill('SIGKILL')
  }

  /** Node's process, also before it has said which it is. */
  get #program(): number | undefined {
    const { pid } = this.#child
    return this.#pid ?? (pid === undefined ? undefined : (childrenOf(pid)[0] ?? pid))
  }

  #goneError(): OrderError {
    return new OrderError({ code: 'GONE', message: `The process has ended. ${this.errors}` })
  }

  #hear(heard: Heard<Said>): void {
    if ('id' in heard) {
      const order = this.#orders.get(heard.id)
      this.#orders.delete(heard.id)
      if (order !== undefined) settle(order, heard.failure, heard.result)
    } else if ('opened' in heard) {
      this.#pid = heard.pid
      this.#opened = {}
      this.#opening?.resolve(undefined)
    } else if ('failedToOpen' in heard) {
      this.#opened = { failure: heard.failedToOpen }
      this.#opening?.reject(new OrderError(heard.failedToOpen))
    } else this.hear(heard.said)
  }
}

function settle(
  { resolve, reject }: Waiting,
  failure: Failure | undefined,
  result?: unknown,
): void {
  if (failure === undefined) resolve(result)
  else reject(new OrderError(failure))
}

function childrenOf(pid: number): number[] {
  if (process.platform !== 'linux') return []
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    // It has ended meanwhile, and so have they.
    return []
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
