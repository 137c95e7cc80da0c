/** Looking into a book that runs, and changing it: pending mutations, one key's places, options in force. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Cache } from '../../src/book/cache.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { openIn, user, world, type User } from '../support/book-fixture.ts'

let book: Daybook
let store: MemoryStore
let users: Cache<User>

beforeEach(async () => {
  const opened = await openIn(world(2))
  book = opened.book
  store = opened.store
  users = book.cache<User>('users', { table: 'users', key: 'id' })
  await users.ready()
})

afterEach(async () => {
  book.resume()
  await book.close()
})

describe('pending mutations', () => {
  it('are listed one by one, lane by lane, and pages hang together', async () => {
    book.pause()
    for (let at = 0; at < 7; at++) await users.set(`u${at}`, user(`n${at}`))
    await users.merge('u1', { name: 'Ada' })
    const all = (await book.pending()).mutations
    expect(all).toHaveLength(8)
    expect(new Set(all.map(({ position }) => position)).size).toBe(8)
    const paged = []
    let after: string | undefined
    do {
      const page = await book.pending({}, { after, limit: 3 })
      expect(page.mutations.length).toBeLessThanOrEqual(3)
      paged.push(...page.mutations)
      after = page.next
    } while (after !== undefined)
    expect(paged).toEqual(all)
    expect(all.filter(({ key }) => key === 'u1').map(({ mutation }) => mutation.kind)).toEqual([
      'set',
      'patch',
    ])
  })

  it('can be filtered by cache, key, prefix and lane', async () => {
    book.pause()
    const things = book.cache('things')
    await users.set('a1', user('x'))
    await users.set('a2', user('y'))
    await things.set('a1', { any: 1 })
    const keysOf = async (filter: Parameters<Daybook['pending']>[0]): Promise<string[]> =>
      (await book.pending(filter)).mutations.map(({ cache, key }) => `${cache}:${key}`).sort()
    expect(await keysOf({ cache: 'things' })).toEqual(['things:a1'])
    expect(await keysOf({ key: 'a1' })).toEqual(['things:a1', 'users:a1'])
    expect(await keysOf({ cache: 'users', keyPrefix: 'a' })).toEqual(['users:a1', 'users:a2'])
    const lanes = [await keysOf({ lane: 0 }), await keysOf({ lane: 1 })]
    expect(lanes.flat().sort()).toEqual(await keysOf({}))
  })

  it('are gone once they are in the store', async () => {
    await users.set('a', user('x'))
    await book.flush()
    expect(await book.pending()).toEqual({ mutations: [] })
  })

  it.each([
    ['limit', { limit: 0 }],
    ['limit', { limit: 1_001 }],
    ['after', { after: 'the beginning' }],
  ])('are refused for a wrong %s', async (path, page) => {
    await expect(book.pending({}, page)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path },
    })
  })
})

describe('an inspected key', () => {
  it('shows cache, journal and store side by side', async () => {
    await users.set('42', user('Ada', { visits: 1 }))
    await book.flush()
    book.pause()
    await users.increment('42', { visits: 2 })
    await users.merge('42', { name: 'Ada L.' })
    const seen = await users.inspect('42')
    expect(seen.held?.value).toMatchObject({ name: 'Ada L.', visits: 3 })
    expect(seen.mutation).toEqual({
      kind: 'patch',
      fields: { name: 'Ada L.' },
      amounts: { visits: 2 },
    })
    expect(seen.stored).toEqual({ value: user('Ada', { visits: 1 }) })
    expect(seen).toMatchObject({ key: '42', cached: true, pending: true, deadLetters: [] })
  })

  it('reads from the journal what has left memory', async () => {
    await book.close()
    const opened = await openIn(world(1), { pressure: { memoryBytes: 0 } })
    book = opened.book
    users = book.cache<User>('users', { table: 'users', key: 'id' })
    book.pause()
    await users.set('42', user('Ada'))
    await users.increment('42', { visits: 2 })
    expect(book.stats().pending.spilledMutations).toBe(2)
    const { mutation } = await users.inspect('42')
    expect(mutation).toEqual({ kind: 'set', fields: user('Ada', { visits: 2 }) })
  })

  it('says what is not there, without caching the answer', async () => {
    const seen = await users.inspect('nobody')
    expect(seen).toMatchObject({
      held: undefined,
      mutation: undefined,
      stored: { value: undefined },
    })
    expect((await users.status('nobody')).cached).toBe(false)
  })

  it('still shows what it can while the store is away', async () => {
    await users.set('42', user('Ada'))
    await book.flush()
    store.inject({ at: 'load' })
    const seen = await users.inspect('42')
    expect(seen.held?.value).toMatchObject({ name: 'Ada' })
    expect(seen.stored).toMatchObject({ failure: { code: 'STORE_UNAVAILABLE' } })
  })
})

describe('options', () => {
  it('change while it is open, and are in force at once', async () => {
    book.configure({ flush: { delayMs: 86_400_000 } })
    await users.set('slow', user('x'))
    expect(book.stats().pending.mutations).toBe(1)
    const flushed = new Promise((resolve) => book.on('flushed', resolve))
    book.configure({ flush: { delayMs: 1 } })
    await flushed
    expect(book.stats().pending.mutations).toBe(0)
    expect(book.options.flush.delayMs).toBe(1)
    // What was not named is as it was.
    expect(book.options.flush.retryMaxMs).toBe(10)
  })

  it('with a smaller budget move batches out of memory', async () => {
    book.pause()
    await users.set('a', user('x'))
    expect(book.stats().pending.spilledMutations).toBe(0)
    book.configure({ pressure: { memoryBytes: 0 } })
    expect(book.stats()).toMatchObject({
      pending: { spilledMutations: 1 },
      pressure: { state: 'spilling' },
      limits: { memoryBytes: 0 },
    })
  })

  it('set a rate limit and take it away again', () => {
    book.configure({ flush: { maxRowsPerSecond: 10 } })
    expect(book.options.flush.maxRowsPerSecond).toBe(10)
    book.configure({ flush: { maxRowsPerSecond: null } })
    expect(book.options.flush.maxRowsPerSecond).toBeUndefined()
  })

  it.each([
    ['lanes', { lanes: 3 }],
    ['flush.delayMs', { flush: { delayMs: -1 } }],
    ['flush.delayMS', { flush: { delayMS: 1 } }],
    ['flush', { flush: 5 }],
    ['flush.retryBaseMs', { flush: { retryBaseMs: 11 } }],
  ])('are refused as a whole where %s is wrong', (path, wrong) => {
    const before = book.options
    const changes = { stallMs: 12_345, ...wrong } as Parameters<Daybook['configure']>[0]
    expect(() => book.configure(changes)).toThrowError(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        details: expect.objectContaining({ path }) as object,
      }) as Error,
    )
    expect(book.options).toEqual(before)
  })

  it('are refused when it is closed', async () => {
    await book.close()
    expect(() => book.configure({ stallMs: 1_000 })).toThrow('The daybook is closed.')
  })
})

it('counts what became durable', async () => {
  await users.set('a', user('x'))
  await users.increment('a', { visits: 1 })
  expect(book.stats().acknowledged).toBe(2)
})

describe('keys', () => {
  it('are right where the journal lets go of what is flushed while it is read', async () => {
    const place = world(1)
    const opened = await openIn(place)
    const cache = opened.book.cache<User>('users', { table: 'users', key: 'id' })
    opened.book.pause()
    for (const key of ['a', 'b', 'c']) await cache.set(key, user(key))
    await cache.delete('a')
    const { journal } = place
    // The first reader gets as far as the writes before the delete.
    vi.spyOn(journal, 'read').mockImplementationOnce(async function* () {
      yield journal.entries.slice(0, 3)
      opened.book.resume()
      await opened.book.flush()
      journal.oldestPosition = journal.lastPosition + 1
      yield* journal.read(0, 0, journal.lastPosition)
    })
    const keys: string[] = []
    for await (const key of cache.keys()) keys.push(key)
    expect(keys.sort()).toEqual(['b', 'c'])
    await opened.book.close()
  })
})
