import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Fields, Mutation } from '../../src/mutation/mutation.ts'
import type { TableSchema } from '../../src/store/schema.ts'
import { type Connection, createOwnTables, openWriter } from '../../src/store/sqlite/connection.ts'
import { classifySqlite } from '../../src/store/sqlite/failure-table.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { SqliteTransaction } from '../../src/store/sqlite/sqlite-transaction.ts'
import { TableStatements } from '../../src/store/sqlite/table-statements.ts'
import { documentSchema } from '../../src/store/declared-table.ts'
import type { Claim, Store, StoreTransaction, TableMutations } from '../../src/store/store.ts'

const call = { signal: new AbortController().signal }
const claim: Claim = { journal: 'journal', lanes: 1, epoch: 1 }
const set = (fields: Fields): Mutation => ({ kind: 'set', fields })
const increment = (amounts: Record<string, number | string>): Mutation => ({
  kind: 'patch',
  fields: {},
  amounts,
})

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-sqlite-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  return directory
}

/** The application's own database, with its own connection. */
function application(ddl: string): { path: string; database: DatabaseSync } {
  const path = join(temporary(), 'app.db')
  const database = new DatabaseSync(path)
  database.exec('PRAGMA foreign_keys = ON')
  database.exec(ddl)
  onTestFinished(() => (database.isOpen ? database.close() : undefined))
  return { path, database }
}

async function opened(path: string, busyTimeoutMs = 0): Promise<Store> {
  const store = sqlite({ path, busyTimeoutMs })
  onTestFinished(() => store.close())
  await store.open(claim, call)
  return store
}

function describeOn(
  store: Store,
  table: string,
  more: Partial<Parameters<Store['describe']>[0]> = {},
): Promise<TableSchema> {
  return store.describe(
    { cache: 'c', table, key: ['id'], columns: undefined, rest: undefined, ...more },
    call,
  )
}

function rowsOf(schema: TableSchema, byKey: Record<string, Mutation>): TableMutations {
  const keys = Object.keys(byKey).sort()
  return {
    schema,
    cache: 'c',
    rows: keys.map((key) => ({ key, mutation: byKey[key] as Mutation })),
  }
}

async function write(
  store: Store,
  tables: readonly TableMutations[],
  careful = false,
): Promise<void> {
  const transaction = await store.begin(0, { careful }, call)
  try {
    await transaction.write(tables)
  } catch (error) {
    await transaction.rollback()
    throw error
  }
  await transaction.commit(transaction.checkpoint.position + 1)
}

async function failureOf(
  store: Store,
  work: Promise<unknown>,
): Promise<ReturnType<Store['classify']>> {
  return work.then(
    () => {
      throw new Error('Nothing was thrown.')
    },
    (error: unknown) => store.classify(error),
  )
}

describe('opening', () => {
  test('refuses options that cannot be meant', () => {
    for (const options of [
      { path: '' },
      { path: 5 },
      { path: 'x', busyTimeoutMs: -1 },
      { path: 'file:x?mode=memory' },
    ]) {
      expect(() => sqlite(options as { path: string })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      )
    }
  })

  test('a file that is no database is misconfigured, a path that cannot be opened unavailable', async () => {
    const directory = temporary()
    const path = join(directory, 'text.db')
    writeFileSync(
      path,
      'This is no database, and longer than the header of one would be. '.repeat(50),
    )
    await expect(sqlite({ path }).open(claim, call)).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
    })
    await expect(sqlite({ path: directory }).open(claim, call)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
  })

  test('a database that may only be read is misconfigured', async () => {
    const { path, database } = application(
      'PRAGMA journal_mode = WAL; CREATE TABLE t (id TEXT PRIMARY KEY)',
    )
    database.close()
    await expect(sqlite({ path: `file:${path}?mode=ro` }).open(claim, call)).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      details: { code: 'SQLITE_READONLY' },
    })
  })

  test('a setting that does not hold is refused', () => {
    // A nameless database is a temporary one, which has no write-ahead log.
    expect(() => openWriter('')).toThrow(expect.objectContaining({ code: 'STORE_MISCONFIGURED' }))
  })

  test('another program that holds the database makes it unavailable, and open can be called again', async () => {
    const { path, database } = application('PRAGMA journal_mode = WAL')
    const store = sqlite({ path, busyTimeoutMs: 0 })
    onTestFinished(() => store.close())
    database.exec('BEGIN IMMEDIATE')
    await expect(store.open(claim, call)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    database.exec('COMMIT')
    expect(await store.open(claim, call)).toEqual({ epoch: 1, positions: [0] })
  })

  test('claims lanes of a journal that grew', async () => {
    const { path } = application('')
    const first = await opened(path)
    await (await first.begin(0, { careful: false }, call)).commit(5)
    await first.close()
    const second = sqlite({ path })
    onTestFinished(() => second.close())
    expect(await second.open({ ...claim, lanes: 3 }, call)).toEqual({
      epoch: 2,
      positions: [5, 0, 0],
    })
  })
})

