/** What the API shows and does, on a real directory. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fromTaggedJson } from '../../../src/mutation/tagged-json.ts'
import { user } from '../../support/book-fixture.ts'
import { refuse, serve, temporaryDirectory, type Served } from './http-fixture.ts'

interface Letters {
  readonly letters: { readonly id: string; readonly key: string }[]
  readonly matching: number
  readonly next?: string
}

/** Writes that are refused, as dead letters. */
async function withLetters(names: readonly string[]): Promise<Served & { ids: string[] }> {
  const served = await serve()
  refuse(served.store, 'Mallory')
  for (const name of names) await served.users.set(name, user('Mallory', { email: name }))
  await served.book.flush()
  const page = (await served.api('GET', '/api/dead-letters')).json as unknown as Letters
  return { ...served, ids: page.letters.map(({ id }) => id) }
}

describe('probes', () => {
  it('tell that it lives and is ready', async () => {
    const { api } = await serve()
    expect((await api('GET', '/healthz')).json).toEqual({ status: 'ok' })
    expect((await api('GET', '/readyz')).json).toEqual({
      ready: true,
      reasons: [],
      degraded: [],
    })
  })

  it('tell that it is not ready where the lag is beyond the limit, and why', async () => {
    const { api, book, users } = await serve({ http: { readyLagMs: 1 } })
    book.pause()
    await users.set('1', user('Ada'))
    await expect.poll(() => book.stats().lagMs).toBeGreaterThan(1)
    const answer = await api('GET', '/readyz')
    expect([answer.status, answer.json]).toEqual([
      503,
      { ready: false, reasons: ['LAG'], degraded: [] },
    ])
    const { problems } = (await api('GET', '/api/status')).json as {
      problems: { code: string }[]
    }
    expect(problems.map(({ code }) => code)).toEqual(['LAG', 'PAUSED'])
  })

  it('tell that it is not ready where flushing has halted', async () => {
    const { api, book, users, store } = await serve()
    store.inject({ at: 'begin', kind: 'misconfigured' })
    const halted = new Promise((resolve) => book.on('halted', resolve))
    await users.set('1', user('Ada'))
    await halted
    const answer = await api('GET', '/readyz')
    expect([answer.status, answer.json]).toEqual([
      503,
      { ready: false, reasons: ['HALTED'], degraded: [] },
    ])
    await api('POST', '/api/resume')
    expect((await api('GET', '/readyz')).status).toBe(200)
  })

  it('tell that it is not ready where the journal’s budget is used up and no write waits, and that it is again', async () => {
    const { api, book, users } = await serve({
      book: {
        journal: { maxBytes: 256 << 10, segmentBytes: 64 << 10, retainBytes: 0 },
        pressure: { policy: 'reject' },
      },
    })
    const states: string[] = []
    book.on('pressure', ({ state }) => states.push(state))
    book.pause()
    const fill = async (): Promise<void> => {
      for (let at = 0; ; at++) await users.set(String(at), user('Ada'.repeat(300)))
    }
    await expect(fill()).rejects.toMatchObject({ code: 'OVERLOADED' })
    expect(book.stats()).toMatchObject({
      pressure: { state: 'limit', waitingWrites: 0 },
      journal: { state: 'open', budgetUsedUp: true },
    })
    const answer = await api('GET', '/readyz')
    expect([answer.status, answer.json]).toMatchObject([
      503,
      { ready: false, reasons: ['JOURNAL_BUDGET'] },
    ])
    book.resume()
    await expect.poll(async () => (await api('GET', '/readyz')).status).toBe(200)
    await users.set('1', user('Grace'))
    await book.flush()
    expect(states[0]).toBe('limit')
    await expect.poll(() => states.at(-1)).toBe('none')
  })

  it('tell that reads fail and writes do not, until one succeeds: ready, and degraded', async () => {
    const { api, users, store } = await serve()
    await users.set('1', user('Ada'))
    store.inject({ at: 'load' })
    await expect(users.get('2')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const answer = await api('GET', '/readyz')
    expect([answer.status, answer.json]).toEqual([
      200,
      { ready: true, reasons: [], degraded: ['READS_FAIL'] },
    ])
    const { problems } = (await api('GET', '/api/status')).json
    expect(problems).toMatchObject([{ code: 'READS_FAIL' }])
    expect(await users.get('1')).toEqual(user('Ada'))
    expect((await api('GET', '/readyz')).json.degraded).toEqual(['READS_FAIL'])
    expect(await users.get('2')).toBeUndefined()
    expect((await api('GET', '/readyz')).json.degraded).toEqual([])
  })

  it('tell that it is not ready while it closes', async () => {
    const { api, book } = await serve()
    await book.close()
    expect((await api('GET', '/readyz')).json).toEqual({
      ready: false,
      reasons: ['CLOSING'],
      degraded: [],
    })
  })
})

describe('what is pending', () => {
  it('is listed with its writes, a page at a time', async () => {
    const { api, book, users } = await serve()
    book.pause()
    await users.set('a', user('Ada'))
    await users.increment('a', { visits: 2 }, { returning: false })
    const first = await api('GET', '/api/pending?limit=1')
    const { mutations, next } = first.json as { mutations: object[]; next: string }
    expect(mutations).toMatchObject([{ cache: 'users', key: 'a', mutation: { kind: 'set' } }])
    const second = await api('GET', `/api/pending?limit=1&after=${next}`)
    expect(second.json.mutations).toMatchObject([{ mutation: { amounts: { visits: 2 } } }])
    expect((await api('GET', '/api/pending?keyPrefix=b')).json.mutations).toEqual([])
  })

  it('of a key is beside what is cached and what is in the store', async () => {
    const { api, book, users } = await serve()
    await users.set('a', user('Ada', { visits: 1 }))
    await book.flush()
    book.pause()
    await users.merge('a', { visits: 5 })
    const { json } = await api('GET', '/api/caches/users/keys/a')
    expect(json).toMatchObject({
      cache: 'users',
      key: 'a',
      cached: { value: { name: 'Ada', visits: 5 } },
      pending: { mutation: { kind: 'patch', fields: { visits: 5 } } },
      stored: { value: { name: 'Ada', visits: 1 } },
      deadLetters: [],
    })
  })

  it('of a key is shown while the store is away', async () => {
    const { api, users, book, store } = await serve()
    await users.set('a', user('Ada'))
    await book.flush()
    store.inject({ at: 'load' })
    const { status, json } = await api('GET', '/api/caches/users/keys/a')
    expect(status).toBe(200)
    expect(json.stored).toMatchObject({ error: { code: 'STORE_UNAVAILABLE' } })
    expect(json.cached).toMatchObject({ value: { name: 'Ada' } })
  })

  it('stays where the cached value is forgotten', async () => {
    const { api, book, users } = await serve()
    book.pause()
    await users.set('a', user('Ada'))
    expect((await api('POST', '/api/caches/users/keys/a/invalidate')).status).toBe(204)
    const { json } = await api('GET', '/api/caches/users/keys/a')
    expect([json.cached, json.pending]).toMatchObject([null, { mutation: { kind: 'set' } }])
  })
})

describe('caches', () => {
  it('show how they serve, and one whose table is wrong says so beside the others', async () => {
    const { api, users, book, http } = await serve()
    await users.set('a', user('Ada'))
    book.cache('lost', { table: 'nowhere', key: 'id' })
    // The names that the server shows are the application's own list.
    expect((await api('GET', '/api/caches')).json.caches).toMatchObject([
      { cache: 'users', table: 'users', entries: 1 },
    ])
    expect(http.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })
})

describe('dead letters', () => {
  it('are listed, grouped, searched and counted', async () => {
    const { api } = await withLetters(['m1', 'm2', 'n1'])
    const page = (await api('GET', '/api/dead-letters?limit=2')).json as unknown as Letters
    expect([page.letters.length, page.matching]).toEqual([2, 3])
    const rest = await api('GET', `/api/dead-letters?limit=2&after=${page.next}`)
    expect(rest.json).toMatchObject({ letters: [{}], matching: 3 })
    expect(rest.json).not.toHaveProperty('next')
    const found = await api('GET', '/api/dead-letters?text=M')
    expect(found.json).toMatchObject({ matching: 2 })
    const prefixed = (await api('GET', '/api/dead-letters?keyPrefix=m')).json as unknown as Letters
    expect(prefixed.letters.map(({ key }) => key)).toEqual(['m1', 'm2'])
    const { groups } = (await api('GET', '/api/dead-letters/groups')).json as { groups: object[] }
    expect(groups).toMatchObject([{ cache: 'users', count: 3 }])
  })

  it('are shown beside what their key has now', async () => {
    const { api, ids, users, book } = await withLetters(['m1'])
    expect((await api('GET', `/api/dead-letters/${ids[0]}/current`)).json).toEqual({ value: null })
    await users.set('m1', user('Ada'))
    await book.flush()
    const shown = await api('GET', `/api/dead-letters/${ids[0]}`)
    expect(shown.json.letter).toMatchObject({ key: 'm1', superseded: true, attempts: 1 })
    const current = await api('GET', `/api/dead-letters/${ids[0]}/current`)
    expect(current.json.value).toMatchObject({ name: 'Ada' })
  })

  it('are retried by id, and the outcome tells which the store took', async () => {
    const { api, ids, store, book } = await withLetters(['m1', 'm2'])
    const again = await api('POST', '/api/dead-letters/retry', { ids })
    expect(again.json).toMatchObject({
      retried: 2,
      applied: 0,
      refusedAgain: [
        { cache: 'users', key: 'm1' },
        { cache: 'users', key: 'm2' },
      ],
      pending: false,
    })
    store.reject(undefined)
    const all = await api('POST', '/api/dead-letters/retry', { filter: {} })
    expect(all.json).toMatchObject({ retried: 2, applied: 2, refusedAgain: [], pending: false })
    expect(book.stats().deadLetters.count).toBe(0)
  })

  it('are retried a few first', async () => {
    const { api, store, book } = await withLetters(['m1', 'm2', 'm3'])
    store.reject(undefined)
    const canary = await api('POST', '/api/dead-letters/retry', { filter: { code: 'x' }, first: 1 })
    expect(canary.json).toMatchObject({ retried: 0 })
    expect(
      (await api('POST', '/api/dead-letters/retry', { filter: {}, first: 2 })).json,
    ).toMatchObject({ retried: 2, applied: 2 })
    expect(book.stats().deadLetters.count).toBe(1)
  })

  it('with a newer value are left alone unless that is forced', async () => {
    const { api, ids, users, book, store } = await withLetters(['m1'])
    await users.set('m1', user('Ada'))
    await book.flush()
    store.reject(undefined)
    const left = await api('POST', '/api/dead-letters/retry', { ids })
    expect(left.json).toMatchObject({ retried: 0, skipped: [{ id: ids[0] }] })
    const forced = await api('POST', '/api/dead-letters/retry', { ids, force: true })
    expect(forced.json).toMatchObject({ retried: 1, applied: 1 })
    expect(await users.get('m1')).toMatchObject({ name: 'Mallory' })
  })

  it('are on the way where the store does not answer in time', async () => {
    const { api, ids, book, store } = await withLetters(['m1'])
    store.reject(undefined)
    const back = Promise.withResolvers<undefined>()
    store.inject({ at: 'begin', until: back.promise, kind: 'none' })
    const answer = await api('POST', '/api/dead-letters/retry', { ids, timeoutMs: 50 })
    expect(answer.json).toMatchObject({ retried: 1, applied: 0, pending: true })
    expect(book.stats().pending.mutations).toBe(1)
    back.resolve(undefined)
    await book.flush()
    expect(book.stats().deadLetters.count).toBe(0)
  })

  it('are written again with other content', async () => {
    const { api, ids, users } = await withLetters(['m1'])
    const set = user('Mona', { visits: 3 })
    const answer = await api('POST', `/api/dead-letters/${ids[0]}/edit`, { set })
    expect(answer.json).toMatchObject({ retried: 1, applied: 1 })
    expect(await users.get('m1')).toEqual(set)
  })

  it.each([
    [{}, 400, 'BAD_REQUEST'],
    [{ set: {}, merge: {} }, 400, 'BAD_REQUEST'],
    [{ delete: false }, 400, 'BAD_REQUEST'],
    [{ set: { name: 5 } }, 400, 'INVALID_VALUE'],
    [{ set: { nobody: 'x' } }, 400, 'INVALID_VALUE'],
  ])('refuse to become %j', async (edit, status, code) => {
    const { api, ids, book } = await withLetters(['m1'])
    const answer = await api('POST', `/api/dead-letters/${ids[0]}/edit`, edit)
    expect([answer.status, answer.json]).toMatchObject([status, { error: { code } }])
    expect(book.stats().deadLetters.count).toBe(1)
  })

  it('are discarded only in the number that was confirmed', async () => {
    const { api, book } = await withLetters(['m1', 'm2'])
    const wrong = await api('POST', '/api/dead-letters/discard', { filter: {}, confirm: 1 })
    expect([wrong.status, wrong.json]).toMatchObject([
      409,
      { error: { code: 'CONFIRMATION_NEEDED', details: { count: 2 } } },
    ])
    expect(book.stats().deadLetters.count).toBe(2)
    const right = await api('POST', '/api/dead-letters/discard', { filter: {}, confirm: 2 })
    expect(right.json).toEqual({ discarded: 2 })
    expect(book.stats().deadLetters.count).toBe(0)
  })

  it.each(['retry', 'discard'])('are not all meant where nothing is named to %s', async (verb) => {
    const { api, ids } = await withLetters(['m1'])
    for (const selection of [{}, { ids, filter: {} }, { ids, first: 1 }]) {
      const answer = await api('POST', `/api/dead-letters/${verb}`, {
        ...selection,
        ...(verb === 'discard' ? { confirm: 1 } : {}),
      })
      expect(answer.status).toBe(400)
    }
  })

  it('are exported one a line, also many', async () => {
    const names = Array.from({ length: 1_200 }, (_, at) => `m${at}`)
    const { api } = await withLetters(names)
    const answer = await api('GET', '/api/dead-letters/export?keyPrefix=m')
    expect(answer.headers['content-type']).toContain('application/x-ndjson')
    expect(answer.headers['content-disposition']).toContain('attachment')
    const keys = answer.text.trimEnd().split('\n')
    const exported = keys.map((line) => (fromTaggedJson(line) as { key: string }).key)
    expect(new Set(exported)).toEqual(new Set(names))
  })
})

describe('operations', () => {
  it('flush, and tell how much', async () => {
    const { api, users, book } = await serve({ book: { flush: { delayMs: 60_000 } } })
    await users.set('a', user('Ada'))
    expect((await api('POST', '/api/flush')).json).toEqual({
      flushed: 1,
      pending: 0,
      newDeadLetters: 0,
    })
    expect(book.stats().pending.mutations).toBe(0)
  })

  it('give up a flush at its deadline, and what is pending stays', async () => {
    const { api, users, book } = await serve()
    book.pause()
    await users.set('a', user('Ada'))
    const answer = await api('POST', '/api/flush', { timeoutMs: 20 })
    expect([answer.status, answer.json]).toMatchObject([504, { error: { code: 'TIMEOUT' } }])
    expect(book.stats().pending.mutations).toBe(1)
  })

  it('drain until the deadline, which is no error', async () => {
    const { api, users, book } = await serve()
    await users.set('a', user('Ada'))
    expect((await api('POST', '/api/drain')).json).toMatchObject({ pending: 0 })
    book.pause()
    await users.set('b', user('Bob'))
    expect((await api('POST', '/api/drain', { timeoutMs: 20 })).json).toMatchObject({
      flushed: 0,
      pending: 1,
    })
  })

  it('pause and resume', async () => {
    const { api, book } = await serve()
    expect((await api('POST', '/api/pause')).json).toEqual({ state: 'paused' })
    expect(book.stats().state).toBe('paused')
    expect((await api('POST', '/api/resume')).json).toEqual({ state: 'open' })
  })

  it('change options, all or nothing', async () => {
    const { api, book } = await serve()
    const shown = await api('PATCH', '/api/options', {
      flush: { delayMs: 7, maxRowsPerSecond: 100 },
      stallMs: 5_000,
    })
    expect(shown.json.live).toMatchObject({
      flush: { delayMs: 7, maxRowsPerSecond: 100, retryMaxMs: 10 },
      stallMs: 5_000,
    })
    expect(book.options.flush).toMatchObject({ delayMs: 7, maxRowsPerSecond: 100 })
    const cleared = await api('PATCH', '/api/options', { flush: { maxRowsPerSecond: null } })
    expect(cleared.json.live).toMatchObject({ flush: { maxRowsPerSecond: null } })
    for (const wrong of [
      { lanes: 3 },
      { directory: '/elsewhere' },
      { flush: { delayMs: 9, maxKeys: 0 } },
      { flush: { delayMs: 9 }, stallMs: 1 },
    ]) {
      expect((await api('PATCH', '/api/options', wrong)).status).toBe(400)
    }
    expect(book.options.flush.delayMs).toBe(7)
    expect((await api('GET', '/api/options')).json.fixed).toMatchObject({ lanes: 2 })
  })

  it('are noted with their outcome, and the note survives a restart', async () => {
    const directory = temporaryDirectory()
    const before = await serve({ directory })
    await before.api('POST', '/api/pause')
    await before.api('POST', '/api/dead-letters/discard', { ids: ['0-1'], confirm: 1 })
    await before.api('POST', '/api/dead-letters/0-9/edit', { set: { name: 'a secret value' } })
    await before.http.close()
    before.book.resume()
    await before.book.close()
    const { api } = await serve({ directory })
    const { entries } = (await api('GET', '/api/audit')).json
    expect(entries).toMatchObject([
      {
        action: 'POST /api/dead-letters/{id}/edit',
        details: { id: '0-9', kind: 'set' },
        outcome: 'DEAD_LETTER_UNKNOWN',
      },
      { action: 'POST /api/dead-letters/discard', outcome: 'DEAD_LETTER_UNKNOWN' },
      { action: 'POST /api/pause', by: 'token', address: '127.0.0.1', outcome: 'done', id: 1 },
    ])
    const file = readFileSync(join(directory, 'audit.log'), 'utf8')
    expect(file).not.toContain('secret value')
    expect((await api('GET', '/api/audit?limit=1')).json.entries).toHaveLength(1)
  })
})

it('a port that is taken is an error that says so, and nothing is left open', async () => {
  const { http } = await serve()
  const port = Number(new URL(http.url).port)
  await expect(serve({ http: { port } })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    details: { path: 'http.port' },
  })
})

it('closing ends the connections, and is done once', async () => {
  const { http, api } = await serve()
  await api('GET', '/healthz')
  await Promise.all([http.close(), http.close()])
  await expect(api('GET', '/healthz')).rejects.toThrow('ECONNREFUSED')
})
