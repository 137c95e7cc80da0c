/**
 * Goal: whatever the store, the journal and the memory do, every read equals a plain map, and in the end so does the
 * database. Method: random operations on few keys, with injected faults, tiny budgets, restarts and a database that goes
 * back in time, against a Map.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Cache } from '../../src/book/cache.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { openIn, user, world, type User } from '../support/book-fixture.ts'

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const fault = fc.record({
  kind: fc.constant('fault' as const),
  at: fc.constantFrom('begin' as const, 'write' as const, 'commit' as const),
  failure: fc.constantFrom('outage' as const, 'conflict' as const),
  applied: fc.boolean(),
})
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('set' as const), key, visits: fc.nat(99) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('increment' as const),
      key,
      by: fc.integer({ min: -5, max: 5 }),
      blind: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('merge' as const),
      key,
      name: fc.constantFrom('x', 'y', null),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update' as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('invalidate' as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'flush' as const,
        'pause' as const,
        'restart' as const,
        'backup' as const,
        'restore' as const,
        'journal' as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fault },
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

async function play(steps: readonly Step[]): Promise<void> {
  const place = world(2)
  const options = {
    flush: { delayMs: 1, maxKeys: 2, retryBaseMs: 1, retryMaxMs: 2 },
    pressure: { memoryBytes: 2_000 },
  }
  const cacheOptions = { table: 'users', key: 'id', maxBytes: 1_500 } as const
  const model = new Map<string, User>()
  let restore: (() => void) | undefined
  const open = async (): Promise<[Daybook, MemoryStore, Cache<User>]> => {
    const opened = await openIn(place, options)
    return [opened.book, opened.store, opened.book.cache<User>('users', cacheOptions)]
  }
  let [book, store, users] = await open()

  const modelIncrement = (of: string, by: number): void => {
    const now = model.get(of) ?? user('none', { name: null })
    model.set(of, { ...now, visits: now.visits + by })
  }
  const perform = async (action: Step): Promise<void> => {
    switch (action.kind) {
      case 'set':
        await users.set(action.key, user('s', { visits: action.visits }))
        model.set(action.key, user('s', { visits: action.visits }))
        break
      case 'increment':
        modelIncrement(action.key, action.by)
        if (action.blind)
          await users.increment(action.key, { visits: action.by }, { returning: false })
        else
          expect(await users.increment(action.key, { visits: action.by })).toEqual(
            model.get(action.key),
          )
        break
      case 'merge':
        await users.merge(action.key, { name: action.name })
        model.set(action.key, { ...(model.get(action.key) ?? user('none')), name: action.name })
        break
      case 'delete':
        await users.delete(action.key)
        model.delete(action.key)
        break
      case 'update':
        await users.update(action.key, (now) => ({
          ...(now ?? user('new')),
          score: (now?.score ?? 0) + 0.5,
        }))
        model.set(action.key, {
          ...(model.get(action.key) ?? user('new')),
          score: (model.get(action.key)?.score ?? 0) + 0.5,
        })
        break
      case 'batch':
        await book.batch((writes) => {
          for (const of of action.keys) writes.increment(users, of, { visits: 1 })
        })
        for (const of of action.keys) modelIncrement(of, 1)
        break
      case 'read':
        expect(await users.get(action.key)).toEqual(model.get(action.key))
        break
      case 'invalidate':
        await users.invalidate(action.key)
        break
      case 'flush':
        book.resume()
        await book.flush({ timeoutMs: 20_000 })
        break
      case 'pause':
        book.pause()
        break
      case 'restart':
        await book.close({ drainTimeoutMs: 0 })
        ;[book, store, users] = await open()
        break
      case 'backup':
        restore = place.database.backup()
        break
      case 'restore':
        restore?.()
        restore = undefined
        break
      case 'journal': {
        // A write that fails leaves no trace.
        place.journal.automatic = false
        const failing = users.set('a', user('lost')).then(
          () => 'written',
          () => 'failed',
        )
        await new Promise((resolve) => setImmediate(resolve))
        place.journal.fail()
        place.journal.automatic = true
        expect(await failing).toBe('failed')
        break
      }
      case 'fault':
        store.inject({
          at: action.at,
          kind: action.failure,
          applied: action.applied && action.at === 'commit',
        })
        break
    }
  }
  for (const action of steps) await perform(action)
  book.resume()
  await book.flush({ timeoutMs: 20_000 })
  // A store that went back is noticed by the next transaction of each lane.
  for (const of of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
    await users.set(of, user('end'))
    model.set(of, user('end'))
  }
  await book.flush({ timeoutMs: 20_000 })
  expect(place.database.rows('users')).toEqual(model)
  expect(book.stats().deadLetters.count).toBe(0)
  expect(book.stats().pending.mutations).toBe(0)
  await book.close()
}

test('every read equals the model, and in the end so does the database', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), play), { numRuns: 250 })
})
