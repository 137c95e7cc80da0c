/** Who waits for something to come into a list or a sorted set: BLPOP, BZPOPMIN and the like. First come, first served. */

import type { Keyspace } from '../../book/keyspace.ts'
import type { Target } from './space.ts'

export interface Arrival {
  /** Resolves at the next announcement of one of the keys. */
  readonly happened: Promise<void>
  readonly cancel: () => void
}

export class Arrivals {
  readonly #waiting = new Map<Keyspace, Map<string, Set<() => void>>>()

  #count = 0

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Someone waits for one of the keys. */
  areExpected(targets: readonly Target[]): boolean {
    return targets.some(({ keyspace, key }) => this.#waiting.get(keyspace)?.has(key) === true)
  }

  expect(targets: readonly Target[]): Arrival {
    this.#count++
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const wake = (): void => resolve(undefined)
    for (const { keyspace, key } of targets) {
      const keys = this.#waiting.get(keyspace) ?? new Map<string, Set<() => void>>()
      this.#waiting.set(keyspace, keys)
      const wakes = keys.get(key) ?? new Set()
      keys.set(key, wakes.add(wake))
    }
    return {
      happened: promise,
      cancel: () => {
        this.#count--
        for (const { keyspace, key } of targets) {
          const keys = this.#waiting.get(keyspace)
          const wakes = keys?.get(key)
          wakes?.delete(wake)
          if (wakes?.size === 0) keys?.delete(key)
        }
      },
    }
  }

  /** Databases have changed places: everyone looks. */
  announceAll(): void {
    for (const keys of this.#waiting.values()) {
      for (const wakes of keys.values()) for (const wake of wakes) wake()
    }
  }

  /** Called within a step: those who wait look once the step has been appended. One too many costs a look. */
  announce({ keyspace, key }: Target): void {
    const wakes = this.#waiting.get(keyspace)?.get(key)
    if (wakes === undefined) return
    queueMicrotask(() => {
      for (const wake of wakes) wake()
    })
  }
}
