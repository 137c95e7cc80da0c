/**
 * Goal: a process that is asked to end says what it leaves behind, and the next one brings it home.
 * Method: SIGTERM to a writing process whose handler calls close(), while the database is locked by someone else.
 */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { openDaybook } from '../../src/index.ts'
import { storeFromUrl } from '../../src/store/store-url.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { sqliteFile, temporaryDirectory } from './ledger-database.ts'

test('SIGTERM while writing and the database is away: close reports what is pending, the next run flushes it', async () => {
  const database = sqliteFile()
  const ledger = new Ledger()
  const options = {
    directory: join(temporaryDirectory(), 'book'),
    url: database.url,
    flush: { delayMs: 1 },
    drainTimeoutMs: 200,
  }
  const book = await BookProcess.open(options, ledger)
  await book.write(0, 50)
  await book.order({ do: 'flush' })
  const other = new DatabaseSync(database.path)
  other.exec('begin immediate')
  const writing = book.write(50, 20_000)
  await ledger.whenAcknowledged(500)
  expect(await book.terminate()).toEqual({ code: 0, signal: null })
  // What could not be accepted any more was told so.
  await writing.catch((error: unknown) => expect(error).toMatchObject({ code: 'GONE' }))
  for (const code of book.codes) expect(code).toBe('CLOSED')
  const pending = book.closed?.pending ?? 0
  expect(pending).toBeGreaterThanOrEqual(2 * (ledger.acknowledged.size - 50))
  other.exec('rollback')
  other.close()

  const next = await BookProcess.open(options, ledger)
  await next.order({ do: 'flush' })
  await ledger.compare(database.rows)
  // And with nothing in the way there is nothing left.
  await next.write(100_000, 100)
  expect(await next.terminate()).toEqual({ code: 0, signal: null })
  expect(next.closed).toEqual({ pending: 0, unsettledLanes: 0 })
  await ledger.compare(database.rows)
})

test('a write that waits for the database says that it is pending when the book closes, and the next one has it', async () => {
  const database = sqliteFile()
  const directory = join(temporaryDirectory(), 'book')
  const open = async (): ReturnType<typeof openDaybook> =>
    openDaybook({ directory, store: await storeFromUrl(database.url), control: false })
  const book = await open()
  const { notes } = new LedgerBook(book)
  await notes.ready()
  const other = new DatabaseSync(database.path)
  other.exec('begin immediate')
  const waiting = notes
    .set('c1:1', { counter: 'c1' }, { durability: 'store' })
    .catch((error: unknown) => error)
  await notes.set('c1:2', { counter: 'c1' })
  expect(await book.close({ drainTimeoutMs: 0 })).toEqual({ pending: 2, unsettledLanes: 0 })
  expect(await waiting).toMatchObject({ code: 'CLOSED', details: { outcome: 'pending' } })
  other.exec('rollback')
  other.close()

  await using next = await open()
  await next.flush()
  expect((await database.rows('notes')).map(({ id }) => id)).toEqual(['c1:1', 'c1:2'])
})
