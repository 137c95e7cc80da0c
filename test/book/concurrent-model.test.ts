/**
 * Goal: nothing is lost and nothing applied twice, whatever runs at the same time. Method: rounds of concurrent
 * increments, batches and reads, with faults of the store, refused rows, a journal that fails, crashes and retries of dead
 * letters under way, against sums of what was acknowledged. Increments are what shows a mutation applied twice.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { isDaybookError } from '../../src/base/errors.ts'
import type { Cache } from '../../src/book/cache.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import type { MemoryFiles } from '../../src/testing/memory-files.ts'
import { openIn, world, type User, type World } from '../support/book-fixture.ts'

const keys = ['a', 'b', 'c', 'd', 'e']
const key = fc.constantFrom(...keys)
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), key, by: fc.nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('blind' as const), key, by: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('read' as const), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('invalidate' as const), key }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('turn' as const, 'flush' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retry' as const) }) },
)
const fault = fc.record({
  at: fc.constantFrom('begin' as const, 'write' as const, 'commit' as const, 'load' as const),
  kind: fc.constantFrom('outage' as const, 'conflict' as const),
  applied: fc.boolean(),
})
const round = fc.record({
  operations: fc.array(operation, { maxLength: 12 }),
  faults: fc.array(fault, { maxLength: 3 }),
  refused: fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: fc.array(key, { maxLength: 2 }) },
  ),
  journal: fc.constantFrom('works' as const, 'works' as const, 'fails' as const),
  ending: fc.constantFrom('none' as const, 'none' as const, 'restart' as const, 'crash' as const),
})
type Round = typeof round extends fc.Arbitrary<infer R> ? R : never

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Play {
  place: World = world(2)
  book!: Daybook
  store!: MemoryStore
  users!: Cache<User>
  readonly sums = new Map<string, number>(keys.map((name) => [name, 0]))
  /** Some mutations may be dead letters: a read then shows less. */
  hasRefused = false

  async open(): Promise<void> {
    const opened = await openIn(this.place, {
      flush: { delayMs: 1, maxKeys: 2, retryBaseMs: 1, retryMaxMs: 2 },
      pressure: { memoryBytes: 600 },
    })
    this.book = opened.book
    this.store = opened.store
    this.users = this.book.cache<User>('users', { table: 'users', key: 'id', maxBytes: 1_100 })
    await this.users.ready()
  }

  async crash(): Promise<void> {
    const { journal, database, ports } = this.place
    const files = (ports.files as MemoryFiles).kill()
    const survivor = journal.copy()
    journal.crash()
    this.place = { journal: survivor, database, ports: { ...ports, files } }
    await this.open()
  }

  /** Counts what is acknowledged. */
  add(adding: Promise<unknown>, amounts: readonly (readonly [string, number])[]): Promise<void> {
    return adding.then(
      () => {
        for (const [name, by] of amounts) this.sums.set(name, (this.sums.get(name) ?? 0) + by)
      },
      (error: unknown) => {
        if (!isDaybookError(error)) throw error
      },
    )
  }

  async read(name: string): Promise<void> {
    const least = this.sums.get(name) ?? 0
    const value = await this.users.get(name).catch((error: unknown) => {
      if (isDaybookError(error)) return 'failed' as const
      throw error
    })
    if (value === 'failed' || this.hasRefused) return
    expect(value?.visits ?? 0, 'a read shows what was acknowledged').toBeGreaterThanOrEqual(least)
  }

  async round({ operations, faults, refused, journal, ending }: Round): Promise<void> {
    if (refused.length > 0) this.hasRefused = true
    this.store.reject((row) => refused.includes(row.key))
    this.store.inject(...faults)
    if (journal === 'fails') this.place.journal.automatic = false
    const running: Promise<void>[] = []
    for (const action of operations) {
      switch (action.kind) {
        case 'add': {
          const adding = this.users.increment(action.key, { visits: action.by })
          running.push(this.add(adding, [[action.key, action.by]]))
          break
        }
        case 'blind': {
          const amounts = { visits: action.by }
          const adding = this.users.increment(action.key, amounts, { returning: false })
          running.push(this.add(adding, [[action.key, action.by]]))
          break
        }
        case 'batch': {
          const adding = this.book.batch((writes) => {
            for (const name of action.keys) writes.increment(this.users, name, { visits: 1 })
          })
          running.push(
            this.add(
              adding,
              action.keys.map((name) => [name, 1] as const),
            ),
          )
          break
        }
        case 'read':
          running.push(this.read(action.key))
          break
        case 'invalidate':
          running.push(this.users.invalidate(action.key))
          break
        case 'flush':
          running.push(this.book.flush({ timeoutMs: 50 }).catch(() => undefined))
          break
        case 'retry':
          running.push(
            this.book.deadLetters.retry({}, { timeoutMs: 50 }).then(
              () => undefined,
              (error: unknown) => {
                if (!isDaybookError(error)) throw error
              },
            ),
          )
          break
        case 'turn':
          await turn()
      }
    }
    if (journal === 'fails') {
      await turn()
      this.place.journal.fail()
      this.place.journal.automatic = true
      // What came after the failure.
      setImmediate(() => this.place.journal.commit())
    }
    if (ending === 'crash') {
      await turn()
      await turn()
      // What has not been acknowledged by now never will be.
      for (const one of running) one.catch(() => undefined)
      this.place.journal.automatic = false
      await turn()
      await turn()
      await this.crash()
      return
    }
    await Promise.all(running)
    if (ending === 'restart') {
      await this.book.close({ drainTimeoutMs: 0 })
      await this.open()
    }
    if (this.hasRefused) return
    for (const name of keys) await this.exactly(name)
  }

  async exactly(name: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        expect((await this.users.get(name))?.visits ?? 0, name).toBe(this.sums.get(name))
        return
      } catch (error) {
        // Injected faults of loads are used up by and by.
        if (!isDaybookError(error) || attempt > 50) throw error
      }
    }
  }

  async end(): Promise<void> {
    this.store.reject(undefined)
    await this.book.flush({ timeoutMs: 20_000 })
    for (let pass = 0; this.book.deadLetters.count > 0; pass++) {
      expect(pass, 'dead letters come to an end').toBeLessThan(5)
      await this.book.deadLetters.retry({})
      await this.book.flush({ timeoutMs: 20_000 })
    }
    const rows = this.place.database.rows('users')
    for (const name of keys) {
      expect(rows.get(name)?.visits ?? 0, name).toBe(this.sums.get(name))
      await this.exactly(name)
    }
    const { pending } = this.book.stats()
    expect(pending).toMatchObject({ mutations: 0, keys: 0, spilledMutations: 0 })
    for (const lane of this.book.stats().lanes) expect(lane.state).not.toBe('halted')
    await this.book.close()
  }
}

test('concurrent writes are applied exactly once, through faults, refusals, crashes and retries', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { maxLength: 8 }), async (rounds) => {
      const play = new Play()
      await play.open()
      for (const one of rounds) await play.round(one)
      await play.end()
    }),
    { numRuns: 250 },
  )
})
