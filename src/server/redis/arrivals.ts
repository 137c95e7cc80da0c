/**
 * Who waits for something to come into a list, a sorted set or a stream: BLPOP, BZPOPMIN, XREAD and the like. First come, first
 * served. Who reads as one of a group must be told as well where the key ends, or becomes something else.
 */

import type { Keyspace } from '../../book/keyspace.ts'
import type { Target } from './spaces/space.ts'

export interface Arrival {
  /** Resolves at the next announcement of one of the keys. */
  readonly happened: Promise<void>
  readonly cancel: () => void
}

type Waiting = Map<Keyspace, Map<string, Set<() => void>>>

export class Arrivals {
  readonly #waiting: Waiting = new Map()
  /** Those of them who must be told of the end of a key. */
  readonly #attached: Waiting = new Map()

  #count = 0

  /** How many wait. */
  get count(): number {
    return this.#count
  }

  /** Someone waits for one of the keys. */
  areExpected(targets: readonly Target[]): boolean {
    return targets.some(({ keyspace, key }) => this.#waiting.get(keyspace)?.has(key) === true)
  }

  /** `isAttached`: also the end of a key is something. */
  expect(targets: readonly Target[], isAttached = false): Arrival {
    this.#count++
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const wake = (): void => resolve(undefined)
    const lists = isAttached ? [this.#waiting, this.#attached] : [this.#waiting]
    for (const waiting of lists) add(waiting, targets, wake)
    return {
      happened: promise,
      cancel: () => {
        this.#count--
        for (const waiting of lists) remove(waiting, targets, wake)
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
  announce(place: Pick<Target, 'keyspace' | 'key'>): void {
    wakeAll(this.#waiting, place)
  }

  /** The same, where what was there may be there no more. */
  announceEnd(place: Pick<Target, 'keyspace' | 'key'>): void {
    if (this.#attached.size > 0) wakeAll(this.#attached, place)
  }
}

function wakeAll(waiting: Waiting, { keyspace, key }: Pick<Target, 'keyspace' | 'key'>): void {
  const wakes = waiting.get(keyspace)?.get(key)
  if (wakes === undefined) return
  queueMicrotask(() => {
    for (const wake of wakes) wake()
  })
}

function add(waiting: Waiting, targets: readonly Target[], wake: () => void): void {
  for (const { keyspace, key } of targets) {
    const keys = waiting.get(keyspace) ?? new Map<string, Set<() => void>>()
    waiting.set(keyspace, keys)
    const wakes = keys.get(key) ?? new Set()
    keys.set(key, wakes.add(wake))
  }
}

function remove(waiting: Waiting, targets: readonly Target[], wake: () => void): void {
  for (const { keyspace, key } of targets) {
    const keys = waiting.get(keyspace)
    const wakes = keys?.get(key)
    wakes?.delete(wake)
    if (wakes?.size === 0) keys?.delete(key)
    if (keys?.size === 0) waiting.delete(keyspace)
  }
}
