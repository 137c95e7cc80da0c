/**
 * 400,000 distinct keys from the journal into an empty table, beside a raw COPY of the same rows.
 *
 * COPY is measured twice: with its text prepared beforehand, so that nothing but COPY is timed, and as pg-copy-streams
 * is commonly used, from objects in memory, encoded and written to the stream row by row.
 */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Client } from 'pg'

import { assertRows, seconds, writeBacklog } from './backlog.ts'
import { ratio, type Bed, type Bench, type Measures } from './bench.ts'
import { loadCopyStreams } from './peers.ts'
import { users, type User } from './rows.ts'
import { countUsers, emptyUsers } from './users-table.ts'

const keys = 400_000

export const bench: Bench = {
  name: 'drain-postgres',
  about: 'a backlog of 400,000 keys into an empty table of PostgreSQL',
  rounds: 3,
  sides: [
    { name: 'daybook', needs: 'postgres', run: daybook },
    { name: 'COPY, row by row', needs: 'postgres', run: (bed) => copy(bed, lines) },
    { name: 'COPY, text beforehand', needs: 'postgres', run: (bed) => copy(bed, chunksMadeBefore) },
  ],
  verdicts: (figure) =>
    ['COPY, row by row', 'COPY, text beforehand'].map((side) => ({
      claim: `drain into PostgreSQL to raw ${side}, one connection`,
      value: ratio(figure('daybook', 'perSecond'), figure(side, 'perSecond')),
      target: 0.8,
      bound: 'at least',
      unit: '×',
    })),
}

async function daybook(bed: Bed): Promise<Measures> {
  const { openOnPostgres } = await import('./open.ts')
  const { book, users: cache } = await openOnPostgres(bed.directory, bed.postgres.url)
  book.pause()
  const rows = users(keys * bed.scale)
  await writeBacklog(cache, rows)
  const took = await seconds(async () => {
    book.resume()
    await book.flush({ timeoutMs: 300_000 })
  })
  assertRows(await countUsers(bed.postgres.url), rows.length)
  return { perSecond: rows.length / took }
}

async function copy(
  bed: Bed,
  textOf: (rows: readonly User[]) => Iterable<string | Buffer>,
): Promise<Measures> {
  const { from } = await loadCopyStreams()
  await emptyUsers(bed.postgres.url)
  const rows = users(keys * bed.scale)
  const text = textOf(rows)
  const client = new Client({ connectionString: bed.postgres.url })
  await client.connect()
  const took = await seconds(async () => {
    await pipeline(Readable.from(text), client.query(from('copy users from stdin')))
  })
  await client.end()
  assertRows(await countUsers(bed.postgres.url), rows.length)
  return { perSecond: rows.length / took }
}

/** Encoded when it is asked for. */
function* lines(rows: readonly User[]): Generator<string> {
  for (const [id, { name, email, visits, bio }] of rows.entries()) {
    yield `${id}\t${escape(name)}\t${escape(email)}\t${visits}\t${escape(bio)}\n`
  }
}

function chunksMadeBefore(rows: readonly User[]): Buffer[] {
  const all = [...lines(rows)]
  const chunks: Buffer[] = []
  for (let at = 0; at < all.length; at += 400) {
    chunks.push(Buffer.from(all.slice(at, at + 400).join('')))
  }
  return chunks
}

function escape(text: string): string {
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, escapeOne) : text
}

function escapeOne(character: string): string {
  return { '\t': '\\t', '\n': '\\n', '\r': '\\r' }[character] ?? '\\\\'
}
