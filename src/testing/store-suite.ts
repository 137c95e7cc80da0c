/**
 * The contract of a store, as tests: every implementation passes them, ours and yours.
 *
 * What a store cannot do is in its capabilities and in the manifest; a capability that is claimed is tested.
 */

import assert from 'node:assert/strict'
import type { Fields, FieldValue, Mutation } from '../mutation/mutation.ts'
import type { Column, ColumnType, TableSchema } from '../store/schema.ts'
import type { Claim, RowMutation, Store, StoreTransaction, TableMutations } from '../store/store.ts'
import { samplesOf } from './type-samples.ts'

/** Of vitest, node:test, or any other that has both. */
export interface SuiteRunner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly test: (name: string, body: () => Promise<void>) => unknown
}

/** A fresh database with the tables of `suiteTables`, all empty. */
export interface SuiteDatabase {
  /** A store on it that is not open yet. A second one stands for another process. */
  store(): Store
  /** Gives the database up; its stores are closed by then. */
  close(): Promise<void>
}

export interface StoreSuiteOptions {
  readonly create: () => Promise<SuiteDatabase>
  /** As the store's own capabilities: a test checks that they agree. */
  readonly transactions: boolean
  readonly patches: boolean
  /** Patches may take fields of documents away. Default false. */
  readonly removals?: boolean
  /** Foreign keys and NOT NULL are checked by the database. */
  readonly constraints: boolean
  /** Kinds of columns that `suite_types` has: each must be there, and round-trips. */
  readonly types: readonly ColumnType['kind'][]
  /** The store answers `keys()`. Default true. */
  readonly keys?: boolean
  /** The store keeps expiries. Default true. */
  readonly expiries?: boolean
}

const signal = new AbortController().signal
const call = { signal }
const journal = 'journal-of-the-suite'
const lanes = 2
const claim: Claim = { journal, lanes, epoch: 1 }

export function storeSuite(name: string, runner: SuiteRunner, options: StoreSuiteOptions): void {
  runner.describe(`store: ${name}`, () => {
    const test = benchTest(runner, options)
    const suite: Suite = { test, options }
    openingTests(suite)
    tableTests(suite)
    keyTests(suite)
    typeTests(suite)
    if (options.transactions) transactionTests(suite)
    if (options.patches) patchTests(suite)
    if (options.removals === true) removalTests(suite)
    if (options.constraints) constraintTests(suite)
    if (options.expiries !== false) expiryTests(suite)
    closingTests(suite)
  })
}

/** What a test works with: stores that are closed after it, whatever happens. */
class Bench {
  readonly #database: SuiteDatabase
  readonly #stores: Store[] = []

  constructor(database: SuiteDatabase) {
    this.#database = database
  }

  /** Open, with the claim of the suite. */
  async open(
    from: Claim = claim,
  ): Promise<{ store: Store; epoch: number; positions: readonly number[] }> {
    const store = this.#database.store()
    this.#stores.push(store)
    const { epoch, positions } = await store.open(from, call)
    return { store, epoch, positions }
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close()
    await this.#database.close()
  }
}

type BenchTest = (name: string, body: (bench: Bench) => Promise<void>) => void

interface Suite {
  readonly test: BenchTest
  readonly options: StoreSuiteOptions
}

function benchTest(runner: SuiteRunner, options: StoreSuiteOptions): BenchTest {
  return (name, body) => {
    runner.test(name, async () => {
      const bench = new Bench(await options.create())
      try {
        await body(bench)
      } finally {
        await bench.close()
      }
    })
  }
}

