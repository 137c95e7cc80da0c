/**
 * Durable writes by 1,024 concurrent writers: Daybook's `set` (on disk by fdatasync before it resolves), lmdb-js's
 * `put` (likewise), and write-through upserts to PostgreSQL.
 *
 * lmdb-js is measured with its default encoding and with JSON, and the faster of the two counts.
 */

import { join } from 'node:path'
import { Client } from 'pg'

import { ratio, type Bed, type Bench, type Measures, type Side } from './bench.ts'
import { closedLoop } from './closed-loop.ts'
import { loadLmdb } from './peers.ts'
import { user, users } from './rows.ts'

const keys = 100_000
const writers = 1024
const connections = 16

export const bench: Bench = {
  name: 'durable-set',
  about: '1,024 writers, rows of 190 bytes over 100,000 keys, durable before the promise resolves',
  rounds: 3,
  sides: [
    daybook('daybook, flusher paused', true),
    lmdb('lmdb-js', 'msgpack'),
    daybook('daybook, flushing to SQLite', false),
    lmdb('lmdb-js, JSON', 'json'),
    { name: 'PostgreSQL upserts', needs: 'postgres', run: upserts },
  ],
  verdicts(figure) {
    const lmdbBest = [figure('lmdb-js', 'perSecond'), figure('lmdb-js, JSON', 'perSecond')]
      .filter((value) => value !== undefined)
      .reduce<number | undefined>((best, value) => Math.max(best ?? 0, value), undefined)
    const postgres = figure('PostgreSQL upserts', 'perSecond')
    return ['daybook, flusher paused', 'daybook, flushing to SQLite'].flatMap((side) => [
      {
        claim: `durable set (${side}) to lmdb-js`,
        value: ratio(figure(side, 'perSecond'), lmdbBest),
        target: 1.3,
        bound: 'at least',
        unit: '×',
      },
      {
        claim: `durable set (${side}) to PostgreSQL upserts over 16 connections`,
        value: ratio(figure(side, 'perSecond'), postgres),
        target: 25,
        bound: 'at least',
        unit: '×',
      },
    ])
  },
}

function times(bed: Bed) {
  return { warmUpMs: 2000 * bed.scale, measureMs: 5000 * bed.scale }
}

function daybook(name: string, paused: boolean): Side {
  return {
    name,
    async run(bed): Promise<Measures> {
      const { openOnSqlite } = await import('./open.ts')
      const { book, users: cache } = await openOnSqlite(bed.directory)
      if (paused) book.pause()
      const rows = users(keys)
      return closedLoop({
        ...times(bed),
        writers,
        write: (number) => cache.set(String(number % keys), rows[number % keys] ?? user(number)),
      })
    },
  }
}

function lmdb(name: string, encoding: 'msgpack' | 'json'): Side {
  return {
    name,
    needs: 'lmdb',
    async run(bed): Promise<Measures> {
      const { open } = await loadLmdb()
      const database = open({ path: join(bed.directory, 'lmdb'), encoding })
      const rows = users(keys)
      return closedLoop({
        ...times(bed),
        writers,
        write: (number) => database.put(String(number % keys), rows[number % keys]),
      })
    },
  }
}

/** One writer per connection: more would only wait for one of them. */
async function upserts(bed: Bed): Promise<Measures> {
  const { emptyUsers } = await import('./users-table.ts')
  await emptyUsers(bed.postgres.url)
  const idle = Array.from(
    { length: connections },
    () => new Client({ connectionString: bed.postgres.url }),
  )
  await Promise.all(idle.map((client) => client.connect()))
  const rows = users(keys)
  return closedLoop({
    ...times(bed),
    writers: connections,
    async write(number) {
      const client = idle.pop()
      if (client === undefined) throw new Error('more writers than connections')
      const id = number % keys
      const row = rows[id] ?? user(id)
      await client.query({
        name: 'upsert',
        text: `insert into users (id, name, email, visits, bio) values ($1, $2, $3, $4, $5)
          on conflict (id) do update set name = excluded.name, email = excluded.email,
          visits = excluded.visits, bio = excluded.bio`,
        values: [id, row.name, row.email, row.visits, row.bio],
      })
      idle.push(client)
    },
  })
}
