/** Starts books in processes of their own, gives them orders, and ends them in every way that there is. */

import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { OrderedProcess } from '../support/ordered-process.ts'
import type { BookProcessOptions, Order, Said } from './book-process.ts'
import type { Ledger } from './ledger.ts'

const program = fileURLToPath(new URL('./book-process.ts', import.meta.url))

export class BookProcess extends OrderedProcess<Order, Said> {
  /** What the close at SIGTERM has reported. */
  closed: { readonly pending: number } | undefined
  /** Codes of the operations that were not acknowledged. */
  readonly codes = new Set<string>()
  /** What the book has said of itself: 'fenced', 'journalFull', … */
  readonly events: string[] = []
  readonly #listening: { readonly event: string; readonly resolve: () => void }[] = []
  #ledger: Ledger

  private constructor(
    options: BookProcessOptions,
    ledger: Ledger,
    command: readonly string[] | undefined,
  ) {
    super({ program, options, command })
    this.#ledger = ledger
  }

  /** Without waiting for the book to open; `command` runs Node, by default it does so itself. */
  static spawn(
    options: BookProcessOptions,
    ledger: Ledger,
    command?: readonly string[],
  ): BookProcess {
    const started = new BookProcess(options, ledger, command)
    onTestFinished(async () => {
      started.killAll()
      await started.exited
    })
    return started
  }

  /** Rejects with the book's own error where it does not open, and with GONE where the process ends before. */
  static async open(
    options: BookProcessOptions,
    ledger: Ledger,
    command?: readonly string[],
  ): Promise<BookProcess> {
    const started = BookProcess.spawn(options, ledger, command)
    await started.opened()
    return started
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

  protected override hear(said: Said): void {
    if ('operation' in said) {
      this.#ledger.say(said.operation, said.said)
      if (said.code !== undefined) this.codes.add(said.code)
    } else if ('closed' in said) this.closed = said.closed
    else {
      this.events.push(said.event)
      for (const { event, resolve } of this.#listening) if (event === said.event) resolve()
    }
  }
}
