import { describe, expect, test } from 'vitest'
import { keepsEverything, keepsNothing } from '../../src/testing/memory-crash-fates.ts'
import type { FileStep } from '../../src/testing/memory-files.ts'
import { directory, entryOf, JournalFixture, keysOf, write } from './journal-fixture.ts'

/** A gate in front of the steps of one kind: they wait until it is opened. */
function gate(fixture: JournalFixture, kind: FileStep['kind']) {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  const seen: FileStep[] = []
  fixture.files.plan = async (step) => {
    if (step.kind !== kind) return undefined
    seen.push(step)
    await opened
    return undefined
  }
  return { open, seen }
}

describe('group commit', () => {
  test('an entry has its position at once, and is told durable before its promise resolves', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const entry = entryOf('a')
    const commit = journal.append([entry])
    expect(entry.position).toBe(1)
    expect(entry.bytes).toBeGreaterThan(20)
    expect([journal.lastPosition, journal.durablePosition]).toEqual([1, 0])
    expect(fixture.listener.durableKeys).toEqual([])
    await commit.done
    expect(fixture.listener.durableKeys).toEqual(['a'])
    expect(journal.durablePosition).toBe(1)
    await journal.close()
  })

  test('appends of one burst share a batch, and those during it share the next', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const held = gate(fixture, 'sync')
    const first = journal.append([entryOf('a')])
    expect(journal.append([entryOf('b')])).toBe(first)
    await fixture.clock.settle()
    const second = journal.append([entryOf('c')])
    expect(second).not.toBe(first)
    expect(journal.append([entryOf('d'), entryOf('e')])).toBe(second)
    held.open()
    await second.done
    expect(fixture.listener.durableKeys).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(journal.stats().commits).toBe(2)
    await journal.close()
  })

  test('a batch is not written before the sync of the one before has returned', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ maxBytes: 64 << 20 })
    const steps: string[] = []
    let inFlight = 0
    let most = 0
    fixture.files.plan = async ({ kind, path }) => {
      // Only of the segment that is written: the next one is prepared meanwhile.
      if (!path.endsWith('.wal')) return undefined
      steps.push(kind)
      most = Math.max(most, ++inFlight)
      await Promise.resolve()
      inFlight--
      return undefined
    }
    const commits = Array.from({ length: 20 }, async (_, index) => {
      if (index % 3 === 0) await fixture.clock.settle()
      return journal.append([entryOf(`k${index}`, { bytes: 300 })]).done
    })
    await Promise.all(commits)
    expect(most).toBe(1)
    expect(steps.join(' ')).toMatch(/^(write sync ?)+$/)
    await journal.close()
  })

  test('positions follow the order of appends over batches and segments', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
    for (const key of keys) {
      const commit = journal.append([entryOf(key, { bytes: 900 })])
      if (key.endsWith('9')) await commit.done
    }
    await journal.whenDurable(journal.lastPosition)
    expect(fixture.listener.durableKeys).toEqual(keys)
    expect([...(await keysOf(journal)).values()]).toEqual(keys)
    expect((await fixture.segments()).length).toBeGreaterThan(3)
    await journal.close()
  })

  test('an append is taken whole or not at all, in one batch', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ maxBytes: 64 << 20 })
    journal.append([entryOf('a', { bytes: 600_000 })])
    const commit = journal.append([
      entryOf('b', { bytes: 600_000 }),
      entryOf('c', { bytes: 600_000 }),
    ])
    await commit.done
    expect(journal.stats().commits).toBe(2)
    const invalid = { ...entryOf('e'), mutation: { kind: 'set', fields: { a: undefined } } }
    expect(() => journal.append([entryOf('d'), invalid as never])).toThrow(
      expect.objectContaining({ code: 'INVALID_VALUE' }),
    )
    expect(journal.lastPosition).toBe(3)
    await write(journal, 'f')
    expect([...(await keysOf(journal)).values()]).toEqual(['a', 'b', 'c', 'f'])
    await journal.close()
  })

  test('a value that no batch holds is refused, and the next one is taken', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ maxBytes: 64 << 20 })
    expect(() => journal.append([entryOf('a', { bytes: 16 << 20 })])).toThrow(
      expect.objectContaining({ code: 'VALUE_TOO_LARGE' }),
    )
    await journal.append([entryOf('b', { bytes: 8 << 20 })]).done
    expect([...(await keysOf(journal)).values()]).toEqual(['b'])
    await journal.close()
  })

  test('what is not durable is bounded', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open({ segmentBytes: 32 << 20, maxBytes: 256 << 20 })
    const held = gate(fixture, 'write')
    const append = () => journal.append([entryOf('a', { bytes: 1_000_000 })])
    const accepted: Promise<void>[] = []
    expect(() => {
      for (let count = 0; count < 100; count++) accepted.push(append().done)
    }).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
    expect(accepted.length).toBeGreaterThan(14)
    expect(accepted.length).toBeLessThan(18)
    expect(journal.stats().undurableBytes).toBeGreaterThan(15 << 20)
    held.open()
    await Promise.all(accepted)
    await append().done
    expect(journal.stats().undurableBytes).toBe(0)
    await journal.close()
  })

  test('whenDurable waits for the batch of a position', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await journal.whenDurable(0)
    const held = gate(fixture, 'sync')
    journal.append([entryOf('a')])
    await fixture.clock.settle()
    journal.append([entryOf('b')])
    const order: number[] = []
    const waits = [2, 1].map((position) =>
      journal.whenDurable(position).then(() => order.push(position)),
    )
    held.open()
    await Promise.all(waits)
    expect(order).toEqual([1, 2])
    await journal.close()
  })

  test('a seal is written when nothing came for a while, and once', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    await fixture.clock.advance(40)
    await write(journal, 'b')
    expect(journal.stats().commits).toBe(2)
    await fixture.clock.advance(40)
    expect(journal.stats().commits).toBe(2)
    await fixture.clock.advance(20)
    expect(journal.stats().commits).toBe(3)
    await fixture.clock.advance(1_000)
    expect(journal.stats().commits).toBe(3)
    expect(fixture.clock.armed).toBe(0)
    await journal.close()
    expect(journal.stats().commits).toBe(3)
  })

  test('closing makes durable what was appended, and refuses what comes after', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const commit = journal.append([entryOf('a')])
    const closed = journal.close()
    expect(() => journal.append([entryOf('b')])).toThrow(
      expect.objectContaining({ code: 'CLOSED' }),
    )
    expect(journal.close()).toBe(closed)
    await closed
    await commit.done
    expect(fixture.listener.durableKeys).toEqual(['a'])
    expect(journal.state).toBe('closed')
    const names = await fixture.files.list(directory)
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('a listener that throws stops the journal', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.listener.onDurable = () => {
      throw new Error('broken invariant')
    }
    const commit = journal.append([entryOf('a')])
    await fixture.clock.settle()
    await commit.done
    expect(journal.state).toBe('failed')
    expect(() => journal.append([entryOf('b')])).toThrow(
      expect.objectContaining({ code: 'JOURNAL_FAILED' }),
    )
    await journal.close()
  })
})

