import { describe, expect, test } from 'vitest'

import { systemClock } from '../../src/base/clock.ts'
import type { DaybookError } from '../../src/base/errors.ts'
import { openIn, user, world, type User } from '../support/book-fixture.ts'

async function opened(options = {}, lanes = 2) {
  const place = world(lanes)
  const { book, store } = await openIn(place, options)
  return { place, book, store, users: book.cache<User>('users', { table: 'users', key: 'id' }) }
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: DaybookError) => error.code,
  )
}

describe('an outage of the store', () => {
  test('burns no attempts: everything is applied once, in the end, and nothing becomes a dead letter', async () => {
    const { book, place, store, users } = await opened()
    await users.set('1', user('a'))
    await book.flush()
    const down: string[] = []
    book.on('storeDown', () => down.push('down'))
    book.on('storeUp', () => down.push('up'))
    store.inject(
      ...Array.from({ length: 40 }, () => ({ at: 'begin', kind: 'outage' }) as const),
      { at: 'write', kind: 'outage' },
      { at: 'commit', kind: 'outage' },
      { at: 'commit', kind: 'outage', applied: true },
      { at: 'commit', kind: 'conflict' },
    )
    for (let at = 0; at < 20; at++) await users.increment('1', { visits: 1 })
    await book.flush({ timeoutMs: 20_000 })
    expect(place.database.rows('users').get('1')?.visits).toBe(20)
    expect(book.stats()).toMatchObject({ deadLetters: { count: 0 }, breaker: { state: 'closed' } })
    expect(book.stats().retries).toBeGreaterThan(20)
    expect(down.slice(0, 2)).toEqual(['down', 'up'])
    await book.close()
  })

  test('leaves pending keys readable; a cold read says that the store is away, and so does what needs one', async () => {
    const { book, store, users } = await opened({
      flush: { delayMs: 100_000 },
      loadTimeoutMs: 1000,
    })
    await users.set('1', user('a'))
    const away = { at: 'load', kind: 'outage' } as const
    store.inject(away, away)
    expect(await users.get('1')).toEqual(user('a'))
    expect(await codeOf(users.get('cold'))).toBe('STORE_UNAVAILABLE')
    const before = book.stats().pending.mutations
    expect(await codeOf(users.increment('cold', { visits: 1 }))).toBe('STORE_UNAVAILABLE')
    expect(book.stats().pending.mutations).toBe(before)
    // The breaker is for flushes: this is all that tells of reads that fail.
    expect(book.stats().breaker.state).toBe('closed')
    expect(book.stats().cache).toMatchObject({ loads: 2, failedLoads: 2 })
    await users.increment('cold', { visits: 1 }, { returning: false })
    await book.flush()
    expect((await users.get('cold'))?.visits).toBe(1)
    await book.close()
  })
})

describe('a store that answers otherwise', () => {
  test('halts flushing when it is misconfigured, says so, and goes on after resume()', async () => {
    const { book, place, store, users } = await opened()
    const halted = new Promise((resolve) => book.on('halted', resolve))
    store.inject({ at: 'begin', kind: 'misconfigured' })
    await users.set('1', user('a'))
    await halted
    expect(book.stats()).toMatchObject({
      state: 'halted',
      haltedBy: { kind: 'misconfigured' },
    })
    await users.set('2', user('b'))
    book.resume()
    expect(book.stats().haltedBy).toBeUndefined()
    await book.flush()
    expect(place.database.rows('users').size).toBe(2)
    await book.close()
  })

  test('fences the older of two books: its flushes change nothing, and it says so', async () => {
    const place = world(2)
    const older = await openIn(place, { flush: { delayMs: 100_000 } })
    const users = older.book.cache<User>('users', { table: 'users', key: 'id' })
    await users.set('1', user('old'))
    const copy = world(2)
    copy.journal.entries.push(...place.journal.entries)
    copy.journal.lastPosition = place.journal.lastPosition
    copy.journal.durablePosition = place.journal.durablePosition
    const newer = await openIn({ ...copy, database: place.database })
    const theirs = newer.book.cache<User>('users', { table: 'users', key: 'id' })
    await theirs.set('1', user('new'))
    await newer.book.flush()
    await users.set('1', user('stale'))
    expect(await codeOf(older.book.flush())).toBe('FENCED')
    expect(await codeOf(users.set('2', user('x'), { durability: 'store' }))).toBe('FENCED')
    expect(place.database.rows('users').get('1')?.name).toBe('new')
    expect(older.book.stats().state).toBe('fenced')
    await older.book.close()
    await newer.book.close()
  })
})

