/** A server, or the way to it, that fails at the worst moments: the outcome is always known in the end. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { postgres, type PostgresOptions } from '../../src/store/postgres/index.ts'
import type { TableSchema } from '../../src/store/schema.ts'
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
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts'

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(`faults (${unavailable ?? 'private server'})`, () => {
  let server: PostgresServer
  let proxy: TcpProxy
  let store: Store
  let schema: TableSchema
  const stores: Store[] = []

  async function openStore(options?: PostgresOptions): Promise<Store> {
    const opened = postgres({ url: server.urlOf({ port: proxy.port }) }, options)
    stores.push(opened)
    await opened.open(claim, call)
    return opened
  }

  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await administer(
      server.url,
      `DROP TABLE IF EXISTS t, daybook_checkpoints; CREATE TABLE t (id text PRIMARY KEY, n integer)`,
    )
    proxy = await startProxy(server.port)
    store = await openStore()
    schema = await describeTable(store, 't')
    await commit(store, 0, 1, [mutations(schema, { a: set({ n: 1 }) })])
  })
  afterEach(async () => {
    await proxy.close()
    for (const opened of stores.splice(0)) await opened.close()
  })

  /** A transaction that moves lane 0 from 1 to 2. */
  function second(from: Store = store): Promise<void> {
    return commit(from, 0, 2, [mutations(schema, { a: set({ n: 2 }) })])
  }

  async function checkpointNow(): Promise<number> {
    const transaction = await store.begin(0, { careful: false }, call)
    await transaction.rollback()
    return transaction.checkpoint.position
  }

  test('a connection cut before COMMIT arrives: nothing is written, and the next begin sees that', async () => {
    const struck = proxy.cutBefore(/COMMIT/)
    const failure = await failureOf(second())
    await struck
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    expect(await checkpointNow()).toBe(1)
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 1 })
    await second()
    expect(await checkpointNow()).toBe(2)
  })

  test('a connection cut after COMMIT: all is written, and the next begin sees that', async () => {
    const struck = proxy.cutAfter(/COMMIT/)
    const failure = await failureOf(second())
    await struck
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    expect(await checkpointNow()).toBe(2)
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 2 })
  })

  test('a COMMIT that is still on its way: the next begin waits for it, where a plain read would be wrong', async () => {
    const holding = proxy.hold(/COMMIT/)
    const failed = failureOf(second())
    const held = await holding
    held.cutClient()
    expect(store.classify(await failed)).toMatchObject({ kind: 'outage', known: true })
    // The server knows of no trouble: its transaction is open, and holds the lane.
    expect((await store.load(schema, 'cache', ['a'], call)).positions).toEqual([1, 0])
    const beginning = store.begin(0, { careful: false }, call)
    await sessionWaitsForLock()
    held.release()
    const transaction = await beginning
    expect(transaction.checkpoint.position).toBe(2)
    await transaction.rollback()
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 2 })
  })

  test('a COMMIT that never arrives: the next begin waits until the server gives the transaction up', async () => {
    const holding = proxy.hold(/COMMIT/)
    const failed = failureOf(second())
    const held = await holding
    held.cutClient()
    await failed
    const beginning = store.begin(0, { careful: false }, call)
    await sessionWaitsForLock()
    held.cutServer()
    const transaction = await beginning
    expect(transaction.checkpoint.position).toBe(1)
    await transaction.rollback()
  })

  test('a COMMIT that arrives after a successor has claimed changes nothing', async () => {
    const sleepy = await openStore({ idleInTransactionTimeoutMs: 200 })
    const holding = proxy.hold(/COMMIT/)
    const failed = failureOf(second(sleepy))
    const held = await holding
    // The claim waits until the server has ended the silent transaction.
    const owner = await openStore()
    held.release()
    expect(sleepy.classify(await failed)).toMatchObject({ kind: 'outage', known: true })
    const transaction = await owner.begin(0, { careful: false }, call)
    expect(transaction.checkpoint.position).toBe(1)
    await transaction.rollback()
    expect(await loadRow(owner, schema, 'a')).toEqual({ n: 1 })
  })

  test.each([
    ['BEGIN', /BEGIN/],
    ['the rows', /daybook_\d/],
    ['a copy', /COPY/],
    ['the checkpoint', /UPDATE .*daybook_checkpoints/],
  ])('a connection cut before %s: nothing is written', async (_, pattern) => {
    const batch = (from: number): Parameters<typeof mutations>[1] =>
      Object.fromEntries(
        Array.from({ length: 120 }, (_, index) => [`k${from + index}`, set({ n: index })]),
      )
    await commit(store, 1, 1, [mutations(schema, batch(0))])
    const struck = proxy.cutBefore(pattern)
    const tables = [
      mutations(schema, /COPY/.test(pattern.source) ? batch(200) : { a: set({ n: 9 }) }),
    ]
    const failure = await failureOf(commit(store, 0, 2, tables))
    await struck
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    expect(await checkpointNow()).toBe(1)
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 1 })
    await commit(store, 0, 2, tables)
  })

  test('a connection cut before ROLLBACK: the rollback ends quietly, and nothing is written', async () => {
    const transaction = await store.begin(0, { careful: false }, call)
    await transaction.write([mutations(schema, { a: set({ n: 9 }) })])
    const struck = proxy.cutBefore(/ROLLBACK/)
    await transaction.rollback()
    await struck
    expect(await checkpointNow()).toBe(1)
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 1 })
  })

  test('a rejected row whose savepoint cannot be gone back to is an outage', async () => {
    const transaction = await store.begin(0, { careful: true }, call)
    const struck = proxy.cutBefore(/ROLLBACK TO/)
    const failure = await failureOf(
      transaction.write([mutations(schema, { a: set({ n: 'no number' }) })]),
    )
    await struck
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    await transaction.rollback()
    expect(await checkpointNow()).toBe(1)
  })

  test('a load whose connection is cut fails as an outage, and the next one has another', async () => {
    const struck = proxy.cutAfter(/LEFT JOIN/)
    const failure = await failureOf(loadRow(store, schema, 'a'))
    await struck
    expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 1 })
  })

  test('connections that broke while idle are not used again', async () => {
    await loadRow(store, schema, 'a')
    proxy.cutAll()
    const sessions = (): Promise<Record<string, unknown>[]> =>
      administer(server.url, `SELECT FROM pg_stat_activity WHERE application_name = 'daybook'`)
    while ((await sessions()).length > 0);
    await second()
    expect(await loadRow(store, schema, 'a')).toEqual({ n: 2 })
  })

  test('a network that lost its route: every call ends by its own deadline', async () => {
    const options = { statementTimeoutMs: 300, lockTimeoutMs: 300, connectTimeoutMs: 300 }
    const impatient = await openStore(options)
    const transaction = await impatient.begin(0, { careful: false }, call)
    await transaction.write([mutations(schema, { a: set({ n: 2 }) })])
    proxy.stall()
    const failures = await Promise.all([
      failureOf(transaction.commit(2)),
      failureOf(impatient.begin(1, { careful: false }, call)),
      // Nobody answers its farewells either.
      store.close(),
    ])
    for (const failure of failures.slice(0, 2)) {
      expect(impatient.classify(failure)).toMatchObject({ kind: 'outage', code: 'ETIMEDOUT' })
    }
    proxy.resume()
    const next = await impatient.begin(0, { careful: false }, call)
    await next.rollback()
    // The commit may have arrived after all: rows and checkpoint tell the same.
    const { position } = next.checkpoint
    expect([1, 2]).toContain(position)
    expect(await loadRow(impatient, schema, 'a')).toEqual({ n: position })
  })

  test('a server that refuses, and one that is away while the store opens, are outages', async () => {
    await proxy.refuse()
    const refused = await failureOf(second())
    expect(store.classify(refused)).toMatchObject({ kind: 'outage', known: true })
    const opening = postgres({ url: server.urlOf({ port: proxy.port }) })
    expect(await failureOf(opening.open(claim, call))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await opening.close()
    await proxy.accept()
    await second()
    expect(await checkpointNow()).toBe(2)
  })

  test.each(['kill', 'shutDown'] as const)(
    'a server that ends by %s and comes back has every commit, and nothing of the open transaction',
    async (end) => {
      await second()
      const transaction = await store.begin(0, { careful: false }, call)
      await transaction.write([mutations(schema, { a: set({ n: 3 }), b: set({ n: 3 }) })])
      await server[end]()
      const failure = await failureOf(transaction.commit(3))
      expect(store.classify(failure)).toMatchObject({ kind: 'outage', known: true })
      const away = await failureOf(store.begin(0, { careful: false }, call))
      expect(store.classify(away)).toMatchObject({ kind: 'outage', known: true })
      await server.start()
      expect(await checkpointNow()).toBe(2)
      expect(await loadRow(store, schema, 'a')).toEqual({ n: 2 })
      expect(await loadRow(store, schema, 'b')).toBeUndefined()
      await commit(store, 0, 3, [mutations(schema, { b: set({ n: 3 }) })])
    },
  )

  async function sessionWaitsForLock(): Promise<void> {
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'daybook'`
    while ((await administer(server.url, waiting)).length === 0);
  }
})
