/** What a journal gives to those who read it, and what it says where it cannot. */

import { describe, expect, test } from 'vitest'
import type { Position } from '../../src/mutation/mutation.ts'
import { directory, entryOf, JournalFixture, keysOf, write } from './journal-fixture.ts'

async function scanned(fixture: JournalFixture, after: Position): Promise<Position[]> {
  const journal = await fixture.open()
  const positions: Position[] = []
  await journal.scan(after, (position) => positions.push(position))
  await journal.close()
  return positions
}

describe('a scan', () => {
  test('begins in the middle of a batch where it is asked to', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a', 'b', 'c')
    await write(journal, 'd')
    await journal.close()
    expect(await scanned(fixture, 0)).toEqual([1, 2, 3, 4])
    expect(await scanned(fixture, 2)).toEqual([3, 4])
    expect(await scanned(fixture, 4)).toEqual([])
  })
})

describe('find', () => {
  test('says that a position was undone, or was never given out', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'ENOSPC' } : undefined)
    await expect(write(journal, 'undone')).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    fixture.files.plan = () => undefined
    await fixture.clock.advance(1_000)
    await write(journal, 'c')
    expect([...(await keysOf(journal)).keys()]).toEqual([1, 3])
    const gap = { code: 'JOURNAL_GAP', details: { position: 2, oldestPosition: 1 } }
    await expect(journal.find([1, 2])).rejects.toMatchObject(gap)
    await expect(journal.find([2])).rejects.toMatchObject(gap)
    await expect(journal.find([9])).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    await expect(journal.find([0])).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    expect(await journal.find([])).toEqual([])
    await journal.close()
  })

  test('reads on from the middle of a large segment', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ segmentBytes: 1 << 20, maxBytes: 4 << 20 })
    for (let index = 1; index <= 12; index++) {
      await journal.append([entryOf(`k${index}`, { bytes: 20_000 })]).done
    }
    const keys = async (...positions: Position[]): Promise<string[]> =>
      (await journal.find(positions)).map(({ key }) => key)
    expect(await keys(12, 11, 2)).toEqual(['k12', 'k11', 'k2'])
    expect(await keys(7, 7)).toEqual(['k7', 'k7'])
    await journal.close()
  })
})

describe('a segment', () => {
  test('that is trimmed while it is read is a gap, and one that cannot be read is said with its file', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ segmentBytes: 16 << 10, maxBytes: 4 << 20 })
    for (let index = 0; index < 6; index++) {
      await journal.append([entryOf(`k${index}`, { bytes: 5_000 })]).done
    }
    const [oldest] = await fixture.segments()
    const path = `${directory}/${oldest}`
    fixture.files.plan = (step) =>
      step.kind === 'open' && step.path === path ? { code: 'EIO' } : undefined
    await expect(keysOf(journal)).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      details: { file: path, code: 'EIO' },
    })
    fixture.files.plan = (step) =>
      step.kind === 'read' && step.path === path ? { code: 'EIO' } : undefined
    const unreadable = { code: 'DIRECTORY_UNUSABLE', details: { file: path, code: 'EIO' } }
    await expect(keysOf(journal)).rejects.toMatchObject(unreadable)
    await expect(journal.find([1])).rejects.toMatchObject(unreadable)
    fixture.files.plan = () => undefined
    // As a trim does that comes between looking for the segment and opening it.
    await fixture.files.remove(path)
    await expect(keysOf(journal)).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
    await journal.close()
  })
})

test('batches that lie across the chunks of a reader are read whole, before and after a restart', async () => {
  const fixture = new JournalFixture()
  const large = { segmentBytes: 4 << 20, maxBytes: 16 << 20 }
  const journal = await fixture.open(large)
  const keys = Array.from({ length: 9 }, (_, index) => `k${index}`)
  for (const key of keys) await journal.append([entryOf(key, { bytes: 300_000 })]).done
  expect([...(await keysOf(journal)).values()]).toEqual(keys)
  await journal.close()
  const again = await fixture.open(large)
  expect(again.cut).toBeUndefined()
  expect([...(await keysOf(again)).values()]).toEqual(keys)
  await again.close()
})
