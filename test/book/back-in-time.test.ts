import { describe, expect, test } from 'vitest'

import { openIn, user, world, type User } from '../support/book-fixture.ts'

describe('a database that goes back in time', () => {
  test('is rolled forward from the journal while the book is open, idle lanes included', async () => {
    const place = world(4)
    const { book } = await openIn(place)
    const users = book.cache<User>('users', { table: 'users', key: 'id' })
    const write = (first: number, count: number) =>
      users.setMany(
        Array.from(
          { length: count },
          (_, at) => [`u${first + at}`, user(`n${first + at}`)] as const,
        ),
      )
    await write(0, 20)
    await book.flush()
    const restore = place.database.backup()
    await write(20, 20)
    await users.increment('u1', { visits: 5 })
    await book.flush()
    const forward: number[] = []
    book.on('rolledForward', ({ lane }) => forward.push(lane))

    restore()
    expect(place.database.rows('users').size).toBe(20)
    await users.set('u99', user('after'))
    await book.flush()

    expect(place.database.rows('users').size).toBe(41)
    expect(place.database.rows('users').get('u1')?.visits).toBe(5)
    expect(new Set(forward).size).toBe(4)
    await book.close()
  })

  test('is noticed by a read, even while flushing is paused', async () => {
    const place = world(2)
    const { book } = await openIn(place)
    const users = book.cache<User>('users', { table: 'users', key: 'id' })
    await users.set('a', user('old'))
    await book.flush()
    const restore = place.database.backup()
    await users.set('a', user('new'))
    await users.increment('a', { visits: 2 })
    await book.flush()
    restore()
    book.pause()
    await users.invalidate('a')
    expect(await users.get('a')).toEqual(user('new', { visits: 2 }))
    book.resume()
    await book.flush()
    expect(place.database.rows('users').get('a')).toEqual(user('new', { visits: 2 }))
    await book.close()
  })

  test('is rolled forward at the next open', async () => {
    const place = world(2)
    const first = await openIn(place)
    const users = first.book.cache<User>('users', { table: 'users', key: 'id' })
    await users.set('a', user('old'))
    await first.book.flush()
    const restore = place.database.backup()
    for (let at = 0; at < 10; at++) await users.increment('a', { visits: 1 })
    await first.book.close()
    restore()
    const second = await openIn(place)
    await second.book.flush()
    expect(place.database.rows('users').get('a')).toEqual(user('old', { visits: 10 }))
    await second.book.close()
  })

  test.each(['while it is open', 'at the next open'])(
    'applies a mutation once whose dead letter was retried since: noticed %s',
    async (when) => {
      const place = world(1)
      const { book: first, store } = await openIn(place)
      let book = first
      let users = book.cache<User>('users', { table: 'users', key: 'id' })
      await users.set('a', user('Ada'))
      await book.flush()
      const restore = place.database.backup()
      store.reject((row) => row.key === 'a')
      await users.increment('a', { visits: 1 }, { returning: false })
      await users.increment('a', { visits: 10 }, { returning: false })
      await book.flush()
      expect(book.deadLetters.count).toBe(2)
      store.reject(undefined)
      await book.deadLetters.retry({})
      await book.flush()
      expect(place.database.rows('users').get('a')?.visits).toBe(11)

      if (when === 'at the next open') await book.close()
      restore()
      if (when === 'at the next open') {
        ;({ book } = await openIn(place))
        users = book.cache<User>('users', { table: 'users', key: 'id' })
      }
      book.pause()
      await users.invalidate('a')
      expect((await users.get('a'))?.visits, 'a read before it is rolled forward').toBe(11)
      book.resume()
      await users.set('b', user('Bob'))
      await book.flush()
      expect(place.database.rows('users').get('a')?.visits).toBe(11)
      expect(book.stats().pending.mutations).toBe(0)
      await book.close()
    },
  )

  test('is refused where the journal no longer reaches back to it, and where the store is ahead', async () => {
    const place = world(1)
    const first = await openIn(place)
    const users = first.book.cache<User>('users', { table: 'users', key: 'id' })
    await users.set('a', user('1'))
    await first.book.flush()
    const restore = place.database.backup()
    await users.set('a', user('2'))
    await users.set('a', user('3'))
    await first.book.close()
    restore()
    place.journal.oldestPosition = 3
    await expect(openIn(place)).rejects.toMatchObject({
      code: 'JOURNAL_GAP',
      details: { checkpoint: 1 },
    })

    const shorter = world(1)
    shorter.journal.lastPosition = 0
    await expect(openIn({ ...shorter, database: place.database })).rejects.toMatchObject({
      code: 'JOURNAL_GAP',
      details: { lastPosition: 0 },
    })
  })
})
