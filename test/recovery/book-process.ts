/**
 * A book in a process of its own, which does what it is told over IPC; see `BookProcess` for the other end.
 *
 * It says { acknowledged | refused | unknown: operation } of each operation, and { id, result } or { id, failure } to
 * each order. On SIGTERM it closes the book as a good citizen would, says what is left, and ends.
 */

import { rmSync, writeFileSync } from 'node:fs'
import { nodeFiles } from '../../src/base/node-files.ts'
import { openDaybook, type Daybook, type DaybookOptions } from '../../src/index.ts'
import { postgres, type PostgresOptions } from '../../src/store/postgres/index.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { leave, say, takeOrders } from '../support/ordered-program.ts'
import { mortalFiles, type Death } from './mortal-files.ts'
import { LedgerBook } from './ledger-book.ts'

export interface BookProcessOptions extends Omit<DaybookOptions, 'store' | 'logger'> {
  /** `sqlite:<path>` or `postgres://…`. */
  readonly url: string
  readonly postgres?: PostgresOptions
  /** The process kills itself at this call of the Files port. */
  readonly death?: Death
}

export type Order =
  | {
      readonly do: 'write'
      readonly first: number
      readonly count: number
      readonly durability?: 'journal' | 'store'
    }
  | { readonly do: 'flush' | 'pause' | 'resume' | 'close' | 'reopen' | 'stats' }
  /** Fills the disk of the file until nothing more goes in, and removes the file again. */
  | { readonly do: 'fill' | 'empty'; readonly path: string }

export type Said =
  | {
      readonly operation: number
      readonly said: 'acknowledged' | 'refused' | 'unknown'
      readonly code?: string
    }
  | { readonly event: string }
  | { readonly closed: { readonly pending: number } }

function fill(path: string): void {
  const block = Buffer.alloc(4096)
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

const {
  url,
  postgres: postgresOptions,
  death,
  ...options
} = JSON.parse(process.argv[2] ?? '{}') as BookProcessOptions
const files = death === undefined ? nodeFiles : mortalFiles(nodeFiles, death)

async function open(): Promise<Daybook> {
  const store = url.startsWith('sqlite:')
    ? sqlite({ path: url.slice('sqlite:'.length) })
    : postgres({ url }, postgresOptions)
  const opened = await openDaybook({ control: false, ...options, store }, { files })
  for (const name of ['fenced', 'journalFull', 'journalRecovered', 'journalFailed'] as const) {
    opened.on(name, () => say({ event: name } satisfies Said))
  }
  return opened
}

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'write': {
      const { first, count, durability = 'journal' } = order
      return writer.writeMany(
        first,
        count,
        (operation, said, code) =>
          say({ operation, said, ...(code === undefined ? {} : { code }) } satisfies Said),
        { durability },
      )
    }
    case 'flush':
      return book.flush()
    case 'pause':
      return book.pause()
    case 'resume':
      return book.resume()
    case 'stats':
      return book.stats()
    case 'close':
      return book.close()
    case 'reopen':
      await book.close({ drainTimeoutMs: 0 })
      book = await open()
      writer = new LedgerBook(book)
      return undefined
    case 'fill':
      return fill(order.path)
    case 'empty':
      return rmSync(order.path)
  }
}

let book: Daybook
let writer: LedgerBook
await takeOrders(async () => {
  book = await open()
  writer = new LedgerBook(book)
  process.on('SIGTERM', () => {
    void book.close().then((closed) => leave({ closed } satisfies Said))
  })
}, obey)
