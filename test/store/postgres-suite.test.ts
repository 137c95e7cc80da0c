/** The contract of every store, against a real PostgreSQL. */

import { afterAll, beforeAll, describe, test } from 'vitest'
import { postgres } from '../../src/store/postgres/index.ts'
import { storeSuite } from '../../src/testing/store-suite.ts'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'

const unavailable = postgresUnavailable()

const tables = `
  CREATE TYPE suite_level AS ENUM ('low', 'high');
  CREATE TABLE suite_accounts (id text PRIMARY KEY, name text, visits bigint NOT NULL DEFAULT 0, bonus bigint,
    balance numeric(20, 4), note text DEFAULT 'new');
  CREATE TABLE suite_strict (id text PRIMARY KEY, owner text NOT NULL);
  CREATE TABLE suite_parents (id text PRIMARY KEY, name text);
  CREATE TABLE suite_children (id text PRIMARY KEY, parent text REFERENCES suite_parents);
  CREATE TABLE suite_pairs (org text, id bigint, name text, PRIMARY KEY (org, id));
  CREATE TABLE suite_extras (id text PRIMARY KEY, name text, extra jsonb);
  CREATE TABLE suite_types (id text PRIMARY KEY, c_text text, c_varchar varchar(10), c_small smallint, c_integer integer,
    c_big bigint, c_numeric numeric(20, 4), c_decimal numeric, c_real real, c_double double precision,
    c_boolean boolean, c_timestamptz timestamptz, c_timestamp timestamp, c_date date, c_time time, c_uuid uuid,
    c_json json, c_jsonb jsonb, c_bytes bytea, c_enum suite_level, c_opaque interval, c_texts text[], c_bigs bigint[],
    c_reals real[], c_numerics numeric(20, 4)[], c_booleans boolean[], c_times timestamptz[], c_byteas bytea[],
    c_jsons jsonb[], c_enums suite_level[], c_varchars varchar(10)[], c_uuids uuid[], c_dates date[]);
`

describe.skipIf(unavailable !== undefined)(
  `PostgreSQL (${unavailable ?? 'private server'})`,
  () => {
    let server: PostgresServer
    let databases = 0

    beforeAll(async () => {
      server = await startPostgres()
      await administer(server.url, `CREATE DATABASE suite_template`)
      await administer(server.urlOf({ database: 'suite_template' }), tables)
    })
    afterAll(() => server.stop())

    storeSuite(
      'postgres',
      { describe, test },
      {
        create: async () => {
          const database = `suite_${++databases}`
          await administer(server.url, `CREATE DATABASE ${database} TEMPLATE suite_template`)
          return {
            store: () => postgres({ url: server.urlOf({ database }) }),
            close: async () => {
              await administer(server.url, `DROP DATABASE ${database} WITH (FORCE)`)
            },
          }
        },
        transactions: true,
        patches: true,
        removals: true,
        constraints: true,
        // prettier-ignore
        types: ['text', 'integer', 'numeric', 'float', 'boolean', 'timestamptz', 'timestamp', 'date', 'time', 'uuid',
        'json', 'bytes', 'enum', 'array', 'opaque'],
      },
    )
  },
)
