/**
 * With Daybook: each flight is one atomic batch, acknowledged once it is in the journal. The number of the flight is
 * part of its batch, so whichever prefix of the flights a kill leaves, the next process reads from the book where to go on,
 * and every flight takes effect exactly once although its acknowledgement may have been lost.
 */

import { systemClock } from '../base/clock.ts'
import type { Cache, Receipt } from '../book/cache.ts'
import type { Daybook } from '../book/daybook.ts'
import { openDaybook } from '../open-daybook.ts'
import type { EventMap } from '../observe/events.ts'
import { storeFromUrl } from '../store/store-url.ts'
import { cacheWrites } from './cache-writes.ts'
import {
  type Contender,
  type ContenderFigures,
  type ContenderOptions,
  sampleEvery,
  type Spread,
  spreadOf,
} from './contender.ts'
import { qualifiedName, storeUrlOf } from './database.ts'
import { tableKeys, type TableName } from './tables.ts'
import type { FlightWork } from './workload.ts'

type Caches = Readonly<Record<TableName, Cache<Record<string, string | number | null>>>>

type Flushed = EventMap['flushed']

const drainTimeoutMs = 60_000

/** The rows that are written again and again are some 4,000: all of them fit into a batch of half a second. */
const flush = { delayMs: 500, maxKeys: 10_000 }

export class WriteBehind implements Contender {
  readonly recovered: number
  readonly #book: Daybook
  readonly #caches: Caches
  readonly #ages: number[] = []
  /** Acknowledged mutations whose age is measured once they are flushed. */
  #sampled: {
    readonly lane: number
    readonly position: number
    readonly acknowledgedAt: number
  }[] = []
  /** By lane. */
  readonly #flushedTo: number[] = []
  #mutations = 0

  static async open({
    target,
    directory,
    flushed = () => undefined,
  }: ContenderOptions): Promise<WriteBehind> {
    const store = await storeFromUrl(storeUrlOf(target))
    const book = await openDaybook({ directory, store, flush })
    const cacheOf = (table: TableName): Caches[TableName] =>
      book.cache(table, { table: qualifiedName(target, table), key: tableKeys[table] })
    const caches: Caches = {
      routes: cacheOf('routes'),
      airports: cacheOf('airports'),
      latest_flights: cacheOf('latest_flights'),
      alerts: cacheOf('alerts'),
      replay: cacheOf('replay'),
    }
    // Batches are appended in the order in which they are called once every cache knows its table.
    await Promise.all(Object.values(caches).map((cache) => cache.ready()))
    const cursor = await caches.replay.get('cursor')
    const recovered = cursor === undefined ? 0 : Number(cursor['flight']) + 1
    return new WriteBehind(book, caches, recovered, flushed)
  }

  constructor(book: Daybook, caches: Caches, recovered: number, flushed: () => void) {
    this.#book = book
    this.#caches = caches
    this.recovered = recovered
    book.on('flushed', (batch) => {
      this.#flushed(batch)
      flushed()
    })
  }

  async apply(work: FlightWork): Promise<void> {
    const receipts = await this.#write(work)
    this.#mutations += receipts.length
    if (work.index % sampleEvery === 0) this.#sample(receipts)
  }

  #write(work: FlightWork): Promise<Receipt[]> {
    return this.#book.batch((batch) => {
      for (const write of cacheWrites(work)) {
        const cache = this.#caches[write.cache]
        switch (write.kind) {
          case 'set':
            batch.set(cache, write.key, write.fields)
            break
          case 'merge':
            batch.merge(cache, write.key, write.fields)
            break
          case 'increment':
            batch.increment(cache, write.key, write.amounts)
            break
          case 'delete':
            batch.delete(cache, write.key)
        }
      }
    })
  }

  #sample(receipts: readonly Receipt[]): void {
    const acknowledgedAt = systemClock.now()
    for (const { lane, position } of receipts) {
      if (position > (this.#flushedTo[lane] ?? 0)) {
        this.#sampled.push({ lane, position, acknowledgedAt })
      }
    }
  }

  /** `persisted()` would tell too, but it does not let a batch wait for more: it would change what it measures. */
  #flushed({ lane, to }: Flushed): void {
    const now = systemClock.now()
    this.#flushedTo[lane] = to
    this.#sampled = this.#sampled.filter((sample) => {
      if (sample.lane !== lane || sample.position > to) return true
      this.#ages.push(now - sample.acknowledgedAt)
      return false
    })
  }

  figures(): ContenderFigures {
    const { pending, lagMs, batches, coalescing } = this.#book.stats()
    return {
      transactions: batches.count,
      rows: coalescing.rows,
      mutations: this.#mutations,
      flushed: coalescing.mutations,
      pending: pending.mutations,
      lagMs,
    }
  }

  staleness(): Spread {
    return spreadOf(this.#ages)
  }

  async drain(): Promise<void> {
    await this.#book.flush({ timeoutMs: drainTimeoutMs })
  }

  async close(): Promise<void> {
    await this.#book.close({ drainTimeoutMs })
  }
}
