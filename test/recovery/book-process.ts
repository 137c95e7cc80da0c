/**
 * A book in a process of its own, which does what it is told over IPC; see `BookProcess` for the other end.
 *
 * It says { acknowledged | refused | unknown: operation } of each operation, and { id, result } or { id, failure } to
 * each order. On SIGTERM it closes the book as a good citizen would, says what is left, and ends.
 */

import { rmSync, writeFileSync } from 'node:fs'
import { nodeFiles } from '../../src/base/node-files.ts'
import { isDaybookError, openDaybook, type Daybook, type DaybookOptions } from '../../src/index.ts'
import { postgres, type PostgresOptions } from '../../src/store/postgres/index.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { mortalFiles, type Death } from './mortal-files.ts'
import { LedgerBook } from './ledger-book.ts'

export interface BookProcessOptions extends Omit<DaybookOptions, 'store' | 'logger'> {
  /** `sqlite:<path>` or `postgres://…`. */
  readonly url: string
  readonly postgres?: PostgresOptions
  /** The process kills itself at this call of the Files port. */
  readonly death?: Death
  /** SIGTERM: how long closing may drain. */
  readonly drainTimeoutMs?: number
}

export type Order =
  | {
      readonly do: 'write'
      readonly first: number
      readonly count: number
      readonly durability?: 'journal' | 'store'
      readonly timeoutMs?: number
    }
  | { readonly do: 'flush' | 'pause' | 'resume' | 'close' | 'stats' }
  | { readonly do: 'read'; readonly note: string }
  /** Fills the disk of the file until nothing more goes in, and removes the file again. */
  | { readonly do: 'fill' | 'empty'; readonly path: string }

export interface Failure {
  readonly code: string
  readonly message: string
}

export type Said =
  | { readonly opened: true }
  | { readonly failedToOpen: Failure }
  | { readonly operation: number; readonly said: 'acknowledged' | 'refused' | 'unknown'; readonly code?: string }
  | { readonly event: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: Failure }
  | { readonly closed: { readonly pending: number } }

function say(message: Said): void {
  process.send?.(message)
}

function failureOf(error: unknown): Failure {
  const code = isDaybookError(error) ? error.code : 'UNKNOWN'
  return { code, message: error instanceof Error ? error.message : String(error) }
}

async function obey(book: Daybook, writer: LedgerBook, order: Order): Promise<unknown> {
  switch (order.do) {
    case 'write': {
      const { durability = 'journal', timeoutMs } = order
      const options = { durability, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
      await writer.writeMany(
        order.first,
        order.count,
        (operation, said, code) =>
          say({ operation, said, ...(code === undefined ? {} : { code }) }),
        options,
      )
      return undefined
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
    case 'read':
      return (await writer.notes.get(order.note)) ?? null
    case 'fill':
      return fill(order.path)
    case 'empty':
      return rmSync(order.path)
  }
}

function fill(path: string): void {
  const block = Buffer.alloc(4096)
  try {
    for (;;) writeFileSync(path, block, { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

/** A process without a parent must not stay behind. */
function orphaned(): void {
  process.exit(1)
}

function leave(): void {
  process.off('disconnect', orphaned)
  process.disconnect()
}

process.on('disconnect', orphaned)

const { url, postgres: postgresOptions, death, ...options } = JSON.parse(
  process.argv[2] ?? '{}',
) as BookProcessOptions
try {
  const store = url.startsWith('sqlite:')
    ? sqlite({ path: url.slice('sqlite:'.length) })
    : postgres({ url }, postgresOptions)
  const files = death === undefined ? nodeFiles : mortalFiles(nodeFiles, death)
  const book = await openDaybook({ control: false, ...options, store }, { files })
  for (const name of ['fenced', 'journalFull', 'journalRecovered', 'journalFailed'] as const) {
    book.on(name, () => say({ event: name }))
  }
  const writer = new LedgerBook(book)
  process.on('message', ({ id, order }: { id: number; order: Order }) => {
    obey(book, writer, order).then(
      (result) => say({ id, result }),
      (error: unknown) => say({ id, failure: failureOf(error) }),
    )
  })
  process.on('SIGTERM', () => {
    void book.close().then((closed) => {
      say({ closed })
      leave()
    })
  })
  say({ opened: true })
} catch (error) {
  say({ failedToOpen: failureOf(error) })
  leave()
}