function openingTests({ test, options }: Suite): void {
  test('declares the capabilities that the suite was told', async (bench) => {
    const { store } = await bench.open()
    assert.equal(store.capabilities.transactions, options.transactions)
    assert.equal(store.capabilities.patches, options.patches)
    assert.equal(store.capabilities.removals ?? false, options.removals ?? false)
    assert.ok(
      Number.isInteger(store.capabilities.concurrency) && store.capabilities.concurrency >= 1,
    )
    assert.ok(store.name.length > 0)
  })

  test('knows no position of a new journal, and takes the epoch that was asked for', async (bench) => {
    const { epoch, positions } = await bench.open({ ...claim, epoch: 7 })
    assert.equal(epoch, 7)
    assert.deepEqual(positions, [0, 0])
  })

  test('waits out an error that is in no table, and says that it is unknown', async (bench) => {
    const { store } = await bench.open()
    const unknown = [new Error('a driver error nobody knows'), 'thrown text', undefined, null, {}]
    for (const thrown of unknown) {
      const failure = store.classify(thrown)
      assert.equal(failure.kind, 'outage')
      assert.equal(failure.known, false)
      assert.equal(typeof failure.code, 'string')
    }
  })

  test('an aborted call is waited out, not blamed on a row', async (bench) => {
    const { store } = await bench.open()
    const aborted = await thrownBy(() =>
      store.begin(0, { careful: false }, { signal: AbortSignal.abort() }),
    )
    assert.equal(store.classify(aborted).kind, 'outage')
    // The lane is free afterwards.
    await commit(store, 0, 1, [])
  })
}

function tableTests({ test }: Suite): void {
  test('a set writes every column, and a second one replaces all', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const first = { name: 'Ada', visits: 1, bonus: 2, balance: '3.5000', note: 'n' }
    const second = { name: null, visits: 0, bonus: null, balance: null, note: null }
    await commit(store, 0, 1, [rows(accounts, { a: set(first), b: set(second) })])
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b']), [first, second])
    await commit(store, 0, 2, [rows(accounts, { a: set(second) })])
    assert.deepEqual(await loadRows(store, accounts, ['a']), [second])
  })

  test('a delete takes the row, and one of no row does nothing', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    await commit(store, 0, 1, [rows(accounts, { a: set(account('Ada')), b: set(account('Bob')) })])
    await commit(store, 0, 2, [rows(accounts, { a: deletion, z: deletion })])
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b', 'z']), [
      undefined,
      account('Bob'),
      undefined,
    ])
    await commit(store, 0, 3, [rows(accounts, { a: set(account('Ada again')) })])
    assert.deepEqual(await loadRows(store, accounts, ['a']), [account('Ada again')])
  })

  test('applying a batch of sets and deletes twice equals once', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const batch = [rows(accounts, { a: set(account('Ada')), b: deletion })]
    await commit(store, 0, 1, batch)
    await commit(store, 0, 1, batch)
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b']), [account('Ada'), undefined])
  })

  test('loads in the order asked for, with misses and duplicates in place', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    await commit(store, 1, 5, [rows(accounts, { a: set(account('Ada')), c: set(account('Cyd')) })])
    const { rows: loaded, positions } = await store.load(
      accounts,
      'cache',
      ['c', 'b', 'a', 'c'],
      call,
    )
    assert.deepEqual(loaded.map(plain), [account('Cyd'), undefined, account('Ada'), account('Cyd')])
    assert.deepEqual(positions, [0, 5])
    assert.deepEqual((await store.load(accounts, 'cache', [], call)).rows, [])
  })

  test('writes and loads thousands of rows in one batch', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const names = Array.from(
      { length: 3000 },
      (_, index) => `key-${String(index).padStart(5, '0')}`,
    )
    const batch = Object.fromEntries(
      names.map((key, index) => [key, set({ ...account(key), visits: index })]),
    )
    await commit(store, 0, 3000, [rows(accounts, batch)])
    const loaded = await loadRows(store, accounts, names)
    assert.deepEqual(
      loaded.map((row) => row?.['visits']),
      names.map((_, index) => index),
    )
  })

  test('keeps documents of each cache apart, whatever they are', async (bench) => {
    const { store } = await bench.open()
    const documents = await describe(store, undefined)
    assert.equal(documents.document, true)
    const values: Fields[] = [
      {},
      { a: 1, b: { c: [null] } },
      { '': 'text' },
      { '': null },
      { '': [1, 2] },
      { '': 0.1 },
    ]
    const batch = Object.fromEntries(values.map((value, index) => [`k${index}`, set(value)]))
    await commit(store, 0, 1, [
      rows(documents, batch, 'one'),
      rows(documents, { k0: set({ other: true }) }, 'two'),
    ])
    const keys = values.map((_, index) => `k${index}`)
    assert.deepEqual(await loadRows(store, documents, keys, 'one'), values)
    assert.deepEqual(await loadRows(store, documents, ['k0', 'k1'], 'two'), [
      { other: true },
      undefined,
    ])
    await commit(store, 0, 2, [rows(documents, { k0: deletion }, 'one')])
    assert.deepEqual(await loadRows(store, documents, ['k0'], 'one'), [undefined])
    assert.deepEqual(await loadRows(store, documents, ['k0'], 'two'), [{ other: true }])
  })

  test('fields that no column takes go to the rest column, and come back as fields', async (bench) => {
    const { store } = await bench.open()
    const extras = await describe(store, 'suite_extras', { rest: 'extra' })
    assert.deepEqual(
      extras.columns.map((column) => column.name),
      ['name'],
    )
    const value = { name: 'Ada', age: 36, tags: ['x', { y: null }], nothing: null }
    await commit(store, 0, 1, [rows(extras, { a: set(value), b: set({ name: null }) })])
    assert.deepEqual(await loadRows(store, extras, ['a', 'b']), [value, { name: null }])
    await commit(store, 0, 2, [rows(extras, { a: set({ name: 'Ada', age: 37 }) })])
    assert.deepEqual(await loadRows(store, extras, ['a']), [{ name: 'Ada', age: 37 }])
  })

  test('a table that does not exist is misconfigured', async (bench) => {
    const { store } = await bench.open()
    const thrown = await thrownBy(() => describe(store, 'suite_acounts'))
    assert.equal(store.classify(thrown).kind, 'misconfigured')
    assert.match(String((thrown as Error).message), /suite_accounts/)
  })

  test('a key that is not the table’s, or a column it lacks, is misconfigured', async (bench) => {
    const { store } = await bench.open()
    for (const request of [
      { key: ['name'] },
      { key: ['id', 'name'] },
      { columns: ['nmae'] },
      { rest: 'nope' },
    ]) {
      const thrown = await thrownBy(() => describe(store, 'suite_accounts', request))
      assert.equal(store.classify(thrown).kind, 'misconfigured', JSON.stringify(request))
    }
  })
}

