/**
 * The hand-made buffer that many applications have: writes are acknowledged from memory and flushed every half second
 * in one transaction. It is fast, and a kill takes what it holds.
 */

import { systemClock } from '../base/clock.ts'
import {
  type Contender,
  type ContenderFigures,
  type ContenderOptions,
  sampleEvery,
  type Spread,
  spreadOf,
} from './contender.ts'
import { openDemoDatabase, type DemoDatabase } from './database.ts'
import { flightStatements, type Statement } from './tables.ts'
import type { FlightWork } from './workload.ts'

/** Daybook's default delay too. */
const delayMs = 500

/** Beyond this the caller waits: a buffer without a bound would also lose to the memory. */
const maxStatements = 10_000

export class MemoryBuffer implements Contender {
  readonly recovered = 0
  readonly #database: DemoDatabase
  #buffer: Statement[] = []
  #startedAt = 0
  #inFlight = 0
  #turn = Promise.resolve()
  #flushing = Promise.resolve()
  #mutations = 0
  /** When the sampled flights of the buffer were acknowledged. */
  #sampledAt: number[] = []
  readonly #ages: number[] = []

  static async open({ target }: ContenderOptions): Promise<MemoryBuffer> {
    return new MemoryBuffer(await openDemoDatabase(target))
  }

  constructor(database: DemoDatabase) {
    this.#database = database
  }

  apply(work: FlightWork): Promise<void> {
    this.#turn = this.#turn.then(() => this.#add(work))
    return this.#turn
  }

  async #add(work: FlightWork): Promise<void> {
    if (this.#buffer.length + this.#inFlight >= maxStatements) await this.#flush()
    if (this.#buffer.length === 0) {
      this.#startedAt = systemClock.now()
      systemClock.setTimer(delayMs, () => {
        // Every later flush fails with it, and those have a caller.
        this.#flush().catch(() => undefined)
      })
    }
    const statements = flightStatements(work, (table) => this.#database.qualify(table))
    this.#buffer.push(...statements)
    this.#mutations += statements.length
    if (work.index % sampleEvery === 0) this.#sampledAt.push(systemClock.now())
  }

  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(async () => {
      const statements = this.#buffer
      const sampledAt = this.#sampledAt
      if (statements.length === 0) return
      this.#buffer = []
      this.#sampledAt = []
      this.#inFlight = statements.length
      await this.#database.apply(statements)
      this.#inFlight = 0
      for (const at of sampledAt) this.#ages.push(systemClock.now() - at)
    })
    return this.#flushing
  }

  figures(): ContenderFigures {
    const pending = this.#buffer.length + this.#inFlight
    const lagMs = pending === 0 ? 0 : systemClock.now() - this.#startedAt
    return { ...this.#database.counts, mutations: this.#mutations, pending, lagMs }
  }

  staleness(): Spread {
    return spreadOf(this.#ages)
  }

  async drain(): Promise<void> {
    while (this.#buffer.length > 0 || this.#inFlight > 0) await this.#flush()
  }

  async close(): Promise<void> {
    await this.drain()
    await this.#database.close()
  }
}
