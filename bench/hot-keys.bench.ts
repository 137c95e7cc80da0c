/**
 * One million increments over 1,000 keys, drawn by Zipf's law, as fast as 256 writers go: how many rows reach the
 * database? Triggers in the database count them.
 */

import { DatabaseSync } from 'node:sqlite'

import type { Bed, Bench, Measures } from './bench.ts'
import { zipf } from './zipf.ts'

const increments = 1_000_000
const keys = 1000
const writers = 256

export const bench: Bench = {
  name: 'hot-keys',
  about: '1 million increments over 1,000 Zipf keys by 256 writers, default options, SQLite',
  rounds: 1,
  sides: [{ name: 'daybook', run: daybook }],
  verdicts: (figure) => [
    {
      claim: 'rows that reach the database per increment',
      value: figure('daybook', 'rowsPercent'),
      target: 3,
      bound: 'at most',
      unit: '%',
    },
  ],
}

async function daybook(bed: Bed): Promise<Measures> {
  const { openDaybook, sqlite } = await import('./daybook.ts')
  const path = `${bed.directory}/store.db`
  const database = new DatabaseSync(path)
  database.exec(`
    pragma journal_mode = wal;
    create table counters (id text primary key, hits integer not null default 0);
    create table written (rows integer not null);
    insert into written values (0);
    create trigger inserted after insert on counters begin update written set rows = rows + 1; end;
    create trigger updated after update on counters begin update written set rows = rows + 1; end;`)

  const book = await openDaybook({ directory: `${bed.directory}/data`, store: sqlite({ path }) })
  const counters = book.cache<{ hits: number }>('counters', { table: 'counters', key: 'id' })
  const draw = zipf(keys, 20_261_123)
  const total = increments * bed.scale
  const expected = new Int32Array(keys)
  let started = 0
  const from = performance.now()
  const writer = async (): Promise<void> => {
    while (started++ < total) {
      const key = draw()
      expected[key] = (expected[key] ?? 0) + 1
      await counters.increment(`page-${key}`, { hits: 1 })
    }
  }
  await Promise.all(Array.from({ length: writers }, writer))
  const seconds = (performance.now() - from) / 1000
  await book.flush({ timeoutMs: 60_000 })

  for (const row of database.prepare('select id, hits from counters').all()) {
    const key = Number(String(row['id']).slice('page-'.length))
    if (row['hits'] !== expected[key]) throw new Error(`counter ${key} is ${String(row['hits'])}`)
  }
  const rows = Number(database.prepare('select rows from written').get()?.['rows'])
  return { rows, rowsPercent: (100 * rows) / total, seconds, perSecond: total / seconds }
}