describe('rows that the store refuses', () => {
  test('become dead letters; the others go in; later sets supersede and increments queue behind', async () => {
    const { book, place, store, users } = await opened({ flush: { delayMs: 100_000 } })
    await users.setMany(Array.from({ length: 20 }, (_, at) => [`u${at}`, user(`n${at}`)] as const))
    await book.flush()
    store.reject(
      (row) => row.mutation.kind === 'patch' && Number(row.mutation.amounts['visits'] ?? 0) >= 13,
    )
    await users.increment('u1', { visits: 13 }, { returning: false })
    await users.increment('u2', { visits: 1 }, { returning: false })
    await book.flush()
    await users.increment('u1', { visits: 1 }, { returning: false })
    await users.merge('u1', { name: 'behind' })
    await book.flush()
    expect(place.database.rows('users').get('u2')?.visits).toBe(1)
    expect(place.database.rows('users').get('u1')).toEqual(user('n1'))
    const { letters } = await book.deadLetters.list()
    expect(letters.map(({ reason, attempts }) => [reason, attempts])).toEqual([
      ['rejected', 1],
      ['parked', 0],
      ['parked', 0],
    ])
    expect(await users.get('u1')).toEqual(user('n1'))
    expect((await users.status('u1')).deadLetters).toHaveLength(3)

    // Retried while it is still refused: a new letter in the same place, and the others stay behind it.
    await book.deadLetters.retry(letters[0]?.id ?? '')
    await book.flush()
    expect(
      (await book.deadLetters.list()).letters.map(({ reason, attempts }) => [reason, attempts]),
    ).toEqual([
      ['rejected', 2],
      ['parked', 0],
      ['parked', 0],
    ])

    store.reject(undefined)
    const again = (await book.deadLetters.list()).letters
    const { receipts } = await book.deadLetters.retry(again[0]?.id ?? '')
    expect(receipts).toHaveLength(3)
    await book.flush()
    expect(place.database.rows('users').get('u1')).toEqual(user('behind', { visits: 14 }))
    expect(book.deadLetters.count).toBe(0)
    await book.close()
  })

  test('can be edited, discarded, exported and taken as a canary; what is superseded is not retried', async () => {
    const { book, place, store, users } = await opened()
    store.reject((row) => row.mutation.kind === 'set' && row.mutation.fields['name'] === 'bad')
    const receipts = await users.setMany(
      ['a', 'b', 'c', 'd'].map((key) => [key, user('bad')] as const),
    )
    await book.flush()
    expect(await book.persisted(receipts[0] ?? [])).toBe('dead-lettered')
    expect(book.deadLetters.groups()).toMatchObject([{ count: 4, cache: 'users' }])

    const [a, b, c] = (await book.deadLetters.list()).letters
    await book.deadLetters.edit(a?.id ?? '', { set: user('good') })
    await book.flush()
    expect(place.database.rows('users').get(a?.key ?? '')?.name).toBe('good')

    await users.set(b?.key ?? '', user('newer'))
    await book.flush()
    expect((await book.deadLetters.show(b?.id ?? '')).superseded).toBe(true)
    store.reject(undefined)
    expect((await book.deadLetters.retry(b?.id ?? '')).skipped).toMatchObject([{ id: b?.id }])
    expect(await book.deadLetters.discard(b?.id ?? '')).toBe(1)
    expect((await book.deadLetters.retry({ first: 1 })).receipts.map(({ key }) => key)).toEqual([
      c?.key,
    ])
    await book.flush()
    const exported: string[] = []
    for await (const letter of book.deadLetters.export()) exported.push(letter.key)
    expect(exported).toHaveLength(1)
    expect(await codeOf(book.deadLetters.show('9-9'))).toBe('DEAD_LETTER_UNKNOWN')
    await book.close()
  })

  test('survive a crash on either side of a retry: neither lost nor applied twice', async () => {
    const place = world(1)
    const first = await openIn(place, { flush: { delayMs: 100_000 } })
    const users = first.book.cache<User>('users', { table: 'users', key: 'id' })
    await users.set('a', user('n'))
    await first.book.flush()
    first.store.reject((row) => row.mutation.kind === 'patch')
    await users.increment('a', { visits: 5 })
    await first.book.flush()
    first.store.reject(undefined)
    const [letter] = (await first.book.deadLetters.list()).letters
    await first.book.deadLetters.retry(letter?.id ?? '')
    await first.book.close({ drainTimeoutMs: 0 })

    const second = await openIn(place, { flush: { delayMs: 100_000 } })
    second.store.inject({ at: 'commit', kind: 'outage', applied: true })
    await second.book.flush()
    expect(place.database.rows('users').get('a')?.visits).toBe(5)
    expect(second.book.deadLetters.count).toBe(0)
    await second.book.close()
  })

  test('bury an atomic batch as a whole', async () => {
    const { book, place, store, users } = await opened({}, 1)
    store.reject((row) => row.key === 'bad')
    await book.batch((writes) => {
      writes.set(users, 'good', user('x'))
      writes.set(users, 'bad', user('y'))
    })
    await book.flush()
    expect(place.database.rows('users').size).toBe(0)
    expect(book.deadLetters.count).toBe(2)
    store.reject(undefined)
    const [letter] = (await book.deadLetters.list()).letters
    await book.deadLetters.retry(letter?.id ?? '')
    await book.flush()
    expect(place.database.rows('users').size).toBe(2)
    await book.close()
  })

  test('wait for a parent in another lane, and are refused only when it has not come with all before it', async () => {
    const { book, place, store, users } = await opened({ flush: { delayMs: 0 } }, 4)
    const orders = book.cache<{ user: string; total: string }>('orders', {
      table: 'orders',
      key: 'id',
    })
    const gate = Promise.withResolvers<undefined>()
    // Whichever lane comes first waits: children overtake their parents.
    store.inject({ at: 'begin', kind: 'none', until: gate.promise })
    const writes: Promise<unknown>[] = []
    for (let at = 0; at < 24; at++) {
      writes.push(users.set(`p${at}`, user('p')))
      writes.push(orders.set(String(at), { user: `p${at}`, total: '1.00' }))
    }
    await Promise.all(writes)
    gate.resolve(undefined)
    await book.flush({ timeoutMs: 20_000 })
    expect(book.deadLetters.count).toBe(0)
    expect(place.database.rows('orders').size).toBe(24)
    await orders.set('99', { user: 'nobody', total: '1.00' })
    await book.flush({ timeoutMs: 20_000 })
    expect((await book.deadLetters.list()).letters).toMatchObject([
      { key: '99', reason: 'rejected' },
    ])
    await book.close()
  })
})

