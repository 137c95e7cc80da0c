/**
 * What the keys of a step have, as its own writes have made it so far.
 *
 * A patch of a large value is not applied to a copy: a hundred thousand fields would be copied for each command of a
 * transaction. The value that the tier has is changed where it is, what was there is noted, and when the step ends it is put
 * back, however it ends; what the step wrote is appended after that, and changes the value for good.
 *
 * Nobody sees what is between: a step is synchronous, so nothing else runs before it ends, and whoever kept a value of the
 * tier from before may not look at it after a wait (see `TierEntry`). What was put back may stand elsewhere in the order of
 * the fields, which is nobody's promise.
 */

import type { Fields, Mutation } from '../mutation/mutation.ts'
import type { Keyspace, Was } from './keyspace.ts'

/** One write, and what it takes to have it not done. */
interface Change {
  readonly keyspace: Keyspace
  readonly key: string
  /** The step had written the key before. */
  readonly again: boolean
  readonly before: Fields | undefined
  /** Where `after` was changed in place. */
  was: Was | undefined
  after: Fields | undefined
}

type Values = Map<string, Fields | undefined>

export class StepValues {
  readonly #valueOf: (keyspace: Keyspace, key: string) => Fields | undefined
  readonly #values = new Map<Keyspace, Values>()
  readonly #changes: Change[] = []
  /** Of values that the tier does not have, or that are small. The step changes them, and leaves them behind. */
  readonly #copies = new Set<Fields>()

  /** `valueOf` is what a key has without the step. */
  constructor(valueOf: (keyspace: Keyspace, key: string) => Fields | undefined) {
    this.#valueOf = valueOf
  }

  /** How many writes were applied. */
  get writes(): number {
    return this.#changes.length
  }

  /** By key, of those that the step has written. */
  of(keyspace: Keyspace): ReadonlyMap<string, Fields | undefined> | undefined {
    return this.#values.get(keyspace)
  }

  apply(keyspace: Keyspace, key: string, mutation: Mutation): void {
    const values = this.#valuesOf(keyspace)
    const again = values.has(key)
    const before = again ? values.get(key) : this.#valueOf(keyspace, key)
    const change: Change = { keyspace, key, again, before, was: undefined, after: undefined }
    this.#changes.push(change)
    if (mutation.kind !== 'patch' || before === undefined) {
      values.set(key, keyspace.applied(before, mutation))
      return
    }
    const value = this.#changeable(keyspace, key, before)
    values.set(key, value)
    change.after = value
    // Noted first: what fails half way is put back too.
    change.was = keyspace.wasOf(value, mutation)
    keyspace.change(value, mutation, change.was)
  }

  /** Takes back all writes but the first ones. */
  undoTo(writes: number): void {
    while (this.#changes.length > writes) {
      const { keyspace, key, again, before, was, after } = this.#changes.pop() as Change
      if (was !== undefined && after !== undefined) keyspace.putBack(after, was)
      const values = this.#valuesOf(keyspace)
      if (again) values.set(key, before)
      else values.delete(key)
    }
  }

  /** The step has ended: all that it changed is as it was. */
  end(): void {
    if (this.#changes.length === 0) return
    for (let at = this.#changes.length - 1; at >= 0; at--) {
      const { keyspace, was, after } = this.#changes[at] as Change
      const isLeft = after === undefined || this.#copies.has(after)
      if (was !== undefined && !isLeft) keyspace.putBack(after, was)
    }
    this.#changes.length = 0
    this.#values.clear()
    this.#copies.clear()
  }

  #valuesOf(keyspace: Keyspace): Values {
    const known = this.#values.get(keyspace)
    if (known !== undefined) return known
    const values: Values = new Map()
    this.#values.set(keyspace, values)
    return values
  }

  /** The value itself where nobody else can have it, else a copy. */
  #changeable(keyspace: Keyspace, key: string, value: Fields): Fields {
    if (this.#copies.has(value)) return value
    const own = keyspace.ownLarge(key, value)
    if (own !== undefined) return own
    const copy = keyspace.copyOf(value)
    this.#copies.add(copy)
    return copy
  }
}
