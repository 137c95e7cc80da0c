import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { affinityOf, typeOf } from '../../src/store/sqlite/column-types.ts'
import { describeTable } from '../../src/store/sqlite/catalogue.ts'
import { Connection } from '../../src/store/sqlite/connection.ts'
import type { TableRequest, TableSchema } from '../../src/store/schema.ts'

function catalogue(
  ddl: string,
): (table: string | undefined, more?: Partial<TableRequest>) => TableSchema {
  const connection = new Connection(new DatabaseSync(':memory:'))
  onTestFinished(() => connection.close())
  connection.database.exec(ddl)
  return (table, more = {}) =>
    describeTable(connection, {
      cache: 'c',
      table,
      key: ['id'],
      columns: undefined,
      rest: undefined,
      ...more,
    })
}

function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', details: { cache: 'c' } })
    return (error as Error).message
  }
  throw new Error('Nothing was refused.')
}

const names = (schema: TableSchema): string[] => schema.columns.map((column) => column.name)

describe('columns', () => {
  test('nullability, constant defaults and what is required', () => {
    const schema = catalogue(`
      CREATE TABLE t (
        id TEXT PRIMARY KEY, a TEXT, b TEXT NOT NULL, c INTEGER NOT NULL DEFAULT -5, d TEXT DEFAULT 'it''s', e BOOLEAN DEFAULT TRUE,
        f DECIMAL(6, 2) DEFAULT 1.5, g TIMESTAMP DEFAULT '2026-01-01 00:00', h JSON NOT NULL DEFAULT '{"a":1}', i BLOB DEFAULT x'00ff',
        j INTEGER DEFAULT (7), k TEXT DEFAULT NULL, l INTEGER DEFAULT 9223372036854775807
      )`)('t')
    expect(schema.blank).toEqual({
      a: null,
      b: null,
      c: -5,
      d: "it's",
      e: true,
      f: '1.50',
      g: '2026-01-01T00:00:00.000',
      h: { a: 1 },
      i: new Uint8Array([0, 255]),
      j: 7,
      k: null,
      l: 9223372036854775807n,
    })
    expect(schema.columns.filter((column) => column.required).map((column) => column.name)).toEqual(
      ['b'],
    )
    expect(
      schema.columns.filter((column) => !column.nullable).map((column) => column.name),
    ).toEqual(['b', 'c', 'h'])
  })

  test('what the database fills by itself is left out, unless it is asked for', () => {
    const describeT = catalogue(`
      CREATE TABLE t (
        rowid_name INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, a TEXT, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
        token TEXT DEFAULT (lower(hex(randomblob(8)))), twice TEXT AS (a || a), stored TEXT AS (a || 'x') STORED
      )`)
    expect(names(describeT('t'))).toEqual(['a'])
    const asked = describeT('t', { columns: ['a', 'at', 'rowid_name', 'id'] })
    expect(names(asked)).toEqual(['rowid_name', 'a', 'at'])
    expect(asked.columns.find((column) => column.name === 'at')).toMatchObject({
      required: true,
      defaultValue: null,
    })
    expect(refusal(() => describeT('t', { columns: ['twice'] }))).toContain('generated')
    expect(refusal(() => describeT('t', { columns: ['b'] }))).toContain('no column "b"')
    expect(refusal(() => describeT('t', { columns: ['tokn'] }))).toContain('Did you mean "token"?')
  })

  test('a required column that the cache leaves out is refused', () => {
    const describeT = catalogue('CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT, b TEXT NOT NULL)')
    expect(refusal(() => describeT('t', { columns: ['a'] }))).toContain(
      'Column b of table "t" is NOT NULL',
    )
  })

  test('a default in double quotes is text, as CREATE TABLE takes it', () => {
    const { blank } = catalogue(
      `CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT DEFAULT "new", b TEXT NOT NULL DEFAULT "it's ""so""", c TEXT DEFAULT "id", d TEXT DEFAULT "")`,
    )('t')
    expect(blank).toEqual({ a: 'new', b: 'it\'s "so"', c: 'id', d: '' })
  })

  test('a default that is no value of its column is refused', () => {
    const describeT = catalogue(
      "CREATE TABLE t (id TEXT PRIMARY KEY, a BOOLEAN DEFAULT 'maybe', b JSON DEFAULT '{')",
    )
    expect(refusal(() => describeT('t'))).toContain('default of column "a"')
    expect(refusal(() => describeT('t', { columns: ['b'] }))).toContain('default of column "b"')
    expect(names(describeT('t', { columns: [] }))).toEqual([])
  })

  test('declared types, and SQLite’s affinities', () => {
    const kinds = Object.fromEntries(
      [
        ...[
          'INTEGER',
          'bigint',
          'SMALLINT',
          'UNSIGNED BIG INT',
          'TEXT',
          'varchar(20)',
          'CHARACTER VARYING(3)',
          'REAL',
        ],
        ...[
          'double precision',
          'FLOAT',
          'BOOLEAN',
          'DATE',
          'TIME',
          'DATETIME',
          'timestamp with time zone',
          'TIMESTAMP(3)',
        ],
        ...['UUID', 'JSON', 'JSONB', 'BLOB', 'BYTEA', 'INET', '', 'ANY', 'DECIMAL_TEXT(30,5)'],
      ].map((declared) => {
        const type = typeOf(declared)
        return [declared, 'kind' in type ? type.kind : 'refused']
      }),
    )
    expect(kinds).toMatchInlineSnapshot(`
      {
        "": "opaque",
        "ANY": "opaque",
        "BLOB": "bytes",
        "BOOLEAN": "boolean",
        "BYTEA": "bytes",
        "CHARACTER VARYING(3)": "text",
        "DATE": "date",
        "DATETIME": "timestamp",
        "DECIMAL_TEXT(30,5)": "numeric",
        "FLOAT": "float",
        "INET": "opaque",
        "INTEGER": "integer",
        "JSON": "json",
        "JSONB": "json",
        "REAL": "float",
        "SMALLINT": "integer",
        "TEXT": "text",
        "TIME": "time",
        "TIMESTAMP(3)": "timestamp",
        "UNSIGNED BIG INT": "integer",
        "UUID": "uuid",
        "bigint": "integer",
        "double precision": "float",
        "timestamp with time zone": "timestamptz",
        "varchar(20)": "text",
      }
    `)
    expect(['FLOATING POINT', 'CHARINT', 'STRING', '', 'CLOB'].map(affinityOf)).toEqual([
      'INTEGER',
      'INTEGER',
      'NUMERIC',
      'BLOB',
      'TEXT',
    ])
  })

  test('decimals that SQLite would round are refused, with what to declare instead', () => {
    const describeT = catalogue(
      'CREATE TABLE t (id TEXT PRIMARY KEY, a DECIMAL(16, 2), b NUMERIC, c DECIMAL(15, 2), d TEXT)',
    )
    expect(refusal(() => describeT('t'))).toContain('DECIMAL_TEXT(p, s)')
    expect(refusal(() => describeT('t', { columns: ['b'] }))).toContain('DECIMAL_TEXT(p, s)')
    expect(describeT('t', { columns: ['c'] }).columns[0]?.type).toEqual({
      kind: 'numeric',
      precision: 15,
      scale: 2,
    })
  })

  test('the rest column is JSON or text', () => {
    const describeT = catalogue(
      'CREATE TABLE t (id TEXT PRIMARY KEY, a INTEGER, b TEXT NOT NULL, c JSON)',
    )
    expect(describeT('t', { rest: 'b' }).rest).toMatchObject({
      name: 'b',
      type: { kind: 'json' },
      nullable: false,
    })
    expect(names(describeT('t', { rest: 'b' }))).toEqual(['a', 'c'])
    expect(refusal(() => describeT('t', { rest: 'a' }))).toContain('JSON')
    expect(refusal(() => describeT('t', { rest: 'nope' }))).toContain('no column')
  })
})