describe('the user’s own tables', () => {
  test('foreign keys of the user hold; a missing parent may come later, in one transaction', async () => {
    const { path, database } = application(`
      CREATE TABLE nodes (id TEXT PRIMARY KEY, parent TEXT REFERENCES nodes (id) ON DELETE CASCADE);
    `)
    const store = await opened(path)
    const nodes = await describeOn(store, 'nodes')
    // "a" comes first and refers to "b": a cycle has no order that would please immediate checks.
    await write(store, [rowsOf(nodes, { a: set({ parent: 'b' }), b: set({ parent: 'a' }) })])
    expect(database.prepare('SELECT count(*) AS n FROM nodes').get()).toEqual({ n: 2 })
    expect(
      await failureOf(store, write(store, [rowsOf(nodes, { c: set({ parent: 'nobody' }) })])),
    ).toMatchObject({
      kind: 'rejected',
      code: 'SQLITE_CONSTRAINT_FOREIGNKEY',
      missingParent: true,
    })
    // The commit that failed left nothing behind.
    expect((await store.begin(0, { careful: true }, call)).checkpoint.position).toBe(1)
  })

  test('a set updates the row in place: nothing cascades', async () => {
    const { path, database } = application(`
      CREATE TABLE teams (id TEXT PRIMARY KEY, name TEXT);
      CREATE TABLE players (id TEXT PRIMARY KEY, team TEXT REFERENCES teams (id) ON DELETE CASCADE);
      INSERT INTO teams VALUES ('t', 'old'); INSERT INTO players VALUES ('p', 't');
    `)
    const store = await opened(path)
    await write(store, [rowsOf(await describeOn(store, 'teams'), { t: set({ name: 'new' }) })])
    expect(database.prepare('SELECT * FROM players').all()).toEqual([{ id: 'p', team: 't' }])
  })

  test('a child that changes its parent survives the old one’s deletion', async () => {
    const { path, database } = application(`
      CREATE TABLE teams (id TEXT PRIMARY KEY, name TEXT);
      CREATE TABLE players (id TEXT PRIMARY KEY, team TEXT REFERENCES teams (id) ON DELETE CASCADE, score INTEGER);
      INSERT INTO teams VALUES ('old', ''), ('new', ''); INSERT INTO players VALUES ('p', 'old', 7);
    `)
    const store = await opened(path)
    const [teams, players] = [await describeOn(store, 'teams'), await describeOn(store, 'players')]
    await write(store, [
      rowsOf(teams, { old: { kind: 'delete' } }),
      rowsOf(players, { p: { kind: 'patch', fields: { team: 'new' }, amounts: {} } }),
    ])
    expect(database.prepare('SELECT * FROM players').all()).toEqual([
      { id: 'p', team: 'new', score: 7 },
    ])
  })

  test('columns that the cache does not have keep their values, and take their defaults', async () => {
    const { path, database } = application(`
      CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT, hidden TEXT DEFAULT 'h', at TEXT DEFAULT CURRENT_TIMESTAMP);
      INSERT INTO t VALUES ('x', 'a', 'mine', 'then');
    `)
    const store = await opened(path)
    const schema = await describeOn(store, 't', { columns: ['a'] })
    await write(store, [rowsOf(schema, { x: set({ a: 'b' }), y: set({ a: 'c' }) })])
    const rows = database
      .prepare('SELECT id, a, hidden, at IS NULL AS none FROM t ORDER BY id')
      .all()
    expect(rows).toEqual([
      { id: 'x', a: 'b', hidden: 'mine', none: 0 },
      { id: 'y', a: 'c', hidden: 'h', none: 0 },
    ])
  })

  test('a table of keys only', async () => {
    const { path } = application('CREATE TABLE tags (id TEXT PRIMARY KEY) WITHOUT ROWID')
    const store = await opened(path)
    const tags = await describeOn(store, 'tags')
    await write(store, [
      rowsOf(tags, { a: set({}), b: { kind: 'patch', fields: {}, amounts: {} } }),
    ])
    await write(store, [
      rowsOf(tags, { a: set({}), b: { kind: 'patch', fields: {}, amounts: {} } }),
    ])
    expect((await store.load(tags, 'c', ['a', 'b', 'z'], call)).rows).toEqual([{}, {}, undefined])
  })

  test('what other programs write is read in canonical form where it has one, else as it is', async () => {
    const { path, database } = application(`
      CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP, seen TIMESTAMPTZ, ok BOOLEAN, price DECIMAL(8, 2), n INTEGER, doc JSON, raw BLOB);
      INSERT INTO t VALUES (1, '2026-11-23 08:30:00', '2026-11-23 08:30:00+02:00', 'true', 0.1 + 0.2, '7', '{"a": 1}', x'00');
      INSERT INTO t VALUES (2, 'yesterday', 1700000000, 'maybe', 'free', 'many', 'no json', 'text');
      INSERT INTO t VALUES (9007199254740993, NULL, NULL, 1, 5, 9223372036854775807, '5', NULL);
    `)
    const store = await opened(path)
    const t = await describeOn(store, 't')
    expect((await store.load(t, 'c', ['1', '2', '9007199254740993'], call)).rows).toEqual([
      {
        at: '2026-11-23T08:30:00.000',
        seen: '2026-11-23T06:30:00.000Z',
        ok: true,
        price: '0.30',
        n: 7,
        doc: { a: 1 },
        raw: new Uint8Array([0]),
      },
      {
        at: 'yesterday',
        seen: 1700000000,
        ok: 'maybe',
        price: 'free',
        n: 'many',
        doc: 'no json',
        raw: 'text',
      },
      { at: null, seen: null, ok: true, price: '5.00', n: 9223372036854775807n, doc: 5, raw: null },
    ])
    // No key of the cache names what is no integer; there is none here, so all are listed.
    expect(await store.keys(t, 'c', undefined, 10, call)).toEqual(['1', '2', '9007199254740993'])
    const failure = await failureOf(
      store,
      write(store, [rowsOf(t, { 2: increment({ price: '1.00' }) })]),
    )
    expect(failure).toMatchObject({ kind: 'rejected', code: 'NOT_A_NUMBER' })
    database.exec("UPDATE t SET price = '999999.99' WHERE id = 2")
    const beyond = await failureOf(
      store,
      write(store, [rowsOf(t, { 2: increment({ price: '0.01' }) })]),
    )
    expect(beyond).toMatchObject({ kind: 'rejected', code: 'OUT_OF_RANGE' })
  })

  test('keys that no cache could name are passed over, without ending the page', async () => {
    const { path } = application(`
      CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT);
      INSERT INTO t VALUES (NULL, 'null'), ('', 'empty'), (x'00', 'bytes'), ('a', ''), ('b', '');
    `)
    const store = await opened(path)
    const t = await describeOn(store, 't')
    expect(await store.keys(t, 'c', undefined, 1, call)).toEqual(['a'])
    expect(await store.keys(t, 'c', 'a', 5, call)).toEqual(['b'])
  })

  test('STRICT tables refuse what is of another type', async () => {
    const { path } = application('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, a ANY) STRICT')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    await write(store, [rowsOf(t, { a: set({ n: 5, a: 'x' }) })])
    expect((await store.load(t, 'c', ['a'], call)).rows).toEqual([{ n: 5, a: 'x' }])
    const failure = await failureOf(
      store,
      write(store, [rowsOf(t, { a: set({ n: 'text', a: null }) })]),
    )
    expect(failure).toMatchObject({ kind: 'rejected', code: 'SQLITE_CONSTRAINT_DATATYPE' })
    const unbindable = await failureOf(
      store,
      write(store, [rowsOf(t, { a: set({ n: 2n ** 70n, a: null }) })]),
    )
    expect(unbindable).toMatchObject({ kind: 'rejected', known: true })
  })

  test('a table that was altered under the store is misconfigured, not a bad row', async () => {
    const { path, database } = application('CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT, b TEXT)')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    await write(store, [rowsOf(t, { a: set({ a: '1', b: '2' }) })])
    database.exec('ALTER TABLE t DROP COLUMN b')
    const failure = await failureOf(
      store,
      write(store, [rowsOf(t, { a: set({ a: '1', b: '2' }) })]),
    )
    expect(failure).toMatchObject({ kind: 'misconfigured', known: true })
  })

  test('many shapes of patches are all right', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `c${index}`)
    const { path } = application(
      `CREATE TABLE t (id TEXT PRIMARY KEY, ${names.map((name) => `${name} INTEGER`).join()})`,
    )
    const store = await opened(path)
    const t = await describeOn(store, 't')
    // Every subset of the columns: more shapes than are kept.
    const shapes = Array.from({ length: 2 ** names.length }, (_, bits) =>
      names.filter((_, index) => bits & (1 << index)),
    )
    for (const shape of shapes) {
      const amounts = Object.fromEntries(shape.map((name) => [name, 1]))
      await write(store, [rowsOf(t, { a: increment(amounts) })])
    }
    const expected = Object.fromEntries(names.map((name) => [name, 2 ** (names.length - 1)]))
    expect((await store.load(t, 'c', ['a'], call)).rows).toEqual([expected])
  })
})

