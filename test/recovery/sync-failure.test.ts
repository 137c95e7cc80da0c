/**
 * Goal: after a sync that failed nothing is acknowledged any more, and a restart finds all that was.
 * Method: strace makes the n-th fdatasync of each thread fail with EIO, in a real process on real files.
 */

import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { straceUnavailable, underStrace } from '../support/strace.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { sqliteFile, temporaryDirectory } from './ledger-database.ts'

function eioAt(when: string): readonly string[] {
  return underStrace({ call: 'fdatasync', effect: 'EIO', when }, '/dev/null')
}

const reason = straceUnavailable()

describe.skipIf(reason !== undefined)(`a disk whose syncs fail (${reason ?? 'strace'})`, () => {
  test.each([
    ['once', '25'],
    ['from then on', '12+'],
  ])(
    '%s: JOURNAL_FAILED for all writes, and a restart recovers what was acknowledged',
    async (_, when) => {
      const database = sqliteFile()
      const directory = join(temporaryDirectory(), 'book')
      const ledger = new Ledger()
      const options = { directory, url: database.url, lanes: 2, flush: { delayMs: 2 } }
      const book = await BookProcess.open(options, ledger, eioAt(when))
      // The store's own syncs are not what this is about.
      await book.order({ do: 'pause' })
      await book.write(0, 800)
      await book.whenSaid('journalFailed')
      expect(book.codes).toEqual(new Set(['JOURNAL_FAILED']))
      const acknowledged = ledger.acknowledged.size
      expect(acknowledged).toBeGreaterThan(0)
      expect(acknowledged).toBeLessThan(800)
      await book.write(800, 50)
      expect(ledger.acknowledged.size).toBe(acknowledged)
      await book.kill()

      const next = await BookProcess.open(options, ledger)
      await next.order({ do: 'flush' })
      await ledger.compare(database.rows)
      await next.write(1000, 50, { durability: 'store' })
      expect(ledger.acknowledged.size).toBe(acknowledged + 50)
      await ledger.compare(database.rows)
    },
  )

  test('what was durable before is still flushed, and closing says so', async () => {
    const database = sqliteFile()
    const directory = join(temporaryDirectory(), 'book')
    const ledger = new Ledger()
    const options = { directory, url: database.url, lanes: 1, flush: { delayMs: 60_000 } }
    const book = await BookProcess.open(options, ledger, eioAt('40'))
    await book.write(0, 2000)
    await book.whenSaid('journalFailed')
    expect(await book.terminate()).toEqual({ code: 0, signal: null })
    expect(book.closed).toEqual({ pending: 0, unsettledLanes: 0 })
    await ledger.compare(database.rows)
  })
})
