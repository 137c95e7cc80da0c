import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { DaybookError } from '../../src/base/errors.ts'
import type { FieldValue, Fields } from '../../src/mutation/mutation.ts'
import { type Checkpoints, sqlCheckpoints, type SqlDialect } from '../../src/store/checkpoints.ts'
import {
  type CustomMutation,
  customStore,
  type CustomStoreOptions,
} from '../../src/store/custom-store.ts'
import { classifySqlite } from '../../src/store/sqlite/failure-table.ts'
import type { Claim, Store, StoreTransaction } from '../../src/store/store.ts'
import { storeSuite } from '../../src/testing/store-suite.ts'
import { suiteTables } from '../../src/testing/suite-tables.ts'
import { Mutex } from '../../src/store/mutex.ts'

const call = { signal: new AbortController().signal }
const claim: Claim = { journal: 'journal', lanes: 2, epoch: 1 }

/** A user's database with a data layer of its own: values as tagged JSON in one table, one transaction at a time. */
class UserDatabase {
  readonly database = new DatabaseSync(':memory:')
  readonly #mutex = new Mutex()
  transactions = 0

  constructor() {
    this.database.exec(`
      PRAGMA foreign_keys = ON;
      CREATE TABLE rows (place TEXT PRIMARY KEY, fields TEXT NOT NULL);
      CREATE TABLE owners (place TEXT PRIMARY KEY, owner TEXT NOT NULL);
      CREATE TABLE parents (place TEXT PRIMARY KEY);
      CREATE TABLE children (place TEXT PRIMARY KEY, parent TEXT REFERENCES parents (place));
    `)
  }

  readonly run = async (sql: string, parameters: readonly (string | number)[]): Promise<object[]> =>
    this.database.prepare(sql).all(...parameters)

  readonly transaction = async <Result>(
    work: (token: 'token') => Promise<Result>,
  ): Promise<Result> => {
    const release = await this.#mutex.acquire()
    this.transactions++
    this.database.exec('BEGIN IMMEDIATE')
    try {
      const result = await work('token')
      this.database.exec('COMMIT')
      return result
    } catch (error) {
      this.database.exec('ROLLBACK')
      throw error
    } finally {
      release()
    }
  }

  apply(mutation: CustomMutation): void {
    const place = placeOf(mutation)
    if (mutation.kind === 'delete') {
      for (const table of ['rows', 'owners', 'children', 'parents']) {
        this.database.prepare(`DELETE FROM ${table} WHERE place = ?`).run(place)
      }
      return
    }
    if (mutation.kind === 'patch') throw new Error('The store did not ask for patches.')
    this.database
      .prepare('INSERT INTO rows VALUES (?, ?) ON CONFLICT DO UPDATE SET fields = excluded.fields')
      .run(place, JSON.stringify(mutation.fields, tagged))
    this.#applyConstraints(place, mutation.table, mutation.fields)
  }

  /** What the database checks: NOT NULL of suite_strict and the foreign key of suite_children. */
  #applyConstraints(place: string, table: string | undefined, fields: Fields): void {
    if (table === 'suite_strict') {
      this.database
        .prepare(
          'INSERT INTO owners VALUES (?, ?) ON CONFLICT DO UPDATE SET owner = excluded.owner',
        )
        .run(place, fields['owner'] as string | null)
    }
    if (table === 'suite_parents')
      this.database.prepare('INSERT OR IGNORE INTO parents VALUES (?)').run(place)
    if (table === 'suite_children') {
      this.database
        .prepare(
          'INSERT INTO children VALUES (?, ?) ON CONFLICT DO UPDATE SET parent = excluded.parent',
        )
        .run(
          place,
          fields['parent'] === null ? null : `suite_parents/${fields['parent'] as string}`,
        )
    }
  }

  read(place: string): object | undefined {
    const row = this.database.prepare('SELECT fields FROM rows WHERE place = ?').get(place)
    return row === undefined ? undefined : (JSON.parse(row['fields'] as string, untagged) as object)
  }
}

