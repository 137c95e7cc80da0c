/** The ledger's caches on a book, and one who writes operations into them. */

import { isDaybookError, type Cache, type Daybook, type WriteOptions } from '../../src/index.ts'
import { counterOf, noteOf, saidBy, type Said } from './operation.ts'

/** A note shares the lane of its counter. */
function counterIn(key: string): string {
  return key.split(':')[0] ?? key
}

export class LedgerBook {
  readonly counters: Cache<{ n: number }>
  readonly notes: Cache<{ counter: string }>
  readonly #book: Daybook

  /** `cacheBytes` bounds what the tier holds of the notes, so that reads come from elsewhere. */
  constructor(book: Daybook, cacheBytes = 20_000) {
    this.#book = book
    this.counters = book.cache('counters', { table: 'counters', key: 'id' })
    this.notes = book.cache('notes', {
      table: 'notes',
      key: 'id',
      maxBytes: cacheBytes,
      routeBy: counterIn,
    })
  }

  async write(operation: number, options: WriteOptions = {}): Promise<void> {
    await this.#book.batch((writes) => {
      writes.increment(this.counters, counterOf(operation), { n: 1 })
      writes.set(this.notes, noteOf(operation), { counter: counterOf(operation) })
    }, options)
  }

  /** Makes the operations from `first` on, sixteen at a time, and says of each what became of it. Never rejects. */
  async writeMany(
    first: number,
    count: number,
    say: (operation: number, said: Said, code: string | undefined) => void,
    options: WriteOptions = {},
  ): Promise<void> {
    let next = first
    const end = first + count
    const work = async (): Promise<void> => {
      while (next < end) {
        const operation = next++
        try {
          await this.write(operation, options)
          say(operation, 'acknowledged', undefined)
        } catch (error) {
          const code = isDaybookError(error) ? error.code : String(error)
          say(operation, saidBy(code), code)
        }
      }
    }
    await Promise.all(Array.from({ length: 16 }, work))
  }
}
