/** Several keys read and written as one step: at once, after a load, behind a holder, in line, and undone. */

import { describe, expect, test } from 'vitest'
import type { Place } from '../../src/book/turn.ts'
import { systemClock } from '../../src/base/clock.ts'
import { openIn, user, world, type User } from '../support/book-fixture.ts'

async function opened(options = {}) {
  const place = world()
  const { book, store } = await openIn(place, options)
  const users = await book.cache<User>('users', { table: 'users', key: 'id' }).ready()
  const turn = book.turn()
  const keyspace = turn.keyspace('users')
  if (keyspace === undefined) throw new Error('It was declared.')
  const at = (key: string, blind = false): Place => ({ keyspace, key, blind })
  const add = (target: Place, visits: number): void =>
    turn.write(target, { kind: 'patch', fields: {}, amounts: { visits } })
  return { place, book, store, users, turn, keyspace, at, add }
}

describe('a step', () => {
  test('runs at once where every value is known, and writes as one batch', async () => {
    const { book, users, turn, at, add } = await opened()
    await users.set('a', user('Ada', { visits: 1 }))
    await users.set('b', user('Bob', { visits: 2 }))
    let sum = 0
    const outcome = turn.tryNow([at('a'), at('b')], () => {
      add(at('a'), 10)
      add(at('a'), 10)
      sum = Number(turn.read(at('a'))?.visits) + Number(turn.read(at('b'))?.visits)
    })
    expect(outcome).toBe('done')
    expect(turn.wrote).toBe(true)
    await turn.done
    // It has seen its own writes.
    expect(sum).toBe(23)
    expect((await users.get('a'))?.visits).toBe(21)
    await book.close()
  })

  test('tells of each value that a patch has made, the step its own and then the one that is kept', async () => {
    const { book, users, turn, keyspace, at, add } = await opened()
    await users.set('a', user('Ada', { visits: 1 }))
    const told: (readonly [before: unknown, names: readonly string[], after: unknown])[] = []
    keyspace.onPatched = ({ before, names, after }) => void told.push([before, names, after])
    const before = keyspace.fresh('a')?.value
    let own: unknown
    turn.tryNow([at('a')], () => {
      add(at('a'), 2)
      own = turn.read(at('a'))
    })
    const kept = keyspace.fresh('a')?.value
    expect(kept).toMatchObject({ name: 'Ada', visits: 3 })
    // The very objects: what is known of one is found by it. The step has a copy, and changes that.
    expect(told.map(([, names]) => names)).toEqual([[], ['visits'], ['visits']])
    const [first, second, third] = told
    expect([first?.[0] === before, first?.[2] === own]).toEqual([true, true])
    expect([second?.[0] === own, second?.[2] === own]).toEqual([true, true])
    expect([third?.[0] === before, third?.[2] === kept, kept === own]).toEqual([true, true, false])
    // Not of what has no value before, nor of what is written anew.
    await users.set('a', user('Eve'))
    await users.increment('b', { visits: 1 })
    expect(told).toHaveLength(3)
    await turn.done
    await book.close()
  })

  test('changes a large value where it is, and nobody who has it or is given it sees that', async () => {
    const { book, users, turn, keyspace, at, add } = await opened()
    await users.set('a', user('A'.repeat(5000), { visits: 1 }))
    // Of what is loaded the tier knows by itself how large it is.
    await book.flush()
    await users.invalidate('a')
    await users.get('a')
    const given = keyspace.fresh('a')?.value
    const told: unknown[] = []
    keyspace.onPatched = ({ was, names, after }) => {
      told.push([was.visits, names, after.visits])
    }
    await users.increment('a', { visits: 1 })
    // The first change makes a copy: others may have what was loaded.
    const own = keyspace.fresh('a')?.value
    expect([given?.visits, own?.visits]).toEqual([1, 2])
    const copy = await users.get('a')
    await users.merge('a', { visits: 5 })
    expect(keyspace.fresh('a')?.value).toBe(own)
    expect([own?.visits, copy?.visits]).toEqual([5, 2])
    expect(told).toEqual([
      [1, ['visits'], 2],
      [2, ['visits'], 5],
    ])
    // The value itself, written for another key: that one is its own.
    turn.tryNow([at('a'), at('b', true)], () => {
      const fields = turn.read(at('a'))
      if (fields !== undefined) turn.write(at('b', true), { kind: 'set', fields })
    })
    await turn.done
    turn.tryNow([at('a')], () => add(at('a'), 10))
    await turn.done
    expect([(await users.get('a'))?.visits, (await users.get('b'))?.visits]).toEqual([15, 5])
    await book.flush()
    for (const key of ['a', 'b']) await users.invalidate(key)
    expect([(await users.get('a'))?.visits, (await users.get('b'))?.visits]).toEqual([15, 5])
    await book.close()
  })

  test('that reads what is not in memory runs when that is loaded, in the same turn', async () => {
    const { book, users, turn, at, add } = await opened()
    await users.set('a', user('Ada', { visits: 1 }))
    await users.set('b', user('Bob', { visits: 2 }))
    await book.flush()
    await users.invalidate('a')
    await users.invalidate('b')
    const step = (): void => add(at('a'), Number(turn.read(at('b'))?.visits))
    expect(turn.tryNow([at('a'), at('b')], step)).toBe('unknown')
    const { done } = await turn.later([at('a'), at('b'), at('a')], step)
    await done
    expect((await users.get('a'))?.visits).toBe(3)
    await users.invalidate('a')
    const seen: unknown[] = []
    await turn.later([at('a')], () => seen.push(turn.read(at('a'))?.visits))
    expect(seen).toEqual([3])
    await book.close()
  })

  test('of many at once on cold keys loses none', async () => {
    const { book, users, turn, at, add } = await opened()
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        const [left, right] = [at(String(n % 7)), at(String(n % 5))]
        if (n % 10 === 0) await users.invalidate(left.key)
        const { done } = await turn.later([left, right], () => {
          turn.read(right)
          add(left, 1)
        })
        await done
      }),
    )
    const sums = await Promise.all(Array.from({ length: 7 }, (_, n) => users.get(String(n))))
    expect(sums.reduce((sum, row) => sum + (row?.visits ?? 0), 0)).toBe(200)
    await book.close()
  })

  test('waits for who works on one of its keys', async () => {
    const { book, users, turn, keyspace, at, add } = await opened()
    await users.set('a', user('Ada'))
    const release = await keyspace.hold('a')
    expect(turn.tryNow([at('a')], () => add(at('a'), 1))).toBe('held')
    const waiting = turn.later([at('a')], () => add(at('a'), 1))
    release()
    await (
      await waiting
    ).done
    expect((await users.get('a'))?.visits).toBe(1)
    await book.close()
  })

  test('stands in line where the journal takes nothing, and looks again when its turn comes', async () => {
    const { book, place, users, turn, at, add } = await opened()
    await users.set('a', user('Ada'))
    place.journal.refusing = true
    expect(turn.tryNow([at('a')], () => add(at('a'), 1))).toBe('full')
    await users.invalidate('a')
    const waiting = turn.later([at('a')], () =>
      add(at('a'), Number(turn.read(at('a'))?.visits) + 5),
    )
    systemClock.setTimer(30, () => {
      place.journal.refusing = false
    })
    await (
      await waiting
    ).done
    expect((await users.get('a'))?.visits).toBe(5)
    await book.close()
  })

  test('that stands in line too long fails, and writes nothing', async () => {
    const { book, place, users, turn, at, add } = await opened({ pressure: { waitMs: 30 } })
    await users.set('a', user('Ada'))
    place.journal.refusing = true
    await expect(turn.later([at('a')], () => add(at('a'), 1))).rejects.toMatchObject({
      code: 'OVERLOADED',
    })
    place.journal.refusing = false
    expect((await users.get('a'))?.visits).toBe(0)
    await book.close()
  })

  test('that throws writes nothing', async () => {
    const { book, users, turn, at, add } = await opened()
    await users.set('a', user('Ada'))
    const failing = (): void => {
      add(at('a'), 1)
      throw new Error('no')
    }
    expect(() => turn.tryNow([at('a')], failing)).toThrow('no')
    await users.invalidate('a')
    await book.flush()
    await expect(turn.later([at('a')], failing)).rejects.toThrow('no')
    expect(turn.tryNow([at('a', true)], () => undefined)).toBe('done')
    expect(turn.wrote).toBe(false)
    expect((await users.get('a'))?.visits).toBe(0)
    await book.close()
  })

  test('can take back what a part of it wrote', async () => {
    const { book, users, turn, at, add } = await opened()
    await users.set('a', user('Ada'))
    turn.tryNow([at('a')], () => {
      add(at('a'), 1)
      const before = turn.writes
      add(at('a'), 100)
      expect(turn.read(at('a'))?.visits).toBe(101)
      turn.undoTo(before)
      expect(turn.read(at('a'))?.visits).toBe(1)
    })
    await turn.done
    expect((await users.get('a'))?.visits).toBe(1)
    await book.close()
  })

  test('that only reads waits where a crash could take back what it saw', async () => {
    const { book, place, users, turn, at } = await opened()
    await users.set('a', user('Ada'))
    turn.tryNow([at('a')], () => turn.read(at('a')))
    expect(turn.done).toBeUndefined()
    place.journal.automatic = false
    const writing = users.set('a', user('Grace'))
    turn.tryNow([at('a')], () => turn.read(at('a')))
    const { done } = turn
    expect(done).toBeDefined()
    place.journal.automatic = true
    place.journal.commit()
    await Promise.all([writing, done])
    await book.close()
  })

  test('is in the store when it is told, where its cache asks for that', async () => {
    const { book, place, turn } = await opened()
    await book.cache<User>('through', { table: 'users', key: 'id', durability: 'store' }).ready()
    const keyspace = turn.keyspace('through')
    if (keyspace === undefined) throw new Error('It was declared.')
    const target = { keyspace, key: 'x', blind: true }
    turn.tryNow([target], () =>
      turn.write(target, { kind: 'patch', fields: { name: 'X' }, amounts: {} }),
    )
    await turn.done
    expect(place.database.rows('users').get('x')).toMatchObject({ name: 'X' })
    await book.close()
  })

  test('has its effects once it is acknowledged, in the order of the steps', async () => {
    const { book, place, users, turn, at, add } = await opened()
    await users.set('a', user('Ada'))
    place.journal.automatic = false
    const told: string[] = []
    const telling = (what: string): void => {
      add(at('a'), 1)
      turn.afterwards(() => told.push(what))
    }
    turn.tryNow([at('a')], () => telling('first'))
    const { done } = turn
    // It writes nothing and shows nothing, and still comes after the one before.
    turn.tryNow([at('a', true)], () => turn.afterwards(() => told.push('second')))
    turn.afterwardsOf(Promise.resolve(), () => told.push('third'))
    await turn.done
    expect(told).toEqual([])
    place.journal.automatic = true
    place.journal.commit()
    await done
    await expect.poll(() => told).toEqual(['first', 'second', 'third'])
    await book.close()
  })

  test('has none where it throws, has to be run again, or takes them back', async () => {
    const { book, place, users, turn, at, add } = await opened()
    await users.set('a', user('Ada'))
    const told: string[] = []
    const step = (): void => {
      add(at('a'), 1)
      turn.afterwards(() => told.push('kept'))
      const before = turn.writes
      add(at('a'), 1)
      turn.afterwards(() => told.push('undone'))
      turn.undoTo(before)
    }
    expect(() =>
      turn.tryNow([at('a')], () => {
        turn.afterwards(() => told.push('thrown'))
        throw new Error('no')
      }),
    ).toThrow('no')
    place.journal.refusing = true
    expect(turn.tryNow([at('a')], step)).toBe('full')
    place.journal.refusing = false
    await (
      await turn.later([at('a')], step)
    ).done
    await expect.poll(() => told).toEqual(['kept'])
    await book.close()
  })

  test('has none where its commit fails, and later ones do', async () => {
    const { book, users, turn, at } = await opened()
    await users.set('a', user('Ada'))
    const told: string[] = []
    turn.afterwardsOf(Promise.reject(new Error('no')), () => told.push('failed'))
    turn.tryNow([at('a')], () => turn.afterwards(() => told.push('later')))
    await expect.poll(() => told).toEqual(['later'])
    await book.close()
  })
})

