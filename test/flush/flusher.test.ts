import { describe, expect, test } from 'vitest'

import { silentLogger } from '../../src/base/log.ts'
import { applyCarefully, unitsOf } from '../../src/flush/careful.ts'
import { DeadLetters } from '../../src/flush/dead-letters.ts'
import { Flusher } from '../../src/flush/flusher.ts'
import { Lane } from '../../src/flush/lane.ts'
import type { Entry, Mutation } from '../../src/mutation/mutation.ts'
import { Events } from '../../src/observe/events.ts'
import { StoreFailureError } from '../../src/store/failure.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import type { StoreTransaction } from '../../src/store/store.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { entryOf, increment, merge, remove, schema, set, table } from '../support/flush-fixtures.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryJournal } from '../support/memory-journal.ts'

const tables = new Map([['t', table]])
const limits = { delayMs: 100, maxKeys: 100, maxBytes: 1e9 }

async function flusherOn(
  given: { lanes?: number; maxRowsPerSecond?: number; stallMs?: number } = {},
) {
  const clock = new ManualClock()
  const journal = new MemoryJournal(given.lanes ?? 1)
  const store = memoryStore({ tables: {} })
  const claimed = await store.open(
    { journal: journal.id, lanes: journal.lanes, epoch: 1 },
    { signal: new AbortController().signal },
  )
  const files = new MemoryFiles()
  await files.makeDirectory('/d')
  const deadLetters = await DeadLetters.open({ files, path: '/d/letters', clock })
  const events = new Events(silentLogger)
  const flusher = new Flusher({
    ports: { clock, random: { next: () => 0.5, uuid: () => '' }, files, logger: silentLogger },
    journal: () => journal,
    store,
    deadLetters,
    events,
    tables,
    checkpoints: claimed.positions,
    forget: () => undefined,
    onPressure: () => undefined,
    onUndeclared: () => undefined,
    options: {
      ...limits,
      maxRowsPerSecond: given.maxRowsPerSecond,
      retryBaseMs: 10,
      retryMaxMs: 100,
      memoryBytes: 1e9,
      stallMs: given.stallMs ?? 1000,
    },
  })
  const write = (key: string, mutation: Mutation, lane = 0): Entry => {
    const entry = entryOf(key, mutation, { lane })
    journal.append([entry])
    flusher.add([entry])
    return entry
  }
  return { clock, journal, store, deadLetters, events, flusher, write }
}

describe('a lane that reads overlap on', () => {
  test('lets go of each committed batch as soon as no read is as old as it', async () => {
    const journal = new MemoryJournal()
    const lane = new Lane(0, 0, {
      clock: new ManualClock(),
      journal: () => journal,
      tables,
      limits,
    })
    let release = lane.retain()
    for (let at = 0; at < 50; at++) {
      const entry = entryOf('a', increment(1))
      journal.append([entry])
      lane.add(entry, schema.blank, 0)
      const batch = await lane.take()
      if (batch !== undefined) lane.advance(batch)
      const next = lane.retain()
      release()
      release = next
      // There is always a reader, and never more than one batch for it.
      expect(lane.memoryBytes).toBeLessThan(500)
    }
    release()
    expect(lane.memoryBytes).toBe(0)
  })

  test('lays only what is beyond the checkpoint over a row that has part of a batch', async () => {
    const journal = new MemoryJournal()
    const lane = new Lane(0, 0, {
      clock: new ManualClock(),
      journal: () => journal,
      tables,
      limits,
    })
    for (const mutation of [increment(1), increment(10), merge('x'), increment(100)]) {
      const entry = entryOf('a', mutation)
      journal.append([entry])
      lane.add(entry, schema.blank, 0)
    }
    const { hash } = entryOf('a', remove)
    const stored = { text: null, count: 11 }
    const pending = lane.pendingOf('t', 'a', hash, 2)
    const value = await lane.overlay(stored, pending, 't', 'a', schema.blank)
    expect(value).toEqual({ text: 'x', count: 111 })
    expect(pending.position).toBe(4)
    const whole = { text: 'x', count: 111 }
    const none = lane.pendingOf('t', 'a', hash, 4)
    expect(await lane.overlay(whole, none, 't', 'a', schema.blank)).toEqual(whole)
  })

  test('reads a careful piece once although more is spilled behind it meanwhile', async () => {
    const journal = new MemoryJournal()
    const lane = new Lane(0, 0, {
      clock: new ManualClock(),
      journal: () => journal,
      tables,
      limits,
    })
    const write = (key: string): void => {
      const entry = entryOf(key, increment(1))
      journal.append([entry])
      lane.add(entry, schema.blank, 0)
    }
    for (let at = 0; at < 9; at++) write(`k${at}`)
    lane.spillNewest()
    const keep: Entry[] = []
    const taking = lane.take({ keep })
    for (let at = 0; at < 9; at++) {
      write(`later${at}`)
      lane.spillNewest()
      await Promise.resolve()
    }
    const batch = await taking
    const positions = keep.map((entry) => entry.position)
    expect(positions).toEqual([...new Set(positions)])
    expect(batch?.mutations).toBe(positions.length)
    expect(lane.mutations).toBe(18)
  })

  test('knows the age of what is spilled while it grows at one end and shrinks at the other', async () => {
    const clock = new ManualClock()
    const journal = new MemoryJournal()
    const lane = new Lane(0, 0, { clock, journal: () => journal, tables, limits })
    for (let at = 0; at < 10; at++) {
      const entry = entryOf(`k${at}`, set('x'))
      journal.append([entry])
      lane.addSpilled(entry.position, entry.hash, entry.bytes, at * 2000)
    }
    for (let at = 0; at < 9; at++) {
      const batch = await lane.take({ maxMutations: 1 })
      if (batch !== undefined) lane.advance(batch)
      expect(lane.oldestAt).toBe((at + 1) * 2000)
    }
  })
})

