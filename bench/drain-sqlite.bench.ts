/** 400,000 distinct keys from the journal into an empty table, beside a hand-written loop over rows in memory. */

import { DatabaseSync } from 'node:sqlite'

import { assertRows, seconds, writeBacklog } from './backlog.ts'
import { ratio, type Bed, type Bench, type Measures } from './bench.ts'
import { users } from './rows.ts'
import { countUsersInSqlite, createUsersInSqlite } from './users-table.ts'

const keys = 400_000
const rowsPerTransaction = 1000

export const bench: Bench = {
  name: 'drain-sqlite',
  about:
    'a backlog of 400,000 keys into SQLite, beside node:sqlite upserts, 1,000 to a transaction',
  rounds: 3,
  sides: [
    { name: 'daybook', run: daybook },
    { name: 'hand-written loop', run: loop },
  ],
  verdicts: (figure) => [
    {
      claim: 'drain into SQLite to a hand-written loop',
      value: ratio(figure('daybook', 'perSecond'), figure('hand-written loop', 'perSecond')),
      target: 0.6,
      bound: 'at least',
      unit: '×',
    },
  ],
}

async function daybook(bed: Bed): Promise<Measures> {
  const { openOnSqlite, sqlitePath } = await import('./open.ts')
  const { book, users: cache } = await openOnSqlite(bed.directory)
  book.pause()
  const rows = users(keys * bed.scale)
  await writeBacklog(cache, rows)
  const took = await seconds(async () => {
    book.resume()
    await book.flush({ timeoutMs: 300_000 })
  })
  assertRows(countUsersInSqlite(sqlitePath(bed.directory)), rows.length)
  return { perSecond: rows.length / took }
}

async function loop(bed: Bed): Promise<Measures> {
  const path = `${bed.directory}/store.db`
  createUsersInSqlite(path)
  const rows = users(keys * bed.scale)
  const database = new DatabaseSync(path)
  database.exec('pragma synchronous = full')
  const upsert = database.prepare(
    `insert into users (id, name, email, visits, bio) values (?, ?, ?, ?, ?)
     on conflict (id) do update set name = excluded.name, email = excluded.email,
     visits = excluded.visits, bio = excluded.bio`,
  )
  const took = await seconds(async () => {
    for (let from = 0; from < rows.length; from += rowsPerTransaction) {
      database.exec('begin immediate')
      for (let id = from; id < from + rowsPerTransaction; id++) {
        const row = rows[id]
        if (row !== undefined) upsert.run(id, row.name, row.email, row.visits, row.bio)
      }
      database.exec('commit')
    }
  })
  database.close()
  assertRows(countUsersInSqlite(path), rows.length)
  return { perSecond: rows.length / took }
}