function keyTests({ test, options }: Suite): void {
  const strange = [
    'Ž',
    '漢字',
    '👩‍👩‍👧',
    "a'b",
    'a"b',
    'a\\b',
    'a b',
    '%',
    'tab\t',
    'x'.repeat(1024),
    '{}',
    'null',
    '0',
  ]

  test('takes any key that is text', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const documents = await describe(store, undefined)
    const batch = Object.fromEntries(strange.map((key) => [key, set(account(key))]))
    const values = Object.fromEntries(strange.map((key) => [key, set({ key })]))
    await commit(store, 0, 1, [rows(documents, values), rows(accounts, batch)])
    assert.deepEqual(await loadRows(store, accounts, strange), strange.map(account))
    assert.deepEqual(
      await loadRows(store, documents, strange),
      strange.map((key) => ({ key })),
    )
  })

  test('composite keys tell their parts apart', async (bench) => {
    const { store } = await bench.open()
    const pairs = await describe(store, 'suite_pairs', { key: ['org', 'id'] })
    await commit(store, 0, 1, [
      rows(pairs, { '["a","1"]': set({ name: 'a1' }), '["a","2"]': set({ name: 'a2' }) }),
    ])
    assert.deepEqual(await loadRows(store, pairs, ['["a","2"]', '["b","1"]']), [
      { name: 'a2' },
      undefined,
    ])
    await commit(store, 0, 2, [rows(pairs, { '["a","1"]': deletion })])
    assert.deepEqual(await loadRows(store, pairs, ['["a","1"]', '["a","2"]']), [
      undefined,
      { name: 'a2' },
    ])
  })

  if (options.keys === false) return
  test('pages through all keys, each once', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const documents = await describe(store, undefined)
    const pairs = await describe(store, 'suite_pairs', { key: ['org', 'id'] })
    const composite = ['["a","1"]', '["a","10"]', '["a","2"]', '["b","1"]']
    const batch = Object.fromEntries(strange.map((key) => [key, set(account(key))]))
    const values = Object.fromEntries(strange.map((key) => [key, set({})]))
    await commit(store, 0, 1, [
      rows(documents, values),
      rows(documents, { other: set({}) }, 'other'),
      rows(accounts, batch),
      rows(pairs, Object.fromEntries(composite.map((key) => [key, set({ name: 'x' })]))),
    ])
    assert.deepEqual((await allKeys(store, accounts)).sort(), [...strange].sort())
    assert.deepEqual((await allKeys(store, documents)).sort(), [...strange].sort())
    assert.deepEqual((await allKeys(store, pairs)).sort(), [...composite].sort())
  })
}

