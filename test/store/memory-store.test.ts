import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Fields, Mutation } from '../../src/mutation/mutation.ts'
import {
  MemoryDatabase,
  memoryStore,
  type MemoryStore,
  type MemoryStoreOptions,
} from '../../src/store/memory-store.ts'
import type { ColumnType, TableSchema } from '../../src/store/schema.ts'
import type { RowMutation, StoreFailure } from '../../src/store/store.ts'
import { storeSuite } from '../../src/testing/store-suite.ts'
import { suiteTables } from '../../src/testing/suite-tables.ts'

storeSuite(
  'memory',
  { describe, test },
  {
    create: async () => {
      const database = new MemoryDatabase()
      return {
        store: () => memoryStore({ tables: suiteTables, database }),
        close: async () => undefined,
      }
    },
    transactions: true,
    patches: true,
    removals: true,
    constraints: true,
    types: Object.values(suiteTables['suite_types']?.columns ?? {}).map(
      (column) => column.type.kind,
    ),
  },
)

const call = { signal: new AbortController().signal }
const claim = { journal: 'journal', lanes: 2, epoch: 1 }
const set = (fields: Fields): Mutation => ({ kind: 'set', fields })

async function opened(
  options: MemoryStoreOptions = {},
): Promise<{ store: MemoryStore; put: Put; any: TableSchema }> {
  const store = memoryStore(options)
  await store.open(claim, call)
  const any = await store.describe(
    { cache: 'c', table: undefined, key: [], columns: undefined, rest: undefined },
    call,
  )
  const put: Put = async (rows, { lane = 0, schema = any } = {}) => {
    const transaction = await store.begin(lane, { careful: false }, call)
    try {
      await transaction.write([{ schema, cache: 'c', rows }])
    } catch (error) {
      await transaction.rollback()
      throw error
    }
    await transaction.commit(transaction.checkpoint.position + rows.length)
  }
  return { store, put, any }
}

type Put = (
  rows: readonly RowMutation[],
  where?: { lane?: number; schema?: TableSchema },
) => Promise<void>

async function failureOf(store: MemoryStore, work: Promise<unknown>): Promise<StoreFailure> {
  return work.then(
    () => {
      throw new Error('Nothing was thrown.')
    },
    (error: unknown) => store.classify(error),
  )
}