describe('other programs and processes', () => {
  test('a lock of another program is a conflict once the wait is over', async () => {
    const { path, database } = application('CREATE TABLE t (id TEXT PRIMARY KEY)')
    const store = await opened(path, 30)
    database.exec('BEGIN IMMEDIATE')
    const failure = await failureOf(store, store.begin(0, { careful: false }, call))
    expect(failure).toMatchObject({ kind: 'conflict', code: 'SQLITE_BUSY' })
    database.exec('COMMIT')
    await (await store.begin(0, { careful: false }, call)).commit(1)
  })

  test('a lock that is given up in time is waited for; an aborted wait ends', async () => {
    const { path, database } = application('CREATE TABLE t (id TEXT PRIMARY KEY)')
    const store = await opened(path, 60_000)
    database.exec('BEGIN IMMEDIATE')
    const aborting = new AbortController()
    const aborted = failureOf(
      store,
      store.begin(0, { careful: false }, { signal: aborting.signal }),
    )
    await nextTurn()
    aborting.abort()
    expect(await aborted).toMatchObject({ kind: 'outage', code: 'ABORTED' })
    const waiting = store.begin(0, { careful: false }, call)
    await nextTurn()
    database.exec('COMMIT')
    await (await waiting).commit(1)
  })

  test('loads see the last commit, never an open transaction', async () => {
    const { path } = application('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    await write(store, [rowsOf(t, { a: set({ n: 1 }) })])
    const transaction = await store.begin(0, { careful: false }, call)
    await transaction.write([rowsOf(t, { a: set({ n: 2 }) })])
    expect(await store.load(t, 'c', ['a'], call)).toEqual({ rows: [{ n: 1 }], positions: [1] })
    await transaction.commit(2)
    expect(await store.load(t, 'c', ['a'], call)).toEqual({ rows: [{ n: 2 }], positions: [2] })
  })

  test('a large batch gives way to loads, and ends where its signal says so', async () => {
    const { path } = application('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    const many = Object.fromEntries(
      Array.from({ length: 2000 }, (_, index) => [`k${index}`, set({ n: index })]),
    )
    const aborting = new AbortController()
    const transaction = await store.begin(0, { careful: false }, { signal: aborting.signal })
    let written = false
    const writing = transaction.write([rowsOf(t, many)]).finally(() => (written = true))
    await nextTurn()
    expect(written).toBe(false)
    expect((await store.load(t, 'c', ['k1'], call)).rows).toEqual([undefined])
    aborting.abort()
    expect(await failureOf(store, writing)).toMatchObject({ kind: 'outage' })
    expect(await failureOf(store, transaction.commit(1))).toMatchObject({
      code: 'TRANSACTION_OVER',
    })
    await transaction.rollback()
    await write(store, [rowsOf(t, { k1: set({ n: 5 }) })])
    expect((await store.load(t, 'c', ['k1', 'k2'], call)).rows).toEqual([{ n: 5 }, undefined])
  })

  test('a database that went back in time is claimed again, at the position it has', async () => {
    const { path, database } = application('CREATE TABLE t (id TEXT PRIMARY KEY)')
    const store = await opened(path)
    await (await store.begin(0, { careful: false }, call)).commit(10)
    database.exec('UPDATE daybook_checkpoints SET epoch = 0, position = 4')
    const older = await store.begin(0, { careful: false }, call)
    expect(older.checkpoint).toEqual({ epoch: 1, position: 4 })
    await older.rollback()
    database.exec('DELETE FROM daybook_checkpoints')
    const missing = await store.begin(0, { careful: false }, call)
    expect(missing.checkpoint).toEqual({ epoch: 1, position: 0 })
    await missing.commit(1)
    expect((await store.load(documentSchema, 'c', [], call)).positions).toEqual([1])
  })

  test('a backup put in the place of the file is noticed', async () => {
    const { path, database } = application('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    copyFileSync(path, `${path}.backup`)
    await write(store, [rowsOf(t, { a: set({ n: 1 }) })])
    database.close()
    rmSync(path)
    const gone = await failureOf(store, store.begin(0, { careful: false }, call))
    expect(gone).toMatchObject({ kind: 'outage', code: 'SQLITE_CANTOPEN' })
    for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true })
    renameSync(`${path}.backup`, path)
    const transaction = await store.begin(0, { careful: false }, call)
    expect(transaction.checkpoint).toEqual({ epoch: 1, position: 0 })
    await transaction.commit(1)
    expect(await store.load(t, 'c', ['a'], call)).toEqual({ rows: [undefined], positions: [1] })
  })

  test('a store closed under an open transaction is waited out', async () => {
    const { path } = application('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)')
    const store = await opened(path)
    const t = await describeOn(store, 't')
    const transaction = await store.begin(0, { careful: false }, call)
    await store.close()
    expect(
      await failureOf(store, transaction.write([rowsOf(t, { a: set({ n: 1 }) })])),
    ).toMatchObject({ kind: 'outage' })
    await transaction.rollback()
    // Not a mistake in the configuration: whoever still reads while the book closes is told that it closes.
    const closed = { name: 'DaybookError', code: 'CLOSED' }
    await expect(store.begin(0, { careful: false }, call)).rejects.toMatchObject(closed)
    await expect(store.load(t, 'c', ['a'], call)).rejects.toMatchObject(closed)
  })

  test('expiring rows written before a restart are still ended by a write', async () => {
    const { path } = application('')
    const first = await opened(path)
    const rows = [{ key: 'a', mutation: set({}), expiresAtMs: 5 }]
    await write(first, [{ schema: documentSchema, cache: 'c', rows }])
    await first.close()
    const second = await opened(path)
    expect(await second.expired('c', 5, 1, call)).toEqual(['a'])
    await write(second, [rowsOf(documentSchema, { a: set({}) })])
    expect(await second.expired('c', 5, 1, call)).toEqual([])
  })
})

