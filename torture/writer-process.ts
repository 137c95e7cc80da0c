/** Starts writers, hears what they report, and ends them. */

import { fileURLToPath } from 'node:url'
import { systemClock } from '../src/base/clock.ts'
import { waitFor } from '../src/base/deadline.ts'
import { OrderedProcess, type Exit } from '../test/support/ordered-process.ts'
import type { History } from './history.ts'
import { reportOf } from './reports.ts'
import type { WriterOptions, WriterOrder, WriterSaid } from './writer.ts'

const program = fileURLToPath(new URL('./writer.ts', import.meta.url))
/** Nothing that a cycle waits for takes longer, however busy the machine; where it does, that is a violation. */
const deadlineMs = 60_000

export function within<T>(what: string, promise: Promise<T>, timeoutMs = deadlineMs): Promise<T> {
  return waitFor(promise, { clock: systemClock, timeoutMs, what })
}

interface Waiting {
  readonly reached: () => boolean
  readonly resolve: () => void
}

export class WriterProcess extends OrderedProcess<WriterOrder, WriterSaid> {
  /** In the order in which they came. */
  readonly events: string[] = []
  /** How long opening the book has taken. */
  openMs: number | undefined
  /** What was pending when it had opened. */
  pending = 0
  deadLetters = 0
  closed: { readonly pending: number } | undefined
  acknowledged = 0
  refused = 0
  #history: History
  #rest = ''
  readonly #waiting = new Set<Waiting>()

  /** Without waiting for the book to open; `command` runs Node, by default it does so itself. */
  constructor(options: WriterOptions, history: History, command?: readonly string[]) {
    super({ program, options, command })
    this.#history = history
    this.reports.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    void this.exited.then(() => this.#look())
  }

  /** From now on, what it reports goes there. */
  heardBy(history: History): void {
    this.#history = history
  }

  /** Without waiting. Resolves when all is settled, and also where the process ends before. */
  write(first: number, count: number): Promise<void> {
    return this.order({ do: 'write', first, count }).then(
      () => undefined,
      (error: unknown) => {
        if (!this.gone) throw error
      },
    )
  }

  /** Resolves once it has acknowledged so many operations, or has ended. */
  whenAcknowledged(count: number): Promise<void> {
    return this.#when(`${count} acknowledgements`, () => this.acknowledged >= count)
  }

  /** Resolves once it has said this, now or before, or has ended. */
  whenSaid(event: string): Promise<void> {
    return this.#when(event, () => this.events.includes(event))
  }

  whenRefused(count: number): Promise<void> {
    return this.#when(`${count} refusals`, () => this.refused >= count)
  }

  ended(): Promise<Exit> {
    return within('The end of a process', this.exited)
  }

  /** At the end of a cycle: whatever state it is in. */
  async end(): Promise<void> {
    this.killAll()
    await this.exited
  }

  protected override hear(said: WriterSaid): void {
    if ('event' in said) this.events.push(said.event)
    else if ('closed' in said) this.closed = said.closed
    else {
      this.openMs = said.openMs
      this.pending = said.pending
      this.deadLetters = said.deadLetters
    }
    this.#look()
  }

  #when(what: string, reached: () => boolean): Promise<void> {
    if (this.gone || reached()) return Promise.resolve()
    return within(what, new Promise((resolve) => this.#waiting.add({ reached, resolve })))
  }

  #look(): void {
    for (const waiting of this.#waiting) {
      if (!this.gone && !waiting.reached()) continue
      this.#waiting.delete(waiting)
      waiting.resolve()
    }
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    // A process that is killed may end in the middle of a line.
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const report = reportOf(line)
      if (report.kind === 'acknowledged') this.acknowledged++
      if (report.kind === 'refused') this.refused++
      this.#history.add(report)
    }
    this.#look()
  }
}