function placeOf(target: { cache: string; table: string | undefined; key: string }): string {
  return `${target.table ?? target.cache}/${target.key}`
}

/** JSON with bigint, bytes and non-finite numbers. */
function tagged(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $: 'bigint', text: String(value) }
  if (value instanceof Uint8Array) return { $: 'bytes', text: Buffer.from(value).toString('hex') }
  return typeof value === 'number' && !Number.isFinite(value)
    ? { $: 'number', text: String(value) }
    : value
}

function untagged(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('$' in value) || !('text' in value))
    return value
  if (value.$ === 'bigint') return BigInt(value.text as string)
  return value.$ === 'bytes' ? Buffer.from(value.text as string, 'hex') : Number(value.text)
}

function storeOn(user: UserDatabase, options: Partial<CustomStoreOptions<'token'>> = {}): Store {
  return customStore<'token'>({
    name: 'mine',
    tables: suiteTables,
    load: async (keys, { cache, table }) =>
      keys.map((key) => user.read(placeOf({ cache, table, key }))),
    write: async (mutations) => {
      for (const mutation of mutations) user.apply(mutation)
    },
    classify: (error) => {
      const failure = classifySqlite(error)
      return failure.known ? failure : undefined
    },
    ...options,
  })
}

const exactlyOnce = (user: UserDatabase): Partial<CustomStoreOptions<'token'>> => ({
  transaction: user.transaction,
  checkpoints: sqlCheckpoints(user.run, 'sqlite'),
})

const kinds = Object.values(suiteTables['suite_types']?.columns ?? {}).map(
  (column) => column.type.kind,
)

storeSuite(
  'custom, in the user’s transaction',
  { describe, test },
  {
    create: async () => {
      const user = new UserDatabase()
      return {
        store: () => storeOn(user, exactlyOnce(user)),
        close: async () => user.database.close(),
      }
    },
    transactions: true,
    patches: false,
    constraints: true,
    types: kinds,
    keys: false,
    expiries: false,
  },
)

storeSuite(
  'custom, without transactions',
  { describe, test },
  {
    create: async () => {
      const user = new UserDatabase()
      return { store: () => storeOn(user), close: async () => user.database.close() }
    },
    transactions: false,
    patches: false,
    constraints: false,
    types: kinds,
    keys: false,
    expiries: false,
  },
)