describe('a database in memory', () => {
  test('loads wait for the transaction that shares the connection', async () => {
    const store = await opened(':memory:')
    const first = await store.begin(0, { careful: false }, call)
    await first.write([rowsOf(documentSchema, { a: set({ n: 1 }) })])
    let loaded = false
    const loading = store.load(documentSchema, 'c', ['a'], call).finally(() => (loaded = true))
    await nextTurn()
    expect(loaded).toBe(false)
    await first.commit(1)
    expect(await loading).toEqual({ rows: [{ n: 1 }], positions: [1] })
    const second = await store.begin(0, { careful: false }, call)
    const aborting = new AbortController()
    const aborted = store.load(documentSchema, 'c', ['a'], { signal: aborting.signal })
    aborting.abort()
    expect(await failureOf(store, aborted)).toMatchObject({ code: 'ABORTED' })
    await second.rollback()
    expect(await store.keys(documentSchema, 'c', undefined, 5, call)).toEqual(['a'])
  })
})

describe('a full disk', () => {
  /** A transaction on a connection whose database may not grow. */
  function onFullDisk(careful: boolean): {
    connection: Connection
    transaction: StoreTransaction
    ended: boolean[]
  } {
    const connection = openWriter(join(temporary(), 'full.db'))
    onTestFinished(() => connection.close())
    createOwnTables(connection)
    connection.database.exec("INSERT INTO daybook_checkpoints VALUES ('j', 0, 1, 0)")
    connection.database.exec('PRAGMA max_page_count = 12; BEGIN IMMEDIATE')
    const statements = new TableStatements(connection, documentSchema)
    const ended: boolean[] = []
    const transaction = new SqliteTransaction({
      connection,
      journal: 'j',
      lane: 0,
      checkpoint: { epoch: 1, position: 0 },
      careful,
      yields: true,
      signal: call.signal,
      statementsOf: () => statements,
      expiringCaches: new Set(),
      ended: (doubtful) => ended.push(doubtful),
    })
    return { connection, transaction, ended }
  }

  const large = rowsOf(
    documentSchema,
    Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`k${index}`, set({ text: 'x'.repeat(4000) })]),
    ),
  )

  test.each([true, false])(
    'is an outage, and ends the transaction (careful: %s)',
    async (careful) => {
      const { connection, transaction, ended } = onFullDisk(careful)
      const error = await transaction.write([large]).catch((thrown: unknown) => thrown)
      expect(classifySqlite(error)).toMatchObject({
        kind: 'outage',
        code: 'SQLITE_FULL',
        known: true,
      })
      await transaction.rollback()
      await transaction.rollback()
      expect(ended).toEqual([true])
      expect(connection.database.prepare('SELECT count(*) AS n FROM daybook_values').get()).toEqual(
        { n: 0 },
      )
      expect(connection.database.prepare('SELECT position FROM daybook_checkpoints').get()).toEqual(
        { position: 0 },
      )
    },
  )

  test('a checkpoint that is gone at the commit gives everything up', async () => {
    const { connection, transaction, ended } = onFullDisk(false)
    await transaction.write([rowsOf(documentSchema, { a: set({}) })])
    connection.database.exec('DELETE FROM daybook_checkpoints')
    const error = await transaction.commit(5).catch((thrown: unknown) => thrown)
    expect(classifySqlite(error)).toMatchObject({ kind: 'outage', code: 'CHECKPOINT_LOST' })
    expect(ended).toEqual([true])
    expect(connection.database.prepare('SELECT count(*) AS n FROM daybook_values').get()).toEqual({
      n: 0,
    })
  })
})

