/** What a lane's flusher does with what a store rarely says: at the commit, in the wrong place, or never. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test } from 'vitest'

import { silentLogger } from '../../src/base/log.ts'
import { DeadLetters } from '../../src/flush/dead-letters.ts'
import { Flusher } from '../../src/flush/flusher.ts'
import type { Entry, Mutation } from '../../src/mutation/mutation.ts'
import { Events } from '../../src/observe/events.ts'
import { StoreFailureError } from '../../src/store/failure.ts'
import { memoryStore, type MemoryStore } from '../../src/store/memory-store.ts'
import type { StoreTransaction, TableMutations } from '../../src/store/store.ts'
import { MemoryFiles } from '../../src/testing/memory-files.ts'
import { entryOf, increment, set, table } from '../support/flush-fixtures.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { MemoryJournal } from '../support/memory-journal.ts'

const signal = new AbortController().signal
const running: Flusher[] = []

afterEach(async () => {
  for (const flusher of running.splice(0)) await flusher.stop(1_000)
})

/** A flusher that runs, with a store whose transactions a test may put something in front of. */
async function started(given: { lanes?: number; memoryBytes?: number; stallMs?: number } = {}) {
  const clock = new ManualClock()
  const journal = new MemoryJournal(given.lanes ?? 1)
  const store = memoryStore({ tables: {} })
  const claim = { journal: journal.id, lanes: journal.lanes, epoch: 1 }
  const { positions } = await store.open(claim, { signal })
  const files = new MemoryFiles()
  await files.makeDirectory('/d')
  const deadLetters = await DeadLetters.open({ files, path: '/d/letters', clock })
  const events = new Events(silentLogger)
  const stalls: string[] = []
  events.on('stalled', ({ reason }) => stalls.push(reason))
  const forgotten: string[] = []
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => warnings.push(message) }
  const flusher = new Flusher({
    ports: { clock, random: { next: () => 0.5, uuid: () => '' }, files, logger },
    journal: () => journal,
    store,
    deadLetters,
    events,
    tables: new Map([['t', table]]),
    checkpoints: positions,
    forget: (_, key) => forgotten.push(key),
    onPressure: () => undefined,
    onUndeclared: () => undefined,
    options: {
      delayMs: 100,
      maxKeys: 100,
      maxBytes: 1e9,
      maxRowsPerSecond: undefined,
      retryBaseMs: 10,
      retryMaxMs: 100,
      memoryBytes: given.memoryBytes ?? 1e9,
      stallMs: given.stallMs ?? 1e9,
    },
  })
  flusher.start()
  running.push(flusher)
  /** In one append, each to a lane; the last one ends the group. */
  const write = (...writes: readonly (readonly [string, Mutation, number?])[]): Entry[] => {
    const entries = writes.map(([key, mutation, lane = 0], at) =>
      entryOf(key, mutation, { lane, continues: at < writes.length - 1 }),
    )
    journal.append(entries)
    flusher.add(entries)
    return entries
  }
  const rows = (): string[] => [...store.database.rows('t').keys()].sort()
  const letters = async () => (await deadLetters.list({}, { limit: 100 })).letters
  return {
    clock,
    files,
    journal,
    store,
    deadLetters,
    events,
    flusher,
    write,
    rows,
    letters,
    stalls,
    warnings,
    forgotten,
  }
}

function refused(more: { missingParent?: boolean } = {}): StoreFailureError {
  return new StoreFailureError({
    kind: 'rejected',
    code: '23514',
    message: 'a constraint',
    known: true,
    ...more,
  })
}

function conflict(): StoreFailureError {
  return new StoreFailureError({
    kind: 'conflict',
    code: '40P01',
    message: 'deadlock',
    known: true,
  })
}

