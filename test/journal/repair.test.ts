/** Repairs that were interrupted, and journals with more than one wound. */

import { describe, expect, test } from 'vitest'
import { hashText } from '../../src/base/hash.ts'
import { pageBytes } from '../../src/journal/format.ts'
import { repairJournal } from '../../src/journal/repair.ts'
import { verifyJournal } from '../../src/journal/verify.ts'
import { entryHash } from '../../src/mutation/entry-hash.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { directory, entryOf, JournalFixture, keysOf } from './journal-fixture.ts'

/** One batch in each of so many segments. */
async function journalOf(segments: number, idleMs = 0): Promise<[MemoryFiles, string[]]> {
  const fixture = new JournalFixture()
  const journal = await fixture.open({ segmentBytes: 16 << 10, maxBytes: 4 << 20 })
  for (let index = 1; index <= segments; index++) {
    const key = `k${index}`
    // Verify compares hashes.
    const hash = entryHash(hashText('users'), hashText(key))
    await journal.append([{ ...entryOf(key, { bytes: 5_000 }), hash }]).done
    await fixture.clock.advance(idleMs)
  }
  await journal.close()
  const names = await fixture.segments()
  expect(names).toHaveLength(segments)
  return [fixture.files.kill(), names.map((name) => `${directory}/${name}`)]
}

function flip(files: MemoryFiles, path: string | undefined, at: number): void {
  const bytes = files.contentOf(path ?? '')
  bytes[at] = (bytes[at] ?? 0) ^ 1
  files.place(path ?? '', bytes)
}

async function openedKeys(files: MemoryFiles): Promise<string[]> {
  const journal = await new JournalFixture(files, 5).open({ segmentBytes: 16 << 10 })
  const keys = [...(await keysOf(journal)).values()]
  await journal.close()
  return keys
}

describe('a repair', () => {
  test('puts aside all segments behind the damage, those without a readable header too', async () => {
    const [files, paths] = await journalOf(5)
    flip(files, paths[1], pageBytes + 500)
    flip(files, paths[2], 30)
    flip(files, paths[3], 30)
    const { firstLost } = await repairJournal(directory, files)
    expect(firstLost).toBe(2)
    const { copies } = await repairJournal(directory, files, { acceptLossFrom: 2 })
    expect(copies).toHaveLength(4)
    expect((await verifyJournal(directory, files)).damage).toBeUndefined()
    expect(await openedKeys(files)).toEqual(['k1'])
  })

  test('whose cut leaves no page for a seal goes on with the next segment', async () => {
    const [files, paths] = await journalOf(2, 60)
    // Its predecessor has a seal on its last page: the damage is the second segment itself.
    flip(files, paths[1], 30)
    const { firstLost } = await repairJournal(directory, files)
    await repairJournal(directory, files, { acceptLossFrom: firstLost })
    expect(await openedKeys(files)).toEqual(['k1'])
  })

  test('can be interrupted before each of its steps, and done again', async () => {
    const [start, paths] = await journalOf(4)
    flip(start, paths[1], pageBytes + 500)
    const cut = start.contentOf(paths[1] ?? '').slice(pageBytes)
    for (let step = 0, interrupted = true; interrupted; step++) {
      let files = start.fork()
      interrupted = false
      let count = 0
      const reached = new Promise<void>((resolve) => {
        files.plan = async () => {
          if (count++ < step) return undefined
          interrupted = true
          resolve()
          return new Promise(() => undefined)
        }
      })
      await Promise.race([reached, repairJournal(directory, files, { acceptLossFrom: 2 })])
      files = files.kill()
      const left = await repairJournal(directory, files)
      if (left.damage !== undefined) {
        await repairJournal(directory, files, { acceptLossFrom: left.firstLost })
      }
      expect([step, await openedKeys(files)]).toEqual([step, ['k1']])
      const names = await files.list(directory)
      const kept = names.filter((name) => name.startsWith('damaged-') && name.endsWith('.bin'))
      const copies = kept.map((name) => Buffer.from(files.contentOf(`${directory}/${name}`)))
      expect([step, copies.some((copy) => copy.equals(cut))]).toEqual([step, true])
    }
  })
})
