/**
 * Without a cache: each flight is a transaction of hand-written SQL, acknowledged by its commit. Flights that share an
 * airport wait for each other, so that "latest" means latest; the others run side by side on as many connections as
 * the database takes.
 */

import type { Contender, ContenderFigures, ContenderOptions, Spread } from './contender.ts'
import { openDemoDatabase, type DemoDatabase } from './database.ts'
import { flightStatements } from './tables.ts'
import type { FlightWork } from './workload.ts'

export class WriteThrough implements Contender {
  readonly recovered = 0
  readonly #database: DemoDatabase
  /** The newest flight of each airport. */
  readonly #last = new Map<string, Promise<void>>()
  #mutations = 0

  static async open({ target }: ContenderOptions): Promise<WriteThrough> {
    return new WriteThrough(await openDemoDatabase(target))
  }

  constructor(database: DemoDatabase) {
    this.#database = database
  }

  apply(work: FlightWork): Promise<void> {
    const { origin, destination } = work.flight
    const touched = new Set([origin, destination])
    if (work.outdated !== undefined)
      touched.add(work.outdated.origin).add(work.outdated.destination)
    const before = [...touched].map((airport) => this.#last.get(airport) ?? Promise.resolve())
    const done = this.#applyAfter(before, work)
    for (const airport of touched) this.#last.set(airport, done)
    return done
  }

  async #applyAfter(before: readonly Promise<void>[], work: FlightWork): Promise<void> {
    await Promise.all(before)
    const statements = flightStatements(work, (table) => this.#database.qualify(table))
    await this.#database.apply(statements)
    this.#mutations += statements.length
  }

  figures(): ContenderFigures {
    return {
      ...this.#database.counts,
      mutations: this.#mutations,
      flushed: this.#mutations,
      pending: 0,
      lagMs: 0,
    }
  }

  staleness(): Spread {
    return { p50: 0, p99: 0 }
  }

  async drain(): Promise<void> {
    await Promise.all(this.#last.values())
  }

  async close(): Promise<void> {
    await this.#database.close()
  }
}