/** Puts something in front of the calls of every transaction. */
function intercept(
  store: MemoryStore,
  calls: {
    write?: (tables: readonly TableMutations[]) => void
    commit?: (written: readonly string[]) => void
  },
): void {
  const begin = store.begin.bind(store)
  store.begin = async (...given): Promise<StoreTransaction> => {
    const transaction = await begin(...given)
    const written: string[] = []
    return {
      checkpoint: transaction.checkpoint,
      write: async (tables) => {
        calls.write?.(tables)
        await transaction.write(tables)
        written.push(...keysOf(tables))
      },
      commit: async (position) => {
        calls.commit?.(written)
        await transaction.commit(position)
      },
      rollback: () => transaction.rollback(),
    }
  }
}

/** Writes with this key are refused until the refusal ends. */
function refuse(store: MemoryStore, key: string): { readonly end: () => void } {
  let refusing = true
  intercept(store, {
    write: (tables) => {
      if (refusing && keysOf(tables).includes(key)) throw refused()
    },
  })
  return {
    end: () => {
      refusing = false
    },
  }
}

function keysOf(tables: readonly TableMutations[]): string[] {
  return tables.flatMap(({ rows }) => rows.map(({ key }) => key))
}

describe('a constraint that speaks only at the commit', () => {
  test('is found down to its row, which becomes a dead letter; all others go in', async () => {
    const { clock, store, write, rows, letters, flusher } = await started()
    intercept(store, {
      commit: (written) => {
        if (written.includes('bad')) throw refused()
      },
    })
    for (const key of ['a', 'b', 'bad', 'c', 'd']) write([key, set(key)])
    await clock.advance(1_000)
    expect(rows()).toEqual(['a', 'b', 'c', 'd'])
    expect(await letters()).toMatchObject([{ key: 'bad', reason: 'rejected', attempts: 1 }])
    expect(flusher.lanes[0]).toMatchObject({ checkpoint: 5, empty: true })
  })

  test('buries an atomic group as a whole', async () => {
    const { clock, store, write, rows, letters } = await started()
    intercept(store, {
      commit: (written) => {
        if (written.includes('bad')) throw refused()
      },
    })
    write(['a', set('a')])
    write(['b', set('b')], ['bad', set('x')])
    write(['c', set('c')])
    await clock.advance(1_000)
    expect(rows()).toEqual(['a', 'c'])
    const [first, second] = await letters()
    expect([first?.key, second?.key]).toEqual(['b', 'bad'])
    expect([first?.group, second?.group]).toEqual([first?.id, first?.id])
  })

  test('and is given up before its commit is answered has no effect, and its key is read anew', async () => {
    const { clock, store, write, rows, letters, deadLetters, flusher, forgotten } = await started()
    let commits = 0
    let refusing = true
    intercept(store, {
      write: (tables) => {
        if (refusing && keysOf(tables).includes('bad')) throw refused()
      },
      commit: () => {
        if (++commits === 1) throw conflict()
      },
    })
    write(['bad', set('x')])
    await clock.advance(101)
    expect(await letters()).toMatchObject([{ key: 'bad' }])
    await deadLetters.settle(['0-1'], 'discarded')
    // It would be taken now.
    refusing = false
    await clock.advance(1_000)
    expect(commits).toBe(2)
    expect(rows()).toEqual([])
    expect(await letters()).toEqual([])
    expect(forgotten).toEqual(['bad'])
    expect(flusher.lanes[0]).toMatchObject({ checkpoint: 1, empty: true })
  })

  test('and whose own transaction then fails is decided anew, once', async () => {
    const { clock, store, write, rows, letters } = await started()
    let outages = 2
    intercept(store, {
      commit: (written) => {
        if (written.includes('bad')) throw refused()
        // The commit that passes the letter is not answered, twice.
        if (written.length === 0 && outages-- > 0) {
          throw new StoreFailureError({ kind: 'outage', code: 'X', message: 'away', known: true })
        }
      },
    })
    write(['bad', set('x')])
    await clock.advance(5_000)
    write(['a', set('a')])
    await clock.advance(5_000)
    expect(rows()).toEqual(['a'])
    expect(await letters()).toMatchObject([{ key: 'bad' }])
    expect(outages).toBeLessThanOrEqual(0)
  })
})

