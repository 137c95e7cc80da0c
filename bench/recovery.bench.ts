/**
 * A process with one million pending mutations is killed with SIGKILL; a new one opens the same directory. Measured:
 * from the call of `openDaybook` until a read of a pending key is answered, and the memory it took until then.
 */

import { assertRows, writeBacklog } from './backlog.ts'
import type { Bed, Bench, Measures } from './bench.ts'
import { peakMegabytes } from './process.ts'
import { users } from './rows.ts'
import { countUsersInSqlite } from './users-table.ts'

const mutations = 1_000_000

export const bench: Bench = {
  name: 'recovery',
  about:
    '1 million pending mutations on as many keys, SQLite; killed, then opened by a new process',
  rounds: 3,
  sides: [{ name: 'daybook', prepare, run }],
  verdicts: (figure) => [
    {
      claim: 'recovery of 1 million pending mutations, until the first read is answered',
      value: figure('daybook', 'seconds'),
      target: 3,
      bound: 'at most',
      unit: 's',
    },
    {
      claim: 'peak resident memory of the process until then',
      value: figure('daybook', 'peakMB'),
      target: 400,
      bound: 'at most',
      unit: 'MB',
    },
  ],
}

/** The runner kills this process when it returns. */
async function prepare(bed: Bed): Promise<void> {
  const { openOnSqlite } = await import('./open.ts')
  const { book, users: cache } = await openOnSqlite(bed.directory)
  book.pause()
  await writeBacklog(cache, users(mutations * bed.scale))
}

async function run(bed: Bed): Promise<Measures> {
  const { reopenOnSqlite, sqlitePath } = await import('./open.ts')
  const count = mutations * bed.scale
  const from = performance.now()
  const { book, users: cache } = await reopenOnSqlite(bed.directory)
  const opened = performance.now()
  const row = await cache.get(String(count - 1))
  const read = performance.now()
  const peakMB = peakMegabytes()
  if (row?.visits !== count - 1) throw new Error('the last key reads wrong')

  await book.flush({ timeoutMs: 300_000 })
  assertRows(countUsersInSqlite(sqlitePath(bed.directory)), count)
  return {
    seconds: (read - from) / 1000,
    openSeconds: (opened - from) / 1000,
    peakMB,
    drainSeconds: (performance.now() - read) / 1000,
    peakMBAfterDrain: peakMegabytes(),
  }
}
