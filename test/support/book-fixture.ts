/** A book on a memory journal and a memory store, with real time. */

import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import type { Ports } from '../../src/base/ports.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import { openBook } from '../../src/book/open.ts'
import type { DaybookOptions } from '../../src/book/options.ts'
import { MemoryDatabase, memoryStore, type MemoryStore } from '../../src/store/memory-store.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { MemoryJournal } from './memory-journal.ts'

export const userTables = {
  users: {
    key: { id: { kind: 'text' } },
    columns: {
      name: { type: { kind: 'text' } },
      visits: { type: { kind: 'integer', bits: 32 }, default: 0 },
      score: { type: { kind: 'float', bits: 64, nonFinite: false }, default: 0 },
      email: { type: { kind: 'text' }, unique: true },
    },
  },
  orders: {
    key: { id: { kind: 'integer', bits: 64 } },
    columns: {
      user: { type: { kind: 'text' }, references: 'users' },
      total: { type: { kind: 'numeric', precision: 10, scale: 2 }, default: '0.00' },
    },
  },
} as const

export interface User {
  name: string | null
  visits: number
  score: number
  email: string | null
}

export function user(name: string, given: Partial<User> = {}): User {
  return { name, visits: 0, score: 0, email: null, ...given }
}

export interface World {
  readonly journal: MemoryJournal
  readonly database: MemoryDatabase
  readonly ports: Ports
}

export function world(lanes = 2, given: Partial<Ports> = {}): World {
  return {
    journal: new MemoryJournal(lanes),
    database: new MemoryDatabase(),
    ports: {
      clock: systemClock,
      random: systemRandom,
      files: new MemoryFiles(),
      logger: silentLogger,
      ...given,
    },
  }
}

export async function openIn(
  { journal, database, ports }: World,
  options: Partial<DaybookOptions> = {},
): Promise<{ book: Daybook; store: MemoryStore }> {
  const store = memoryStore({ tables: userTables, database })
  const book = await openBook(
    {
      directory: '/book',
      store,
      flush: { delayMs: 5, retryBaseMs: 1, retryMaxMs: 10 },
      ...options,
    },
    ports,
    journal.open,
  )
  return { book, store }
}