describe('a store that stands elsewhere', () => {
  function moved(store: MemoryStore, journal: MemoryJournal, position: number): void {
    const held = store.database.lane(journal.id, 0)
    held.checkpoint = { ...held.checkpoint, position }
  }

  test('beyond the journal halts the lane: another copy of it has written', async () => {
    const { clock, store, journal, flusher, write, rows } = await started()
    write(['a', set('a')])
    moved(store, journal, 99)
    await clock.advance(1_000)
    expect(flusher.haltedBy).toMatchObject({ code: 'JOURNAL_GAP' })
    expect(flusher.laneState(0)).toBe('halted')
    expect(rows()).toEqual([])
  })

  test('in the middle of the batch has a part of it: the rest is applied, once', async () => {
    const { clock, store, journal, flusher, write } = await started()
    write(['n', increment(1)])
    write(['n', increment(10)])
    moved(store, journal, 1)
    await clock.advance(1_000)
    expect(store.database.rows('t').get('n')).toMatchObject({ count: 10 })
    expect(flusher.lanes[0]?.checkpoint).toBe(2)
  })

  test('behind an idle lane is found out when the lane is to skip ahead, and rolled forward', async () => {
    const { clock, store, journal, write, rows, flusher, events } = await started({ lanes: 2 })
    const rolled: unknown[] = []
    events.on('rolledForward', (event) => rolled.push(event))
    const restore = store.database.backup()
    write(['idle', set('x'), 1])
    await clock.advance(200)
    expect(rows()).toEqual(['idle'])
    // The backup has nothing of lane 1, whose flusher has nothing to do but to skip.
    restore()
    const stats = journal.stats()
    journal.stats = () => ({ ...stats, segments: 2 })
    for (let at = 0; at < 3; at++) {
      write([`busy${at}`, set('x'), 0])
      await clock.advance(1_000)
    }
    expect(rows()).toContain('idle')
    expect(rolled).toMatchObject([{ lane: 1 }])
    expect(flusher.haltedBy).toBeUndefined()
  })

  test('lets go of who waits meanwhile, although there is nothing to write again', async () => {
    const { clock, store, journal, write, flusher } = await started({ lanes: 2 })
    write(['idle', set('x'), 1])
    await clock.advance(200)
    const restore = store.database.backup()
    const stats = journal.stats()
    journal.stats = () => ({ ...stats, segments: 2 })
    for (let at = 0; at < 3; at++) {
      write([`busy${at}`, set('x'), 0])
      await clock.advance(1_000)
    }
    // Only a skip is undone for this lane, and there is no reason for another one.
    expect(flusher.lanes[1]?.checkpoint).toBeGreaterThan(1)
    journal.stats = () => ({ ...stats, segments: 1 })
    restore()
    const scan = journal.scan.bind(journal)
    let waiting: Promise<void> | undefined
    journal.scan = async (...given) => {
      await Promise.resolve()
      waiting ??= flusher.whenAllApplied({ timeoutMs: 10_000 })
      return scan(...given)
    }
    const verified = flusher.verify(1, { timeoutMs: 10_000 })
    await clock.settle()
    await clock.advance(20_000)
    await verified
    expect(flusher.lanes[1]?.rebuilds).toBe(1)
    await expect(waiting).resolves.toBeUndefined()
  })

  test('does not decide again what was discarded', async () => {
    const { clock, store, write, letters, rows, deadLetters, flusher, journal } = await started()
    const refusal = refuse(store, 'n')
    const restore = store.database.backup()
    write(['n', increment(5)])
    await clock.advance(1_000)
    const [letter] = await letters()
    await deadLetters.settle([letter?.id ?? ''], 'discarded')
    restore()
    refusal.end()
    write(['a', set('a')])
    for (let at = 0; at < 4; at++) await clock.advance(500)
    expect(rows()).toEqual(['a'])
    expect(await letters()).toEqual([])
    // Once the journal has let go of it, it is forgotten.
    await journal.trim(2)
    journal.oldestPosition = 2
    write(['b', set('b')])
    for (let at = 0; at < 4; at++) await clock.advance(500)
    expect([...deadLetters.discardedBeyond(0, 0)]).toEqual([])
    expect(flusher.lanes[0]?.checkpoint).toBe(3)
  })

  test('knows of a retry that is on its way when it finds out', async () => {
    const { clock, store, write, letters, journal, flusher } = await started()
    const refusal = refuse(store, 'n')
    const restore = store.database.backup()
    write(['n', increment(5)])
    await clock.advance(1_000)
    const [letter] = await letters()
    restore()
    refusal.end()
    // In the journal's buffer, and durable only after the lane has been rebuilt.
    const retry = entryOf('n', increment(5), { retryOf: letter?.id ?? '' })
    const { promise: synced, resolve: sync } = Promise.withResolvers<void>()
    journal.whenDurable = () => synced
    journal.durablePosition = 1
    journal.lastPosition = 2
    const verified = flusher.verify(0, { timeoutMs: 10_000 })
    await clock.settle()
    journal.append([retry])
    flusher.add([retry])
    sync()
    await verified
    for (let at = 0; at < 4; at++) await clock.advance(500)
    expect(store.database.rows('t').get('n')).toMatchObject({ count: 5 })
    expect(await letters()).toEqual([])
  })

  test('applies nothing before the dead letters that it undoes are withdrawn', async () => {
    const { clock, store, files, write, letters, rows } = await started()
    const refusal = refuse(store, 'n')
    const restore = store.database.backup()
    write(['n', increment(5)])
    await clock.advance(1_000)
    expect(await letters()).toMatchObject([{ key: 'n' }])
    restore()
    refusal.end()
    let failures = 0
    files.plan = ({ kind }) => (kind === 'write' && failures++ < 3 ? { code: 'ENOSPC' } : undefined)
    write(['a', set('a')])
    for (let at = 0; at < 20; at++) await clock.advance(500)
    expect(failures).toBeGreaterThan(3)
    expect(rows()).toEqual(['a', 'n'])
    expect(store.database.rows('t').get('n')).toMatchObject({ count: 5 })
    // A letter that stayed could be retried, and the increment would count twice.
    expect(await letters()).toEqual([])
  })
})