describe('a group commit that fails', () => {
  test('undoes everything that was not durable, what was computed on it included', async () => {
    const { book, place, users } = await opened()
    await users.set('1', user('a', { visits: 1 }))
    place.journal.automatic = false
    const failed = [
      users.increment('1', { visits: 1 }),
      users.increment('1', { visits: 1 }),
      users.set('2', user('b')),
    ]
    const codes = Promise.all(failed.map(codeOf))
    // A read that would see them waits, and then sees what is really there.
    const read = users.get('1')
    await new Promise((resolve) => setImmediate(resolve))
    place.journal.automatic = true
    place.journal.fail()
    expect(await codes).toEqual(['JOURNAL_FULL', 'JOURNAL_FULL', 'JOURNAL_FULL'])
    expect(await read).toEqual(user('a', { visits: 1 }))
    expect(await users.get('2')).toBeUndefined()
    expect(await users.increment('1', { visits: 1 })).toEqual(user('a', { visits: 2 }))
    await book.flush()
    expect(place.database.rows('users').get('1')?.visits).toBe(2)
    await book.close()
  })
})

describe('reads that fail', () => {
  test('show for a minute, each cache by itself, until its store answers', async () => {
    let laterMs = 0
    const clock = { ...systemClock, now: () => systemClock.now() + laterMs }
    const place = world(2, { clock })
    const { book, store } = await openIn(place)
    const users = book.cache<User>('users', { table: 'users', key: 'id' })
    const others = book.cache<User>('others', { table: 'users', key: 'id', negativeTtlMs: 0 })
    await Promise.all([users.ready(), others.ready()])
    const failing = (): unknown => book.stats().cache.readFailure
    store.inject({ at: 'load', kind: 'rejected' })
    expect(await codeOf(users.get('1'))).toBe('STORE_REJECTED')
    expect(failing()).toBeUndefined()
    store.inject({ at: 'load', kind: 'misconfigured' })
    expect(await codeOf(users.get('1'))).toBe('STORE_MISCONFIGURED')
    await others.get('1')
    expect(failing()).toMatchObject({ cache: 'users', code: 'STORE_MISCONFIGURED' })
    await users.get('1')
    expect(failing()).toBeUndefined()
    store.inject({ at: 'load' })
    expect(await codeOf(others.get('1'))).toBe('STORE_UNAVAILABLE')
    expect(failing()).toMatchObject({ cache: 'others' })
    laterMs = 60_000
    expect(failing()).toBeUndefined()
    await book.close()
  })
})