describe('a step that finds out which keys it needs', () => {
  test('goes on where they are in memory, or not looked at', async () => {
    const { book, users, turn, at, add } = await opened()
    await users.set('a', user('Ada', { visits: 1 }))
    let runs = 0
    const outcome = turn.tryNow([], () => {
      runs++
      for (const place of [at('a'), at('unseen', true)]) turn.name(place)
      add(at('a'), Number(turn.read(at('a'))?.visits))
      turn.write(at('unseen', true), { kind: 'delete' })
    })
    expect([outcome, runs]).toEqual(['done', 1])
    await turn.done
    expect((await users.get('a'))?.visits).toBe(2)
    await book.close()
  })

  test('is run again once they are loaded, and has left nothing before', async () => {
    const { book, users, turn, at, add } = await opened()
    for (const key of ['a', 'b', 'c']) await users.set(key, user(key, { visits: 1 }))
    await book.flush()
    for (const key of ['a', 'b', 'c']) await users.invalidate(key)
    let runs = 0
    const step = (): void => {
      runs++
      add(at('a'), 1)
      for (const key of ['b', 'c']) {
        turn.name(at(key))
        add(at('a'), Number(turn.read(at(key))?.visits))
      }
    }
    expect(turn.tryNow([at('a', true)], step)).toBe('unknown')
    const { done } = await turn.later([at('a', true)], step)
    await done
    expect(runs).toBe(4)
    expect((await users.get('a'))?.visits).toBe(4)
    await book.close()
  })

  test('waits for who works on one of them', async () => {
    const { book, users, turn, keyspace, at, add } = await opened()
    await users.set('a', user('Ada'))
    const step = (): void => {
      turn.name(at('a'))
      add(at('a'), 1)
    }
    const release = await keyspace.hold('a')
    expect(turn.tryNow([], step)).toBe('unknown')
    const order: string[] = []
    const waiting = turn.later([], step).then(() => order.push('step'))
    await Promise.resolve()
    order.push('release')
    release()
    await waiting
    expect(order).toEqual(['release', 'step'])
    await book.close()
  })

  test('may name one that it was given only to write', async () => {
    const { book, users, turn, at } = await opened()
    await users.set('a', user('Ada', { visits: 7 }))
    await book.flush()
    await users.invalidate('a')
    const seen: unknown[] = []
    await turn.later([at('a', true)], () => {
      turn.name(at('a'))
      seen.push(turn.read(at('a'))?.visits)
    })
    expect(seen).toEqual([7])
    await book.close()
  })

  test('names many together, which are loaded together', async () => {
    const { book, users, turn, keyspace, at, add } = await opened()
    const keys = Array.from({ length: 1500 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key) => users.set(key, user(key, { visits: 1 }))))
    await book.flush()
    for (const key of keys.slice(1)) await users.invalidate(key)
    let runs = 0
    const step = (): void => {
      runs++
      turn.nameAll(keys.map((key) => at(key)))
      const sum = keys.reduce((all, key) => all + Number(turn.read(at(key))?.visits), 0)
      add(at('k1', true), sum)
    }
    // One that was given only to write, and one that someone works on.
    const release = await keyspace.hold('k0')
    const waiting = turn.later([at('k1', true)], step)
    release()
    const { done } = await waiting
    await done
    expect(runs).toBe(2)
    expect((await users.get('k1'))?.visits).toBe(1501)
    await book.close()
  })

  test('listens once to its signal for all of them, and holds none of them once it is aborted', async () => {
    const { book, users, turn, keyspace, at } = await opened()
    const keys = Array.from({ length: 300 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key) => users.set(key, user(key))))
    await book.flush()
    for (const key of keys) await users.invalidate(key)
    const abort = new AbortController()
    let listeners = 0
    const listen = abort.signal.addEventListener.bind(abort.signal)
    abort.signal.addEventListener = (...given: Parameters<typeof listen>) => {
      listeners++
      listen(...given)
      // Now that they are all being loaded.
      abort.abort(new Error('gone'))
    }
    let runs = 0
    const step = (): void => {
      runs++
      turn.nameAll(keys.map((key) => at(key)))
    }
    await expect(turn.later([], step, abort.signal)).rejects.toMatchObject({ code: 'ABORTED' })
    expect([listeners, runs, keyspace.holding]).toEqual([1, 1, false])
    await book.close()
  })

  test('is refused where it names too many together', async () => {
    const { book, turn, at } = await opened()
    const places = Array.from({ length: 100_001 }, (_, n) => at(String(n)))
    const step = (): void => turn.nameAll(places)
    expect(turn.tryNow([], step)).toBe('unknown')
    await expect(turn.later([], step)).rejects.toMatchObject({
      code: 'INVALID_VALUE',
      message: expect.stringContaining('more than 100000 keys') as string,
    })
    await book.close()
  })

  test('is refused where they are too many', async () => {
    const { book, turn, at } = await opened()
    let runs = 0
    const endless = (): void => {
      runs++
      for (let n = 0; ; n++) turn.name(at(String(n)))
    }
    await expect(turn.later([], endless)).rejects.toMatchObject({ code: 'INVALID_VALUE' })
    expect(runs).toBe(1001)
    await book.close()
  })
})