describe('a row whose parent is still on its way', () => {
  test('waits although it is the first of its lane, and goes in once the other lane has passed', async () => {
    const { clock, store, write, rows, letters } = await started({ lanes: 2 })
    let heldUp = false
    intercept(store, {
      write: (tables) => {
        const keys = keysOf(tables)
        if (keys.includes('parent') && !heldUp) {
          heldUp = true
          throw conflict()
        }
        if (keys.includes('child') && !keys.includes('parent') && !rows().includes('parent')) {
          throw refused({ missingParent: true })
        }
      },
    })
    write(['parent', set('p'), 1])
    write(['child', set('c'), 0])
    await clock.advance(100)
    // The parent's lane has lost against another transaction, so the child is tried before it.
    expect([heldUp, rows()]).toEqual([true, []])
    for (let at = 0; at < 10; at++) await clock.advance(500)
    expect(rows()).toEqual(['child', 'parent'])
    expect(await letters()).toEqual([])
  })
})

describe('a broken invariant', () => {
  test('halts flushing and says so; nothing is applied out of order', async () => {
    const { clock, journal, flusher, write, rows } = await started({ memoryBytes: 0 })
    write(['a', set('a')])
    write(['b', set('b')])
    // Both have left memory, and the journal has lost one of them.
    journal.entries.splice(1, 1)
    await clock.advance(1_000)
    expect(flusher.haltedBy).toMatchObject({ code: 'ASSERTION' })
    expect(flusher.haltedBy?.message).toContain('invariant broken')
    expect(rows()).toEqual([])
  })
})

