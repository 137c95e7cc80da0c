/** Opening a book on a store that does not answer as it should. */

import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'

import { Deferred } from '../../src/base/deadline.ts'
import { openBook, type OpenJournal } from '../../src/book/open.ts'
import type { DaybookOptions } from '../../src/book/options.ts'
import { openDaybook } from '../../src/open-daybook.ts'
import { memoryStore, type MemoryStore } from '../../src/store/memory-store.ts'
import { temporaryDirectory } from '../recovery/ledger-database.ts'
import { openIn, userTables, world } from '../support/book-fixture.ts'
import { ManualClock } from '../support/manual-clock.ts'

describe('opening', () => {
  test('waits for a store that is away or busy, and then claims it once', async () => {
    const place = world(2)
    const store = memoryStore({ database: place.database })
    store.inject(
      { at: 'open', kind: 'outage' },
      { at: 'open', kind: 'conflict' },
      { at: 'open', kind: 'outage', applied: true },
    )
    const options = { directory: '/book', store, flush: { retryBaseMs: 1, retryMaxMs: 2 } }
    const book = await openBook(options, place.ports, place.journal.open)
    expect(book.stats().state).toBe('open')
    await book.close()
  })

  test.each([
    ['outage', 'STORE_UNAVAILABLE'],
    ['misconfigured', 'STORE_MISCONFIGURED'],
  ] as const)('on a store with an %s ends with %s, and leaves nothing open', async (kind, code) => {
    const place = world(1)
    const store = memoryStore({ database: place.database })
    store.inject(...Array.from({ length: 200 }, () => ({ at: 'open', kind }) as const))
    const options = {
      directory: '/book',
      store,
      openTimeoutMs: 20,
      flush: { retryBaseMs: 1, retryMaxMs: 5 },
    }
    await expect(openBook(options, place.ports, place.journal.open)).rejects.toMatchObject({ code })
    expect(place.journal.state).toBe('closed')
    const { book } = await openIn(place)
    await book.close()
  })

  test('with other lanes than the journal has is refused, and with the same is not', async () => {
    const place = world(2)
    await expect(openIn(place, { lanes: 3 })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path: 'lanes', lanes: 2 },
    })
    const { book } = await openIn(place, { lanes: 2 })
    await book.close()
  })

  test('with something that is no store says what it lacks', async () => {
    const place = world(1)
    const store = { ...memoryStore(), begin: undefined } as never
    await expect(
      openBook({ directory: '/book', store }, place.ports, place.journal.open),
    ).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('it lacks') as string,
    })
  })
})

describe('opening that is told to stop', () => {
  /** A world whose clock stands still, and what stops an opening in it. */
  function setUp() {
    const clock = new ManualClock()
    const place = world(2, { clock })
    const store = memoryStore({ tables: userTables, database: place.database })
    const abort = new AbortController()
    const open = (
      given: Partial<DaybookOptions> = {},
      openJournal: OpenJournal = place.journal.open,
    ) => {
      const options = { directory: '/book', store, signal: abort.signal, ...given }
      return openBook(options, place.ports, openJournal)
    }
    /** Nothing is left of it, and the next one opens. */
    const leavesNothing = async (): Promise<void> => {
      expect(place.journal.state).toBe('closed')
      expect(clock.armed).toBe(0)
      expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
      const { book } = await openIn(place)
      expect(book.stats().state).toBe('open')
      await book.close()
    }
    return { abort, clock, leavesNothing, open, place, store }
  }

  const aborted = { code: 'ABORTED', cause: 'enough' }

  test('while the store does not answer lets go of everything at once', async () => {
    const { abort, clock, leavesNothing, open, store } = setUp()
    store.inject({ at: 'open', kind: 'none', until: new Promise(() => undefined) })
    const opening = open()
    await clock.settle()
    abort.abort('enough')
    await expect(opening).rejects.toMatchObject(aborted)
    await leavesNothing()
  })

  test('between two attempts does not wait for the next one', async () => {
    const { abort, clock, leavesNothing, open, store } = setUp()
    store.inject({ at: 'open', kind: 'outage' }, { at: 'open', kind: 'outage' })
    const opening = open({ flush: { retryBaseMs: 1000 } })
    await clock.settle()
    // The pause: time stands still.
    expect(clock.armed).toBeGreaterThan(0)
    abort.abort('enough')
    await expect(opening).rejects.toMatchObject(aborted)
    await leavesNothing()
  })

  test.each(['none', 'outage'] as const)(
    'takes no notice of a store that answers too late (%s)',
    async (kind) => {
      const { abort, clock, leavesNothing, open, store } = setUp()
      const answers = new Deferred<void>()
      store.inject({ at: 'open', kind, until: answers.promise })
      const opening = open()
      await clock.settle()
      abort.abort('enough')
      await expect(opening).rejects.toMatchObject(aborted)
      // An unhandled rejection would fail the run.
      answers.resolve()
      await clock.settle()
      await leavesNothing()
    },
  )

  test('does not wait for a store that is asked for the tables of earlier caches', async () => {
    const { abort, clock, leavesNothing, open, place, store } = setUp()
    const { book } = await openIn(place)
    await book.cache('users', { table: 'users', key: 'id' }).ready()
    await book.close()
    const never = { describe: () => new Promise<never>(() => undefined) }
    const opening = open({ store: Object.assign(store, never) })
    await clock.settle()
    abort.abort('enough')
    await expect(opening).rejects.toMatchObject(aborted)
    await leavesNothing()
  })

  test.each(['the journal', 'the store', 'the index'])('goes no further than %s', async (step) => {
    const { abort, leavesNothing, open, place, store } = setUp()
    let asked = 0
    const openJournal: OpenJournal = async (...given) => {
      const journal = await place.journal.open(...given)
      if (step === 'the journal') abort.abort('enough')
      return journal
    }
    const counted: Partial<MemoryStore> = {
      open: (...given) => {
        asked++
        if (step === 'the store') abort.abort('enough')
        return memoryStore({ database: place.database }).open(...given)
      },
    }
    const scan = place.journal.scan.bind(place.journal)
    place.journal.scan = async (...given) => {
      if (step === 'the index') abort.abort('enough')
      await scan(...given)
    }
    const opening = open({ store: Object.assign(store, counted) }, openJournal)
    await expect(opening).rejects.toMatchObject(aborted)
    expect(asked).toBe(step === 'the journal' ? 0 : 1)
    await leavesNothing()
  })

  test('before it began makes nothing', async () => {
    const { abort, open, place } = setUp()
    abort.abort('enough')
    await expect(open()).rejects.toMatchObject(aborted)
    expect(await place.ports.files.list('/').catch(() => [])).toEqual([])
  })

  test('gives the directory back, and an open book is none of the signal’s business', async () => {
    const directory = temporaryDirectory()
    const abort = new AbortController()
    const store = memoryStore()
    const asked = new Deferred<void>()
    const never = {
      open: () => {
        asked.resolve()
        return new Promise<never>(() => undefined)
      },
    }
    const opening = openDaybook({
      directory,
      store: Object.assign(store, never),
      signal: abort.signal,
    })
    await asked.promise
    abort.abort('enough')
    await expect(opening).rejects.toMatchObject(aborted)
    const later = new AbortController()
    await using book = await openDaybook({
      directory,
      store: memoryStore(),
      signal: later.signal,
    })
    later.abort()
    await book.cache('documents').set('a', { n: 1 })
    await book.flush()
  })

  test('by something that is no signal is refused', async () => {
    const { open } = setUp()
    await expect(open({ signal: { aborted: true } as AbortSignal })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path: 'signal' },
    })
  })
})
