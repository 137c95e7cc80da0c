/** What happens when two things happen at once, and when something happens a moment too late. */

import { describe, expect, test } from 'vitest'

import type { DaybookError } from '../../src/base/errors.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { openIn, user, world, type User } from '../support/book-fixture.ts'
import { ManualClock } from '../support/manual-clock.ts'

async function opened(options = {}, cacheOptions = {}, lanes = 1, ports = {}) {
  const place = world(lanes, ports)
  const { book, store } = await openIn(place, options)
  const users = book.cache<User>('users', { table: 'users', key: 'id', ...cacheOptions })
  await users.ready()
  return { place, book, store, users }
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: DaybookError) => error.code,
  )
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const never = { flush: { delayMs: 100_000 } }

describe('what is not durable yet', () => {
  test('is not persisted, although its lane knows nothing of it', async () => {
    const { book, place, users } = await opened()
    place.journal.automatic = false
    const receipt = await users.set('1', user('a'), { durability: 'memory' })
    expect(await book.persisted(receipt, { timeoutMs: 0 })).toBe('pending')
    place.journal.commit()
    expect(await book.persisted(receipt)).toBe('persisted')
    await book.close()
  })

  test('does not decide that nothing is written: where it is undone, the decision is made anew', async () => {
    const { book, place, users } = await opened(never)
    place.journal.automatic = false
    const undone = users.set('1', user('undone'))
    const absent = users.setIfAbsent('1', user('second'))
    const left = users.update('1', () => undefined)
    await turn()
    place.journal.fail()
    expect(await codeOf(undone)).toBe('JOURNAL_FULL')
    place.journal.automatic = true
    await turn()
    place.journal.commit()
    expect(await absent).toBe(true)
    expect(await left).not.toEqual(user('undone'))
    await book.close()
  })

  test('is not shown by peek once it is undone', async () => {
    const { book, place, users } = await opened(never)
    place.journal.automatic = false
    const undone = codeOf(users.set('1', user('undone')))
    const peeked = users.peek('1')
    await turn()
    place.journal.fail()
    expect(await undone).toBe('JOURNAL_FULL')
    expect(await peeked).toBeUndefined()
    place.journal.automatic = true
    await book.close()
  })

  test('keeps its readers waiting, and fails with the journal for good where a sync failed', async () => {
    const { book, place, users } = await opened(never)
    const failed: string[] = []
    book.on('journalFailed', ({ reason }) => failed.push(reason))
    await users.set('2', user('b'))
    place.journal.automatic = false
    const write = codeOf(users.set('1', user('a')))
    const read = codeOf(users.get('1'))
    await turn()
    place.journal.poison()
    expect([await write, await read]).toEqual(['JOURNAL_FAILED', 'JOURNAL_FAILED'])
    expect(await codeOf(users.set('3', user('c')))).toBe('JOURNAL_FAILED')
    expect(await users.get('2')).toEqual(user('b'))
    expect(failed).toHaveLength(1)
    await book.close()
  })
})

describe('calls that are not awaited', () => {
  test('are applied in the order of the calls, whatever their options', async () => {
    const { book, users } = await opened(never)
    const calls = [
      users.set('1', user('first'), { timeoutMs: 1000 }),
      users.set('1', user('second')),
      book.batch((writes) => writes.merge(users, '1', { name: 'third' })),
      users.merge('1', { visits: 3 }),
    ]
    await Promise.all(calls)
    expect(await users.get('1')).toEqual(user('third', { visits: 3 }))
    await book.close()
  })

  test('wait for one value that is made, each with its own signal', async () => {
    const { book, users } = await opened()
    const abort = new AbortController()
    const { promise, resolve } = Promise.withResolvers<User>()
    const first = codeOf(users.getOrSet('1', () => promise, { signal: abort.signal }))
    const second = users.getOrSet('1', () => promise)
    await turn()
    await turn()
    abort.abort()
    resolve(user('made'))
    expect(await first).toBe('ABORTED')
    expect(await second).toEqual(user('made'))
    expect(await codeOf(users.getOrSet('2', () => Promise.reject(new Error('no'))))).toBe(undefined)
    expect(await users.getOrSet('2', () => user('again'))).toEqual(user('again'))
    await book.close()
  })

  test('cannot update with an async function, and its rejection bothers nobody', async () => {
    const { book, users } = await opened()
    const change = (() => Promise.reject(new Error('late'))) as unknown as () => User
    expect(await codeOf(users.update('1', change))).toBe('INVALID_VALUE')
    expect(book.stats().pending.mutations).toBe(0)
    await book.close()
  })
})

