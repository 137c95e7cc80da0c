import { describe, expect, test } from 'vitest'

import { openBook } from '../../src/book/open.ts'
import { customStore, type CustomMutation } from '../../src/store/custom-store.ts'
import { world } from '../support/book-fixture.ts'

function mapStore(rows: Map<string, unknown>, written: string[]) {
  return customStore({
    name: 'map',
    load: async (keys: readonly string[]) =>
      new Map(keys.flatMap((key) => (rows.has(key) ? [[key, rows.get(key) as object]] : []))),
    write: async (mutations: readonly CustomMutation[]) => {
      for (const mutation of mutations) {
        written.push(mutation.key)
        if (mutation.kind === 'set') rows.set(mutation.key, mutation.fields)
        else rows.delete(mutation.key)
      }
    },
  })
}

describe('a store without checkpoints of its own', () => {
  test('goes on after a restart where its file says, and applies nothing again', async () => {
    const place = world(1)
    const rows = new Map<string, unknown>()
    const written: string[] = []
    const open = () =>
      openBook(
        { directory: '/book', store: mapStore(rows, written) },
        place.ports,
        place.journal.open,
      )

    const first = await open()
    const things = first.cache<{ n: number }>('things')
    await things.set('a', { n: 1 })
    await things.increment('a', { n: 1 })
    await things.merge('b', { n: 5 })
    await first.flush()
    await things.delete('b')
    await first.close()
    const before = written.length

    const second = await open()
    await second.flush()
    expect(written).toHaveLength(before)
    expect(await second.cache<{ n: number }>('things').get('a')).toEqual({ n: 2 })
    expect([...rows.keys()]).toEqual(['a'])
    await second.close()
  })

  test('is refused when the file is not its own', async () => {
    const place = world(1)
    const rows = new Map<string, unknown>()
    const first = await openBook(
      { directory: '/book', store: mapStore(rows, []) },
      place.ports,
      place.journal.open,
    )
    await first.cache('things').set('a', { n: 1 })
    await first.close()
    const other = world(2, { files: place.ports.files })
    await expect(
      openBook({ directory: '/book', store: mapStore(rows, []) }, other.ports, other.journal.open),
    ).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { file: '/book/checkpoints.json' },
    })
  })
})