describe('a careful range', () => {
  test('does not refuse a child whose parent came while its write was failing', async () => {
    let arrived = false
    const failure = {
      kind: 'rejected',
      code: 'FK',
      message: 'no parent',
      known: true,
      missingParent: true,
    } as const
    const transaction: StoreTransaction = {
      checkpoint: { epoch: 1, position: 0 },
      write: async () => {
        arrived = true
        throw new StoreFailureError(failure)
      },
      commit: async () => undefined,
      rollback: async () => undefined,
    }
    const result = await applyCarefully(
      unitsOf([entryOf('child', set('c'), { position: 7 })]),
      transaction,
      {
        tables,
        lane: 0,
        startedAt: 0,
        classify: () => failure,
        blocking: () => [],
        parentsArrived: () => arrived,
      },
    )
    expect(result).toMatchObject({ units: 0, verdicts: [], waitsForParent: 7 })
  })
})

describe('the flusher', () => {
  test('pays the rate limit once for a batch, however often it is tried', async () => {
    const { clock, store, flusher, write } = await flusherOn({ maxRowsPerSecond: 10 })
    flusher.start()
    for (let at = 0; at < 20; at++) write(`k${at}`, set('x'))
    store.inject(...Array.from({ length: 5 }, () => ({ at: 'begin' }) as const))
    await clock.advance(100)
    write('more', set('y'))
    await clock.advance(1500)
    // 20 rows cost 2 s once; five attempts would have cost 10.
    expect(flusher.rowsFlushed).toBe(20)
    await clock.advance(700)
    expect(flusher.rowsFlushed).toBe(21)
    await flusher.stop(1_000)
  })

  test('says that it is stalled when nothing moves, and not while an old backlog shrinks', async () => {
    const { clock, store, events, flusher, write } = await flusherOn({ stallMs: 1000 })
    const stalled: string[] = []
    events.on('stalled', ({ reason }) => stalled.push(reason))
    flusher.start()
    write('a', set('x'))
    store.inject(...Array.from({ length: 100 }, () => ({ at: 'begin' }) as const))
    await clock.advance(3000)
    expect(stalled).toHaveLength(1)
    expect(stalled[0]).toContain('injected')
    await flusher.stop(1_000)
  })

  test('finds out that a skip was committed whose answer never came, and lets go of the journal', async () => {
    const { clock, journal, store, flusher, write } = await flusherOn({ lanes: 2 })
    const stats = journal.stats()
    journal.stats = () => ({ ...stats, segments: 2 })
    flusher.start()
    write('a', set('1'), 0)
    await clock.advance(50)
    store.inject({ at: 'commit', kind: 'none' }, { at: 'commit', applied: true })
    await clock.advance(1000)
    write('a', set('2'), 0)
    await clock.advance(1000)
    write('a', set('3'), 0)
    await clock.advance(1000)
    expect(flusher.lanes[1]?.checkpoint).toBeGreaterThanOrEqual(2)
    expect(journal.trimmedTo).toBeGreaterThanOrEqual(1)
    expect(flusher.haltedBy).toBeUndefined()
    await flusher.stop(1_000)
  })

  test('gives memory back to zero once all is drained, merges of ever more fields included', async () => {
    const { clock, flusher, write } = await flusherOn()
    flusher.start()
    const before = flusher.lanes[0]?.memoryBytes
    for (let at = 0; at < 10; at++) {
      write('wide', { kind: 'patch', fields: { [`field${at}`]: 'x' }, amounts: {} })
    }
    // Ten records of different fields are worth ten records; a hot field is worth one.
    const wide = flusher.lanes[0]?.memoryBytes ?? 0
    for (let at = 0; at < 10; at++) write('hot', merge('x'))
    const hot = (flusher.lanes[0]?.memoryBytes ?? 0) - wide
    expect(wide).toBeGreaterThan(10 * 50)
    expect(wide - hot).toBeGreaterThan(8 * 50)
    await clock.advance(200)
    expect(flusher.lanes[0]?.memoryBytes).toBe(before)
    expect(flusher.pendingMutations).toBe(0)
    await flusher.stop(1_000)
  })

  test('does not report the store as back before it has answered', async () => {
    const { clock, store, deadLetters, events, flusher, write } = await flusherOn()
    const seen: string[] = []
    events.on('storeDown', () => seen.push('down'))
    events.on('storeUp', () => seen.push('up'))
    await deadLetters.add([
      {
        id: '0-0',
        cache: 't',
        key: 'a',
        lane: 0,
        position: 0,
        mutation: increment(1),
        reason: 'rejected',
        failure: { kind: 'rejected', code: 'X', message: 'x' },
        attempts: 1,
        deadAtMs: 0,
      },
    ])
    flusher.start()
    store.inject(...Array.from({ length: 6 }, () => ({ at: 'begin' }) as const))
    write('b', set('1'))
    await clock.advance(110)
    write('a', set('1'))
    await clock.advance(2000)
    expect(seen).toEqual(['down', 'up'])
    await flusher.stop(1_000)
  })
})
