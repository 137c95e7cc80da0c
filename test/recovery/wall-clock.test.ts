/**
 * Goal: nothing rests on the wall clock.
 * Method: it jumps by ten years, back and forth, before every operation, while values with a TTL are written, the
 * database is away for a while, small segments are trimmed, and the process dies and recovers.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { openDaybook, type Daybook } from '../../src/index.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { Ledger } from './ledger.ts'
import { sqliteFile, temporaryDirectory } from './ledger-database.ts'
import { counterOf, counters, noteOf } from './operation.ts'
import { between, seeded } from './seeded.ts'

const tenYearsMs = 10 * 365 * 86_400_000

interface JumpingClock extends Clock {
  jump(): void
}

function jumpingClock(random: () => number): JumpingClock {
  let offsetMs = 0
  return {
    ...systemClock,
    wallTime: () => systemClock.wallTime() + offsetMs,
    jump: () => (offsetMs = between(random, -1, 1) * tenYearsMs),
  }
}

test('a wall clock that jumps by ten years loses nothing, and trims nothing too early', async () => {
  const random = seeded(20_261_126)
  const clock = jumpingClock(random)
  const database = sqliteFile()
  const directory = join(temporaryDirectory(), 'book')
  const ledger = new Ledger()
  let next = 0

  async function open(): Promise<{ book: Daybook; write: (count: number) => Promise<void> }> {
    const book = await openDaybook(
      {
        directory,
        store: sqlite({ path: database.path }),
        lanes: 2,
        flush: { delayMs: 2, maxKeys: 25, retryBaseMs: 1, retryMaxMs: 10 },
        journal: { segmentBytes: 64 << 10, maxBytes: 64 << 20, retainBytes: 0 },
        drainTimeoutMs: 0,
        control: false,
      },
      { clock },
    )
    const route = { routeBy: (key: string) => key.split(':')[0] ?? key }
    const counted = book.cache<{ n: number }>('counters', {
      table: 'counters',
      key: 'id',
      ttlMs: 3,
    })
    const noted = book.cache('notes', { table: 'notes', key: 'id', ttlMs: 3, ...route })
    const one = async (operation: number): Promise<void> => {
      clock.jump()
      const counter = counterOf(operation)
      await book.batch((writes) => {
        writes.increment(counted, counter, { n: 1 })
        writes.set(noted, noteOf(operation), { counter })
      })
      ledger.say(operation, 'acknowledged')
      // Whether its time is over or not: what was written is what is read.
      expect(await noted.get(noteOf(operation))).toEqual({ counter })
    }
    const write = async (count: number): Promise<void> => {
      for (const end = next + count; next < end; next += counters) {
        await Promise.all(Array.from({ length: counters }, (_, index) => one(next + index)))
      }
    }
    return { book, write }
  }

  for (let round = 0; round < 4; round++) {
    const { book, write } = await open()
    await write(210)
    // What comes now stays pending, over several segments, and is all there after the next recovery.
    book.pause()
    await write(210)
    expect(book.stats().journal.segments).toBeGreaterThan(2)
    if (round % 2 === 0) book.resume()
    await book.close()
  }
  const { book } = await open()
  clock.jump()
  await book.flush()
  await ledger.compare(database.rows)
  expect(ledger.acknowledged.size).toBe(next)
  await book.close()
  // Flushed, and without retention: the journal lets go, whatever the dates.
  const segments = readdirSync(join(directory, 'journal')).filter((name) => name.endsWith('.wal'))
  expect(segments.length).toBeLessThan(4)
})

test('a TTL lasts as long as it says, however the wall clock jumps', async () => {
  const random = seeded(20_261_127)
  const clock = jumpingClock(random)
  let nowMs = 0
  const standing: Clock = {
    ...clock,
    now: () => nowMs,
    setTimer: (delayMs, fire) => clock.setTimer(delayMs, fire),
  }
  const database = sqliteFile()
  await using book = await openDaybook(
    {
      directory: temporaryDirectory(),
      store: sqlite({ path: database.path }),
      flush: { delayMs: 0 },
      control: false,
    },
    { clock: standing },
  )
  const notes = book.cache<{ counter: string }>('notes', { table: 'notes', key: 'id', ttlMs: 1000 })
  await notes.set('a', { counter: 'c0' })
  await book.flush()
  database.run((rows) => rows.exec(`update notes set counter = 'changed' where id = 'a'`))
  for (let jump = 0; jump < 20; jump++) {
    clock.jump()
    nowMs += 40
    expect(await notes.get('a')).toEqual({ counter: 'c0' })
  }
  nowMs += 1000
  expect(await notes.get('a')).toEqual({ counter: 'changed' })
})
