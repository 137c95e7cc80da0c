/**
 * Goal: a process that was away while another one took over its journal changes nothing any more, however late it wakes.
 * Method: a writer is stopped, its directory copied and the copy opened by another process, which writes; then the first
 * goes on with what it has. The database must never see it again.
 */

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDaybook } from '../../src/index.ts'
import { storeFromUrl } from '../../src/store/store-url.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'
import { startProxy } from '../support/tcp-proxy.ts'
import { BookProcess } from './book-processes.ts'
import type { BookProcessOptions } from './book-process.ts'
import { Ledger } from './ledger.ts'
import { LedgerBook } from './ledger-book.ts'
import {
  postgresTables,
  sqliteFile,
  temporaryDirectory,
  type LedgerDatabase,
} from './ledger-database.ts'

const patient = { delayMs: 60_000, retryBaseMs: 5, retryMaxMs: 50 }

/** The stale one is stopped with acknowledged writes that are not flushed. */
async function takeOver({ url, rows }: LedgerDatabase): Promise<void> {
  const parent = temporaryDirectory()
  const directory = join(parent, 'stale')
  const ledger = new Ledger()
  /** What the stale process acknowledges before it knows better is in its own journal only. */
  const strayed = new Ledger()
  const options = { directory, url, lanes: 2, flush: patient }
  const stale = await BookProcess.open(options, ledger)
  await stale.write(0, 30)
  await stale.order({ do: 'flush' })
  await stale.write(30, 30)
  stale.stop()

  const copy = join(parent, 'copy')
  cpSync(directory, copy, { recursive: true })
  const owner = await BookProcess.open({ ...options, directory: copy }, ledger)
  await owner.write(60, 30)
  await owner.order({ do: 'flush' })
  await ledger.compare(rows)

  stale.heardBy(strayed)
  stale.continue()
  await expect(stale.order({ do: 'flush' })).rejects.toMatchObject({ code: 'FENCED' })
  expect(stale.events).toContain('fenced')
  await ledger.compare(rows)
  await stale.write(1000, 10, { durability: 'store' })
  await stale.write(1010, 10)
  expect(strayed.acknowledged.size).toBe(0)
  expect(stale.codes).toEqual(new Set(['FENCED']))
  await expect(stale.order({ do: 'flush' })).rejects.toMatchObject({ code: 'FENCED' })
  await ledger.compare(rows)

  await owner.write(90, 30, { durability: 'store' })
  expect(ledger.acknowledged.size).toBe(120)
  await ledger.compare(rows)
  // It ends in good order, and says how much it leaves behind.
  expect(await stale.terminate()).toEqual({ code: 0, signal: null })
  expect(stale.closed).toEqual({ pending: 60, unsettledLanes: 0 })
  await ledger.compare(rows)
}

test('a stale process is fenced, on SQLite', async () => {
  await takeOver(sqliteFile())
})

test('a stale book that reads a row of its successor is told so', async () => {
  const { url } = sqliteFile()
  const parent = temporaryDirectory()
  const open = async (name: string): ReturnType<typeof openDaybook> =>
    openDaybook({ directory: join(parent, name), store: await storeFromUrl(url), control: false })
  await using stale = await open('stale')
  const notes = new LedgerBook(stale).notes
  await notes.set('c1:1', { counter: 'c1' })
  await stale.flush()
  cpSync(join(parent, 'stale'), join(parent, 'copy'), { recursive: true })
  await using owner = await open('copy')
  await new LedgerBook(owner).notes.set('c1:2', { counter: 'c1' })
  await owner.flush()
  // The row is newer than all that the stale one's journal has, and will ever have.
  await expect(notes.get('c1:2')).rejects.toMatchObject({ code: 'FENCED' })
  await expect(notes.get('c1:2')).rejects.toMatchObject({ code: 'FENCED' })
})

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(
  `on PostgreSQL (${unavailable ?? 'private server'})`,
  () => {
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres()
    })
    afterAll(() => server.stop())

    test('a stale process is fenced', async () => {
      await takeOver(await postgresTables(server))
    })

    test('one that was stopped between its rows and their COMMIT is fenced', async () => {
      const { url, rows } = await postgresTables(server)
      const proxy = await startProxy(server.port)
      const parent = temporaryDirectory()
      const directory = join(parent, 'stale')
      const ledger = new Ledger()
      const options: BookProcessOptions = {
        directory,
        url: server.urlOf({ port: proxy.port }),
        lanes: 1,
        flush: patient,
        // The server gives the silent transaction up after this.
        postgres: { idleInTransactionTimeoutMs: 500 },
      }
      const stale = await BookProcess.open(options, ledger)
      await stale.write(0, 30)
      const holding = proxy.hold(/COMMIT/)
      const flushed = stale.order({ do: 'flush' }).catch((error: unknown) => error)
      const held = await holding
      stale.stop()

      const copy = join(parent, 'copy')
      cpSync(directory, copy, { recursive: true })
      const owner = await BookProcess.open({ ...options, directory: copy, url }, ledger)
      await owner.write(30, 30)
      await owner.order({ do: 'flush' })
      await ledger.compare(rows)

      // The COMMIT arrives at last, and so does the process.
      held.release()
      stale.continue()
      expect(await flushed).toMatchObject({ code: 'FENCED' })
      await ledger.compare(rows)
      expect(ledger.acknowledged.size).toBe(60)
      await stale.kill()
      await proxy.close()
    })

    test('processes that are stopped at any moment under load and taken over, one after the other', async () => {
      const { url, rows } = await postgresTables(server)
      const parent = temporaryDirectory()
      const ledger = new Ledger()
      const strayed = new Ledger()
      const stale: BookProcess[] = []
      const options: Omit<BookProcessOptions, 'directory'> = {
        url,
        lanes: 3,
        flush: { delayMs: 1, maxKeys: 20, retryBaseMs: 5, retryMaxMs: 50 },
        postgres: { idleInTransactionTimeoutMs: 300 },
      }
      let directory = join(parent, 'book')
      for (let round = 0; round < 3; round++) {
        const writer = await BookProcess.open({ ...options, directory }, ledger)
        const before = ledger.acknowledged.size
        // They end by the fence or with the process.
        void writer.write(round * 10_000, 2_000).catch(() => undefined)
        await ledger.whenAcknowledged(before + 100 + 70 * round)
        writer.stop()
        stale.push(writer)
        const copy = join(parent, `copy-${round}`)
        cpSync(directory, copy, { recursive: true })
        directory = copy
      }
      const owner = await BookProcess.open({ ...options, directory }, ledger)
      await owner.order({ do: 'flush' })
      const noted = (await rows('notes')).length
      for (const process of stale) {
        process.heardBy(strayed)
        process.continue()
        await expect(process.order({ do: 'flush' })).rejects.toMatchObject({ code: 'FENCED' })
      }
      await owner.order({ do: 'flush' })
      await ledger.compare(rows)
      expect((await rows('notes')).length).toBe(noted)
      expect(await administer(server.url, 'select from daybook_checkpoints')).toHaveLength(3)
    })
  },
)