describe('keys', () => {
  test('primary keys of any kind, in the order of the request', () => {
    const describeT = catalogue(`
      CREATE TABLE numbers (id INTEGER PRIMARY KEY, a TEXT);
      CREATE TABLE pairs (org TEXT, id INTEGER, a TEXT, PRIMARY KEY (org, id)) WITHOUT ROWID;
      CREATE TABLE uuids (id UUID PRIMARY KEY)`)
    expect(describeT('numbers').key[0]?.type.kind).toBe('integer')
    expect(describeT('uuids').key[0]?.type.kind).toBe('uuid')
    expect(describeT('pairs', { key: ['id', 'org'] }).key.map((column) => column.name)).toEqual([
      'id',
      'org',
    ])
    expect(refusal(() => describeT('pairs'))).toContain('Its primary key is (org, id).')
    expect(refusal(() => describeT('numbers', { key: ['id', 'a'] }))).toContain(
      'no primary key or unique index',
    )
    expect(refusal(() => describeT('numbers', { key: ['ID'] }))).toContain('Did you mean "id"?')
  })

  test('a unique index does where no part of it may be NULL', () => {
    const describeT = catalogue(`
      CREATE TABLE t (n INTEGER PRIMARY KEY, id TEXT NOT NULL, b TEXT UNIQUE, c TEXT NOT NULL, d TEXT NOT NULL, e TEXT NOT NULL);
      CREATE UNIQUE INDEX by_id ON t (id);
      CREATE UNIQUE INDEX by_c ON t (c) WHERE c > 'x';
      CREATE UNIQUE INDEX by_d ON t (lower(d));
      CREATE INDEX by_e ON t (e)`)
    expect(names(describeT('t'))).toEqual(['b', 'c', 'd', 'e'])
    expect(refusal(() => describeT('t', { key: ['b'] }))).toContain('may be NULL')
    for (const column of ['c', 'd', 'e']) {
      expect(refusal(() => describeT('t', { key: [column] }))).toContain(
        'no primary key or unique index',
      )
    }
  })

  test('a key whose column has another order than its index is refused: a delete would take others with it', () => {
    const describeT = catalogue(`
      CREATE TABLE a (id TEXT COLLATE NOCASE NOT NULL);
      CREATE UNIQUE INDEX a_id ON a (id COLLATE BINARY);
      CREATE TABLE b (id TEXT COLLATE RTRIM NOT NULL);
      CREATE UNIQUE INDEX b_id ON b (id COLLATE BINARY);
      CREATE TABLE c (id TEXT COLLATE BINARY NOT NULL);
      CREATE UNIQUE INDEX c_id ON c (id);`)
    for (const name of ['a', 'b']) {
      expect(refusal(() => describeT(name))).toContain('another collation than its index')
    }
    expect(describeT('c').keysByBytes).toBe(true)
  })

  test('keys of type TEXT are in the order of bytes; those of other types, of several columns and in UTF-16 are not', () => {
    const describeT = catalogue(`
      CREATE TABLE a (id VARCHAR(9) PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);
      CREATE TABLE c (id UUID PRIMARY KEY); CREATE TABLE d (id TEXT, other TEXT, PRIMARY KEY (id, other))`)
    expect(describeT('a').keysByBytes).toBe(true)
    expect(describeT(undefined).keysByBytes).toBe(true)
    expect(describeT('b').keysByBytes).toBe(false)
    expect(describeT('c').keysByBytes).toBe(false)
    expect(describeT('d', { key: ['id', 'other'] }).keysByBytes).toBe(false)
    const wide = catalogue(`PRAGMA encoding = 'UTF-16'; CREATE TABLE a (id TEXT PRIMARY KEY)`)
    expect([wide('a').keysByBytes, wide(undefined).keysByBytes]).toEqual([false, false])
  })

  test('a key that compares otherwise than its text, or has no text of its own, is refused', () => {
    const describeT = catalogue(`
      CREATE TABLE a (id TEXT COLLATE NOCASE PRIMARY KEY);
      CREATE TABLE b (id REAL PRIMARY KEY);
      CREATE TABLE c (id NUMERIC PRIMARY KEY);
      CREATE TABLE d (id BLOB PRIMARY KEY)`)
    expect(refusal(() => describeT('a'))).toContain('NOCASE')
    for (const table of ['b', 'c', 'd'])
      expect(refusal(() => describeT(table))).toContain('Key column "id"')
  })
})

