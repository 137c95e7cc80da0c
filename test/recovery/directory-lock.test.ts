/**
 * Goal: one directory has one owner, and a dead owner is none.
 * Method: real processes, and two opens in one process.
 */

import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isDaybookError, openDaybook } from '../../src/index.ts'
import { storeFromUrl } from '../../src/store/store-url.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { sqliteFile, temporaryDirectory } from './ledger-database.ts'

test('a second process is told who has the directory and what to do; it has it at once when the first is killed', async () => {
  const database = sqliteFile()
  const directory = join(temporaryDirectory(), 'book')
  const ledger = new Ledger()
  const options = { directory, url: database.url, flush: { delayMs: 60_000 } }
  const first = await BookProcess.open(options, ledger)
  await first.write(0, 50)

  const refused = await BookProcess.open(options, ledger).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'JOURNAL_LOCKED' })
  expect(String(refused)).toContain(directory)
  expect(String(refused)).toMatch(/Close the other one, or give this one a directory of its own/)
  // Being asked did it no harm.
  await first.write(50, 50)

  await first.kill()
  const second = await BookProcess.open(options, ledger)
  await second.order({ do: 'flush' })
  expect(ledger.acknowledged.size).toBe(100)
  await ledger.compare(database.rows)
})

test('a second open in one process is refused, by whatever path, and does not loosen the lock', async () => {
  const database = sqliteFile()
  const parent = temporaryDirectory()
  const directory = join(parent, 'book')
  const link = join(parent, 'link')
  const ledger = new Ledger()
  const open = async (path: string): ReturnType<typeof openDaybook> =>
    openDaybook({ directory: path, store: await storeFromUrl(database.url), control: false })
  const first = await open(directory)
  symlinkSync(directory, link)
  for (const path of [directory, link]) {
    const error = await open(path).catch((error: unknown) => error)
    expect(isDaybookError(error, 'JOURNAL_LOCKED')).toBe(true)
  }
  const other = BookProcess.open({ directory, url: database.url }, ledger)
  await expect(other).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' })
  await new LedgerBook(first).writeMany(0, 20, (operation, said) => ledger.say(operation, said))
  await first.close()

  await using second = await open(directory)
  await second.flush()
  expect(ledger.acknowledged.size).toBe(20)
  await ledger.compare(database.rows)
})
