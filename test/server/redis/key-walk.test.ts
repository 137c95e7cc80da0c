/** Cursors of SCAN end: by number, and by time. */

import { describe, expect, test } from 'vitest'
import { systemRandom } from '../../../src/base/random.ts'
import type { Databases } from '../../../src/server/redis/databases.ts'
import { KeyWalks } from '../../../src/server/redis/key-walk.ts'

function walksOver(names: readonly string[]): KeyWalks {
  const part = {
    space: { isOver: () => false, nameOf: (key: string) => key },
    cache: {
      async *keys() {
        yield* names
      },
    },
  }
  return new KeyWalks({ parts: () => [part] } as unknown as Databases, systemRandom)
}

const names = ['a', 'b', 'c', 'd']

describe('a walk', () => {
  test('goes on page by page, and gives its last page again', async () => {
    const walks = walksOver(names)
    const first = await walks.page(0, 0, 2)
    expect(first.names).toEqual(['a', 'b'])
    const second = await walks.page(0, first.next, 1)
    expect(second.names).toEqual(['c'])
    expect(await walks.page(0, first.next, 1)).toEqual(second)
    const last = await walks.page(0, second.next, 10)
    expect(last).toEqual({ names: ['d'], next: 0 })
    // Older pages are gone.
    await expect(walks.page(0, first.next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('that failed is over: its cursors do not make it look complete', async () => {
    const failing = {
      space: { isOver: () => false, nameOf: (key: string) => key },
      cache: {
        async *keys() {
          yield* ['a', 'b']
          throw new Error('the store is away')
        },
      },
    }
    const walks = new KeyWalks({ parts: () => [failing] } as unknown as Databases, systemRandom)
    const first = await walks.page(0, 0, 1)
    const second = await walks.page(0, first.next, 1)
    await expect(walks.page(0, second.next, 1)).rejects.toThrow('the store is away')
    for (const { next } of [first, second]) {
      await expect(walks.page(0, next, 1)).rejects.toThrow('ERR invalid cursor')
    }
    // So may the first page be.
    await expect(walks.page(0, 0, 3)).rejects.toThrow('the store is away')
  })

  test('is of one database', async () => {
    const walks = walksOver(names)
    const { next } = await walks.page(0, 0, 1)
    await expect(walks.page(1, next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('that nobody goes on with is forgotten after a while', async () => {
    const walks = walksOver(names)
    walks.sweep(0)
    const kept = await walks.page(0, 0, 1)
    walks.sweep(299_000)
    const { next } = await walks.page(0, kept.next, 1)
    walks.sweep(598_000)
    expect((await walks.page(0, next, 1)).names).toEqual(['c'])
    walks.sweep(900_000)
    await expect(walks.page(0, next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('makes room for others: the one that was used least lately goes', async () => {
    const walks = walksOver(names)
    const first = await walks.page(0, 0, 1)
    for (let n = 0; n < 256; n++) await walks.page(0, 0, 1)
    await expect(walks.page(0, first.next, 1)).rejects.toThrow('ERR invalid cursor')
  })
})