describe('tables', () => {
  test('are found in any case, and kept in their own', () => {
    const describeT = catalogue(
      'CREATE TABLE Users (id TEXT PRIMARY KEY); CREATE TABLE "odd "" name" (id TEXT PRIMARY KEY)',
    )
    expect(describeT('users').table).toBe('Users')
    expect(describeT('main.users').table).toBe('Users')
    expect(describeT('"odd "" name"').table).toBe('odd " name')
  })

  test('a table that is not there is refused with what there is', () => {
    const describeT = catalogue(
      'CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE carts (id TEXT PRIMARY KEY)',
    )
    expect(refusal(() => describeT('user'))).toContain('Did you mean "users"?')
    expect(refusal(() => describeT('flights'))).toContain('The database has carts, users.')
    expect(refusal(() => catalogue('')('users'))).toContain('no tables')
  })

  test('views, attached databases and Daybook’s own tables are refused', () => {
    const describeT = catalogue(
      `CREATE TABLE t (id TEXT PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t; ATTACH ':memory:' AS other`,
    )
    expect(refusal(() => describeT('v'))).toContain('view')
    expect(refusal(() => describeT('other.t'))).toContain('attached')
    expect(() => describeT('daybook_values')).toThrow('own tables')
    expect(() => describeT('a.b.c')).toThrow('not a table name')
  })

  test('parents rank below their children, over any distance, and cycles end', () => {
    const describeT = catalogue(`
      CREATE TABLE a_line (id TEXT PRIMARY KEY, b TEXT REFERENCES B_ORDER (id));
      CREATE TABLE b_order (id TEXT PRIMARY KEY, c TEXT REFERENCES c_user (id));
      CREATE TABLE c_user (id TEXT PRIMARY KEY, best TEXT REFERENCES d_friend (id));
      CREATE TABLE d_friend (id TEXT PRIMARY KEY, of TEXT REFERENCES c_user (id), self TEXT REFERENCES d_friend (id))`)
    const rank = (table: string): number => describeT(table).rank
    expect(rank('c_user')).toBeLessThan(rank('b_order'))
    expect(rank('b_order')).toBeLessThan(rank('a_line'))
    expect(new Set(['a_line', 'b_order', 'c_user', 'd_friend'].map(rank)).size).toBe(4)
  })

  test('no table means the generic one', () => {
    expect(catalogue('')(undefined)).toMatchObject({
      table: 'daybook_values',
      document: true,
      columns: [],
    })
  })
})