describe('a sync that fails', () => {
  test('fails the journal for good, without saying that anything was undone', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    let syncs = 0
    fixture.files.plan = ({ kind, path }) => {
      if (kind !== 'sync' || !path.endsWith('.wal')) return undefined
      syncs++
      return { code: 'EIO' }
    }
    const first = journal.append([entryOf('b')])
    await fixture.clock.settle().catch(() => undefined)
    await expect(first.done).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    expect(() => journal.append([entryOf('c')])).toThrow(
      expect.objectContaining({ code: 'JOURNAL_FAILED' }),
    )
    await expect(journal.whenDurable(2)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    await fixture.clock.advance(100_000)
    expect(syncs).toBe(1)
    expect(fixture.listener.undoneKeys).toEqual([])
    expect(fixture.listener.states).toEqual(['failed'])
    expect([journal.state, journal.durablePosition]).toEqual(['failed', 1])
    await journal.close()
    expect(syncs).toBe(1)
  })

  test('fails all who wait behind it', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    const held = gate(fixture, 'write')
    const first = journal.append([entryOf('a')])
    await fixture.clock.settle()
    const second = journal.append([entryOf('b')])
    const plan = fixture.files.plan
    fixture.files.plan = (step) => (step.kind === 'sync' ? { code: 'EIO' } : plan(step))
    held.open()
    await expect(first.done).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    await expect(second.done).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    await journal.close()
  })

  test('for want of space is a failed sync all the same', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'sync' ? { code: 'ENOSPC' } : undefined)
    await expect(write(journal, 'a')).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    await journal.close()
  })

  test('is resolved by the next open: what it shows then is durable', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    // The page cache has the batch, clean; the disk does not: as Linux leaves it after a failed fsync.
    fixture.files.plan = ({ kind }) =>
      kind === 'sync' ? { code: 'EIO', profile: 'ext4-ordered' } : undefined
    await expect(write(journal, 'b')).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    const cached = fixture.files.kill()
    const lost = await new JournalFixture(cached.fork().powerLoss(keepsEverything)).open()
    expect([...(await keysOf(lost)).values()]).toEqual(['a'])
    await lost.close()
    await new JournalFixture(cached).open()
    const again = await new JournalFixture(cached.powerLoss(keepsNothing)).open()
    expect([...(await keysOf(again)).values()]).toEqual(['a', 'b'])
    await again.close()
  })
})

