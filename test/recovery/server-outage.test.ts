/**
 * Goal: a database that dies, or is away for long, costs nothing but time.
 * Method: a real server is killed with -9 or shut down while a book writes into it; writes go on meanwhile, and reads are
 * compared with the ledger while the database cannot be asked.
 */

import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { openDaybook, type Daybook, type EventMap, type EventName } from '../../src/index.ts'
import { postgres } from '../../src/store/postgres/index.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { fastClock } from './fast-clock.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import { postgresTables, temporaryDirectory, type LedgerDatabase } from './ledger-database.ts'
import { counterOf, counters, noteOf } from './operation.ts'
import { between, seeded } from './seeded.ts'

const unavailable = postgresUnavailable()

function once<Name extends EventName>(book: Daybook, name: Name): Promise<EventMap[Name]> {
  return new Promise((resolve) => {
    const off = book.on(name, (payload) => {
      off()
      resolve(payload)
    })
  })
}

describe.skipIf(unavailable !== undefined)(
  `a PostgreSQL server that fails (${unavailable ?? 'private server'})`,
  () => {
    let server: PostgresServer
    let database: LedgerDatabase
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())

    test('is killed with -9 while a book writes, again and again: nothing is lost or doubled', async () => {
      database = await postgresTables(server)
      const random = seeded(20_261_124)
      await using book = await openDaybook({
        directory: temporaryDirectory(),
        store: postgres({ url: server.url }),
        lanes: 3,
        flush: { delayMs: 1, maxKeys: 30, retryBaseMs: 5, retryMaxMs: 50 },
        control: false,
      })
      const writer = new LedgerBook(book, 64 << 20)
      const ledger = new Ledger()
      let next = 0
      const write = (count: number): Promise<void> => {
        next += count
        return writer.writeMany(next - count, count, (operation, said) =>
          ledger.say(operation, said),
        )
      }
      await write(3 * counters)
      await book.flush()
      await expectCounters(writer, ledger)

      for (let round = 0; round < 4; round++) {
        const before = ledger.acknowledged.size
        const down = once(book, 'storeDown')
        const writing = write(400)
        await ledger.whenAcknowledged(before + between(random, 50, 350))
        await server.kill()
        await down
        await writing
        // Acknowledged during the outage, and read while nobody can be asked.
        await write(100)
        await expectCounters(writer, ledger)
        expect(await writer.notes.get(noteOf(next - 1))).toEqual({ counter: counterOf(next - 1) })
        const up = once(book, 'storeUp')
        await server.start()
        await up
      }
      await book.flush()
      await ledger.compare(database.rows)
      expect(ledger.acknowledged.size).toBe(next)
      expect(book.stats().deadLetters.count).toBe(0)
    })

    test('is away for a minute: writes are acknowledged, attempts are few and never run out, and then it drains', async () => {
      database = await postgresTables(server)
      const clock = fastClock(systemClock, 30)
      await using book = await openDaybook(
        {
          directory: temporaryDirectory(),
          store: postgres({ url: server.url }),
          lanes: 2,
          flush: { delayMs: 100, maxKeys: 50 },
          pressure: { memoryBytes: 16 * 1024 },
          journal: { segmentBytes: 256 * 1024, maxBytes: 256 << 20, retainBytes: 0 },
          openTimeoutMs: 600_000,
          control: false,
        },
        { clock },
      )
      const writer = new LedgerBook(book)
      const ledger = new Ledger()
      const said: string[] = []
      for (const name of ['storeDown', 'storeUp', 'deadLettered', 'halted'] as const) {
        book.on(name, () => said.push(name))
      }
      const stalled = once(book, 'stalled')
      let retries = 0
      book.on('retrying', () => retries++)
      let next = 0
      const write = (count: number): Promise<void> => {
        next += count
        return writer.writeMany(next - count, count, (operation, told) =>
          ledger.say(operation, told),
        )
      }
      await write(3 * counters)
      await book.flush()
      await expectCounters(writer, ledger)

      await server.shutDown()
      const beganAt = clock.now()
      const duringOutage = next
      const minute = new Promise<void>((resolve) => void clock.setTimer(60_000, resolve))
      while (clock.now() < beganAt + 60_000 && next < 6_000) await write(50)
      await stalled
      await minute

      await expectCounters(writer, ledger)
      // Most of it is neither in the tier nor in memory: the journal answers.
      expect(book.stats().pending.spilledMutations).toBeGreaterThan(0)
      for (const operation of [duringOutage, Math.floor((duringOutage + next) / 2), next - 1]) {
        expect(await writer.notes.get(noteOf(operation))).toEqual({ counter: counterOf(operation) })
      }
      const { breaker, deadLetters, pending } = book.stats()
      expect(breaker.state).not.toBe('closed')
      expect(deadLetters.count).toBe(0)
      expect(pending.mutations).toBe(2 * (next - duringOutage))
      expect(said).toEqual(['storeDown'])
      // Every lane fails once, and then one probe at a time, with pauses that grow to 5 s.
      expect(retries).toBeGreaterThan(4)
      expect(retries).toBeLessThan(150)

      await server.start()
      await book.flush()
      expect(said).toEqual(['storeDown', 'storeUp'])
      expect(ledger.acknowledged.size).toBe(next)
      await ledger.compare(database.rows)
    })

    test('does not answer: a read ends with TIMEOUT, and the next one has the row', async () => {
      database = await postgresTables(server)
      await administer(server.url, `insert into notes values ('c1:1', 'c1')`)
      const proxy = await startProxy(server.port)
      await using book = await openDaybook({
        directory: temporaryDirectory(),
        store: postgres({ url: server.urlOf({ port: proxy.port }) }),
        loadTimeoutMs: 2_000,
        control: false,
      })
      const { notes } = new LedgerBook(book)
      await notes.ready()
      proxy.stall()
      await expect(notes.get('c1:1')).rejects.toMatchObject({ code: 'TIMEOUT' })
      proxy.resume()
      expect(await notes.get('c1:1')).toEqual({ counter: 'c1' })
      await book.close()
      await proxy.close()
    })

    test('is away when a book is closed and when it opens: what is pending waits for it', async () => {
      database = await postgresTables(server)
      const options = {
        directory: join(temporaryDirectory(), 'book'),
        lanes: 2,
        flush: { delayMs: 60_000, retryBaseMs: 5, retryMaxMs: 50 },
        control: false,
      } as const
      const ledger = new Ledger()
      const book = await openDaybook({ ...options, store: postgres({ url: server.url }) })
      await new LedgerBook(book).writeMany(0, 70, (operation, said) => ledger.say(operation, said))
      await server.kill()
      expect(await book.close({ drainTimeoutMs: 300 })).toEqual({ pending: 140, unsettledLanes: 0 })

      const store = (): ReturnType<typeof postgres> => postgres({ url: server.url })
      await expect(
        openDaybook({ ...options, store: store(), openTimeoutMs: 200 }),
      ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
      const opening = openDaybook({ ...options, store: store(), openTimeoutMs: 30_000 })
      await server.start()
      await using next = await opening
      expect(next.stats().pending.mutations).toBe(140)
      await next.flush()
      await ledger.compare(database.rows)
    })
  },
)

async function expectCounters(writer: LedgerBook, ledger: Ledger): Promise<void> {
  for (let index = 0; index < counters; index++) {
    const counter = counterOf(index)
    expect(await writer.counters.get(counter)).toEqual({ n: ledger.expectedCount(counter) })
  }
}