function typeTests({ test, options }: Suite): void {
  test('has a column of each type it claims', async (bench) => {
    const { store } = await bench.open()
    const types = await describe(store, 'suite_types')
    const kinds = new Set(types.columns.map((column) => column.type.kind))
    for (const kind of options.types)
      assert.ok(kinds.has(kind), `suite_types has no column of kind ${kind}`)
  })

  test('every type gives back exactly what was written', async (bench) => {
    const { store } = await bench.open()
    const types = await describe(store, 'suite_types')
    let position = 0
    for (const column of types.columns) {
      const samples = samplesOf(column.type)
      const values = samples.map((sample) => ({ ...nulls(types), [column.name]: sample }))
      const batch = Object.fromEntries(
        values.map((value, index) => [`k${String(index).padStart(3, '0')}`, set(value)]),
      )
      await commit(store, 0, ++position, [rows(types, batch)])
      const loaded = await loadRows(store, types, Object.keys(batch))
      for (const [index, value] of values.entries()) {
        assert.deepEqual(loaded[index], value, `${column.name} ${column.databaseType}`)
      }
    }
  })
}

function transactionTests({ test, options }: Suite): void {
  test('commits rows and checkpoint together', async (bench) => {
    const { store, epoch } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const transaction = await store.begin(1, { careful: false }, call)
    assert.deepEqual(transaction.checkpoint, { epoch, position: 0 })
    await transaction.write([rows(accounts, { a: set(account('Ada')) })])
    await transaction.commit(12)
    const { rows: loaded, positions } = await store.load(accounts, 'cache', ['a'], call)
    assert.deepEqual(loaded.map(plain), [account('Ada')])
    assert.deepEqual(positions, [0, 12])
    const next = await store.begin(1, { careful: false }, call)
    assert.deepEqual(next.checkpoint, { epoch, position: 12 })
    await next.rollback()
  })

  test('a rollback leaves neither rows nor checkpoint, and frees the lane', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const transaction = await store.begin(0, { careful: false }, call)
    await transaction.write([rows(accounts, { a: set(account('Ada')) })])
    await transaction.rollback()
    await transaction.rollback()
    const { rows: loaded, positions } = await store.load(accounts, 'cache', ['a'], call)
    assert.deepEqual(loaded, [undefined])
    assert.deepEqual(positions, [0, 0])
    await commit(store, 0, 1, [rows(accounts, { a: set(account('Bob')) })])
    assert.deepEqual(await loadRows(store, accounts, ['a']), [account('Bob')])
  })

  test('two writes of one transaction see each other', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const transaction = await store.begin(0, { careful: true }, call)
    await transaction.write([rows(accounts, { a: set(account('Ada')) })])
    await transaction.write([rows(accounts, { a: deletion, b: set(account('Bob')) })])
    await transaction.commit(2)
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b']), [undefined, account('Bob')])
  })

  test('positions and epochs outlive the store', async (bench) => {
    const first = await bench.open()
    await commit(first.store, 1, 44, [])
    await first.store.close()
    const second = await bench.open()
    assert.equal(second.epoch, first.epoch + 1)
    assert.deepEqual(second.positions, [0, 44])
  })

  test('keeps journals apart', async (bench) => {
    const { store } = await bench.open()
    await commit(store, 0, 9, [])
    await store.close()
    const other = await bench.open({ ...claim, journal: 'another-journal' })
    assert.deepEqual(other.positions, [0, 0])
    assert.equal(other.epoch, 1)
  })

  test('a claim takes an epoch above all before it, and not below the one asked for', async (bench) => {
    const first = await bench.open({ ...claim, epoch: 5 })
    await first.store.close()
    const second = await bench.open({ ...claim, epoch: 2 })
    assert.equal(second.epoch, 6)
    await second.store.close()
    assert.equal((await bench.open({ ...claim, epoch: 20 })).epoch, 20)
  })

  test('a stale owner is fenced, before and after it has written', async (bench) => {
    const stale = await bench.open()
    const accounts = await describe(stale.store, 'suite_accounts')
    await commit(stale.store, 0, 3, [rows(accounts, { a: set(account('Ada')) })])
    const owner = await bench.open()
    const fenced = await thrownBy(() => stale.store.begin(0, { careful: false }, call))
    assert.equal(stale.store.classify(fenced).kind, 'fenced')
    assert.equal(stale.store.classify(fenced).known, true)
    // The other lane too, though it was never written.
    const other = await thrownBy(() => stale.store.begin(1, { careful: true }, call))
    assert.equal(stale.store.classify(other).kind, 'fenced')
    const transaction = await owner.store.begin(0, { careful: false }, call)
    assert.deepEqual(transaction.checkpoint, { epoch: owner.epoch, position: 3 })
    await transaction.commit(4)
    assert.deepEqual((await owner.store.load(accounts, 'cache', ['a'], call)).positions, [4, 0])
  })

  if (options.constraints) {
    test('a careful transaction goes on after a rejected write, without any of it', async (bench) => {
      const { store } = await bench.open()
      const strict = await describe(store, 'suite_strict')
      const transaction = await store.begin(0, { careful: true }, call)
      await transaction.write([rows(strict, { a: set({ owner: 'Ada' }) })])
      const rejected = await thrownBy(() =>
        transaction.write([rows(strict, { a: set({ owner: 'Eve' }), b: set({ owner: null }) })]),
      )
      assert.equal(store.classify(rejected).kind, 'rejected')
      await transaction.write([rows(strict, { c: set({ owner: 'Cyd' }) })])
      await transaction.commit(3)
      assert.deepEqual(await loadRows(store, strict, ['a', 'b', 'c']), [
        { owner: 'Ada' },
        undefined,
        { owner: 'Cyd' },
      ])
    })

    test('a rejected write of a plain transaction ends it', async (bench) => {
      const { store } = await bench.open()
      const strict = await describe(store, 'suite_strict')
      const transaction = await store.begin(0, { careful: false }, call)
      const rejected = await rejectionOf(transaction, [
        rows(strict, { a: set({ owner: 'Ada' }), b: set({ owner: null }) }),
      ])
      assert.equal(store.classify(rejected).kind, 'rejected')
      await transaction.rollback()
      assert.deepEqual(await loadRows(store, strict, ['a', 'b']), [undefined, undefined])
      assert.deepEqual((await store.load(strict, 'cache', [], call)).positions, [0, 0])
    })
  }
}