describe('a read under way', () => {
  test('does not bring back what became a dead letter meanwhile', async () => {
    const { book, place, store, users } = await opened()
    await users.set('1', user('a', { visits: 1 }))
    await book.flush()
    book.pause()
    await users.increment('1', { visits: 5 }, { returning: false })
    await users.invalidate('1')
    const { promise, resolve } = Promise.withResolvers<undefined>()
    store.inject({ at: 'load', kind: 'none', until: promise })
    const read = users.get('1')
    await turn()
    await turn()
    store.reject((row) => row.mutation.kind === 'patch')
    book.resume()
    await book.flush()
    expect(book.deadLetters.count).toBe(1)
    resolve(undefined)
    expect((await read)?.visits).toBe(1)
    expect((await users.get('1'))?.visits).toBe(1)
    expect(place.database.rows('users').get('1')?.visits).toBe(1)
    await book.close()
  })

  test('that ended in a timeout does not write afterwards', async () => {
    const clock = new ManualClock()
    const { book, place, users } = await opened({ ...never, loadTimeoutMs: 100 }, {}, 1, { clock })
    place.journal.automatic = false
    const slow = users.set('other', user('o'))
    const adding = codeOf(users.increment('1', { visits: 1 }))
    await clock.advance(250)
    expect(await adding).toBe('TIMEOUT')
    place.journal.commit()
    await slow
    await clock.settle()
    place.journal.commit()
    expect(place.journal.lastPosition).toBe(1)
    place.journal.automatic = true
    await book.close({ drainTimeoutMs: 0 })
  })
})

describe('changes that need the current value, under pressure', () => {
  test('keep their place in line and write in their turn', async () => {
    const { book, place, users } = await opened(never)
    await users.set('1', user('a', { visits: 1 }))
    place.journal.setFull(true)
    const calls = [
      users.set('1', user('b', { visits: 10 })),
      users.increment('1', { visits: 1 }),
      // It has to be loaded first, and stands in line after that.
      users.increment('cold', { visits: 1 }),
      users.update('1', (now) => ({ ...user('c'), visits: (now?.visits ?? 0) * 2 })),
      users.set('2', user('z')),
    ]
    for (let at = 0; at < 5; at++) await turn()
    expect(place.journal.lastPosition).toBe(1)
    place.journal.setFull(false)
    await Promise.all(calls)
    const written = place.journal.entries.map((entry) => `${entry.mutation.kind} ${entry.key}`)
    expect(written).toEqual(['set 1', 'set 1', 'patch 1', 'set 1', 'set 2', 'patch cold'])
    expect(await users.get('1')).toEqual(user('c', { visits: 22 }))
    await book.close()
  })

  test('end with their deadline, and write nothing after it', async () => {
    const clock = new ManualClock()
    const { book, place, users } = await opened(never, {}, 1, { clock })
    const written = users.set('1', user('a'))
    await clock.settle()
    await written
    place.journal.setFull(true)
    const late = codeOf(users.increment('1', { visits: 1 }, { timeoutMs: 300 }))
    await clock.advance(299)
    const before = place.journal.lastPosition
    await clock.advance(1)
    expect(await late).toBe('JOURNAL_FULL')
    place.journal.setFull(false)
    await clock.advance(100)
    expect(place.journal.lastPosition).toBe(before)
    await book.close({ drainTimeoutMs: 0 })
  })

  test('fail with the journal while they stand in line, however many they are', async () => {
    const { book, place, users } = await opened({ pressure: { waitMs: 60_000 } })
    await users.set('1', user('a'))
    place.journal.setFull(true)
    const calls = Array.from({ length: 20_000 }, () => codeOf(users.merge('1', { visits: 1 })))
    await turn()
    place.journal.poison()
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['JOURNAL_FAILED']))
    await book.close({ drainTimeoutMs: 0 })
  })
})

