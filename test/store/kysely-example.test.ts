import { describe, expect, onTestFinished, test } from 'vitest'
import { kyselyStore, openKysely, type Tables } from '../../examples/kysely-store.ts'
import type { Kysely } from 'kysely'
import type { Mutation } from '../../src/mutation/mutation.ts'
import type { Store, StoreTransaction } from '../../src/store/store.ts'

const call = { signal: new AbortController().signal }
const claim = { journal: 'journal', lanes: 1, epoch: 1 }

async function opened(): Promise<{ db: Kysely<Tables>; store: Store; write: Write }> {
  const db = openKysely(':memory:')
  const store = kyselyStore(db)
  onTestFinished(async () => {
    await store.close()
    await db.destroy()
  })
  await store.open(claim, call)
  const schema = await store.describe(
    { cache: 'players', table: 'players', key: ['id'], columns: undefined, rest: undefined },
    call,
  )
  const write: Write = (transaction, key, mutation) =>
    transaction.write([{ schema, cache: 'players', rows: [{ key, mutation }] }])
  return { db, store, write }
}

type Write = (transaction: StoreTransaction, key: string, mutation: Mutation) => Promise<void>

const set = (name: string, score: number): Mutation => ({ kind: 'set', fields: { name, score } })

describe('the Kysely example', () => {
  test('commits rows and checkpoint in one transaction of Kysely', async () => {
    const { db, store, write } = await opened()
    const lost = await store.begin(0, { careful: false }, call)
    await write(lost, 'a', set('Ada', 1))
    await lost.rollback()
    expect(await db.selectFrom('players').selectAll().execute()).toEqual([])
    const transaction = await store.begin(0, { careful: false }, call)
    expect(transaction.checkpoint.position).toBe(0)
    await write(transaction, 'a', set('Ada', 1))
    await write(transaction, 'b', set('Bob', 2))
    await write(transaction, 'b', { kind: 'delete' })
    await transaction.commit(3)
    expect(await db.selectFrom('players').selectAll().execute()).toEqual([
      { id: 'a', name: 'Ada', score: 1 },
    ])
    const next = await store.begin(0, { careful: false }, call)
    expect(next.checkpoint.position).toBe(3)
    await next.rollback()
  })

  test('knows a rejected row from an outage', async () => {
    const { store, write } = await opened()
    const transaction = await store.begin(0, { careful: true }, call)
    await write(transaction, 'a', set('Ada', 1))
    const error = await write(transaction, 'b', set('Bob', -1)).catch((thrown: unknown) => thrown)
    expect(store.classify(error).kind).toBe('rejected')
    await transaction.commit(2)
    expect(store.classify(new Error('anything else')).kind).toBe('outage')
  })

  test('fences a stale process', async () => {
    const { db, store } = await opened()
    await kyselyStore(db).open(claim, call)
    const error = await store.begin(0, { careful: false }, call).catch((thrown: unknown) => thrown)
    expect(store.classify(error).kind).toBe('fenced')
  })
})
