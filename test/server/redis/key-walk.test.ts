/** Cursors of SCAN end: by number, and by time. */

import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { systemRandom } from '../../../src/base/random.ts'
import type { Databases } from '../../../src/server/redis/databases.ts'
import { KeyWalks } from '../../../src/server/redis/key-walk.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function walksOver(names: readonly string[], clock: Clock = new ManualClock()): KeyWalks {
  const part = {
    space: { isOver: () => false, nameOf: (key: string) => key },
    cache: {
      async *keys() {
        yield* names
      },
    },
  }
  return new KeyWalks({ parts: () => [part] } as unknown as Databases, clock, systemRandom)
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
    const walks = new KeyWalks(
      { parts: () => [failing] } as unknown as Databases,
      new ManualClock(),
      systemRandom,
    )
    const first = await walks.page(0, 0, 1)
    const second = await walks.page(0, first.next, 1)
    await expect(walks.page(0, second.next, 1)).rejects.toThrow('the store is away')
    for (const { next } of [first, second]) {
      await expect(walks.page(0, next, 1)).rejects.toThrow('ERR invalid cursor')
    }
    // What was found before comes first.
    const found = await walks.page(0, 0, 3)
    expect(found.names).toEqual(['a', 'b'])
    await expect(walks.page(0, found.next, 3)).rejects.toThrow('the store is away')
    await expect(walks.page(0, found.next, 3)).rejects.toThrow('ERR invalid cursor')
  })

  test('is of one database', async () => {
    const walks = walksOver(names)
    const { next } = await walks.page(0, 0, 1)
    await expect(walks.page(1, next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('that nobody goes on with is forgotten after a while', async () => {
    const clock = new ManualClock()
    const walks = walksOver(names, clock)
    const kept = await walks.page(0, 0, 1)
    await clock.advance(299_000)
    const { next } = await walks.page(0, kept.next, 1)
    await clock.advance(299_000)
    expect((await walks.page(0, next, 1)).names).toEqual(['c'])
    await clock.advance(300_000)
    await expect(walks.page(0, next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('makes room for others: the one that was used least lately goes', async () => {
    const walks = walksOver(names)
    const first = await walks.page(0, 0, 1)
    for (let n = 0; n < 256; n++) await walks.page(0, 0, 1)
    await expect(walks.page(0, first.next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('that two go on with at once gives both the same page', async () => {
    const walks = walksOver(names)
    const { next } = await walks.page(0, 0, 1)
    const [one, other] = await Promise.all([walks.page(0, next, 2), walks.page(0, next, 2)])
    expect(one).toEqual(other)
    expect(one.names).toEqual(['b', 'c'])
    walks.forget([0])
    await expect(walks.page(0, one.next, 1)).rejects.toThrow('ERR invalid cursor')
  })

  test('has as large a page as is asked for', async () => {
    const walks = walksOver(Array.from({ length: 25_000 }, (_, n) => `k${n}`))
    expect((await walks.page(0, 0, 24_000)).names).toHaveLength(24_000)
  })
})
