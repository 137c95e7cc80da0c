/**
 * Goal: a database that goes back in time is rolled forward from the journal, or refused; nothing in between.
 * Method: the SQLite file is deleted, replaced by an older copy or by another database, between runs and during one.
 */

import { copyFileSync, cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDaybook, type Daybook, type JournalOptions } from '../../src/index.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { sqliteFile, temporaryDirectory, type SqliteFile } from './ledger-database.ts'

class Application {
  readonly directory = join(temporaryDirectory(), 'book')
  readonly database = sqliteFile()
  readonly ledger = new Ledger()
  readonly #journal: JournalOptions
  #next = 0

  constructor(journal: JournalOptions = {}) {
    this.#journal = journal
  }

  open(database: SqliteFile = this.database, directory = this.directory): Promise<Daybook> {
    return openDaybook({
      directory,
      store: sqlite({ path: database.path }),
      lanes: 2,
      flush: { delayMs: 1, retryBaseMs: 1, retryMaxMs: 10 },
      journal: this.#journal,
      control: false,
    })
  }

  write(book: Daybook, count: number): Promise<void> {
    this.#next += count
    return new LedgerBook(book).writeMany(this.#next - count, count, (operation, said) =>
      this.ledger.say(operation, said),
    )
  }

  /** Opens, writes, and closes with everything in the database. */
  async run(count: number): Promise<void> {
    const book = await this.open()
    await this.write(book, count)
    expect(await book.close()).toEqual({ pending: 0, unsettledLanes: 0 })
  }

  async compare(database: SqliteFile = this.database): Promise<void> {
    await this.ledger.compare(database.rows)
    expect((await database.rows('notes')).length).toBe(this.ledger.acknowledged.size)
  }

  restore(backup: string): void {
    this.remove()
    copyFileSync(backup, this.database.path)
  }

  remove(): void {
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(this.database.path + suffix, { force: true })
    }
  }
}

/** Small segments and no retention: what is flushed is gone soon. */
const forgetful = { segmentBytes: 64 << 10, maxBytes: 64 << 20, retainBytes: 0 }

test('an older copy of the database is rolled forward', async () => {
  const application = new Application()
  await application.run(100)
  const backup = join(temporaryDirectory(), 'backup.db')
  copyFileSync(application.database.path, backup)
  await application.run(100)
  application.restore(backup)
  await application.run(50)
  await application.compare()
})

test('a database that was deleted is written anew from the journal, once its tables are there', async () => {
  const application = new Application()
  await application.run(150)
  application.remove()
  sqliteFile(application.database.path)
  await application.run(0)
  await application.compare()
})

test('a database without the tables keeps everything waiting until they are there', async () => {
  const application = new Application()
  await application.run(150)
  application.remove()
  const book = await application.open()
  await expect(book.cache('notes', { table: 'notes', key: 'id' }).get('x')).rejects.toMatchObject({
    code: 'STORE_MISCONFIGURED',
  })
  await expect(book.flush({ timeoutMs: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(await book.close({ drainTimeoutMs: 0 })).toEqual({ pending: 300, unsettledLanes: 0 })
  sqliteFile(application.database.path)
  await application.run(10)
  await application.compare()
})

test('a database that goes back in time under a running book is rolled forward, too', async () => {
  const application = new Application()
  const book = await application.open()
  const tables = ['counters', 'notes', 'daybook_checkpoints']
  await application.write(book, 100)
  await book.flush()
  application.database.run((database) => {
    for (const table of tables) database.exec(`create table old_${table} as select * from ${table}`)
  })
  await application.write(book, 100)
  await book.flush()
  const rolledForward: number[] = []
  book.on('rolledForward', ({ lane }) => rolledForward.push(lane))
  application.database.run((database) => {
    database.exec('begin immediate')
    for (const table of tables) {
      database.exec(`delete from ${table}; insert into ${table} select * from old_${table}`)
    }
    database.exec('commit')
  })
  await application.write(book, 100)
  await book.flush()
  await application.compare()
  expect(rolledForward.sort()).toEqual([0, 1])
  await book.close()
})

test('a copy that is older than what the journal has kept is refused with JOURNAL_GAP', async () => {
  const application = new Application(forgetful)
  await application.run(50)
  const backup = join(temporaryDirectory(), 'backup.db')
  const current = join(temporaryDirectory(), 'current.db')
  copyFileSync(application.database.path, backup)
  for (let round = 0; round < 4; round++) await application.run(600)
  copyFileSync(application.database.path, current)
  application.restore(backup)
  await expect(application.open()).rejects.toMatchObject({
    code: 'JOURNAL_GAP',
    message: expect.stringMatching(/Restore a newer backup/) as string,
  })
  // With the right one in its place again all is well.
  application.restore(current)
  await application.run(50)
  await application.compare()
})

test('another database is refused where the journal no longer has everything, and else gets all of it', async () => {
  const application = new Application(forgetful)
  for (let round = 0; round < 4; round++) await application.run(600)
  await expect(application.open(sqliteFile())).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
  await application.run(10)
  await application.compare()

  const complete = new Application()
  await complete.run(100)
  const other = sqliteFile()
  const book = await complete.open(other)
  await book.flush()
  await book.close()
  await complete.compare(other)
})

test('an older copy of the directory is refused: the database has seen more than its journal', async () => {
  const application = new Application()
  await application.run(50)
  const older = join(temporaryDirectory(), 'older')
  cpSync(application.directory, older, { recursive: true })
  await application.run(50)
  await expect(application.open(application.database, older)).rejects.toMatchObject({
    code: 'JOURNAL_GAP',
    message: expect.stringMatching(/older copy/) as string,
  })
  await application.run(10)
  await application.compare()
})
