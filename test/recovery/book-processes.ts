/** Starts books in processes of their own, gives them orders, and ends them in every way that there is. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { BookProcessOptions, Failure, Order, Said } from './book-process.ts'
import type { Ledger } from './ledger.ts'

const program = fileURLToPath(new URL('./book-process.ts', import.meta.url))

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

export class BookProcess {
  readonly exited: Promise<Exit>
  /** What the close at SIGTERM has reported. */
  closed: { readonly pending: number } | undefined
  /** Codes of the operations that were not acknowledged. */
  readonly codes = new Set<string>()
  /** What the book has said of itself: 'fenced', 'journalFull', … */
  readonly events: string[] = []
  readonly #listening: { readonly event: string; readonly resolve: () => void }[] = []
  errors = ''
  readonly #child: ChildProcess
  #ledger: Ledger
  readonly #orders = new Map<
    number,
    { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void }
  >()
  #opening: { resolve: () => void; reject: (error: Error) => void } | undefined
  #lastId = 0
  /** Not the child's own where a command has started it. */
  #pid: number | undefined

  private constructor(child: ChildProcess, ledger: Ledger) {
    this.#child = child
    this.#ledger = ledger
    child.stderr?.on('data', (text: Buffer) => (this.errors += text.toString()))
    child.on('message', (said: Said) => this.#hear(said))
    // What it has said is heard in whole before it counts as gone.
    const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')])
    this.exited = ended.then(([[code, signal]]) => {
      const gone = new OrderError({
        code: 'GONE',
        message: `The process has ended. ${this.errors}`,
      })
      this.#opening?.reject(gone)
      for (const { reject } of this.#orders.values()) reject(gone)
      this.#orders.clear()
      return { code: code as number | null, signal: signal as string | null }
    })
  }

  /** Without waiting for the book to open; `command` runs Node, by default it does so itself. */
  static spawn(
    options: BookProcessOptions,
    ledger: Ledger,
    command: readonly string[] = [],
  ): BookProcess {
    const [executable = '', ...parameters] = [
      ...command,
      process.execPath,
      program,
      JSON.stringify(options),
    ]
    const child = spawn(executable, parameters, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    const started = new BookProcess(child, ledger)
    onTestFinished(async () => {
      // Also one that is stopped, and what a command has started in its stead.
      started.#signalAll('SIGKILL')
      await started.exited
    })
    return started
  }

  /** Rejects with the book's own error where it does not open, and with GONE where the process ends before. */
  static async open(
    options: BookProcessOptions,
    ledger: Ledger,
    command: readonly string[] = [],
  ): Promise<BookProcess> {
    const started = BookProcess.spawn(options, ledger, command)
    await started.opened()
    return started
  }

  opened(): Promise<void> {
    return new Promise((resolve, reject) => (this.#opening = { resolve, reject }))
  }

  order(order: Order): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#orders.set(id, { resolve, reject })
      this.#child.send({ id, order }, (error) => {
        if (error !== null) reject(new OrderError({ code: 'GONE', message: error.message }))
      })
    })
  }

  /** Resolves once the book has said this of itself, now or before. */
  whenSaid(event: string): Promise<void> {
    if (this.events.includes(event)) return Promise.resolve()
    return new Promise((resolve) => this.#listening.push({ event, resolve }))
  }

  /** From now on, what it says of its operations goes into this ledger. */
  heardBy(ledger: Ledger): void {
    this.#ledger = ledger
  }

  async write(
    first: number,
    count: number,
    options: { durability?: 'journal' | 'store' } = {},
  ): Promise<void> {
    this.#ledger.ask(first, count)
    await this.order({ do: 'write', first, count, ...options })
  }

  async kill(): Promise<void> {
    this.#signalAll('SIGKILL')
    await this.exited
  }

  terminate(): Promise<Exit> {
    this.#signal('SIGTERM')
    return this.exited
  }

  /** Returns once the process stands still, with all of its threads. */
  stop(): void {
    this.#signal('SIGSTOP')
    while (!this.#isStopped());
  }

  continue(): void {
    this.#signal('SIGCONT')
  }

  #isStopped(): boolean {
    const tasks = `/proc/${String(this.#pid)}/task`
    return readdirSync(tasks).every((task) =>
      /^\d+ \(.*\) T /.test(readFileSync(join(tasks, task, 'stat'), 'utf8')),
    )
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#pid !== undefined) process.kill(this.#pid, signal)
  }

  /** The process, and what a command has started in its stead. */
  #signalAll(signal: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    for (const other of childrenOf(pid)) kill(other, signal)
    this.#child.kill(signal)
  }

  #hear(said: Said): void {
    if ('operation' in said) {
      this.#ledger.say(said.operation, said.said)
      if (said.code !== undefined) this.codes.add(said.code)
    } else if ('id' in said) {
      const order = this.#orders.get(said.id)
      this.#orders.delete(said.id)
      if ('failure' in said) order?.reject(new OrderError(said.failure))
      else order?.resolve(said.result)
    } else if ('opened' in said) {
      this.#pid = said.pid
      this.#opening?.resolve()
    } else if ('failedToOpen' in said) this.#opening?.reject(new OrderError(said.failedToOpen))
    else if ('closed' in said) this.closed = said.closed
    else {
      this.events.push(said.event)
      for (const { event, resolve } of this.#listening) if (event === said.event) resolve()
    }
  }
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

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