describe('classification', () => {
  const failure = (errcode: number, message = ''): unknown =>
    Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode })

  test.each([
    [5, 'conflict', 'SQLITE_BUSY'],
    [517, 'conflict', 'SQLITE_BUSY'],
    [6, 'conflict', 'SQLITE_LOCKED'],
    [13, 'outage', 'SQLITE_FULL'],
    [1034, 'outage', 'SQLITE_IOERR'],
    [14, 'outage', 'SQLITE_CANTOPEN'],
    [8, 'outage', 'SQLITE_READONLY'],
    [11, 'misconfigured', 'SQLITE_CORRUPT'],
    [26, 'misconfigured', 'SQLITE_NOTADB'],
    [23, 'misconfigured', 'SQLITE_AUTH'],
    [18, 'rejected', 'SQLITE_TOOBIG'],
    [20, 'rejected', 'SQLITE_MISMATCH'],
    [25, 'rejected', 'SQLITE_RANGE'],
    [275, 'rejected', 'SQLITE_CONSTRAINT_CHECK'],
    [1811, 'rejected', 'SQLITE_CONSTRAINT_TRIGGER'],
  ])('result code %i is %s', (errcode, kind, code) => {
    expect(classifySqlite(failure(errcode))).toMatchObject({ kind, code, known: true })
  })

  test('the general code is told by its words, and what is in no table is said to be unknown', () => {
    expect(classifySqlite(failure(1, 'no such table: t')).kind).toBe('misconfigured')
    expect(classifySqlite(failure(1, 'integer overflow')).kind).toBe('rejected')
    expect(classifySqlite(failure(1, 'something new'))).toMatchObject({
      kind: 'outage',
      known: false,
    })
    expect(classifySqlite(failure(99))).toMatchObject({
      kind: 'outage',
      known: false,
      code: 'SQLITE_99',
    })
    expect(classifySqlite('text')).toMatchObject({ kind: 'outage', known: false })
  })
})
