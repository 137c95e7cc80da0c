/**
 * A process that writes as fast as it is acknowledged, until it is killed. Every operation adds one to a counter and
 * notes its own number, in one atomic batch: the notes say which operations the database has, and the counter must
 * be exactly their count.
 *
 * Messages to the parent: { acknowledged: number[] } after the promise of each operation has resolved.
 */

import { openDaybook } from '../../src/index.ts'
import { storeFromUrl } from '../../src/store/store-url.ts'

const [directory = '', url = '', first = '0', count = '0'] = process.argv.slice(2)

const book = await openDaybook({
  directory,
  store: await storeFromUrl(url),
  lanes: 2,
  flush: { delayMs: 3, maxKeys: 40 },
  journal: { segmentBytes: 256 * 1024, maxBytes: 64 * 1024 * 1024, retainBytes: 0 },
  pressure: { memoryBytes: 32 * 1024 },
  control: false,
})
const counterOf = (key: string): string => key.split(':')[0] ?? key
const counters = book.cache<{ n: number }>('counters', { table: 'counters', key: 'id' })
const notes = book.cache<{ counter: string }>('notes', {
  table: 'notes',
  key: 'id',
  maxBytes: 20_000,
  routeBy: counterOf,
})

let next = Number(first)
const end = next + Number(count)

async function work(): Promise<void> {
  while (next < end) {
    const operation = next++
    const counter = `c${operation % 7}`
    await book.batch((writes) => {
      writes.increment(counters, counter, { n: 1 })
      writes.set(notes, `${counter}:${operation}`, { counter })
    })
    process.send?.({ acknowledged: operation })
  }
}

await Promise.all(Array.from({ length: 16 }, work))
await book.flush()
await book.close()
process.disconnect?.()