function patchTests({ test }: Suite): void {
  test('a merge touches its own columns only', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    await commit(store, 0, 1, [rows(accounts, { a: set(account('Ada')) })])
    await commit(store, 0, 2, [rows(accounts, { a: merge({ note: null, bonus: 7 }) })])
    assert.deepEqual(await loadRows(store, accounts, ['a']), [
      { ...account('Ada'), note: null, bonus: 7 },
    ])
  })

  test('a patch of no row is laid over the table’s defaults', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const blank = { name: null, visits: 0, bonus: null, balance: null, note: 'new' }
    assert.deepEqual(plain(accounts.blank), blank)
    await commit(store, 0, 1, [
      rows(accounts, {
        a: merge({ name: 'Ada' }),
        b: increment({ visits: 2, bonus: -3, balance: '0.0001' }),
        c: { kind: 'patch', fields: { name: 'Cyd' }, amounts: { visits: 5 } },
        d: merge({}),
      }),
    ])
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b', 'c', 'd']), [
      { ...blank, name: 'Ada' },
      { ...blank, visits: 2, bonus: -3, balance: '0.0001' },
      { ...blank, name: 'Cyd', visits: 5 },
      blank,
    ])
  })

  test('increments are exact: on NULL, beyond 2^53, and of decimals', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const before = {
      ...account('Ada'),
      visits: 9007199254740993n,
      bonus: null,
      balance: '9999999999999999.9998',
    }
    await commit(store, 0, 1, [
      rows(accounts, { a: set(before), b: set({ ...account('Bob'), balance: null }) }),
    ])
    await commit(store, 0, 2, [
      rows(accounts, {
        a: increment({ visits: 2, bonus: 4, balance: '0.0001' }),
        b: increment({ visits: -9007199254740995n, balance: '-1.5000' }),
      }),
    ])
    assert.deepEqual(await loadRows(store, accounts, ['a', 'b']), [
      { ...before, visits: 9007199254740995n, bonus: 4, balance: '9999999999999999.9999' },
      { ...account('Bob'), visits: -9007199254740994n, balance: '-1.5000' },
    ])
  })

  test('an increment beyond 64 bits is rejected, never rounded', async (bench) => {
    const { store } = await bench.open()
    const accounts = await describe(store, 'suite_accounts')
    const full = { ...account('Ada'), visits: 9223372036854775807n }
    await commit(store, 0, 1, [rows(accounts, { a: set(full) })])
    const transaction = await store.begin(0, { careful: true }, call)
    const rejected = await rejectionOf(transaction, [
      rows(accounts, { a: increment({ visits: 1 }) }),
    ])
    assert.equal(store.classify(rejected).kind, 'rejected')
    await transaction.commit(2)
    assert.deepEqual(await loadRows(store, accounts, ['a']), [full])
  })

  test('merges into the rest column and documents by field; null stays null', async (bench) => {
    const { store } = await bench.open()
    const extras = await describe(store, 'suite_extras', { rest: 'extra' })
    const documents = await describe(store, undefined)
    await commit(store, 0, 1, [
      rows(documents, { a: set({ x: 1, y: { z: 1 } }) }),
      rows(extras, { a: set({ name: 'Ada', x: 1, y: { z: 1 } }), b: set({ name: 'Bob' }) }),
    ])
    await commit(store, 0, 2, [
      rows(documents, { a: merge({ y: null, w: [2] }), n: merge({ x: 1 }) }),
      rows(extras, {
        a: merge({ y: null, w: [2] }),
        b: merge({ name: 'B', x: 2 }),
        n: merge({ x: 1 }),
      }),
    ])
    assert.deepEqual(await loadRows(store, documents, ['a', 'n']), [
      { x: 1, y: null, w: [2] },
      { x: 1 },
    ])
    assert.deepEqual(await loadRows(store, extras, ['a', 'b', 'n']), [
      { name: 'Ada', x: 1, y: null, w: [2] },
      { name: 'B', x: 2 },
      { name: null, x: 1 },
    ])
  })
}

