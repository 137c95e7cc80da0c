import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { storeSuite } from '../../src/testing/store-suite.ts'

const tables = `
  CREATE TABLE suite_accounts (
    id TEXT PRIMARY KEY, name TEXT, visits INTEGER NOT NULL DEFAULT 0, bonus BIGINT,
    balance DECIMAL_TEXT(20, 4), note VARCHAR(50) DEFAULT 'new'
  );
  CREATE TABLE suite_strict (id TEXT PRIMARY KEY, owner TEXT NOT NULL);
  CREATE TABLE suite_children (id TEXT PRIMARY KEY, parent TEXT REFERENCES suite_parents (id));
  CREATE TABLE suite_parents (id TEXT PRIMARY KEY, name TEXT);
  CREATE TABLE suite_pairs (org TEXT, id INTEGER, name TEXT, PRIMARY KEY (org, id));
  CREATE TABLE suite_extras (id TEXT PRIMARY KEY, name TEXT, extra JSON);
  CREATE TABLE suite_types (
    id TEXT PRIMARY KEY, c_text TEXT, c_varchar VARCHAR(10), c_clob CLOB, c_small SMALLINT, c_integer INTEGER,
    c_int INT, c_big BIGINT, c_decimal DECIMAL(12, 2), c_whole NUMERIC(9), c_wide DECIMAL_TEXT(20, 4),
    c_free NUMERIC_TEXT, c_real REAL, c_double DOUBLE PRECISION, c_boolean BOOLEAN, c_timestamptz TIMESTAMPTZ,
    c_timestamp TIMESTAMP, c_datetime DATETIME, c_date DATE, c_time TIME, c_uuid UUID, c_json JSON,
    c_json_text JSON_TEXT, c_bytes BLOB, c_bytea BYTEA, c_opaque INET
  );
`

storeSuite(
  'sqlite, a file',
  { describe, test },
  {
    create: async () => {
      const directory = mkdtempSync(join(tmpdir(), 'daybook-sqlite-'))
      const path = join(directory, 'suite.db')
      const database = new DatabaseSync(path)
      database.exec(tables)
      database.close()
      return {
        store: () => sqlite({ path }),
        close: async () => rmSync(directory, { recursive: true }),
      }
    },
    transactions: true,
    patches: true,
    removals: true,
    constraints: true,
    types: [
      ...(['text', 'integer', 'numeric', 'float', 'boolean', 'timestamptz', 'timestamp'] as const),
      ...(['date', 'time', 'uuid', 'json', 'bytes', 'opaque'] as const),
    ],
  },
)
