/**
 * Goal: opening and rotating can be interrupted anywhere, again and again, and repeated.
 * Method: processes kill themselves with SIGKILL at seeded calls of the Files port: before the call, after it, or with
 * half of a write done.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { BookProcessOptions } from './book-process.ts'
import { BookProcess } from './book-processes.ts'
import { Ledger } from './ledger.ts'
import { sqliteFile, temporaryDirectory } from './ledger-database.ts'
import type { Death } from './mortal-files.ts'
import { between, seeded } from './seeded.ts'

const moments = ['before', 'half', 'after'] as const

function setUp(): {
  ledger: Ledger
  database: ReturnType<typeof sqliteFile>
  options: BookProcessOptions
} {
  const database = sqliteFile()
  const options = {
    directory: join(temporaryDirectory(), 'book'),
    url: database.url,
    lanes: 2,
    flush: { delayMs: 2, maxKeys: 20 },
    journal: { segmentBytes: 64 << 10, maxBytes: 64 << 20, retainBytes: 0 },
  }
  return { database, options, ledger: new Ledger() }
}

/** Writes until the process dies of `death`, or all is written. True where it died. */
async function writeAndDie(
  options: BookProcessOptions,
  death: Death,
  ledger: Ledger,
  first: number,
): Promise<boolean> {
  const book = BookProcess.spawn({ ...options, death }, ledger)
  const outcome = await book
    .opened()
    .then(() => book.write(first, 800))
    .then(() => book.order({ do: 'close' }))
    .catch((error: { code: string }) => error)
  await book.kill()
  if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'GONE' })
  return outcome instanceof Error
}

describe('a process that is killed', () => {
  test('while it rotates segments, loses nothing', async () => {
    const { database, options, ledger } = setUp()
    const random = seeded(20_261_128)
    // The steps of making a segment and of letting go of one.
    const steps = [
      ['rename'],
      ['syncDirectory'],
      ['remove'],
      ['open'],
      ['zeroFill'],
      ['rename', 'syncDirectory', 'remove', 'open', 'zeroFill', 'sync', 'close'],
    ] as const
    let deaths = 0
    for (const [round, of] of steps.entries()) {
      const when = moments[between(random, 0, 1) * 2] ?? 'before'
      const death = { of, at: between(random, 3, 6), when }
      if (await writeAndDie(options, death, ledger, round * 1000)) deaths++
    }
    expect(deaths).toBeGreaterThanOrEqual(steps.length / 2)
    const last = await BookProcess.open(options, ledger)
    await last.order({ do: 'flush' })
    await ledger.compare(database.rows)
    expect(ledger.acknowledged.size).toBeGreaterThan(100)
  })

  test('in the middle of a batch, leaves a torn tail that is cut, and its copy', async () => {
    const { database, options, ledger } = setUp()
    const death = { of: ['writeDurably'], at: 30, when: 'half' } as const
    expect(await writeAndDie(options, death, ledger, 0)).toBe(true)
    const last = await BookProcess.open(options, ledger)
    await last.order({ do: 'flush' })
    await ledger.compare(database.rows)
    const files = readdirSync(join(options.directory, 'journal'))
    // Half of a page may be all that was new in it: then there is nothing torn, but nothing lost either.
    expect(files.filter((name) => name.startsWith('torn-')).length).toBeLessThanOrEqual(1)
    expect(ledger.acknowledged.size).toBeGreaterThan(0)
  })

  test('again and again while it recovers, recovers in the end', async () => {
    const { database, options, ledger } = setUp()
    const random = seeded(20_261_129)
    const paused = { ...options, flush: { delayMs: 60_000 } }
    const writer = await BookProcess.open(
      { ...paused, death: { of: ['writeDurably'], at: 60, when: 'half' } },
      ledger,
    )
    await expect(writer.write(0, 2000)).rejects.toMatchObject({ code: 'GONE' })

    let deaths = 0
    for (let round = 0; round < 12; round++) {
      const death = { at: between(random, 1, 28), when: moments[round % 3] ?? 'before' }
      const recovering = BookProcess.spawn({ ...paused, death }, ledger)
      const outcome = await recovering.opened().catch((error: unknown) => error)
      await recovering.kill()
      if (outcome === undefined) continue
      expect(outcome).toMatchObject({ code: 'GONE' })
      deaths++
    }
    expect(deaths).toBeGreaterThanOrEqual(6)
    const last = await BookProcess.open(options, ledger)
    await last.order({ do: 'flush' })
    await ledger.compare(database.rows)
    expect(ledger.acknowledged.size).toBeGreaterThan(100)
  })
})
