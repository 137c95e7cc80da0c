/** What the store reads from PostgreSQL's catalogue, what it refuses, and the values of every type, both ways. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Column } from '../../src/store/schema.ts'
import { postgres } from '../../src/store/postgres/index.ts'
import type { Store } from '../../src/store/store.ts'
import {
  call,
  claim,
  commit,
  deletion,
  describeTable,
  failureOf,
  increment,
  loadRow,
  merge,
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

describe.skipIf(unavailable !== undefined)(`catalogue (${unavailable ?? 'private server'})`, () => {
  let server: PostgresServer
  let url: string
  let store: Store
  let databases = 0

  const sql = (text: string): Promise<Record<string, unknown>[]> => administer(url, text)

  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    const database = `catalogue_${++databases}`
    await administer(server.url, `CREATE DATABASE ${database}`)
    url = server.urlOf({ database })
    store = postgres({ url })
    await store.open(claim, call)
  })
  afterEach(async () => {
    await store.close()
  })

  async function refusal(
    table: string,
    request: Parameters<typeof describeTable>[2] = {},
  ): Promise<string> {
    const failure = await failureOf(describeTable(store, table, request))
    expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED' })
    return String(failure)
  }

  describe('columns', () => {
    test('have their types, with domains looked through', async () => {
      await sql(`
        CREATE TYPE mood AS ENUM ('sad', 'o''k', 'happy "!"');
        CREATE DOMAIN money_amount AS numeric(12, 2);
        CREATE DOMAIN price AS money_amount NOT NULL CHECK (VALUE >= 0);
        CREATE DOMAIN label AS varchar(20);
        CREATE TABLE t (id uuid PRIMARY KEY, a smallint, b integer, c bigint, d numeric(5, -2), e numeric, f real,
          g double precision, h boolean, i varchar(7), j char(3), k text, l timestamptz, m timestamp(3), n date, o time,
          p json, q jsonb, r bytea, s mood, t price, u label[], v mood[][], w inet, x int4range, y "char", z interval,
          aa box[])`)
      const schema = await describeTable(store, 't')
      expect(schema.key[0]?.type).toEqual({ kind: 'uuid' })
      const types = Object.fromEntries(schema.columns.map(({ name, type }) => [name, type]))
      expect(types).toEqual({
        a: { kind: 'integer', bits: 16 },
        b: { kind: 'integer', bits: 32 },
        c: { kind: 'integer', bits: 64 },
        d: { kind: 'numeric', precision: 5, scale: -2 },
        e: { kind: 'numeric' },
        f: { kind: 'float', bits: 32, nonFinite: true },
        g: { kind: 'float', bits: 64, nonFinite: true },
        h: { kind: 'boolean' },
        i: { kind: 'text', maxLength: 7 },
        j: { kind: 'text', maxLength: 3 },
        k: { kind: 'text' },
        l: { kind: 'timestamptz' },
        m: { kind: 'timestamp', precision: 3 },
        n: { kind: 'date' },
        o: { kind: 'time' },
        p: { kind: 'json' },
        q: { kind: 'json' },
        r: { kind: 'bytes' },
        s: { kind: 'enum', values: ['sad', "o'k", 'happy "!"'] },
        t: { kind: 'numeric', precision: 12, scale: 2 },
        u: { kind: 'array', element: { kind: 'text', maxLength: 20 } },
        v: { kind: 'array', element: { kind: 'enum', values: ['sad', "o'k", 'happy "!"'] } },
        w: { kind: 'opaque' },
        x: { kind: 'opaque' },
        y: { kind: 'opaque' },
        z: { kind: 'opaque' },
        aa: { kind: 'opaque' },
      })
      const price = schema.columns.find((column) => column.name === 't')
      expect(price).toMatchObject({ nullable: false, required: true, databaseType: 'price' })
    })

    test('have the value of a constant default, as the server evaluates it', async () => {
      await sql(`
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (id text PRIMARY KEY, a integer DEFAULT 1 + 2, b varchar(5) NOT NULL DEFAULT 'x''y',
          c jsonb DEFAULT '{"a": [1]}', d mood DEFAULT 'ok', e numeric(6, 2) NOT NULL DEFAULT 1, f boolean DEFAULT true,
          g text[] DEFAULT ARRAY['a', NULL], h timestamptz DEFAULT '2020-01-01 00:00+02', i text DEFAULT upper('q'),
          j integer NOT NULL, k text DEFAULT NULL, l double precision DEFAULT -0.5)`)
      const schema = await describeTable(store, 't')
      const expected = {
        a: 3,
        b: "x'y",
        c: { a: [1] },
        d: 'ok',
        e: '1.00',
        f: true,
        g: ['a', null],
        h: '2019-12-31T22:00:00.000Z',
        i: 'Q',
        j: null,
        k: null,
        l: -0.5,
      }
      expect(schema.blank).toEqual(expected)
      const required = schema.columns.filter((column: Column) => column.required)
      expect(required.map(({ name }) => name)).toEqual(['j'])
      // The database agrees: what a patch inserts is the row of defaults.
      await commit(store, 0, 1, [mutations(schema, { a: merge({ j: 5 }) })])
      await sql(`INSERT INTO t (id, j) VALUES ('b', 5)`)
      expect(await loadRow(store, schema, 'a')).toEqual({ ...expected, j: 5 })
      expect(await loadRow(store, schema, 'b')).toEqual({ ...expected, j: 5 })
    })

    test('that the database fills by itself are left out, unless they are listed', async () => {
      await sql(`
        CREATE SEQUENCE counter;
        CREATE FUNCTION today() RETURNS date STABLE LANGUAGE sql AS 'SELECT current_date';
        CREATE TABLE t (id text PRIMARY KEY, name text, a timestamptz DEFAULT now(), b date DEFAULT current_date,
          c bigint DEFAULT nextval('counter'), d uuid DEFAULT gen_random_uuid(), e serial, f text DEFAULT current_user,
          g date DEFAULT today(), h integer GENERATED BY DEFAULT AS IDENTITY,
          i text GENERATED ALWAYS AS (upper(name)) STORED, j integer GENERATED ALWAYS AS IDENTITY,
          k interval DEFAULT age('2020-01-01'::timestamptz))`)
      const schema = await describeTable(store, 't')
      expect(schema.columns.map(({ name }) => name)).toEqual(['name'])
      const leftOut = Object.fromEntries((schema.leftOut ?? []).map(({ name, why }) => [name, why]))
      const filled = Object.fromEntries([...'abcdefghk'].map((name) => [name, 'filled']))
      expect(leftOut).toEqual({ ...filled, i: 'generated', j: 'generated' })
      await commit(store, 0, 1, [mutations(schema, { x: set({ name: 'Ada' }) })])
      const [row] = await sql(`SELECT a IS NOT NULL AND d IS NOT NULL AND e = 1 AS filled FROM t`)
      expect(row).toEqual({ filled: true })
      const listed = await describeTable(store, 't', { columns: ['name', 'a', 'h'] })
      expect(listed.columns.map(({ name }) => name)).toEqual(['name', 'a', 'h'])
      const only = await describeTable(store, 't', { columns: ['a'] })
      expect(only.leftOut).toContainEqual({ name: 'name', databaseType: 'text', why: 'unlisted' })
      expect(listed.columns.find(({ name }) => name === 'h')?.required).toBe(true)
      expect(await refusal('t', { columns: ['i'] })).toContain('GENERATED ALWAYS')
      expect(await refusal('t', { columns: ['j'] })).toContain('GENERATED ALWAYS')
    })

    test('that do not exist are refused, with the nearest that does', async () => {
      await sql(`CREATE TABLE t (id text PRIMARY KEY, email text, data text)`)
      expect(await refusal('t', { columns: ['emial'] })).toContain('Did you mean "email"?')
      expect(await refusal('t', { key: ['di'] })).toContain('Did you mean "id"?')
      expect(await refusal('t', { rest: 'data' })).toContain('must be json or jsonb, not text')
    })

    test('with names that SQL has to quote work', async () => {
      await sql(`CREATE TABLE "Odd ""Table" ("Key" text PRIMARY KEY, "select" text, "a""b" integer, "constructor" text,
        "ü" text)`)
      const schema = await describeTable(store, '"Odd ""Table"', { key: ['Key'] })
      const row = { select: 'x', 'a"b': 1, constructor: 'c', ü: 'y' }
      await commit(store, 0, 1, [mutations(schema, { k: set(row), l: set({ select: 'z' }) })])
      await commit(store, 0, 2, [mutations(schema, { k: increment({ 'a"b': 2 }) })])
      expect(await loadRow(store, schema, 'k')).toEqual({ ...row, 'a"b': 3 })
      expect(await loadRow(store, schema, 'l')).toEqual({
        select: 'z',
        'a"b': null,
        constructor: null,
        ü: null,
      })
    })
  })

  describe('keys', () => {
    test('are the primary key, or a unique index over columns that are NOT NULL', async () => {
      await sql(`CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org text NOT NULL, no integer NOT NULL,
        name text, UNIQUE (org, no) INCLUDE (name))`)
      const byNumber = await describeTable(store, 't', { key: ['no', 'org'] })
      expect(byNumber.columns.map(({ name }) => name)).toEqual(['name'])
      await commit(store, 0, 1, [mutations(byNumber, { '["7","a"]': set({ name: 'Ada' }) })])
      // An identity that is the key is given by the cache.
      const byId = await describeTable(store, 't', { key: ['id'] })
      await commit(store, 0, 2, [mutations(byId, { '99': set({ org: 'b', no: 1, name: 'Bob' }) })])
      await commit(store, 0, 3, [mutations(byId, { '99': merge({ name: 'B' }) })])
      const rows = await sql('SELECT id::int, org, no, name FROM t ORDER BY org')
      expect(rows).toEqual([
        { id: 1, org: 'a', no: 7, name: 'Ada' },
        { id: 99, org: 'b', no: 1, name: 'B' },
      ])
    })

    test.each([
      ['CREATE TABLE t (id text)', 'has no key that could be used'],
      ['CREATE TABLE t (id text UNIQUE)', 'NULL is allowed in id'],
      ['CREATE TABLE t (id text PRIMARY KEY DEFERRABLE)', 't_pkey is deferrable'],
      [
        'CREATE TABLE t (id text NOT NULL); CREATE UNIQUE INDEX part ON t (id) WHERE id > $$a$$',
        'part is partial',
      ],
      ['CREATE TABLE t (id text NOT NULL); CREATE UNIQUE INDEX e ON t (lower(id))', 'no key'],
      [
        'CREATE TABLE t (id text NOT NULL, other text PRIMARY KEY, a int NOT NULL, UNIQUE (a, id))',
        'There is: primary key other; a, id',
      ],
      ['CREATE TABLE t (id char(4) PRIMARY KEY)', 'its blanks at the end do not count'],
      ['CREATE EXTENSION citext; CREATE TABLE t (id citext PRIMARY KEY)', 'texts that differ'],
      [
        `CREATE COLLATION loose (provider = icu, deterministic = false, locale = 'und');
         CREATE TABLE t (id text COLLATE loose PRIMARY KEY)`,
        'nondeterministic collation',
      ],
      ['CREATE TABLE t (id double precision PRIMARY KEY)', 'no text that is theirs alone'],
      ['CREATE TABLE t (id numeric PRIMARY KEY)', 'no text that is theirs alone'],
      ['CREATE TABLE t (id int GENERATED ALWAYS AS (1) STORED PRIMARY KEY)', 'GENERATED ALWAYS'],
    ])('%s is refused', async (definition, message) => {
      await sql(definition)
      expect(await refusal('t')).toContain(message)
    })

    test.each([
      ['integer', '-42'],
      ['bigint', '9223372036854775807'],
      ['smallint', '7'],
      ['numeric(10, 2)', '1.50'],
      ['uuid', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
      ['boolean', 'true'],
      ['date', '2026-11-23'],
      ['timestamptz', '2026-11-23T08:30:00.000001Z'],
      ['varchar(12)', 'a\'b\\ "c'],
      ['color', 'red'],
      ['code', 'X-1'],
    ])('of type %s name a row, and are found again', async (type, key) => {
      await sql(`CREATE TYPE color AS ENUM ('red', 'green'); CREATE DOMAIN code AS text CHECK (VALUE <> '');
        CREATE TABLE t (id ${type} PRIMARY KEY, n integer)`)
      const schema = await describeTable(store, 't')
      await commit(store, 0, 1, [mutations(schema, { [key]: set({ n: 1 }) })])
      await commit(store, 0, 2, [mutations(schema, { [key]: increment({ n: 2 }) })])
      expect(await loadRow(store, schema, key)).toEqual({ n: 3 })
      expect(await store.keys(schema, 'cache', undefined, 10, call)).toEqual([key])
      expect(await store.keys(schema, 'cache', key, 10, call)).toEqual([])
      await commit(store, 0, 3, [mutations(schema, { [key]: deletion })])
      expect(await loadRow(store, schema, key)).toBeUndefined()
    })

    test('are in the order of bytes where the column says so, and in no other place', async () => {
      await sql(`CREATE TABLE t (c text COLLATE "C" PRIMARY KEY, v varchar(9) COLLATE "C" NOT NULL UNIQUE,
        i text COLLATE "en-x-icu" NOT NULL UNIQUE, n integer NOT NULL UNIQUE,
        d text NOT NULL UNIQUE, p text COLLATE "POSIX" NOT NULL UNIQUE, UNIQUE (c, v))`)
      const [row] = await sql(`SELECT datcollate IN ('C', 'POSIX') AS plain FROM pg_database
        WHERE datname = current_database()`)
      const found: Record<string, unknown> = {}
      for (const key of ['c', 'v', 'i', 'n', 'd', 'p', ['c', 'v']]) {
        const { keysByBytes } = await describeTable(store, 't', { key: [key].flat() })
        found[String(key)] = keysByBytes
      }
      const plain = row?.plain
      expect(found).toEqual({
        ...{ c: true, v: true, i: false, n: false, d: plain, p: true },
        'c,v': false,
      })
      const documents = await store.describe(
        { cache: 'c', table: undefined, key: [], columns: undefined, rest: undefined },
        call,
      )
      expect(documents.keysByBytes).toBe(true)
    })

    test('that no text can name are passed over by keys(), without ending a page early', async () => {
      await sql(`CREATE TABLE t (id text PRIMARY KEY);
        INSERT INTO t VALUES (''), ('a'), (repeat('b', 2000)), ('c'), ('d')`)
      const schema = await describeTable(store, 't')
      expect(await store.keys(schema, 'cache', undefined, 2, call)).toEqual(['a', 'c'])
      expect(await store.keys(schema, 'cache', 'c', 2, call)).toEqual(['d'])
    })
  })

  describe('tables', () => {
    test('are found in any schema, and by the search path', async () => {
      await sql(`CREATE SCHEMA sales; CREATE TABLE sales.orders (id text PRIMARY KEY, total integer);
        CREATE TABLE orders (id text PRIMARY KEY, note text)`)
      const sales = await describeTable(store, 'sales.orders')
      const orders = await describeTable(store, 'orders')
      expect(sales.columns.map(({ name }) => name)).toEqual(['total'])
      expect(orders.columns.map(({ name }) => name)).toEqual(['note'])
      expect(sales.rank).not.toBe(orders.rank)
      expect((await describeTable(store, 'orders', { cache: 'again' })).rank).toBe(orders.rank)
    })

    test('that are partitioned take what others take', async () => {
      await sql(`CREATE TABLE t (id text, day date, n integer NOT NULL DEFAULT 0, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE t_2026 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`)
      const schema = await describeTable(store, 't', { key: ['id', 'day'] })
      const key = (index: number): string => JSON.stringify([`k${index}`, '2026-11-23'])
      const batch = Object.fromEntries(
        Array.from({ length: 150 }, (_, index) => [key(index), set({ n: index })]),
      )
      await commit(store, 0, 1, [mutations(schema, batch)])
      await commit(store, 0, 2, [mutations(schema, batch)])
      await commit(store, 0, 3, [mutations(schema, { [key(3)]: increment({ n: 4 }) })])
      expect(await loadRow(store, schema, key(3))).toEqual({ n: 7 })
    })

    test.each([
      ['CREATE VIEW t AS SELECT 1 AS id', 'is a view, not a table'],
      ['CREATE MATERIALIZED VIEW t AS SELECT 1 AS id', 'is a materialized view'],
      ['CREATE SEQUENCE t', 'is a sequence'],
      ['CREATE UNLOGGED TABLE t (id text PRIMARY KEY)', 'ALTER TABLE public.t SET LOGGED'],
      [
        'CREATE TABLE t (id text PRIMARY KEY); CREATE RULE r AS ON UPDATE TO t DO NOTHING',
        'has rules for INSERT or UPDATE',
      ],
      ['CREATE TABLE s_t (id text PRIMARY KEY)', 'There is no table "t"'],
      ['CREATE TABLE "T" (id text PRIMARY KEY)', 'Did you mean "T"?'],
    ])('%s is refused', async (definition, message) => {
      await sql(definition)
      expect(await refusal('t')).toContain(message)
    })

    test('of Daybook itself are nobody’s cache', async () => {
      expect(await refusal('daybook_checkpoints')).toContain('Daybook')
    })

    test('rank parents before children, all around a circle alike', async () => {
      await sql(`
        CREATE TABLE a_lines (id text PRIMARY KEY);
        CREATE TABLE b_orders (id text PRIMARY KEY, previous text REFERENCES b_orders);
        CREATE TABLE c_users (id text PRIMARY KEY);
        ALTER TABLE a_lines ADD COLUMN b text REFERENCES b_orders;
        ALTER TABLE b_orders ADD COLUMN c text REFERENCES c_users;
        CREATE TABLE d_one (id text PRIMARY KEY, l text REFERENCES a_lines);
        CREATE TABLE e_two (id text PRIMARY KEY, d text REFERENCES d_one);
        ALTER TABLE d_one ADD COLUMN e text REFERENCES e_two`)
      const names = ['c_users', 'b_orders', 'a_lines', 'd_one']
      const ranks = await Promise.all(
        names.map(async (name) => (await describeTable(store, name)).rank),
      )
      expect(ranks).toEqual([...ranks].sort((left, right) => left - right))
      expect(new Set(ranks).size).toBe(names.length)
    })

    test('that the role may not write are refused, with the GRANT that helps', async () => {
      await sql(`CREATE TABLE t (id text PRIMARY KEY, a text, b text);
        DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN;
        GRANT ALL ON daybook_checkpoints, daybook_values, daybook_expiries TO limited;
        GRANT SELECT, INSERT ON t TO limited; GRANT UPDATE (id, a) ON t TO limited`)
      const limited = postgres({ url: url.replace('daybook@', 'limited@') })
      try {
        await limited.open({ ...claim, epoch: 2 }, call)
        const failure = await failureOf(describeTable(limited, 't'))
        expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED' })
        expect(String(failure)).toContain('GRANT UPDATE, DELETE ON public.t TO "limited"')
        await sql('GRANT DELETE ON t TO limited')
        const schema = await describeTable(limited, 't', { columns: ['a'] })
        await commit(limited, 0, 1, [mutations(schema, { x: set({ a: 'y' }) })])
        expect(await loadRow(limited, schema, 'x')).toEqual({ a: 'y' })
        await sql('REVOKE ALL ON t FROM limited')
        const revoked = await failureOf(
          commit(limited, 0, 2, [mutations(schema, { x: set({ a: 'z' }) })]),
        )
        expect(limited.classify(revoked)).toMatchObject({ kind: 'misconfigured', code: '42501' })
      } finally {
        await limited.close()
        await sql('DROP OWNED BY limited; DROP ROLE limited')
      }
    })
  })

  describe('values', () => {
    test('that others wrote are read, even those that have no canonical form', async () => {
      await sql(`CREATE TABLE t (id text PRIMARY KEY, a timestamptz, b date, c numeric, d integer[], e char(5), f timestamp,
          g jsonb, h numeric(4, 1)[], i time, j interval, k real);
        INSERT INTO t VALUES
          ('odd', 'infinity', '0044-03-15 BC', 'NaN', '[0:1]={7,8}', 'ab', '-infinity', 'null', '{{1,2.5},{NULL,4}}',
            '24:00', '1 day 02:00', 1.1),
          ('even', '2026-11-23 08:30:00.5+02', '2026-11-23', 1.50, '{}', 'ab c', '2026-11-23 08:30', '[1, "x"]', '{}',
            '08:30:00.25', '0', 'NaN')`)
      const schema = await describeTable(store, 't')
      expect(await loadRow(store, schema, 'odd')).toEqual({
        a: 'infinity',
        b: '0044-03-15 BC',
        c: 'NaN',
        d: [7, 8],
        e: 'ab',
        f: '-infinity',
        g: null,
        h: [
          ['1.0', '2.5'],
          [null, '4.0'],
        ],
        i: '24:00:00',
        j: '1 day 02:00:00',
        k: Math.fround(1.1),
      })
      expect(await loadRow(store, schema, 'even')).toEqual({
        a: '2026-11-23T06:30:00.500Z',
        b: '2026-11-23',
        c: '1.50',
        d: [],
        e: 'ab c',
        f: '2026-11-23T08:30:00.000',
        g: [1, 'x'],
        h: [],
        i: '08:30:00.250',
        j: '00:00:00',
        k: NaN,
      })
      // And written back as they were read.
      const odd = await loadRow(store, schema, 'odd')
      await commit(store, 0, 1, [mutations(schema, { copy: set(odd ?? {}) })])
      expect(await loadRow(store, schema, 'copy')).toEqual(odd)
    })

    test('are refused, not cut or rounded, where they do not fit', async () => {
      await sql(`CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0);
        CREATE TABLE t (id text PRIMARY KEY, a varchar(3), b bit(3), c smallint, d mood, e even, f varchar(3)[], g inet)`)
      const schema = await describeTable(store, 't')
      const bad = { a: 'l0ng', b: '10', c: 40_000, d: 'sad', e: 3, f: ['l0ng'], g: 'nowhere' }
      for (const [name, value] of Object.entries(bad)) {
        const batch = mutations(schema, { x: set({ [name]: value }) })
        const failure = store.classify(await failureOf(commit(store, 0, 1, [batch])))
        expect(failure, name).toMatchObject({ kind: 'rejected', known: true })
        expect(failure.message, name).not.toMatch(/l0ng|nowhere|sad|40000/)
      }
    })

    test('go through the policies of the table, however many rows come at once', async () => {
      await sql(`CREATE TABLE u (id text PRIMARY KEY, n integer CHECK (n > 0)); ALTER TABLE u ENABLE ROW LEVEL SECURITY;
        CREATE POLICY small ON u USING (n < 100);
        DROP ROLE IF EXISTS guarded; CREATE ROLE guarded LOGIN;
        GRANT ALL ON u, daybook_checkpoints, daybook_values, daybook_expiries TO guarded`)
      const guarded = postgres({ url: url.replace('daybook@', 'guarded@') })
      try {
        await guarded.open(claim, call)
        const schema = await describeTable(guarded, 'u')
        const batch = (from: number): Parameters<typeof mutations>[1] =>
          Object.fromEntries(
            Array.from({ length: 120 }, (_, index) => [`k${from + index}`, set({ n: from })]),
          )
        await commit(guarded, 0, 1, [mutations(schema, batch(1))])
        await commit(guarded, 0, 2, [mutations(schema, batch(1))])
        const failure = await failureOf(commit(guarded, 0, 3, [mutations(schema, batch(500))]))
        expect(guarded.classify(failure)).toMatchObject({ kind: 'rejected', code: '42501' })
      } finally {
        await guarded.close()
        await sql('DROP OWNED BY guarded; DROP ROLE guarded')
      }
    })

    test('of columns that are gone are refused by name', async () => {
      await sql('CREATE TABLE t (id text PRIMARY KEY, a text)')
      const schema = await describeTable(store, 't')
      const many = Object.fromEntries(
        Array.from({ length: 150 }, (_, index) => [`k${index}`, set({ a: 'x' })]),
      )
      await commit(store, 0, 1, [mutations(schema, many)])
      const batches = [
        { x: set({ a: 'y', gone: 1 }) },
        { x: merge({ gone: 1 }) },
        { x: increment({ gone: 1 }) },
        { x: increment({ a: 1 }) },
        Object.fromEntries(
          Array.from({ length: 150 }, (_, index) => [`n${index}`, set({ a: 'x', gone: 2 })]),
        ),
      ]
      for (const batch of batches) {
        const failure = await failureOf(commit(store, 0, 2, [mutations(schema, batch)]))
        expect(store.classify(failure)).toMatchObject({ kind: 'rejected', known: true })
        expect(store.classify(failure).message).toMatch(/gone|"a" cannot be incremented/)
      }
    })

    // The larger ones are encoded in two slices.
    test.each([120, 600])(
      'are the same by whichever path %i of them are written: upsert, counted upsert or copy',
      async (size) => {
        await sql(`CREATE TABLE t (id text PRIMARY KEY, a text, b integer NOT NULL DEFAULT 4, c jsonb, d bytea, e boolean,
        f text[], g timestamptz, h double precision)`)
        const schema = await describeTable(store, 't', { rest: 'c' })
        const strange = ['tab\t', 'line\r\n', '\\N', '\\.', 'q"', "q'", '\\', '{}', 'NULL', '', ' ']
        const row = (index: number): Record<string, unknown> => ({
          a: strange[index % strange.length] ?? null,
          b: index,
          d: new Uint8Array([index % 256, 92, 9]),
          e: index % 2 === 0,
          f: index % 3 === 0 ? null : [strange[index % strange.length] ?? '', null],
          g: '2026-11-23T08:30:00.000Z',
          h: index / 7,
          [`extra${index % 2}`]: strange[index % strange.length],
        })
        const batch = (from: number): Parameters<typeof mutations>[1] =>
          Object.fromEntries(
            Array.from({ length: size }, (_, index) => [
              `k\t${String(from + index)}`,
              set(row(from + index) as never),
            ]),
          )
        // New rows by a counted upsert, then by copy twice; then rows that exist, where the copy is undone.
        for (const [index, from] of [0, 1, 2, 1.5, 0, 3].map((part) => part * size).entries()) {
          await commit(store, 0, index + 1, [mutations(schema, batch(from))])
        }
        for (let index = 0; index < 4 * size; index++) {
          expect(await loadRow(store, schema, `k\t${index}`)).toEqual(row(index))
        }
        const copies = await sql(`SELECT count(*)::int AS n FROM t`)
        expect(copies).toEqual([{ n: 4 * size }])
      },
    )

    test('of a batch of new rows with one bad row are rejected, and the transaction can be rolled back', async () => {
      await sql('CREATE TABLE t (id text PRIMARY KEY, a varchar(5), b text UNIQUE)')
      const schema = await describeTable(store, 't')
      const batch = (prefix: string, bad: string): Parameters<typeof mutations>[1] =>
        Object.fromEntries(
          Array.from({ length: 150 }, (_, index) => [
            `${prefix}${index}`,
            set({ a: index === 77 ? bad : 'x', b: null }),
          ]),
        )
      await commit(store, 0, 1, [mutations(schema, batch('a', 'x'))])
      const failure = await failureOf(
        commit(store, 0, 2, [mutations(schema, batch('b', 'too long'))]),
      )
      expect(store.classify(failure)).toMatchObject({ kind: 'rejected', code: '22001' })
      await commit(store, 0, 2, [mutations(schema, batch('c', 'x'))])
      expect(await sql('SELECT count(*)::int AS n FROM t')).toEqual([{ n: 300 }])
    })
  })

  describe('patches', () => {
    test('change a row whose NOT NULL columns they do not know', async () => {
      await sql(`CREATE TABLE t (id text PRIMARY KEY, must text NOT NULL, n smallint, extra json);
        INSERT INTO t VALUES ('a', 'there', 1, '[1]')`)
      const schema = await describeTable(store, 't', { rest: 'extra' })
      await commit(store, 0, 1, [
        mutations(schema, { a: { kind: 'patch', fields: { more: true }, amounts: { n: 2 } } }),
      ])
      expect(await loadRow(store, schema, 'a')).toEqual({ must: 'there', n: 3, more: true })
      const missing = await failureOf(
        commit(store, 0, 2, [mutations(schema, { b: merge({ n: 1 }) })]),
      )
      expect(store.classify(missing)).toMatchObject({ kind: 'rejected', code: '23502' })
      const beyond = await failureOf(
        commit(store, 0, 2, [mutations(schema, { a: increment({ n: 32_767 }) })]),
      )
      expect(store.classify(beyond)).toMatchObject({ kind: 'rejected', code: '22003' })
    })

    test('of many shapes share a transaction, on rows that exist and rows that do not', async () => {
      await sql(
        `CREATE TABLE t (id text PRIMARY KEY, a integer NOT NULL DEFAULT 10, b numeric(10, 2) DEFAULT 0.5, c text)`,
      )
      const schema = await describeTable(store, 't')
      const blank = { a: 10, b: '0.50', c: null }
      await commit(store, 0, 1, [mutations(schema, { old: set({ ...blank, a: 1 }) })])
      await commit(store, 0, 2, [
        mutations(schema, {
          old: increment({ a: 1, b: '0.25' }),
          new: increment({ a: 1, b: '0.25' }),
          other: merge({ c: 'x' }),
          third: { kind: 'patch', fields: { c: 'y' }, amounts: { a: -1 } },
        }),
      ])
      expect(await loadRow(store, schema, 'old')).toEqual({ a: 2, b: '0.75', c: null })
      expect(await loadRow(store, schema, 'new')).toEqual({ a: 11, b: '0.75', c: null })
      expect(await loadRow(store, schema, 'other')).toEqual({ ...blank, c: 'x' })
      expect(await loadRow(store, schema, 'third')).toEqual({ ...blank, a: 9, c: 'y' })
    })

    test('of more shapes than are prepared still work', async () => {
      const columns = Array.from({ length: 300 }, (_, index) => `c${index}`)
      await sql(
        `CREATE TABLE t (id text PRIMARY KEY, ${columns.map((c) => `${c} integer`).join(', ')})`,
      )
      const schema = await describeTable(store, 't')
      await commit(store, 0, 1, [mutations(schema, { a: set({}) })])
      const batch = columns.map((name) => mutations(schema, { a: increment({ [name]: 1 }) }))
      await commit(store, 0, 2, batch)
      const row = await loadRow(store, schema, 'a')
      expect(Object.values(row ?? {})).toEqual(columns.map(() => 1))
    })
  })
})
