/**
 * Goal: a process that was away while another one took over its journal changes nothing any more, however late it wakes.
 * Method: a writer is stopped, its directory copied and the copy opened by another process, which writes; then the first
 * goes on with what it has. The database must never see it again.
 */

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await stale.write(0, 30)
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await stale.order({ do: 'flush' })
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await stale.write(30, 30)
  console.log("stop"); stale.stop()

  const copy = join(parent, 'copy')
  cpSync(directory, copy, { recursive: true })
  const owner = await BookProcess.open({ ...options, directory: copy }, ledger)
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await owner.write(60, 30)
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await owner.order({ do: 'flush' })
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await ledger.compare(rows)

  stale.heardBy(strayed)
  stale.continue()
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await expect(stale.order({ do: 'flush' })).rejects.toMatchObject({ code: 'FENCED' })
  expect(stale.events).toContain('fenced')
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await ledger.compare(rows)
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await stale.write(1000, 10, { durability: 'store' })
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await stale.write(1010, 10)
  expect(strayed.acknowledged.size).toBe(0)
  expect(stale.codes).toEqual(new Set(['FENCED']))
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await expect(stale.order({ do: 'flush' })).rejects.toMatchObject({ code: 'FENCED' })
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await ledger.compare(rows)

  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await owner.write(90, 30, { durability: 'store' })
  expect(ledger.acknowledged.size).toBe(120)
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await ledger.compare(rows)
  // It ends in good order, and says how much it leaves behind.
  expect(await stale.terminate()).toEqual({ code: 0, signal: null })
  expect(stale.closed).toEqual({ pending: 60 })
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await ledger.compare(rows)
}

test('a stale process is fenced, on SQLite', async () => {
  console.log(new Error().stack?.split("\n")[1]?.slice(-12)); await takeOver(sqliteFile())
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
