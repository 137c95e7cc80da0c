import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { Lane } from '../../src/flush/lane.ts'
import { applyMutation } from '../../src/mutation/coalesce.ts'
import type { Entry, Fields, Mutation } from '../../src/mutation/mutation.ts'
import { entryOf, increment, merge, remove, schema, set, table } from '../support/flush-fixtures.ts'
import { MemoryJournal } from '../support/memory-journal.ts'
import { ManualClock } from '../support/manual-clock.ts'

function laneOn(
  journal: MemoryJournal,
  limits = { delayMs: 100, maxKeys: 3, maxBytes: 1e9 },
): Lane {
  return new Lane(0, 0, {
    clock: new ManualClock(),
    journal: () => journal,
    tables: new Map([['t', table]]),
    limits,
  })
}

function write(
  lane: Lane,
  journal: MemoryJournal,
  key: string,
  mutation: Mutation,
  continues = false,
): Entry {
  const entry = entryOf(key, mutation, { continues })
  journal.append([entry])
  lane.add(entry, schema.blank, 0)
  return entry
}

/** The store's value of a key, with everything pending laid over it. */
async function read(
  lane: Lane,
  store: Map<string, Fields>,
  key: string,
): Promise<Fields | undefined> {
  const pending = lane.pendingOf('t', key, entryOf(key, remove).hash, lane.checkpoint)
  return lane.overlay(store.get(key), pending, 't', key, schema.blank)
}

async function flush(lane: Lane, store: Map<string, Fields>, options = {}): Promise<boolean> {
  const batch = await lane.take(options)
  if (batch === undefined) return false
  expect(batch.from).toBe(lane.checkpoint)
  for (const [, key, row] of batch.entries()) {
    const value = applyMutation(store.get(key), row.mutation, schema.blank)
    if (value === undefined) store.delete(key)
    else store.set(key, value)
  }
  lane.advance(batch)
  return true
}

const keys = ['a', 'b', 'c', 'd', 'e', 'f']
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.tuple(fc.string(), fc.nat(9)).map(([text, count]) => set(text, count)),
  },
  { weight: 1, arbitrary: fc.constant(remove) },
  { weight: 2, arbitrary: fc.string().map(merge) },
  { weight: 3, arbitrary: fc.integer({ min: -9, max: 9 }).map(increment) },
)
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      key: fc.constantFrom(...keys),
      mutation,
      continues: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('spill' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('flush' as const),
      maxMutations: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('putBack' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rebuild' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('goBack' as const), commits: fc.nat(3) }) },
)

describe('a lane', () => {
  test('shows every pending mutation exactly once, whatever is spilled, flushed, put back or rebuilt', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const journal = new MemoryJournal()
        const lane = laneOn(journal)
        const store = new Map<string, Fields>()
        const truth = new Map<string, Fields>()
        /** The store after each commit, to go back to. */
        const commits: { position: number; rows: Map<string, Fields> }[] = [
          { position: 0, rows: new Map() },
        ]
        let open = false
        for (const action of steps) {
          switch (action.kind) {
            case 'write': {
              write(lane, journal, action.key, action.mutation, action.continues)
              open = action.continues
              const value = applyMutation(truth.get(action.key), action.mutation, schema.blank)
              if (value === undefined) truth.delete(action.key)
              else truth.set(action.key, value)
              break
            }
            // Between two turns of the loop no atomic group is half added.
            case 'spill':
              if (!open) lane.spillNewest()
              break
            case 'flush':
              if (!open && (await flush(lane, store, { maxMutations: action.maxMutations }))) {
                commits.push({ position: lane.checkpoint, rows: new Map(store) })
              }
              break
            case 'putBack':
              if (open) break
              await lane.take()
              lane.spillFlushing()
              break
            case 'rebuild':
              if (!open) await lane.rebuild(lane.checkpoint)
              break
            case 'goBack': {
              if (open) break
              const at = Math.max(0, commits.length - 1 - action.commits)
              const past = commits[at] as (typeof commits)[number]
              commits.length = at + 1
              store.clear()
              for (const [key, value] of past.rows) store.set(key, value)
              await lane.rebuild(past.position)
            }
          }
          for (const key of keys) expect(await read(lane, store, key)).toEqual(truth.get(key))
        }
        if (open) write(lane, journal, 'a', remove)
        if (open) truth.delete('a')
        while (await flush(lane, store));
        expect(store).toEqual(truth)
        expect(lane.empty).toBe(true)
        expect(lane.memoryBytes).toBe(0)
      }),
      { numRuns: 500 },
    )
  })

  test('seals a batch at its key limit and never inside an atomic group', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    for (const key of ['a', 'b', 'c', 'd']) write(lane, journal, key, set(key), true)
    write(lane, journal, 'e', set('e'))
    write(lane, journal, 'f', set('f'))
    const batch = await lane.take()
    expect(batch?.keys).toBe(5)
  })

  test('does not end a batch that is read back inside an atomic group', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    for (const key of ['a', 'b', 'c', 'd']) write(lane, journal, key, set(key), true)
    write(lane, journal, 'e', set('e'))
    write(lane, journal, 'f', set('f'))
    while (lane.spillNewest() > 0);
    expect(lane.memoryBytes).toBe(0)
    expect((await lane.take({ maxMutations: 1 }))?.mutations).toBe(5)
  })

  test('is due when its oldest mutation is old enough; later ones do not postpone it', () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    lane.add(entryOf('a', set('1'), { position: 1 }), schema.blank, 1000)
    lane.add(entryOf('a', set('2'), { position: 2 }), schema.blank, 1090)
    expect(lane.dueAt).toBe(1100)
  })

  test('keeps a committed batch visible to a reader that began before the commit', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    write(lane, journal, 'a', increment(1))
    const release = lane.retain()
    await flush(lane, new Map())
    expect(lane.pendingOf('t', 'a', entryOf('a', remove).hash, 0).pieces).toHaveLength(1)
    release()
    expect(lane.pendingOf('t', 'a', entryOf('a', remove).hash, 0).pieces).toHaveLength(0)
    expect(lane.memoryBytes).toBe(0)
  })

  test('refuses to be rebuilt from a checkpoint that the journal no longer reaches', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    for (let at = 0; at < 10; at++) write(lane, journal, 'a', increment(1))
    await flush(lane, new Map())
    write(lane, journal, 'a', increment(1))
    journal.oldestPosition = 8
    await expect(lane.rebuild(3)).rejects.toMatchObject({ code: 'JOURNAL_GAP' })
  })

  test('says which cache is missing when pending mutations of an undeclared one come up', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    const entry = entryOf('a', set('1'), { cache: 'unknown' })
    journal.append([entry])
    lane.addSpilled(entry.position, entry.hash, entry.bytes, 0)
    await expect(lane.take()).rejects.toMatchObject({
      code: 'INVALID_STATE',
      details: { cache: 'unknown' },
    })
  })

  test('skips ahead while nothing older is pending, and later batches begin there', async () => {
    const journal = new MemoryJournal()
    const lane = laneOn(journal)
    journal.lastPosition = 50
    write(lane, journal, 'a', set('1'))
    expect(lane.passed(50)).toBe(true)
    expect(lane.passed(51)).toBe(false)
    lane.skipTo(50)
    expect((await lane.take())?.from).toBe(50)
  })
})