function removalTests({ test }: Suite): void {
  test('takes fields of documents away, whatever their names, and leaves the others', async (bench) => {
    const { store } = await bench.open()
    const documents = await describe(store, undefined)
    const strange = ['', 'NULL', '"', '\\', '{}', 'a,b', "it's", '$1', ' ', 'é', '%', '?']
    const all = Object.fromEntries([...strange, 'x', 'y'].map((name) => [name, 1]))
    // A database may do many in another way.
    const many = Array.from({ length: 1000 }, (_, index) => `many ${index}`)
    const ofMany = Object.fromEntries(many.map((name) => [name, null]))
    await commit(store, 0, 1, [
      rows(documents, {
        a: set(all),
        b: set({ x: 1, y: { x: 1 }, z: null }),
        c: set({ x: 1 }),
        d: set({ '': 'text' }),
        e: set({ '': 'text' }),
        f: set({ ...all, ...ofMany }),
        g: set(ofMany),
        h: set({ '': 'text' }),
      }),
    ])
    await commit(store, 0, 2, [
      rows(documents, {
        a: removal(strange),
        b: removal(['x', 'z', 'nothing'], { w: 2 }),
        c: removal(['x']),
        d: removal(['x']),
        e: removal(['x'], { y: 1 }),
        f: removal([...strange, ...many.slice(1)], { w: 2 }),
        g: removal(many),
        h: removal(many),
        n: removal(['x'], { y: 1 }),
        o: removal(['x']),
      }),
    ])
    const keys = ['a', 'b', 'c', 'd', 'f', 'g', 'h', 'n', 'o']
    assert.deepEqual(await loadRows(store, documents, keys), [
      { x: 1, y: 1 },
      { y: { x: 1 }, w: 2 },
      {},
      { '': 'text' },
      { x: 1, y: 1, 'many 0': null, w: 2 },
      {},
      { '': 'text' },
      { y: 1 },
      {},
    ])
    // What is laid over a document that is no object replaces it, as a merge does.
    assert.equal((await loadRows(store, documents, ['e']))[0]?.['y'], 1)
  })
}