describe('customStore', () => {
  test('says what it is not given, before anything is done', () => {
    const given = { name: 'mine', load: async () => [], write: async () => undefined }
    for (const [name, options] of Object.entries({
      name: { ...given, name: '' },
      load: { ...given, load: undefined },
      write: { ...given, write: 'a text' },
    })) {
      const create = (): Store => customStore(options as unknown as CustomStoreOptions)
      expect(create, name).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })

  test('is at least once without checkpoints in the transaction, and says so', () => {
    const user = new UserDatabase()
    const capabilities = (options: Partial<CustomStoreOptions<'token'>>): Store['capabilities'] =>
      storeOn(user, options).capabilities
    expect(capabilities({})).toMatchObject({ transactions: false, checkpoints: false })
    expect(capabilities({ transaction: user.transaction })).toMatchObject({ transactions: false })
    const checkpoints = sqlCheckpoints<'token'>(user.run, 'sqlite')
    expect(capabilities({ checkpoints })).toMatchObject({ transactions: false, checkpoints: true })
    expect(capabilities(exactlyOnce(user))).toMatchObject({ transactions: true, checkpoints: true })
  })

  test('without checkpoints of its own, a new store begins at 0', async () => {
    const user = new UserDatabase()
    const first = storeOn(user)
    await first.open(claim, call)
    await (await first.begin(0, { careful: false }, call)).commit(7)
    expect((await first.begin(0, { careful: false }, call)).checkpoint.position).toBe(7)
    expect((await storeOn(user).open(claim, call)).positions).toEqual([0, 0])
  })

  test('with checkpoints alone, they outlive the store and fence it', async () => {
    const user = new UserDatabase()
    const checkpoints = sqlCheckpoints<'token'>(user.run, 'sqlite')
    const first = storeOn(user, { checkpoints })
    await first.open(claim, call)
    await (await first.begin(1, { careful: false }, call)).commit(7)
    const second = storeOn(user, { checkpoints })
    expect(await second.open(claim, call)).toEqual({ epoch: 2, positions: [0, 7] })
    await expect(first.begin(1, { careful: false }, call)).rejects.toSatisfy(
      (error) => first.classify(error).kind === 'fenced',
    )
  })

  test('a database that went back in time is claimed again, at the position it has', async () => {
    const user = new UserDatabase()
    const store = storeOn(user, exactlyOnce(user))
    await store.open({ ...claim, epoch: 3 }, call)
    await (await store.begin(0, { careful: false }, call)).commit(9)
    user.database.exec('UPDATE daybook_checkpoints SET epoch = 1, position = 4 WHERE lane = 0')
    const older = await store.begin(0, { careful: false }, call)
    expect(older.checkpoint).toEqual({ epoch: 3, position: 4 })
    await older.rollback()
    user.database.exec('DELETE FROM daybook_checkpoints')
    const missing = await store.begin(0, { careful: false }, call)
    expect(missing.checkpoint).toEqual({ epoch: 3, position: 0 })
    await missing.commit(5)
    expect(user.database.prepare('SELECT epoch, position FROM daybook_checkpoints').all()).toEqual([
      { epoch: 3, position: 5 },
    ])
  })

  test('begin fails as the user’s transaction does where that never starts', async () => {
    const user = new UserDatabase()
    let broken = false
    const store = storeOn(user, {
      ...exactlyOnce(user),
      transaction: (work) =>
        broken ? Promise.reject(new Error('no connection')) : user.transaction(work),
    })
    await store.open(claim, call)
    broken = true
    await expect(store.begin(0, { careful: false }, call)).rejects.toThrow('no connection')
    expect(store.classify(new Error('no connection'))).toMatchObject({
      kind: 'outage',
      known: false,
    })
  })

  test('a transaction that ends without calling back is an error, not a hang', async () => {
    const user = new UserDatabase()
    let silent = false
    const store = storeOn(user, {
      ...exactlyOnce(user),
      transaction: (work) =>
        silent ? Promise.resolve(undefined as never) : user.transaction(work),
    })
    await store.open(claim, call)
    silent = true
    await expect(store.begin(0, { careful: false }, call)).rejects.toThrow('ended before it began')
  })

  test('a commit that fails is reported, and a library’s own retry commits nothing', async () => {
    const user = new UserDatabase()
    let retries = false
    const store = storeOn(user, {
      ...exactlyOnce(user),
      // Runs the callback again after a failed COMMIT, as some libraries do.
      transaction: async (work) => {
        if (!retries) return user.transaction(work)
        await user
          .transaction(async (token) => {
            await work(token)
            throw new Error('COMMIT failed')
          })
          .catch(() => undefined)
        return user.transaction(work)
      },
    })
    await store.open(claim, call)
    retries = true
    const transaction = await store.begin(0, { careful: false }, call)
    await expect(transaction.commit(5)).rejects.toThrow('not to be run again')
    retries = false
    expect((await store.begin(0, { careful: false }, call)).checkpoint.position).toBe(0)
  })

  test('after a rejected write a careful transaction is made anew, with what was written before', async () => {
    const user = new UserDatabase()
    const store = storeOn(user, exactlyOnce(user))
    await store.open(claim, call)
    const strict = await store.describe(request('suite_strict'), call)
    const write = (
      transaction: StoreTransaction,
      key: string,
      owner: string | null,
    ): Promise<void> =>
      transaction.write([
        {
          schema: strict,
          cache: 'c',
          rows: [{ key, mutation: { kind: 'set', fields: { owner } } }],
        },
      ])
    const before = user.transactions
    const transaction = await store.begin(0, { careful: true }, call)
    await write(transaction, 'a', 'Ada')
    await expect(write(transaction, 'b', null)).rejects.toThrow()
    await transaction.commit(2)
    expect(user.transactions - before).toBe(2)
    expect(user.read('suite_strict/a')).toEqual({ owner: 'Ada' })
    expect(user.read('suite_strict/b')).toBeUndefined()
  })

  test('a checkpoint that moved in between ends the careful transaction', async () => {
    const user = new UserDatabase()
    let moveIt = false
    const checkpoints = sqlCheckpoints<'token'>(user.run, 'sqlite')
    const store = storeOn(user, {
      ...exactlyOnce(user),
      checkpoints: {
        ...checkpoints,
        read: async (journal, transaction, lane) => {
          if (moveIt) user.database.exec('UPDATE daybook_checkpoints SET position = 99')
          return checkpoints.read(journal, transaction, lane)
        },
      },
    })
    await store.open(claim, call)
    const strict = await store.describe(request('suite_strict'), call)
    const transaction = await store.begin(0, { careful: true }, call)
    moveIt = true
    const rows = [{ key: 'a', mutation: { kind: 'set' as const, fields: { owner: null } } }]
    const failure = await transaction
      .write([{ schema: strict, cache: 'c', rows }])
      .catch((error: unknown) => error)
    expect(store.classify(failure)).toMatchObject({ kind: 'conflict', code: 'CHECKPOINT_MOVED' })
    await expect(transaction.commit(1)).rejects.toThrow('over')
  })

  test('a failure to move the checkpoint takes the rows back', async () => {
    const user = new UserDatabase()
    let broken = false
    const checkpoints = sqlCheckpoints<'token'>(user.run, 'sqlite')
    const store = storeOn(user, {
      ...exactlyOnce(user),
      checkpoints: {
        ...checkpoints,
        write: (...parameters: Parameters<Checkpoints<'token'>['write']>) =>
          broken ? Promise.reject(new Error('disk full')) : checkpoints.write(...parameters),
      },
    })
    await store.open(claim, call)
    const documents = await store.describe({ ...request(undefined), key: [] }, call)
    const transaction = await store.begin(0, { careful: false }, call)
    await transaction.write([
      {
        schema: documents,
        cache: 'c',
        rows: [{ key: 'a', mutation: { kind: 'set', fields: { x: 1 } } }],
      },
    ])
    broken = true
    await expect(transaction.commit(1)).rejects.toThrow('disk full')
    expect(user.read('c/a')).toBeUndefined()
  })

  test('a load that flushes overtake is made again, and in the end a conflict', async () => {
    const user = new UserDatabase()
    let moves = 0
    const store = storeOn(user, {
      ...exactlyOnce(user),
      load: async (keys) => {
        if (moves-- > 0)
          user.database.exec(
            'UPDATE daybook_checkpoints SET position = position + 1 WHERE lane = 0',
          )
        return keys.map(() => ({ value: moves }))
      },
    })
    await store.open(claim, call)
    const documents = await store.describe({ ...request(undefined), key: [] }, call)
    moves = 3
    expect(await store.load(documents, 'c', ['a'], call)).toEqual({
      rows: [{ '': -1 }],
      positions: [3, 0],
    })
    moves = Infinity
    const failure = await store.load(documents, 'c', ['a'], call).catch((error: unknown) => error)
    expect(store.classify(failure)).toMatchObject({ kind: 'conflict', code: 'LOAD_OVERTAKEN' })
  })

  test('an open that fails is unavailable or misconfigured, as the user classifies it', async () => {
    const user = new UserDatabase()
    const failing = (error: Error): Store =>
      storeOn(user, {
        ...exactlyOnce(user),
        transaction: () => Promise.reject(error),
        classify: (thrown) =>
          thrown === error && error.message === 'password' ? { kind: 'misconfigured' } : undefined,
      })
    await expect(failing(new Error('away')).open(claim, call)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
    await expect(failing(new Error('password')).open(claim, call)).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
    })
    const own = new DaybookError('INVALID_OPTION', 'mine')
    await expect(failing(own).open(claim, call)).rejects.toBe(own)
  })

  test('takes rows as a Map, and any fields of a table it does not know', async () => {
    const rows = new Map<string, object>([
      ['a', { id: 'a', name: 'Ada', tags: [1], nothing: null, gone: undefined }],
    ])
    const written: CustomMutation[] = []
    const store = customStore({
      name: 'map',
      load: async () => rows,
      write: async (mutations) => void written.push(...mutations),
      keys: async () => ['a'],
      expired: async () => ['a'],
    })
    await store.open(claim, call)
    const schema = await store.describe({ ...request('people'), cache: 'people' }, call)
    expect((await store.load(schema, 'people', ['a', 'b'], call)).rows).toEqual([
      { name: 'Ada', tags: [1], nothing: null },
      undefined,
    ])
    expect(await store.keys(schema, 'people', undefined, 5, call)).toEqual(['a'])
    expect(await store.expired('people', 1, 5, call)).toEqual(['a'])
    const transaction = await store.begin(0, { careful: false }, call)
    const fields: Record<string, FieldValue> = { any: { thing: 1 } }
    await transaction.write([
      {
        schema,
        cache: 'people',
        rows: [
          { key: 'a', mutation: { kind: 'delete' } },
          { key: 'b', mutation: { kind: 'set', fields }, expiresAtMs: 5 },
          { key: 'c', mutation: { kind: 'patch', fields, amounts: { n: 1 } } },
        ],
      },
    ])
    await transaction.rollback()
    const target = { cache: 'people', table: 'people', expiresAtMs: undefined }
    expect(written).toEqual([
      { ...target, key: 'b', keyColumns: { id: 'b' }, expiresAtMs: 5, kind: 'set', fields },
      { ...target, key: 'c', keyColumns: { id: 'c' }, kind: 'patch', fields, amounts: { n: 1 } },
      { ...target, key: 'a', keyColumns: { id: 'a' }, kind: 'delete' },
    ])
  })

  test('says which function it would need', async () => {
    const user = new UserDatabase()
    const store = storeOn(user)
    await store.open(claim, call)
    const documents = await store.describe({ ...request(undefined), key: [] }, call)
    await expect(store.keys(documents, 'c', undefined, 1, call)).rejects.toThrow('"keys"')
    await expect(store.expired('c', 1, 1, call)).rejects.toThrow('"expired"')
  })
})

describe('sqlCheckpoints', () => {
  const statements = async (dialect: SqlDialect): Promise<string[]> => {
    const seen: string[] = []
    const checkpoints = sqlCheckpoints<undefined>(async (sql) => {
      seen.push(sql)
      return [{ lane: '1', epoch: 2n, position: 3 }]
    }, dialect)
    await checkpoints.prepare?.()
    expect(await checkpoints.read('j', undefined, 1)).toEqual([{ lane: 1, epoch: 2, position: 3 }])
    await checkpoints.write('j', { lane: 1, epoch: 2, position: 3 }, undefined)
    return seen
  }

  test('locks the lane where the database has row locks', async () => {
    expect((await statements('postgres'))[1]).toMatch(/journal = \$1 AND lane = \$2 FOR UPDATE$/)
    expect((await statements('mysql'))[1]).toMatch(/journal = \? AND lane = \? FOR UPDATE$/)
    expect((await statements('sqlite'))[1]).not.toContain('FOR UPDATE')
    expect((await statements('mysql'))[2]).toContain('ON DUPLICATE KEY UPDATE')
  })
})

function request(table: string | undefined) {
  return { cache: 'c', table, key: ['id'], columns: undefined, rest: undefined }
}