describe('pressure', () => {
  test('makes writes wait in line, in order, until there is room', async () => {
    const { book, place, users } = await opened()
    await users.ready()
    place.journal.refusing = true
    const writes = [1, 2, 3].map((visits) => users.set('1', user('a', { visits })))
    const states: string[] = []
    book.on('pressure', ({ state }) => states.push(state))
    await new Promise((resolve) => setImmediate(resolve))
    place.journal.refusing = false
    await Promise.all(writes)
    expect((await users.get('1'))?.visits).toBe(3)
    expect(states).toContain('none')
    await book.close()
  })

  test('is a typed error at once, after the deadline, or when the signal says so', async () => {
    const { book, place, users } = await opened({ pressure: { waitMs: 30 } })
    const hasty = book.cache<User>('hasty', { table: 'users', key: 'id', pressure: 'reject' })
    await Promise.all([users.ready(), hasty.ready()])
    place.journal.refusing = true
    expect(await codeOf(hasty.set('1', user('a')))).toBe('OVERLOADED')
    expect(await codeOf(users.set('1', user('a')))).toBe('OVERLOADED')
    const abort = new AbortController()
    const aborted = codeOf(users.set('1', user('a'), { signal: abort.signal, timeoutMs: 60_000 }))
    abort.abort()
    expect(await aborted).toBe('ABORTED')
    place.journal.refusing = false
    expect(place.journal.entries).toHaveLength(0)
    await book.close()
  })

  test('moves what is pending out of memory, where reads and increments still find it', async () => {
    const { book, place, users } = await opened({
      flush: { delayMs: 100_000, maxKeys: 50 },
      pressure: { memoryBytes: 20_000 },
    })
    await users.setMany(Array.from({ length: 500 }, (_, at) => [`u${at}`, user(`n${at}`)] as const))
    expect(book.stats().pending.spilledMutations).toBeGreaterThan(300)
    for (let at = 0; at < 500; at += 7) {
      await users.invalidate(`u${at}`)
      expect(await users.increment(`u${at}`, { visits: 2 })).toEqual(user(`n${at}`, { visits: 2 }))
    }
    await book.flush()
    expect(place.database.rows('users').size).toBe(500)
    expect(place.database.rows('users').get('u7')?.visits).toBe(2)
    expect(book.stats().pending).toMatchObject({ mutations: 0, spilledMutations: 0 })
    await book.close()
  })
})

