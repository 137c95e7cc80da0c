/** Opening the PostgreSQL store: what it makes, what it claims, and the servers it refuses. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { postgres, type PostgresOptions } from '../../src/store/postgres/index.ts'
import type { Store } from '../../src/store/store.ts'
import {
  call,
  claim,
  commit,
  describeTable,
  failureOf,
  loadRow,
  mutations,
  set,
} from '../support/postgres-calls.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(`opening (${unavailable ?? 'private server'})`, () => {
  let server: PostgresServer
  let url: string
  let databases = 0
  const stores: Store[] = []

  const sql = (text: string): Promise<Record<string, unknown>[]> => administer(url, text)
  const storeAt = (at: string, options?: PostgresOptions): Store => {
    const store = postgres({ url: at }, options)
    stores.push(store)
    return store
  }

  beforeAll(async () => {
    server = await startPostgres()
    await administer(server.url, 'CREATE ROLE app LOGIN')
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    const database = `opening_${++databases}`
    await administer(server.url, `CREATE DATABASE ${database}`)
    url = server.urlOf({ database })
  })
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
  })

  test('makes its own tables once, however many processes open at the same time', async () => {
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        storeAt(url).open({ ...claim, journal: `journal-${index % 2}`, lanes: 3 }, call),
      ),
    )
    const epochs = claims.map((claimed) => claimed.epoch).sort()
    expect(epochs).toEqual([1, 1, 2, 2, 3, 3, 4, 4])
    const rows = await sql(
      'SELECT journal, epoch::int FROM daybook_checkpoints GROUP BY 1, 2 ORDER BY 1',
    )
    expect(rows).toEqual([
      { journal: 'journal-0', epoch: 4 },
      { journal: 'journal-1', epoch: 4 },
    ])
  })

  test('puts its tables where it is told, and finds them again by the search path', async () => {
    await sql('CREATE SCHEMA daybook; CREATE SCHEMA "Other"')
    await storeAt(url, { schema: 'Other' }).open({ ...claim, epoch: 9 }, call)
    const [made] =
      await sql(`SELECT to_regclass('"Other".daybook_checkpoints') IS NOT NULL AS there,
      to_regclass('public.daybook_checkpoints') IS NULL AS not_there`)
    expect(made).toEqual({ there: true, not_there: true })
    await sql(
      `ALTER ROLE app IN DATABASE ${url.split('/').at(-1)} SET search_path = nothing, "Other"`,
    )
    await sql(
      'GRANT USAGE ON SCHEMA "Other" TO app; GRANT ALL ON ALL TABLES IN SCHEMA "Other" TO app',
    )
    const claimed = await storeAt(url.replace('daybook@', 'app@')).open(claim, call)
    expect(claimed.epoch).toBe(10)
  })

  test('compares keys by their bytes, whatever the rules of the database are', async () => {
    await storeAt(url).open(claim, call)
    const columns = await sql(
      `SELECT table_name AS table, collation_name AS collation FROM information_schema.columns
       WHERE table_name LIKE 'daybook%' AND data_type = 'text' GROUP BY 1, 2 ORDER BY 1`,
    )
    expect(columns).toEqual([
      { table: 'daybook_checkpoints', collation: 'C' },
      { table: 'daybook_expiries', collation: 'C' },
      { table: 'daybook_values', collation: 'C' },
    ])
  })

  test('tells an administrator what to run where it may not make its tables', async () => {
    const app = storeAt(url.replace('daybook@', 'app@'))
    const failure = await failureOf(app.open(claim, call))
    expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED' })
    const statements = (failure as { details: { sql: string } }).details.sql
    expect(String(failure)).toContain(statements)
    await sql(statements)
    // The tables are there, but the role may not use them.
    expect(await failureOf(app.open(claim, call))).toMatchObject({ code: 'STORE_MISCONFIGURED' })
    await sql(
      'GRANT SELECT, INSERT, UPDATE, DELETE ON daybook_checkpoints, daybook_values, daybook_expiries TO app',
    )
    expect(await app.open(claim, call)).toEqual({ epoch: 1, positions: [0, 0] })
  })

  test('refuses tables of its own that a crash would empty, and a search path that leads nowhere', async () => {
    await storeAt(url).open(claim, call)
    await sql('ALTER TABLE daybook_values SET UNLOGGED')
    const unlogged = await failureOf(storeAt(url).open(claim, call))
    expect(String(unlogged)).toContain('SET LOGGED')
    await sql(`DROP TABLE daybook_checkpoints;
      ALTER DATABASE ${url.split('/').at(-1)} SET search_path = nowhere`)
    const nowhere = await failureOf(storeAt(url).open(claim, call))
    expect(String(nowhere)).toContain('search path')
  })

  test.each([
    ['synchronous_commit', 'off'],
    ['default_transaction_read_only', 'on'],
  ])('refuses a server with %s = %s', async (setting, value) => {
    await sql(`ALTER DATABASE ${url.split('/').at(-1)} SET ${setting} = ${value}`)
    const failure = await failureOf(storeAt(url).open(claim, call))
    const code = setting === 'synchronous_commit' ? 'STORE_MISCONFIGURED' : 'STORE_UNAVAILABLE'
    expect(failure).toMatchObject({ code })
  })

  test('takes a setting that the user vouches for', async () => {
    await sql(`ALTER DATABASE ${url.split('/').at(-1)} SET synchronous_commit = off`)
    const options: PostgresOptions = { vouchedSettings: ['synchronous_commit'] }
    expect(await storeAt(url, options).open(claim, call)).toMatchObject({ epoch: 1 })
  })

  test('a database or a role that is not there is misconfigured, not waited for', async () => {
    for (const parts of [{ database: 'nowhere' }, { user: 'nobody' }]) {
      const failure = await failureOf(storeAt(server.urlOf(parts)).open(claim, call))
      expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED' })
    }
  })

  test('finds out which caches have rows that expire', async () => {
    const first = storeAt(url)
    await first.open(claim, call)
    const documents = await first.describe(
      { cache: 'a', table: undefined, key: [], columns: undefined, rest: undefined },
      call,
    )
    const expiring = (cache: string): Parameters<typeof commit>[3][number] => ({
      schema: documents,
      cache,
      rows: [{ key: 'k', mutation: set({}), expiresAtMs: 5 }],
    })
    await commit(first, 0, 1, [expiring('a'), expiring('b'), expiring("c'")])
    const second = storeAt(url)
    await second.open(claim, call)
    for (const cache of ['a', "c'"]) {
      await commit(second, 0, 2, [
        { schema: documents, cache, rows: [{ key: 'k', mutation: set({}) }] },
      ])
      expect(await second.expired(cache, 10, 10, call)).toEqual([])
    }
    expect(await second.expired('b', 10, 10, call)).toEqual(['k'])
  })

  test('a lane whose checkpoint is gone, or older than the claim, is claimed again', async () => {
    const store = storeAt(url)
    const { epoch } = await store.open({ ...claim, epoch: 5 }, call)
    await sql('CREATE TABLE t (id text PRIMARY KEY, a text)')
    const schema = await describeTable(store, 't')
    await commit(store, 0, 7, [])
    // As a restore from a backup leaves it.
    await sql(`UPDATE daybook_checkpoints SET epoch = 3, position = 2 WHERE lane = 0;
      DELETE FROM daybook_checkpoints WHERE lane = 1`)
    for (const [lane, position] of [2, 0].entries()) {
      for (const careful of [false, true]) {
        const transaction = await store.begin(lane, { careful }, call)
        expect(transaction.checkpoint).toEqual({ epoch, position })
        await transaction.rollback()
      }
    }
    await commit(store, 1, 4, [mutations(schema, { a: set({ a: 'x' }) })], true)
    const loaded = await store.load(schema, 'cache', ['a'], call)
    expect(loaded.positions).toEqual([2, 4])
    expect(await sql('SELECT lane, epoch::int FROM daybook_checkpoints ORDER BY lane')).toEqual([
      { lane: 0, epoch: 3 },
      { lane: 1, epoch: 5 },
    ])
  })

  test('the transaction of a stale process ends when its successor claims, and changes nothing', async () => {
    await sql('CREATE TABLE t (id text PRIMARY KEY, a text)')
    const stale = storeAt(url)
    await stale.open(claim, call)
    const schema = await describeTable(stale, 't')
    const transaction = await stale.begin(0, { careful: false }, call)
    await transaction.write([mutations(schema, { a: set({ a: 'stale' }) })])
    // The claim waits for the lock, so the stale process can still commit what it had begun …
    const owner = storeAt(url)
    const claiming = owner.open(claim, call)
    await transaction.commit(1)
    expect((await claiming).positions).toEqual([1, 0])
    // … but nothing after it.
    const fenced = await failureOf(stale.begin(0, { careful: false }, call))
    expect(stale.classify(fenced)).toMatchObject({ kind: 'fenced', known: true })
    await commit(owner, 0, 2, [mutations(schema, { a: set({ a: 'owner' }) })])
    expect(await loadRow(owner, schema, 'a')).toEqual({ a: 'owner' })
  })

  test('a stale process that sleeps within a transaction is ended by the server', async () => {
    await sql('CREATE TABLE t (id text PRIMARY KEY, a text)')
    const stale = storeAt(url, { idleInTransactionTimeoutMs: 200 })
    await stale.open(claim, call)
    const schema = await describeTable(stale, 't')
    const transaction = await stale.begin(0, { careful: false }, call)
    await transaction.write([mutations(schema, { a: set({ a: 'stale' }) })])
    const owner = storeAt(url)
    expect((await owner.open(claim, call)).positions).toEqual([0, 0])
    const failure = await failureOf(transaction.commit(1))
    expect(stale.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    await transaction.rollback()
    expect(await loadRow(owner, schema, 'a')).toBeUndefined()
  })

  test('a lock that is held too long is a conflict', async () => {
    const store = storeAt(url, { lockTimeoutMs: 50 })
    await store.open(claim, call)
    const holder = await store.begin(0, { careful: false }, call)
    const failure = await failureOf(store.begin(0, { careful: false }, call))
    expect(store.classify(failure)).toMatchObject({ kind: 'conflict', code: '55P03' })
    await holder.commit(1)
    await commit(store, 0, 2, [])
  })

  test('two lanes that lock the same rows crosswise: one is a conflict, and can be tried again', async () => {
    await sql('CREATE TABLE t (id text PRIMARY KEY, a text)')
    const store = storeAt(url)
    await store.open(claim, call)
    const schema = await describeTable(store, 't')
    const one = await store.begin(0, { careful: false }, call)
    const two = await store.begin(1, { careful: false }, call)
    await one.write([mutations(schema, { a: set({ a: '1' }) })])
    await two.write([mutations(schema, { b: set({ a: '2' }) })])
    const results = await Promise.allSettled([
      one.write([mutations(schema, { b: set({ a: '1' }) })]).finally(() => one.rollback()),
      two.write([mutations(schema, { a: set({ a: '2' }) })]).finally(() => two.rollback()),
    ])
    const lost = results.filter((result) => result.status === 'rejected')
    expect(lost.length).toBe(1)
    expect(store.classify(lost[0]?.reason)).toMatchObject({ kind: 'conflict', code: '40P01' })
    await commit(store, 0, 1, [mutations(schema, { b: set({ a: '1' }) })])
  })

  test('a constraint that is checked at commit rejects there, and the lane goes on', async () => {
    await sql(`CREATE TABLE p (id text PRIMARY KEY);
      CREATE TABLE t (id text PRIMARY KEY, p text REFERENCES p DEFERRABLE INITIALLY DEFERRED)`)
    const store = storeAt(url)
    await store.open(claim, call)
    const schema = await describeTable(store, 't')
    const failure = await failureOf(
      commit(store, 0, 1, [mutations(schema, { a: set({ p: 'nobody' }) })]),
    )
    expect(store.classify(failure)).toMatchObject({ kind: 'rejected', missingParent: true })
    const loaded = await store.load(schema, 'cache', ['a'], call)
    expect(loaded).toEqual({ rows: [undefined], positions: [0, 0] })
    await commit(store, 0, 1, [mutations(schema, { a: set({ p: null }) })])
  })

  test('a column type that changes under prepared loads is read again', async () => {
    await sql('CREATE TABLE t (id text PRIMARY KEY, a integer)')
    const store = storeAt(url, { loadConnections: 1 })
    await store.open(claim, call)
    const schema = await describeTable(store, 't')
    await commit(store, 0, 1, [mutations(schema, { a: set({ a: 1 }) })])
    expect(await loadRow(store, schema, 'a')).toEqual({ a: 1 })
    await sql('ALTER TABLE t ALTER COLUMN a TYPE bigint')
    const failure = await failureOf(loadRow(store, schema, 'a'))
    expect(store.classify(failure).kind).toBe('conflict')
    expect(await loadRow(store, schema, 'a')).toEqual({ a: 1 })
  })

  test('a signal ends every wait: for a connection, for a lock, for an answer', async () => {
    const store = storeAt(url, { concurrency: 1 })
    await store.open(claim, call)
    const holder = await store.begin(0, { careful: false }, call)
    const waiting = new AbortController()
    const second = failureOf(store.begin(1, { careful: false }, { signal: waiting.signal }))
    waiting.abort()
    expect(store.classify(await second)).toMatchObject({ kind: 'outage', code: 'ABORTED' })
    const other = storeAt(url)
    const locked = new AbortController()
    const third = failureOf(other.open(claim, { signal: locked.signal }))
    await lockWaiters(1)
    locked.abort()
    expect(await third).toMatchObject({ code: 'ABORTED' })
    await holder.rollback()
    const aborted = await failureOf(store.begin(0, { careful: false }, { signal: locked.signal }))
    expect(store.classify(aborted)).toMatchObject({ kind: 'outage', code: 'ABORTED' })
  })

  /** Resolves once this many sessions of the database wait for a lock. */
  async function lockWaiters(count: number): Promise<void> {
    for (;;) {
      const [row] = await sql(`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`)
      if (row?.['n'] === count) return
    }
  }

  test('closing fails what waits, and leaves no session behind', async () => {
    const store = storeAt(url, { concurrency: 1 })
    await store.open(claim, call)
    const holder = await store.begin(0, { careful: false }, call)
    const waiting = failureOf(store.begin(1, { careful: false }, call))
    await store.close()
    expect(store.classify(await waiting)).toMatchObject({ kind: 'misconfigured', code: 'CLOSED' })
    const failure = await failureOf(holder.commit(1))
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    for (;;) {
      const [row] = await sql(`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'daybook'`)
      if (row?.['n'] === 0) break
    }
  })
})

describe.skipIf(unavailable !== undefined)(`unsafe servers (${unavailable ?? 'private'})`, () => {
  test.each(['fsync', 'full_page_writes'])('with %s = off are refused', async (setting) => {
    const server = await startPostgres({ [setting]: 'off' })
    const store = postgres({ url: server.url })
    try {
      const failure = await failureOf(store.open(claim, call))
      expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED', details: { setting } })
    } finally {
      await store.close()
      await server.stop()
    }
  })
})
