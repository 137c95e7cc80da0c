/** How long one durable `set` takes, from one writer to 1,024. Closed loop: no target, a table. */

import type { Bench, Measures, Side } from './bench.ts'
import { closedLoop } from './closed-loop.ts'
import { user, users } from './rows.ts'

const keys = 100_000

export const bench: Bench = {
  name: 'latency',
  about: 'durable set, 2 s for each number of writers',
  rounds: 3,
  sides: [daybook('daybook, flusher paused', true), daybook('daybook, flushing to SQLite', false)],
  verdicts: () => [],
}

function daybook(name: string, paused: boolean): Side {
  return {
    name,
    async run(bed): Promise<Measures> {
      const { openOnSqlite } = await import('./open.ts')
      const { book, users: cache } = await openOnSqlite(bed.directory)
      if (paused) book.pause()
      const rows = users(keys)
      const all: Record<string, number> = {}
      for (const writers of [1, 16, 64, 256, 1024]) {
        const { perSecond, p50Ms, p99Ms } = await closedLoop({
          writers,
          warmUpMs: 1000 * bed.scale,
          measureMs: 2000 * bed.scale,
          write: (number) => cache.set(String(number % keys), rows[number % keys] ?? user(number)),
        })
        Object.assign(all, label(`${writers} writers:`, { perSecond, p50Ms, p99Ms }))
      }
      return all
    },
  }
}

function label(prefix: string, measures: Readonly<Record<string, number | undefined>>): Measures {
  return Object.fromEntries(
    Object.entries(measures).map(([name, value]) => [`${prefix} ${name}`, value ?? NaN]),
  )
}