describe('a write that fails', () => {
  test('otherwise than for space fails the journal', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'EIO' } : undefined)
    await expect(write(journal, 'a')).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    expect(fixture.listener.undoneKeys).toEqual([])
    await journal.close()
  })

  test.each(['ENOSPC', 'EDQUOT', 'ERR_SHORT_WRITE'])(
    'with %s undoes what is not durable, and resumes when space returns',
    async (code) => {
      const fixture = new JournalFixture()
      const journal = await fixture.open()
      await write(journal, 'a')
      let writes = 0
      fixture.files.plan = ({ kind }) => {
        if (kind !== 'write') return undefined
        writes++
        return { code, partialBytes: 3_000 }
      }
      const commit = journal.append([entryOf('b', { bytes: 5_000 })])
      await Promise.resolve()
      journal.append([entryOf('c')])
      await expect(commit.done).rejects.toMatchObject({
        code: 'JOURNAL_FULL',
        details: { reason: 'disk' },
      })
      await fixture.clock.settle()
      expect(fixture.listener.undoneKeys).toEqual(['b', 'c'])
      expect(fixture.listener.states).toEqual(['full'])
      expect(() => journal.append([entryOf('d')])).toThrow(
        expect.objectContaining({ code: 'JOURNAL_FULL' }),
      )
      expect([journal.lastPosition, journal.durablePosition]).toEqual([1, 1])
      await journal.whenDurable(journal.lastPosition)
      await expect(journal.whenDurable(2)).rejects.toMatchObject({ code: 'JOURNAL_FULL' })

      await fixture.clock.advance(60_000)
      expect(writes).toBeLessThan(30)
      expect(journal.state).toBe('full')
      fixture.files.plan = () => undefined
      await fixture.clock.advance(10_000)
      expect(fixture.listener.states).toEqual(['full', 'open'])
      await write(journal, 'e')
      const kept = await keysOf(journal)
      expect([...kept.values()]).toEqual(['a', 'e'])
      await journal.close()

      const again = await new JournalFixture(fixture.files.kill()).open()
      expect(await keysOf(again)).toEqual(kept)
      expect(again.cut).toBeUndefined()
      await again.close()
    },
  )

  test('and cannot be erased fails the journal', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) =>
      kind === 'write' ? { code: 'ENOSPC' } : kind === 'zeroFill' ? { code: 'EIO' } : undefined
    await expect(write(journal, 'a')).rejects.toMatchObject({ code: 'JOURNAL_FAILED' })
    expect(fixture.listener.undoneKeys).toEqual([])
    expect(journal.state).toBe('failed')
    await journal.close()
  })

  test('while space is looked for fails the journal where it is not for space', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'ENOSPC' } : undefined)
    await expect(write(journal, 'a')).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    fixture.files.plan = ({ kind }) => (kind === 'sync' ? { code: 'EIO' } : undefined)
    await fixture.clock.advance(1_000)
    expect(fixture.listener.states).toEqual(['full', 'failed'])
    await journal.close()
  })

  test('leaves a journal that can be closed while it is full', async () => {
    const fixture = new JournalFixture()
    const journal = await fixture.open()
    await write(journal, 'a')
    fixture.files.plan = ({ kind }) => (kind === 'write' ? { code: 'ENOSPC' } : undefined)
    await expect(write(journal, 'b')).rejects.toMatchObject({ code: 'JOURNAL_FULL' })
    await journal.close()
    expect(fixture.clock.armed).toBe(0)
    fixture.files.plan = () => undefined
    const again = await fixture.open()
    expect([...(await keysOf(again)).values()]).toEqual(['a'])
    await again.close()
  })
})