describe('a commit that was never answered', () => {
  test('of a range with refused rows is found out, and what was refused is no longer shown', async () => {
    const { book, place, store, users } = await opened({
      flush: { delayMs: 1, retryBaseMs: 1, retryMaxMs: 2 },
    })
    await users.set('1', user('a', { visits: 1 }))
    await book.flush()
    const buried: string[] = []
    book.on('deadLettered', ({ letters }) => buried.push(...letters))
    book.pause()
    await users.increment('1', { visits: 5 })
    store.reject((row) => row.mutation.kind === 'patch')
    store.inject({ at: 'commit', kind: 'outage', applied: true })
    book.resume()
    await book.flush()
    expect(buried).toHaveLength(1)
    expect((await users.get('1'))?.visits).toBe(1)
    expect(place.database.rows('users').get('1')?.visits).toBe(1)
    await book.close()
  })

  test('leaves no dead letter of what is applied after all', async () => {
    const { book, place, store, users } = await opened({
      flush: { delayMs: 1, retryBaseMs: 1, retryMaxMs: 2 },
    })
    await users.set('1', user('a', { visits: 1 }))
    await book.flush()
    book.pause()
    await users.increment('1', { visits: 5 })
    store.reject((row) => row.mutation.kind === 'patch')
    store.inject({ at: 'commit', kind: 'outage' })
    book.on('retrying', () => store.reject(undefined))
    book.resume()
    await book.flush()
    expect(book.deadLetters.count).toBe(0)
    expect(place.database.rows('users').get('1')?.visits).toBe(6)
    await book.close()
  })
})

describe('a store that refuses the transaction itself', () => {
  test('is tried again with pauses, and loses nothing', async () => {
    const { book, place, store, users } = await opened()
    const stalled: string[] = []
    book.on('stalled', ({ reason }) => stalled.push(reason))
    store.inject(...Array.from({ length: 5 }, () => ({ at: 'begin', kind: 'rejected' }) as const))
    await users.increment('1', { visits: 1 }, { returning: false })
    await book.flush()
    expect(place.database.rows('users').get('1')?.visits).toBe(1)
    expect(book.stats().retries).toBeGreaterThan(0)
    expect(stalled).toHaveLength(1)
    expect(book.deadLetters.count).toBe(0)
    await book.close()
  })

  test('in favour of another one while an idle lane looks back: it looks again by itself', async () => {
    const { book, place, store, users } = await opened()
    const restore = place.database.backup()
    await users.set('1', user('a'))
    await book.flush()
    await users.invalidate('1')
    restore()
    store.inject({ at: 'begin', kind: 'conflict' }, { at: 'begin', kind: 'conflict' })
    expect(await users.get('1')).toEqual(user('a'))
    await book.flush()
    expect(place.database.rows('users').get('1')).toEqual(user('a'))
    await book.close()
  })
})