function removal(names: readonly string[], fields: Fields = {}): Mutation {
  const removed = Object.fromEntries(names.map((name) => [name, true as const]))
  return { kind: 'patch', fields, amounts: {}, removed }
}

function constraintTests({ test }: Suite): void {
  test('parents are ranked below their children', async (bench) => {
    const { store } = await bench.open()
    const parents = await describe(store, 'suite_parents')
    const children = await describe(store, 'suite_children')
    assert.ok(parents.rank < children.rank)
  })

  test('writes parents first, and deletes children first', async (bench) => {
    const { store } = await bench.open()
    const parents = await describe(store, 'suite_parents')
    const children = await describe(store, 'suite_children')
    await commit(store, 0, 1, [
      rows(parents, { p: set({ name: 'P' }), q: set({ name: 'Q' }) }),
      rows(children, { c: set({ parent: 'p' }), d: set({ parent: 'q' }) }),
    ])
    await commit(store, 0, 2, [
      rows(parents, { p: deletion, r: set({ name: 'R' }) }),
      rows(children, { c: deletion, d: set({ parent: 'r' }) }),
    ])
    assert.deepEqual(await loadRows(store, children, ['c', 'd']), [undefined, { parent: 'r' }])
    assert.deepEqual(await loadRows(store, parents, ['p', 'q', 'r']), [
      undefined,
      { name: 'Q' },
      { name: 'R' },
    ])
  })

  test('a missing parent is told from other rejections', async (bench) => {
    const { store } = await bench.open()
    const children = await describe(store, 'suite_children')
    const strict = await describe(store, 'suite_strict')
    const transaction = await store.begin(0, { careful: true }, call)
    const orphan = await rejectionOf(transaction, [
      rows(children, { c: set({ parent: 'nobody' }) }),
    ])
    assert.equal(store.classify(orphan).kind, 'rejected')
    assert.equal(store.classify(orphan).missingParent, true)
    const missing = await rejectionOf(transaction, [rows(strict, { c: set({ owner: null }) })])
    assert.equal(store.classify(missing).kind, 'rejected')
    assert.notEqual(store.classify(missing).missingParent, true)
    await transaction.rollback()
  })
}

function expiryTests({ test }: Suite): void {
  test('finds what has expired, the earliest first', async (bench) => {
    const { store } = await bench.open()
    const documents = await describe(store, undefined)
    const expiring = (key: string, expiresAtMs: number): RowMutation => ({
      key,
      mutation: set({ key }),
      expiresAtMs,
    })
    await commit(store, 0, 1, [
      {
        schema: documents,
        cache: 'cache',
        rows: [expiring('a', 300), expiring('b', 100), expiring('c', 200)],
      },
      { schema: documents, cache: 'other', rows: [expiring('a', 1)] },
    ])
    assert.deepEqual(await store.expired('cache', 50, 10, call), [])
    assert.deepEqual(await store.expired('cache', 200, 10, call), ['b', 'c'])
    assert.deepEqual(await store.expired('cache', 999, 2, call), ['b', 'c'])
  })

  test('a later write without a time, or a delete, ends it', async (bench) => {
    const { store } = await bench.open()
    const documents = await describe(store, undefined)
    const expiring = (key: string): RowMutation => ({
      key,
      mutation: set({ key }),
      expiresAtMs: 100,
    })
    await commit(store, 0, 1, [
      { schema: documents, cache: 'cache', rows: ['a', 'b', 'c'].map(expiring) },
    ])
    await commit(store, 0, 2, [rows(documents, { a: set({}), b: deletion })])
    assert.deepEqual(await store.expired('cache', 999, 10, call), ['c'])
  })
}

