/** A lane between two states: while it is rebuilt, while its reader fails, and where the store stands inside a batch. */

import { describe, expect, test } from 'vitest'

import type { Batch } from '../../src/flush/batch.ts'
import { Lane } from '../../src/flush/lane.ts'
import { LetterIndex } from '../../src/flush/letter-index.ts'
import type { Entry, Mutation, Position } from '../../src/mutation/mutation.ts'
import { entryOf, increment, schema, set, table } from '../support/flush-fixtures.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryJournal } from '../support/memory-journal.ts'

/** A journal whose scans and reads a test can hold back or break. */
class HeldJournal extends MemoryJournal {
  scanGate: Promise<void> = Promise.resolve()
  scannedGate: Promise<void> = Promise.resolve()
  readGate: Promise<void> = Promise.resolve()
  readError: Error | undefined

  override async scan(...given: Parameters<MemoryJournal['scan']>): Promise<void> {
    await this.scanGate
    await super.scan(...given)
    await this.scannedGate
  }

  override async *read(
    lane: number,
    after: Position,
    to: Position,
  ): AsyncGenerator<readonly Entry[]> {
    await this.readGate
    if (this.readError !== undefined) throw this.readError
    yield* super.read(lane, after, to)
  }
}

function laneOn(journal: MemoryJournal): Lane {
  return new Lane(0, 0, {
    clock: new ManualClock(),
    journal: () => journal,
    tables: new Map([['t', table]]),
    limits: { delayMs: 100, maxKeys: 100, maxBytes: 1e9 },
  })
}

function write(lane: Lane, journal: MemoryJournal, key: string, mutation: Mutation): Entry {
  const entry = entryOf(key, mutation)
  journal.append([entry])
  lane.add(entry, schema.blank, 0)
  return entry
}

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, open: resolve }
}

describe('a lane that is being rebuilt', () => {
  test('has passed nothing, spills nothing, and gives its next batch when it is done', async () => {
    const journal = new HeldJournal()
    const lane = laneOn(journal)
    write(lane, journal, 'a', set('1'))
    const held = gate()
    journal.scanGate = held.promise
    const rebuilding = lane.rebuild(0)
    expect(lane.passed(0)).toBe(false)
    expect([lane.spillableBytes, lane.spillNewest()]).toEqual([0, 0])
    const taking = lane.take()
    // What becomes durable meanwhile stays pending behind it.
    write(lane, journal, 'b', set('2'))
    held.open()
    await rebuilding
    const batch = await taking
    expect([...(batch?.entries() ?? [])].map(([, key]) => key)).toContain('a')
    expect(lane.mutations).toBe(2)
    expect(lane.keys).toBe(2)
  })

  test('learns of a dead letter that is retried when the scan has gone past', async () => {
    const journal = new HeldJournal()
    const lane = laneOn(journal)
    write(lane, journal, 'n', increment(5))
    lane.advance((await lane.take()) as Batch)
    const held = gate()
    journal.scannedGate = held.promise
    const rebuilding = lane.rebuild(0)
    await Promise.resolve()
    const retry = entryOf('n', increment(5), { retryOf: '0-1' })
    journal.append([retry])
    lane.add(retry, schema.blank, 0)
    held.open()
    await rebuilding
    // The increment has its effect where its retry stands, and there alone.
    const amounts: unknown[] = []
    while (!lane.empty) {
      const batch = (await lane.take()) as Batch
      for (const row of batch.rows()) amounts.push(row.mutation)
      lane.advance(batch)
    }
    expect(amounts).toEqual([increment(5)])
  })

  test('has passed what only stands there as the place of a retried dead letter', async () => {
    const journal = new HeldJournal()
    const lane = laneOn(journal)
    write(lane, journal, 'n', increment(5))
    write(lane, journal, 'm', set('m'))
    const retry = entryOf('n', increment(5), { retryOf: '0-1' })
    journal.append([retry])
    lane.add(retry, schema.blank, 0)
    lane.advance((await lane.take()) as Batch)
    await lane.rebuild(0)
    expect([1, 2].map((position) => lane.passed(position))).toEqual([true, false])
    // The batch in flight says the same: another lane may wait for just this.
    lane.limits = { ...lane.limits, maxKeys: 1 }
    const batch = (await lane.take()) as Batch
    expect([1, 2].map((position) => lane.passed(position))).toEqual([true, false])
    lane.spillFlushing()
    expect([1, 2].map((position) => lane.passed(position))).toEqual([true, false])
    lane.advance((await lane.take()) as Batch)
    expect(batch.to).toBe(2)
    expect([2, 3].map((position) => lane.passed(position))).toEqual([true, false])
  })

  test('drops what was read for the batch that was being taken', async () => {
    const journal = new HeldJournal()
    const lane = laneOn(journal)
    for (const key of ['a', 'b', 'c']) write(lane, journal, key, set(key))
    lane.spillNewest()
    expect([lane.keys, lane.spilledMutations]).toEqual([3, 3])
    const held = gate()
    journal.readGate = held.promise
    const keep: Entry[] = []
    const taking = lane.take({ keep })
    const rebuilding = lane.rebuild(1)
    await rebuilding
    journal.readGate = Promise.resolve()
    held.open()
    const batch = await taking
    expect([batch?.from, batch?.to]).toEqual([1, 3])
    expect(keep.map(({ key }) => key)).toEqual(['b', 'c'])
  })
})