describe('retries of dead letters', () => {
  test('of one letter by two callers apply it once', async () => {
    const { book, place, store, users } = await opened()
    store.reject(() => true)
    await users.increment('1', { visits: 2 }, { returning: false })
    await book.flush()
    store.reject(undefined)
    const results = await Promise.all([book.deadLetters.retry({}), book.deadLetters.retry({})])
    expect(results.map(({ receipts }) => receipts.length).sort()).toEqual([0, 1])
    await book.flush()
    expect(place.database.rows('users').get('1')?.visits).toBe(2)
    await book.close()
  })

  test('of an atomic group that has a key twice let it pass', async () => {
    const { book, place, store, users } = await opened()
    store.reject(() => true)
    await book.batch((writes) => {
      writes.increment(users, '1', { visits: 1 })
      writes.increment(users, '2', { visits: 1 })
      writes.increment(users, '1', { visits: 1 })
    })
    await book.flush()
    store.reject(undefined)
    expect((await book.deadLetters.retry({ first: 1 })).receipts).toHaveLength(3)
    await book.flush()
    expect(book.deadLetters.count).toBe(0)
    expect(place.database.rows('users').get('1')?.visits).toBe(2)
    await book.close()
  })

  test('take a whole group along that is parked behind, and what is parked behind its other keys', async () => {
    const { book, place, store, users } = await opened()
    store.reject((row) => row.key === '1')
    await users.increment('1', { visits: 1 }, { returning: false })
    await book.flush()
    await book.batch((writes) => {
      writes.increment(users, '1', { visits: 10 })
      writes.increment(users, '2', { visits: 10 })
    })
    await book.flush()
    await users.increment('2', { visits: 100 }, { returning: false })
    await book.flush()
    expect(book.deadLetters.count).toBe(4)
    store.reject(undefined)
    const { letters } = await book.deadLetters.list()
    expect((await book.deadLetters.retry(letters[0]?.id ?? '')).receipts).toHaveLength(4)
    await book.flush()
    expect(book.deadLetters.count).toBe(0)
    const rows = place.database.rows('users')
    expect([rows.get('1')?.visits, rows.get('2')?.visits]).toEqual([11, 110])
    await book.close()
  })

  test('that edit a letter which is gone say so', async () => {
    const { book, store, users } = await opened()
    store.reject(() => true)
    await users.set('1', user('a'))
    await book.flush()
    const { letters } = await book.deadLetters.list()
    const id = letters[0]?.id ?? ''
    store.reject(undefined)
    const both = await Promise.all([
      codeOf(book.deadLetters.retry(id)),
      codeOf(book.deadLetters.edit(id, { set: user('b') })),
    ])
    expect(both).toEqual(['no error', 'DEAD_LETTER_UNKNOWN'])
    await book.close()
  })
})

describe('rows whose time is over', () => {
  const expiring = { ttlMs: 1000, expire: 'delete' } as const

  test('are not deleted where they were written anew while the store was asked', async () => {
    const clock = new ManualClock()
    const { book, place, store, users } = await opened({ flush: { delayMs: 1 } }, expiring, 1, {
      clock,
    })
    const first = users.set('1', user('a'))
    await clock.advance(10)
    await first
    await users.invalidate('1')
    await clock.advance(1500)
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const ask = store.expired.bind(store)
    store.expired = async (...given) => {
      const keys = await ask(...given)
      await promise
      return keys
    }
    await clock.advance(1000)
    const second = users.set('1', user('b'))
    await clock.advance(10)
    await second
    resolve(undefined)
    await clock.advance(10)
    expect(place.database.rows('users').get('1')).toEqual(user('b'))
    const closing = book.close()
    await clock.advance(10)
    await closing
  })

  test('are told of once, when their delete is durable', async () => {
    const clock = new ManualClock()
    const { book, users } = await opened(
      { flush: { delayMs: 1 } },
      { ...expiring, ttlMs: 1500 },
      1,
      { clock },
    )
    const told: string[] = []
    const steps = book.turn()
    const keyspace = steps.keyspace('users')
    if (keyspace === undefined) throw new Error('It was declared.')
    keyspace.onExpired = (key, done) => void done.then(() => told.push(key))
    const place = { keyspace, key: '1', blind: true }
    const writing = users.set('1', user('a'))
    await clock.advance(10)
    await writing
    expect(steps.hasEnded(place)).toBe(false)
    await clock.advance(1500)
    expect(steps.hasEnded(place)).toBe(true)
    for (let second = 0; second < 5; second++) await clock.advance(1000)
    expect(told).toEqual(['1'])
    expect(steps.hasEnded(place)).toBe(false)
    const closing = book.close()
    await clock.advance(10)
    await closing
  })

  test('begin from nothing with the next increment, in the cache and in the store alike', async () => {
    const clock = new ManualClock()
    const { book, place, users } = await opened(
      { flush: { delayMs: 1 } },
      { ...expiring, ttlMs: 500 },
      1,
      { clock },
    )
    const first = users.set('1', user('a', { visits: 7 }))
    await clock.advance(10)
    await first
    await clock.advance(600)
    expect(await users.get('1')).toBeUndefined()
    const added = users.increment('1', { visits: 1 })
    await clock.advance(10)
    expect((await added).visits).toBe(1)
    await clock.advance(10)
    expect(place.database.rows('users').get('1')?.visits).toBe(1)
    const closing = book.close()
    await clock.advance(10)
    await closing
  })

  test('are deleted once: a delete that the store refuses does not come again each time', async () => {
    const clock = new ManualClock()
    const { book, store, users } = await opened({ flush: { delayMs: 1 } }, expiring, 1, { clock })
    const first = users.set('1', user('a'))
    await clock.advance(10)
    await first
    store.reject((row) => row.mutation.kind === 'delete')
    await clock.advance(8000)
    expect(book.deadLetters.count).toBe(1)
    const closing = book.close()
    await clock.advance(10)
    await closing
  })
})

