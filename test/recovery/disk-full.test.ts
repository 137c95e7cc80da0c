/**
 * Goal: a full disk makes writes wait or refuses them, loses nothing that was acknowledged, and is over when space returns.
 * Method: the book's directory is a real file system of 4 MiB, which the test fills up and empties again.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { BookProcessOptions } from './book-process.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { sqliteFile, temporaryDirectory, type SqliteFile } from './ledger-database.ts'
import { mountsUnavailable, onSmallDisk } from './small-disk.ts'

interface Stats {
  readonly pending: { readonly mutations: number }
  readonly journal: { readonly state: string }
}

describe.skipIf(mountsUnavailable !== undefined)(
  `a disk that is full (${mountsUnavailable ?? 'private tmpfs'})`,
  () => {
    function diskOf(
      policy: 'wait' | 'reject',
      waitMs = 30_000,
    ): {
      readonly database: SqliteFile
      readonly ledger: Ledger
      readonly path: string
      readonly open: () => Promise<BookProcess>
    } {
      const database = sqliteFile()
      const disk = join(temporaryDirectory(), 'disk')
      mkdirSync(disk)
      const ledger = new Ledger()
      const options: BookProcessOptions = {
        directory: join(disk, 'book'),
        url: database.url,
        lanes: 1,
        flush: { delayMs: 2, maxKeys: 50 },
        // The lock's few bytes aside, the disk is the limit, not the budget.
        journal: { segmentBytes: 128 << 10, maxBytes: 64 << 20, retainBytes: 0 },
        pressure: { policy, waitMs },
      }
      const open = (): Promise<BookProcess> => BookProcess.open(options, ledger, onSmallDisk(disk))
      return { database, ledger, path: join(disk, 'ballast'), open }
    }

    test('refuses writes with JOURNAL_FULL, goes on flushing, and takes them again when space returns', async () => {
      const { database, ledger, path, open } = diskOf('reject')
      const book = await open()
      await book.write(0, 50)
      await book.order({ do: 'pause' })
      await book.order({ do: 'fill', path })
      // More than the space that was prepared for.
      let next = 50
      while (!book.events.includes('journalFull')) {
        await book.write(next, 200)
        next += 200
      }
      await book.write(next, 20)
      expect(book.codes).toEqual(new Set(['JOURNAL_FULL']))
      expect(ledger.refused.size).toBeGreaterThanOrEqual(20)
      const full = (await book.order({ do: 'stats' })) as Stats
      expect(full.journal.state).toBe('full')
      expect(full.pending.mutations).toBeGreaterThan(0)

      // What was acknowledged needs no disk to get to the database.
      await book.order({ do: 'resume' })
      await book.order({ do: 'flush' })
      await ledger.compare(database.rows)

      await book.order({ do: 'empty', path })
      await book.whenSaid('journalRecovered')
      const before = ledger.acknowledged.size
      await book.write(next + 20, 200)
      expect(ledger.acknowledged.size).toBe(before + 200)
      await book.order({ do: 'flush' })
      await ledger.compare(database.rows)
    })

    test('does not keep what is pending from the database of a book that is closed and opened again', async () => {
      const { database, ledger, path, open } = diskOf('reject')
      const book = await open()
      await book.order({ do: 'pause' })
      await book.write(0, 50)
      await book.order({ do: 'fill', path })
      await book.write(50, 1000)
      await book.whenSaid('journalFull')
      await book.order({ do: 'reopen' })
      await book.order({ do: 'flush' })
      await ledger.compare(database.rows)
      expect(ledger.acknowledged.size).toBeGreaterThanOrEqual(50)
      await book.order({ do: 'empty', path })
      await book.order({ do: 'reopen' })
      await book.write(2000, 50, { durability: 'store' })
      await ledger.compare(database.rows)
      expect(ledger.acknowledged.has(2049)).toBe(true)
    })

    test('makes writes wait until space returns', async () => {
      const { database, ledger, path, open } = diskOf('wait')
      const book = await open()
      await book.write(0, 50)
      await book.order({ do: 'pause' })
      await book.order({ do: 'fill', path })
      const writing = book.write(50, 2000)
      await book.whenSaid('journalFull')
      await book.order({ do: 'empty', path })
      await writing
      await book.order({ do: 'resume' })
      await book.order({ do: 'flush' })
      await ledger.compare(database.rows)
      // Those that were being written when the disk turned out to be full were refused; all others have waited.
      expect(ledger.acknowledged.size + ledger.refused.size).toBe(2050)
      expect(ledger.refused.size).toBeLessThan(100)
    })
  },
)
