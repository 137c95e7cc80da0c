/** What the oracle is shown of a database is one moment of it: a server may go on with what a killed client has sent. */

import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { PostgresDatabase } from '../../torture/database.ts'
import { administer, postgresUnavailable, startPostgres } from '../support/postgres-server.ts'

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(
  `PostgreSQL (${unavailable ?? 'private server'})`,
  () => {
    test('accounts and audits are of one moment, also where a transaction ends while they are read', async () => {
      const server = await startPostgres()
      try {
        const database = await PostgresDatabase.create(server)
        const writer = new pg.Client({ connectionString: server.url })
        await writer.connect()
        await writer.query(
          `begin;
           lock table audits in access exclusive mode;
           insert into accounts (id, balance, tag) values ('a0', 7, 't1');
           insert into audits (id, times) values ('0:a0', 1)`,
        )
        const reading = database.contents()
        const waiting = `select from pg_stat_activity where wait_event_type = 'Lock'`
        while ((await administer(server.url, waiting)).length === 0);
        await writer.query('commit')
        await writer.end()
        const { accounts, audits } = await reading
        expect([accounts.size, audits.size]).toEqual([1, 1])
        expect(accounts.get('a0')).toEqual({ balance: 7, hits: 0, tag: 't1', pad: null })
        expect(audits.get('0:a0')).toBe(1)
      } finally {
        await server.stop()
      }
    })
  },
)