describe('a full or failing disk beside the journal', () => {
  test('makes flushing wait while the dead letters are full, and go on when one is discarded', async () => {
    const { book, place, store } = await opened({
      deadLetterBytes: 64 * 1024,
      flush: { delayMs: 1, retryBaseMs: 1, retryMaxMs: 2 },
    })
    const values = book.cache<{ text: string }>('values')
    const stalled = new Promise((resolve) => book.on('stalled', resolve))
    store.reject((row) => row.key !== 'good')
    await values.set('1', { text: 'x'.repeat(40_000) })
    await book.flush()
    await values.set('2', { text: 'x'.repeat(40_000) })
    await values.set('good', { text: 'y' })
    await stalled
    expect(book.deadLetters.count).toBe(1)
    expect(place.database.rows('values').size).toBe(0)
    expect(await book.deadLetters.discard({ first: 1 })).toBe(1)
    await book.flush({ timeoutMs: 5000 })
    expect(book.deadLetters.count).toBe(1)
    expect([...place.database.rows('values').keys()]).toEqual(['good'])
    await book.close()
  })

  test('does not make a cache usable whose declaration is not durable; the next use tries again', async () => {
    const place = world(1)
    const { book } = await openIn(place)
    const files = place.ports.files as MemoryFiles
    const users = book.cache<User>('users', { table: 'users', key: 'id' })
    files.plan = ({ path }) => (path.includes('caches.json') ? { code: 'EIO' } : undefined)
    expect(await codeOf(users.set('1', user('a')))).toBe('DIRECTORY_UNUSABLE')
    expect(place.journal.lastPosition).toBe(0)
    files.plan = () => undefined
    await users.set('1', user('a'))
    expect(Buffer.from(files.contentOf('/book/caches.json')).toString()).toContain('"users"')
    await book.close()
  })
})

describe('acknowledgement', () => {
  test('of a batch is as late as the most demanding of its caches asks for', async () => {
    const { book, place, users } = await opened(never, { mode: 'through' })
    const [receipt] = await book.batch((writes) => writes.set(users, '1', user('a')))
    expect(receipt?.durability).toBe('store')
    expect(place.database.rows('users').size).toBe(1)
    await book.close()
  })

  test('does not come after the book is closed, from nothing that waits for the store', async () => {
    const { book, store, users } = await opened(never)
    store.inject(...Array.from({ length: 100 }, () => ({ at: 'begin' }) as const))
    const receipt = await users.set('1', user('a'))
    const waiting = codeOf(book.persisted(receipt))
    const flushing = codeOf(book.flush())
    expect(await book.close({ drainTimeoutMs: 0 })).toEqual({ pending: 1, unsettledLanes: 0 })
    expect([await waiting, await flushing]).toEqual(['CLOSED', 'CLOSED'])
    expect(await codeOf(book.flush())).toBe('CLOSED')
    expect(await codeOf(book.persisted(receipt))).toBe('CLOSED')
    expect(await codeOf(users.get('1'))).toBe('CLOSED')
    expect(await codeOf(users.peek('1'))).toBe('CLOSED')
  })
})