describe('waiting', () => {
  test('for a lane that is fenced or stopped ends at once, with the reason', async () => {
    const { clock, flusher, store, write } = await started({ lanes: 2 })
    const fenced: unknown[] = []
    write(['a', set('a'), 0])
    write(['b', set('b'), 1])
    const waiting = flusher.whenApplied(0, 1, {}).catch((error: unknown) => fenced.push(error))
    store.inject({ at: 'begin', kind: 'fenced' }, { at: 'begin', kind: 'fenced' })
    await clock.advance(1_000)
    await waiting
    expect(fenced).toMatchObject([{ code: 'FENCED' }])
    await expect(flusher.whenApplied(0, 1, {})).rejects.toMatchObject({ code: 'FENCED' })

    const other = await started()
    other.flusher.pause()
    other.write(['a', set('a')])
    await other.flusher.stop(1_000)
    await expect(other.flusher.whenApplied(0, 1, {})).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('what is said', () => {
  test('of a stall is why: the pause, the halt, or the store', async () => {
    const { clock, flusher, store, write, stalls } = await started({ stallMs: 400 })
    flusher.pause()
    write(['a', set('a')])
    await clock.advance(1_000)
    expect(stalls).toEqual(['paused'])
    expect(flusher.drainEstimateMs).toBeUndefined()
    store.inject({ at: 'begin', kind: 'misconfigured' })
    flusher.resume()
    await clock.advance(1_000)
    expect(flusher.haltedBy?.kind).toBe('misconfigured')
    flusher.resume()
    await clock.advance(1_000)
    expect(flusher.drainEstimateMs).toBe(0)
    write(['b', set('b')])
    store.inject({ at: 'begin', kind: 'misconfigured' })
    await clock.advance(2_000)
    expect(stalls.at(-1)).toContain('An injected fault of kind misconfigured')
    expect(flusher.drainEstimateMs).toBeGreaterThanOrEqual(0)
  })

  test('of a journal that cannot be trimmed is a warning, unless it is closed by then', async () => {
    const { clock, journal, write, warnings } = await started()
    journal.trim = () => Promise.reject(new Error('read-only'))
    write(['a', set('a')])
    await clock.advance(1_000)
    expect(warnings).toEqual(['the journal could not be trimmed'])
    journal.trim = () => Promise.reject(Object.assign(new Error('closed'), { code: 'CLOSED' }))
    write(['b', set('b')])
    await clock.advance(1_000)
    // Any error but the journal's own CLOSED is told.
    expect(warnings).toHaveLength(2)
  })

  test('of dead letters goes to the channel: refused with the store’s code, parked as such', async () => {
    const { clock, store, write } = await started()
    const told: { key: string; code: string; reason: string }[] = []
    const note = (message: unknown): void => void told.push(message as (typeof told)[number])
    subscribe('daybook:dead-letter', note)
    try {
      store.reject(({ key }) => key === 'n')
      write(['n', increment(1)])
      await clock.advance(1_000)
      store.reject(undefined)
      write(['n', increment(2)])
      await clock.advance(1_000)
    } finally {
      unsubscribe('daybook:dead-letter', note)
    }
    expect(told).toMatchObject([
      { key: 'n', code: 'REJECTED', reason: 'rejected' },
      { key: 'n', code: 'PARKED', reason: 'parked' },
    ])
  })
})

describe('a process that is fenced', () => {
  test('ends the waits for a look at the checkpoint, those under way and those to come', async () => {
    const { flusher, store, clock, journal } = await started()
    const limits = { timeoutMs: 1e9 }
    const successor = memoryStore({ database: store.database })
    await successor.open({ journal: journal.id, lanes: 1, epoch: 2 }, { signal })
    const looking = expect(flusher.verify(0, limits)).rejects.toMatchObject({ code: 'FENCED' })
    await clock.settle()
    await looking
    await expect(flusher.verify(0, limits)).rejects.toMatchObject({ code: 'FENCED' })
    expect(flusher.laneState(0)).toBe('fenced')
  })
})