describe('a spilled range', () => {
  test('that cannot be read is read by another reader the next time', async () => {
    const journal = new HeldJournal()
    const lane = laneOn(journal)
    write(lane, journal, 'a', set('1'))
    lane.spillNewest()
    journal.readError = new Error('EIO')
    await expect(lane.take()).rejects.toThrow('EIO')
    await expect(lane.take()).rejects.toThrow('EIO')
    journal.readError = undefined
    expect((await lane.take())?.to).toBe(1)
  })

  test('gives a key’s own mutations only, where another key has its hash', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    const append = (key: string, mutation: Mutation): void => {
      const entry = { ...entryOf(key, mutation), hash: 7 }
      journal.append([entry])
      lane.add(entry, schema.blank, 0)
    }
    append('a', increment(1))
    append('b', increment(10))
    append('a', increment(100))
    lane.spillNewest()
    const pending = lane.pendingOf('t', 'a', 7, 0)
    expect(pending.position).toBe(3)
    expect(await lane.coalesced(pending, 't', 'a', schema.blank)).toMatchObject({
      amounts: { count: 101 },
    })
    const value = await lane.overlay({ text: 'x', count: 5 }, pending, 't', 'a', schema.blank)
    expect(value).toEqual({ text: 'x', count: 106 })
    const none = lane.pendingOf('t', 'c', 8, 0)
    expect(await lane.coalesced(none, 't', 'c', schema.blank)).toBeUndefined()
  })
})

describe('a store that stands inside a batch', () => {
  test('gets exactly the mutations of a key beyond it, and none where there are none', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    const first = write(lane, journal, 'a', set('1'))
    write(lane, journal, 'b', set('2'))
    const last = write(lane, journal, 'b', increment(5))
    const inside = first.position
    expect(lane.pendingOf('t', 'a', first.hash, inside)).toEqual({ pieces: [], position: 0 })
    expect(lane.pendingOf('t', 'b', last.hash, inside)).toEqual({
      pieces: [{ positions: [2, 3] }],
      position: 3,
    })
    expect(lane.pendingOf('t', 'b', last.hash, 2)).toEqual({
      pieces: [{ positions: [3] }],
      position: 3,
    })
  })
})

test('the index of dead letters does not hold texts for ever, however many there are', () => {
  const index = new LetterIndex()
  for (let position = 1; position <= 10_050; position++) {
    const failure = { kind: 'rejected' as const, code: `code ${position}`, message: 'no' }
    index.insert(
      {
        id: `0-${position}`,
        cache: 't',
        key: 'k',
        lane: 0,
        position,
        mutation: set('x'),
        reason: 'rejected',
        failure,
        attempts: 1,
        deadAtMs: 0,
      },
      10,
      { offset: 0, bytes: 0, link: 0 },
      0,
    )
  }
  expect(index.count).toBe(10_050)
  expect(index.groups()).toHaveLength(10_050)
  expect(index.select({ code: 'code 10050' }, undefined, 10).slots).toMatchObject([
    { code: 'code 10050', cache: 't' },
  ])
})
