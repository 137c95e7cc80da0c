/**
 * PostgreSQL is stopped; five million mutations on two million keys arrive from 256 writers; it starts again, and
 * everything drains. Even keys are set, odd keys incremented, each in the order of a fixed permutation, so that every
 * value at every moment follows from the number of mutations alone.
 */

import type { Bed, Bench, Measures } from './bench.ts'
import { peakMegabytes, processorSeconds, residentMegabytes } from './process.ts'
import { user } from './rows.ts'
import { query } from './users-table.ts'

const allMutations = 5_000_000
const allKeys = 2_000_000
/** Coprime to the number of keys, so that every run through the keys visits each of them once, far apart. */
const stride = 1_234_567
const writers = 256

export const bench: Bench = {
  name: 'outage',
  about: 'PostgreSQL away while 5 million mutations on 2 million keys arrive, then back',
  rounds: 1,
  sides: [{ name: 'daybook', needs: 'postgres', run: daybook }],
  verdicts: (figure) => [
    {
      claim: 'peak resident memory during the outage',
      value: figure('daybook', 'peakMB'),
      target: 600,
      bound: 'at most',
      unit: 'MB',
    },
    {
      claim: 'throughput of the last tenth to the first',
      value: figure('daybook', 'lastToFirstTenth'),
      target: 0.7,
      bound: 'at least',
      unit: '×',
    },
    {
      claim: 'wrong reads during the outage and wrong rows after it',
      value: figure('daybook', 'wrong'),
      target: 0,
      bound: 'exactly',
      unit: '',
    },
  ],
}

async function daybook(bed: Bed): Promise<Measures> {
  const { openOnPostgres } = await import('./open.ts')
  // The budgets are what bounds memory: 16 MiB pending, the default, and 8 MiB of cached values.
  const { book, users } = await openOnPostgres(bed.directory, bed.postgres.url, {
    maxBytes: 8 * 1024 * 1024,
  })
  const mutations = allMutations * bed.scale
  const keys = allKeys * bed.scale
  const keyOf = (number: number): number => (number * stride) % keys

  // The table is known before the server goes, as in a process that has run for a while.
  await users.get('0')
  await bed.postgres.stop()

  const tenths: number[] = []
  const processor: number[] = []
  const resident: number[] = []
  let started = 0
  let wrong = 0
  let reads = 0
  const writer = async (): Promise<void> => {
    while (started < mutations) {
      const number = started++
      if (number % (mutations / 10) === 0) {
        tenths.push(performance.now())
        processor.push(processorSeconds())
        resident.push(residentMegabytes())
      }
      const key = keyOf(number)
      if (key % 2 === 1) {
        await users.increment(String(key), { visits: 1 }, { returning: false })
        continue
      }
      await users.set(String(key), user(number))
      // Every 1,000th write is followed by a read of a key that was written long before, half the time.
      if (number % 1000 !== 0) continue
      const earlier = Math.floor(number / 3)
      const read = keyOf(earlier)
      if (read % 2 === 1) continue
      reads++
      // Another writer may be at that very key: it reads as before or as after.
      const value = await users.get(String(read))
      const visits = value?.visits ?? -1
      if (keyOf(visits) !== read || visits < earlier || visits >= started) wrong++
    }
  }
  await Promise.all(Array.from({ length: writers }, writer))
  tenths.push(performance.now())
  processor.push(processorSeconds())
  const peakMB = peakMegabytes()
  const journalBytes = book.stats().journal.bytes

  await bed.postgres.start()
  const from = performance.now()
  await book.flush({ timeoutMs: 400_000 })
  const drainSeconds = (performance.now() - from) / 1000

  wrong += await wrongRows(bed, mutations, keys)
  const tenthSeconds = tenths.slice(1).map((end, index) => (end - (tenths[index] ?? NaN)) / 1000)
  return {
    perSecond: mutations / tenthSeconds.reduce((sum, value) => sum + value, 0),
    firstTenthPerSecond: mutations / 10 / (tenthSeconds[0] ?? NaN),
    lastTenthPerSecond: mutations / 10 / (tenthSeconds[9] ?? NaN),
    lastToFirstTenth: (tenthSeconds[0] ?? NaN) / (tenthSeconds[9] ?? NaN),
    // Tells a machine that was busy with something else from an engine that does more for each write.
    firstTenthCpuMicros: ((processor[1] ?? NaN) - (processor[0] ?? NaN)) / (mutations / 1e7),
    lastTenthCpuMicros: ((processor[10] ?? NaN) - (processor[9] ?? NaN)) / (mutations / 1e7),
    peakMB,
    residentMBAtEnd: resident.at(-1) ?? NaN,
    journalMB: journalBytes / 1e6,
    reads,
    wrong,
    drainSeconds,
    drainedRowsPerSecond: keys / drainSeconds,
    peakMBAfterDrain: peakMegabytes(),
  }
}

/** Every row of the table against what the mutations amount to. */
async function wrongRows(bed: Bed, mutations: number, keys: number): Promise<number> {
  const expected = new Int32Array(keys)
  for (let number = 0; number < mutations; number++) {
    const key = (number * stride) % keys
    expected[key] = key % 2 === 1 ? (expected[key] ?? 0) + 1 : number
  }
  const rows = await query<{ id: string; visits: number }>(
    bed.postgres.url,
    'select id, visits from users',
  )
  const wrong = rows.filter(({ id, visits }) => expected[Number(id)] !== visits).length
  return wrong + Math.abs(keys - rows.length)
}