describe('memoryStore', () => {
  const ada: RowMutation = { key: 'a', mutation: set({ name: 'Ada' }) }

  test('shows rows and history', async () => {
    const { store, put } = await opened()
    await put([ada])
    await put([{ key: 'a', mutation: { kind: 'delete' } }], { lane: 1 })
    expect([...store.database.rows('c')]).toEqual([])
    expect(store.database.history).toEqual([
      { lane: 0, epoch: 1, position: 1, rows: [{ ...ada, cache: 'c' }] },
      {
        lane: 1,
        epoch: 1,
        position: 1,
        rows: [{ key: 'a', mutation: { kind: 'delete' }, cache: 'c' }],
      },
    ])
    expect(store.database.checkpoint('journal', 0)).toEqual({ epoch: 1, position: 1 })
  })

  test('a fault fails one call, before it took effect', async () => {
    const { store, put, any } = await opened()
    store.inject({ at: 'write' }, { at: 'begin', kind: 'conflict' })
    expect(await failureOf(store, put([ada]))).toMatchObject({ kind: 'conflict', code: 'INJECTED' })
    expect(await failureOf(store, put([ada]))).toMatchObject({ kind: 'outage', code: 'INJECTED' })
    await put([ada])
    store.inject({ at: 'load', kind: 'misconfigured' }, { at: 'open' })
    expect(await failureOf(store, store.load(any, 'c', ['a'], call))).toMatchObject({
      kind: 'misconfigured',
    })
    expect(await failureOf(store, store.open(claim, call))).toMatchObject({ kind: 'outage' })
    expect((await store.load(any, 'c', ['a'], call)).rows).toEqual([{ name: 'Ada' }])
  })

  test('a commit may fail before it is applied, or after', async () => {
    const { store, put } = await opened()
    store.inject({ at: 'commit' }, { at: 'commit', applied: true })
    await expect(put([ada])).rejects.toThrow('at commit')
    expect(store.database.rows('c').size).toBe(0)
    await expect(put([ada])).rejects.toThrow('at commit')
    expect(store.database.rows('c').size).toBe(1)
    expect(store.database.checkpoint('journal', 0).position).toBe(1)
  })

  test('a fault may only delay, and a rollback never throws', async () => {
    const { store, put } = await opened()
    let go = (): void => undefined
    store.inject({
      at: 'write',
      kind: 'none',
      until: new Promise<void>((resolve) => (go = resolve)),
    })
    let done = false
    const putting = put([ada]).finally(() => (done = true))
    await nextTurn()
    expect(done).toBe(false)
    go()
    await putting
    store.inject({ at: 'rollback' })
    await (await store.begin(0, { careful: false }, call)).rollback()
    await put([ada])
  })

  test('begin on a lane waits for the transaction that has it; other lanes do not', async () => {
    const { store, put } = await opened()
    const first = await store.begin(0, { careful: false }, call)
    let done = false
    const putting = put([ada]).finally(() => (done = true))
    await put([ada], { lane: 1 })
    expect(done).toBe(false)
    const aborting = new AbortController()
    const aborted = failureOf(
      store,
      store.begin(0, { careful: false }, { signal: aborting.signal }),
    )
    aborting.abort()
    expect(await aborted).toMatchObject({ kind: 'outage', code: 'ABORTED' })
    await first.rollback()
    await putting
  })

  test('a commit under a newer epoch is fenced, and applies nothing', async () => {
    const { store } = await opened()
    const stale = await store.begin(0, { careful: false }, call)
    await memoryStore({ database: store.database }).open(claim, call)
    expect(await failureOf(store, stale.commit(5))).toMatchObject({ kind: 'fenced' })
    expect(store.database.checkpoint('journal', 0)).toEqual({ epoch: 2, position: 0 })
  })

  test('after a write that failed, only a rollback may follow', async () => {
    const { store, any } = await opened()
    store.reject((row) => row.key === 'bad')
    const rows = [ada, { key: 'bad', mutation: set({}) }]
    const transaction = await store.begin(0, { careful: false }, call)
    const rejected = await failureOf(store, transaction.write([{ schema: any, cache: 'c', rows }]))
    expect(rejected).toMatchObject({ kind: 'rejected', code: 'REJECTED' })
    expect(await failureOf(store, transaction.commit(1))).toMatchObject({
      code: 'TRANSACTION_OVER',
    })
    await transaction.rollback()
    store.reject(undefined)
    const again = await store.begin(0, { careful: false }, call)
    await again.write([{ schema: any, cache: 'c', rows }])
    await again.commit(2)
    expect([...store.database.rows('c').keys()]).toEqual(['a', 'bad'])
  })

  test('a backup takes everything back in time', async () => {
    const { store, put } = await opened()
    await put([{ ...ada, expiresAtMs: 5 }])
    const restore = store.database.backup()
    await put([{ key: 'b', mutation: set({}) }])
    await put([{ key: 'a', mutation: { kind: 'delete' } }], { lane: 1 })
    restore()
    expect([...store.database.rows('c')]).toEqual([['a', { name: 'Ada' }]])
    expect(await store.expired('c', 5, 1, call)).toEqual(['a'])
    expect(store.database.checkpoint('journal', 0)).toEqual({ epoch: 1, position: 1 })
    expect(store.database.checkpoint('journal', 1)).toEqual({ epoch: 1, position: 0 })
    expect(store.database.history).toHaveLength(1)
  })

  test('declared tables check unique columns and foreign keys both ways', async () => {
    const text: ColumnType = { kind: 'text' }
    const { store, put } = await opened({
      tables: {
        users: { key: { id: text }, columns: { email: { type: text, unique: true } } },
        carts: { key: { id: text }, columns: { owner: { type: text, references: 'users' } } },
      },
    })
    const request = { cache: 'c', key: ['id'], columns: undefined, rest: undefined }
    const schema = await store.describe({ ...request, table: 'users' }, call)
    const carts = await store.describe({ ...request, table: 'carts' }, call)
    await put(
      ['a', 'b'].map((key) => ({ key, mutation: set({ email: `${key}@x` }) })),
      { schema },
    )
    const taken = { key: 'c', mutation: set({ email: 'a@x' }) }
    expect(await failureOf(store, put([taken], { schema }))).toMatchObject({ code: 'UNIQUE' })
    // In one batch a value can only go to a row after the one that gives it up.
    await put(
      [
        { key: 'a', mutation: set({ email: null }) },
        { ...taken, key: 'b' },
      ],
      { schema },
    )
    await put([{ key: 'k', mutation: set({ owner: 'a' }) }], { schema: carts })
    const parent = put([{ key: 'a', mutation: { kind: 'delete' } }], { schema })
    expect(await failureOf(store, parent)).toMatchObject({ kind: 'rejected', code: 'FOREIGN_KEY' })
    const ofOther = put([{ key: 'b', mutation: set({ email: 5 }) }], { schema })
    expect(await failureOf(store, ofOther)).toMatchObject({ code: 'TYPE' })
  })

  test('without declarations any table takes any fields', async () => {
    const { store, put } = await opened()
    const schema = await store.describe(
      { cache: 'c', table: 'anything', key: ['x', 'y'], columns: undefined, rest: undefined },
      call,
    )
    await put([{ key: '["1","2"]', mutation: set({ a: [1], b: null }) }], { schema })
    expect((await store.load(schema, 'c', ['["1","2"]'], call)).rows).toEqual([{ a: [1], b: null }])
    expect([...store.database.rows('anything').keys()]).toEqual(['["1","2"]'])
  })
})
