/**
 * Goal: however the connection breaks around a commit, the increments are exact.
 * Method: a proxy between a book and a real server cuts before the COMMIT arrives, after it arrived and before its answer
 * is back, or keeps it on its way while the book already tries again; and it cuts everything at seeded messages.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDaybook, type Daybook } from '../../src/index.ts'
import { postgres } from '../../src/store/postgres/index.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { postgresTables, temporaryDirectory, type LedgerDatabase } from './ledger-database.ts'
import { between, seeded } from './seeded.ts'

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(
  `a connection that breaks (${unavailable ?? 'private server'})`,
  () => {
    let server: PostgresServer
    let proxy: TcpProxy
    let database: LedgerDatabase
    let book: Daybook
    let ledger: Ledger
    let retries: number
    let next: number
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())

    beforeEach(async () => {
      database = await postgresTables(server)
      proxy = await startProxy(server.port)
      ledger = new Ledger()
      retries = 0
      next = 0
    })
    afterEach(async () => {
      await book.close()
      await proxy.close()
    })

    async function open(lanes: number): Promise<LedgerBook> {
      book = await openDaybook({
        directory: temporaryDirectory(),
        store: postgres({ url: server.urlOf({ port: proxy.port }) }),
        lanes,
        flush: { delayMs: 1, maxKeys: 20, retryBaseMs: 1, retryMaxMs: 20 },
        control: false,
      })
      book.on('retrying', () => retries++)
      return new LedgerBook(book)
    }

    function write(writer: LedgerBook, count: number): Promise<void> {
      next += count
      return writer.writeMany(next - count, count, (operation, said) => ledger.say(operation, said))
    }

    /** Someone waits for the lane that the transaction in doubt holds. */
    async function successorWaits(): Promise<void> {
      const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'daybook'`
      while ((await administer(server.url, waiting)).length === 0);
    }

    const faults = {
      'before the COMMIT reaches the server': () => proxy.cutBefore(/COMMIT/),
      'after the COMMIT reached it, without the answer': () => proxy.cutAfter(/COMMIT/),
      'while the COMMIT is on its way, and arrives after the next attempt began': async () => {
        const held = await proxy.hold(/COMMIT/)
        held.cutClient()
        await successorWaits()
        held.release()
      },
      'while the COMMIT is on its way, and is lost after the next attempt began': async () => {
        const held = await proxy.hold(/COMMIT/)
        held.cutClient()
        await successorWaits()
        held.cutServer()
      },
    }

    test.each(Object.entries(faults))('%s: increments are exact', async (_, fault) => {
      const writer = await open(1)
      for (let round = 0; round < 3; round++) {
        const struck = fault()
        await write(writer, 60)
        await struck
      }
      await book.flush()
      await ledger.compare(database.rows)
      expect(ledger.acknowledged.size).toBe(next)
      expect(retries).toBeGreaterThanOrEqual(3)
    })

    test('a flush that is waited for survives a commit in doubt', async () => {
      const writer = await open(1)
      await write(writer, 1)
      await book.flush()
      const struck = proxy.cutAfter(/COMMIT/)
      await writer.write(next, { durability: 'store' })
      ledger.say(next, 'acknowledged')
      await struck
      await ledger.compare(database.rows)
    })

    test('at any message, on all connections, under load: increments are exact', async () => {
      const writer = await open(3)
      const random = seeded(20_261_125)
      for (let cut = 0; cut < 40; cut++) {
        const struck = proxy.cutAllBefore(between(random, 1, 25))
        let over = false
        void struck.then(() => (over = true))
        while (!over) await write(writer, 20)
      }
      await book.flush()
      await ledger.compare(database.rows)
      expect(ledger.acknowledged.size).toBe(next)
      expect(retries).toBeGreaterThan(10)
      expect(book.stats().deadLetters.count).toBe(0)
    })
  },
)
