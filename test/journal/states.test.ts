/** The writer between its states: what comes while a disk is full, failing, or idle. */

import { describe, expect, test } from 'vitest'
import { entryOf, JournalFixture, keysOf, write } from './journal-fixture.ts'

/** Holds back every step of the kind until it is released; counts them. */
function hold(fixture: JournalFixture, kind: 'sync' | 'zeroFill' | 'write') {
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const held = { steps: 0, release }
  fixture.files.plan = async (step) => {
    // Only of the segment that is written: the next one is prepared meanwhile.
    if (step.kind !== kind || !step.path.endsWith('.wal')) return undefined
    held.steps++
    await released
    return undefined
  }
  return held
}

describe('whenDurable', () => {
  test('says that a position was undone, while the disk is full and when it has space again', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'ENOSPC' } : undefined)
    await expect(write(journal, 'a')).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    await expect(journal.whenDurable(1)).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    fixture.files.plan = () => undefined
    await fixture.clock.advance(1_000)
    expect(journal.state).toBe('open')
    await expect(journal.whenDurable(1)).rejects.toMatchObject({
      code: 'JOURNAL_FULL',
      message: expect.stringContaining('Position 1 was undone') as string,
    })
    await journal.close()
  })
})

describe('a seal', () => {
  test('is not written while something is gathered or in flight, and comes after it', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    const held = hold(fixture, 'sync')
    const inFlight = journal.append([entryOf('b')])
    // The seal of `a` comes due while `b` is in flight.
    await fixture.clock.advance(60)
    expect(held.steps).toBe(1)
    held.release()
    await inFlight.done
    expect(journal.stats().commits).toBe(2)
    await fixture.clock.advance(60)
    expect(journal.stats().commits).toBe(3)
    await fixture.clock.advance(1_000)
    expect(journal.stats().commits).toBe(3)
    await journal.close()
    expect(journal.stats().commits).toBe(3)
  })
})

describe('a disk that is full', () => {
  test('and then fails in the middle of erasing fails the journal once, and nobody is told twice', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    fixture.files.plan = ({ kind }) =>
      kind === 'write'
        ? { code: 'ENOSPC', partialBytes: 100 }
        : kind === 'sync'
          ? { code: 'EIO' }
          : undefined
    const first = journal.append([entryOf('b')])
    await expect(first.done).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    await fixture.clock.advance(10_000)
    expect(fixture.listener.states).toEqual(['full', 'failed'])
    expect(fixture.listener.undoneKeys).toEqual([])
    expect(() => journal.append([entryOf('c')])).toThrow(
      expect.objectContaining({ code: 'JOURNAL_FAILED' }) as Error,
    )
    await journal.close()
  })

  test('while the journal is closed leaves no timer, and says so to who closes', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const held = hold(fixture, 'write')
    const commit = journal.append([entryOf('a')])
    await fixture.clock.settle()
    expect(held.steps).toBe(1)
    const closing = journal.close()
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'ENOSPC' } : undefined)
    held.release()
    await commit.done
    await expect(closing).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    expect(fixture.clock.armed).toBe(0)
    fixture.files.plan = () => undefined
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a'])
    await again.close()
  })

  test('at the end of a segment is looked at for the next segment only', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ segmentBytes: 16 << 10, maxBytes: 64 << 10 })
    fixture.files.plan = ({ kind }) => (kind === 'create' ? { code: 'ENOSPC' } : undefined)
    // Header, a batch of two pages, and a seal: nothing more goes into the segment.
    await journal.append([entryOf('a', { bytes: 5_000 })]).done
    await fixture.clock.advance(60)
    expect(() => journal.append([entryOf('b', { bytes: 5_000 })])).toThrow(
      expect.objectContaining({ code: 'JOURNAL_FULL' }) as Error,
    )
    expect(journal.state).toBe('full')
    const writes: string[] = []
    fixture.files.plan = ({ kind, path }) => {
      if (kind === 'write' && path.endsWith('.wal')) writes.push(path)
      return undefined
    }
    await fixture.clock.advance(200)
    expect([journal.state, writes]).toEqual(['open', []])
    await journal.append([entryOf('c', { bytes: 5_000 })]).done
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'c'])
    await journal.close()
  })
})
