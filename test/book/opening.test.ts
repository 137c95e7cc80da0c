/** Opening a book on a store that does not answer as it should. */

import { describe, expect, test } from 'vitest'

import { openBook } from '../../src/book/open.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { openIn, world } from '../support/book-fixture.ts'

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