describe('bad input', () => {
  test('is refused before anything is acknowledged', async () => {
    const { book, place, users } = await opened()
    const bad = [
      () => users.set('', user('a')),
      () => users.set('x'.repeat(2000), user('a')),
      () => users.set(5 as unknown as string, user('a')),
      () => users.set('\ud800', user('a')),
      () => users.set('a\0b', user('a')),
    ]
    for (const write of bad) expect(await codeOf(write())).toBe('INVALID_KEY')
    const values = [
      null,
      'text',
      { nam: 'x' },
      { visits: 1.5 },
      { visits: 2 ** 40 },
      { name: () => 1 },
      { score: NaN },
    ]
    for (const value of values)
      expect(await codeOf(users.set('1', value as unknown as User))).toBe('INVALID_VALUE')
    await expect(users.set('1', { vists: 1 } as unknown as User)).rejects.toThrow('visits')
    expect(await codeOf(users.increment('1', { name: 1 }))).toBe('INVALID_VALUE')
    await users.set('full', user('a', { visits: 2 ** 31 - 1 }))
    expect(await codeOf(users.increment('full', { visits: 1 }))).toBe('INVALID_VALUE')
    expect(await codeOf(users.update('1', (async () => user('a')) as never))).toBe('INVALID_VALUE')
    expect(place.journal.entries).toHaveLength(1)
    expect(() => book.cache('other', { tabel: 'users' } as never)).toThrow('table')
    expect(() => book.cache('users', { table: 'users', key: 'name' })).toThrow('declared already')
    expect(() => book.cache('t', { ttlMs: 5, refreshAheadMs: 9 })).toThrow('ttlMs')
    expect(await codeOf(book.cache('none', { table: 'userz', key: 'id' }).ready())).toBe(
      'STORE_MISCONFIGURED',
    )
    await book.close()
    await expect(openIn(world(), { flush: { delayMS: 5 } as never })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('delayMs') as string,
    })
    await expect(openIn(world(), { store: {} as never })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  test('is whatever a Standard Schema says it is', async () => {
    const { book } = await openIn(world())
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          (value as User).name === 'no'
            ? { issues: [{ message: 'not that name' }] }
            : { value: { ...(value as User), name: (value as User).name?.toUpperCase() ?? null } },
      },
    }
    const users = book.cache<User>('users', { table: 'users', key: 'id', schema })
    await expect(users.set('1', user('no'))).rejects.toThrow('not that name')
    await users.set('1', user('ada'))
    expect((await users.get('1'))?.name).toBe('ADA')
    await book.close()
  })
})

describe('the life of a book', () => {
  test('pauses, resumes, waits with a limit, and closes with a report; then every call says that it is closed', async () => {
    const { book, users } = await opened()
    book.pause()
    const receipt = await users.set('1', user('a'))
    expect(await codeOf(book.flush({ timeoutMs: 20 }))).toBe('TIMEOUT')
    expect(await codeOf(book.flush({ signal: AbortSignal.abort() }))).toBe('ABORTED')
    expect(await book.persisted(receipt, { timeoutMs: 0 })).toBe('pending')
    expect(await book.close()).toEqual({ pending: 1, unsettledLanes: 0 })
    expect(await book.close()).toEqual({ pending: 1, unsettledLanes: 0 })
    expect(await codeOf(users.set('2', user('b')))).toBe('CLOSED')
    expect(() => book.cache('x')).toThrow('closed')
    expect(await codeOf(book.batch(() => undefined))).toBe('CLOSED')
  })

  test('evicts or deletes at the end of a TTL, and remembers an absence for a while', async () => {
    const { book, store } = await opened()
    const evicted = book.cache<User>('evicted', { table: 'users', key: 'id', ttlMs: 1 })
    await evicted.set('1', user('a'))
    await book.flush()
    expect(await evicted.get('1')).toEqual(user('a'))
    const sessions = book.cache<User>('sessions', {
      table: 'users',
      key: 'id',
      ttlMs: 1,
      expire: 'delete',
    })
    await sessions.set('2', user('b'))
    await book.flush()
    expect(
      await store.expired('sessions', Date.now() + 1000, 10, { signal: AbortSignal.timeout(1000) }),
    ).toEqual(['2'])
    expect(await evicted.get('none')).toBeUndefined()
    expect(await evicted.get('none')).toBeUndefined()
    expect(book.stats().cache.negativeHits).toBeGreaterThan(0)
    await book.close()
  })
})