function closingTests({ test }: Suite): void {
  test('refuses work once it is closed, by its own table', async (bench) => {
    const { store } = await bench.open()
    const documents = await describe(store, undefined)
    await store.close()
    await store.close()
    const calls: Record<string, () => Promise<unknown>> = {
      load: () => store.load(documents, 'cache', ['a'], call),
      begin: () => store.begin(0, { careful: false }, call),
      describe: () => describe(store, undefined),
      expired: () => store.expired('cache', 1, 1, call),
      keys: () => store.keys(documents, 'cache', undefined, 1, call),
    }
    for (const [name, work] of Object.entries(calls)) {
      const failure = store.classify(await thrownBy(work))
      assert.notEqual(failure.kind, 'rejected', name)
      assert.equal(failure.known, true, name)
    }
  })
}

const deletion: Mutation = { kind: 'delete' }
const set = (fields: Fields): Mutation => ({ kind: 'set', fields })
const merge = (fields: Fields): Mutation => ({ kind: 'patch', fields, amounts: {} })
const increment = (amounts: Readonly<Record<string, number | bigint | string>>): Mutation => ({
  kind: 'patch',
  fields: {},
  amounts,
})

function account(name: string): Fields {
  return { name, visits: 1, bonus: null, balance: '10.0000', note: null }
}

function rows(
  schema: TableSchema,
  byKey: Readonly<Record<string, Mutation>>,
  cache = 'cache',
): TableMutations {
  const sorted = Object.keys(byKey).sort()
  return { schema, cache, rows: sorted.map((key) => ({ key, mutation: byKey[key] as Mutation })) }
}

function describe(
  store: Store,
  table: string | undefined,
  request: { key?: readonly string[]; columns?: readonly string[]; rest?: string } = {},
): Promise<TableSchema> {
  const key =
    request.key ?? (table === undefined ? [] : table === 'suite_pairs' ? ['org', 'id'] : ['id'])
  return store.describe(
    { cache: 'cache', table, key, columns: request.columns, rest: request.rest },
    call,
  )
}

/** As the flusher does it: tables by rank. */
async function commit(
  store: Store,
  lane: number,
  position: number,
  tables: readonly TableMutations[],
): Promise<void> {
  const transaction = await store.begin(lane, { careful: false }, call)
  const ranked = [...tables].sort((left, right) => left.schema.rank - right.schema.rank)
  try {
    if (ranked.length > 0) await transaction.write(ranked)
  } catch (error) {
    await transaction.rollback()
    throw error
  }
  await transaction.commit(position)
}

async function loadRows(
  store: Store,
  schema: TableSchema,
  keys: readonly string[],
  cache = 'cache',
): Promise<(Fields | undefined)[]> {
  return (await store.load(schema, cache, keys, call)).rows.map(plain)
}

async function allKeys(store: Store, schema: TableSchema): Promise<string[]> {
  const found: string[] = []
  for (;;) {
    const page = await store.keys(schema, 'cache', found.at(-1), 3, call)
    assert.ok(page.length <= 3)
    if (page.length === 0) return found
    found.push(...page)
    assert.ok(found.length < 1000, 'keys() does not end')
  }
}

async function rejectionOf(
  transaction: StoreTransaction,
  tables: readonly TableMutations[],
): Promise<unknown> {
  return thrownBy(() => transaction.write(tables))
}

async function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  let result: unknown
  try {
    result = await work()
  } catch (error) {
    return error
  }
  assert.fail(`expected a failure, got ${typeof result}`)
}

/** deepEqual compares prototypes and property order does not matter to it: drivers' row objects become plain ones. */
function plain(fields: Fields | undefined): Fields | undefined {
  return fields === undefined ? undefined : { ...fields }
}

function nulls(schema: TableSchema): Record<string, FieldValue> {
  return Object.fromEntries(schema.columns.map((column: Column) => [column.name, null]))
}
