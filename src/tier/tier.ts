/**
 * The tier port: where a cache's values live for reading. It may forget anything at any time: what is pending lives in
 * the lanes, and the rest in the store.
 */

import type { Fields, Position } from '../mutation/mutation.ts'
import type { Looks } from './key-index.ts'

/**
 * What is cached of a key, as a view of this turn of the loop: after an await it may show something else, and a large value
 * may have changed.
 */
export interface TierEntry {
  /** undefined: known to be absent (a delete, or a miss that is remembered). Never handed out without a copy. */
  readonly value: Fields | undefined
  /** The newest mutation in it. A reader waits until this is durable. */
  readonly position: Position
  /** On the monotonic clock; Infinity where it does not expire. */
  readonly expiresAt: number
  /** A shallow copy of the value is a whole one: no field is an object. */
  readonly flat: boolean
  readonly bytes: number
}

export interface Tier {
  get(key: string): TierEntry | undefined
  /**
   * Looks at what there is of these keys, without counting it as a use, so that it is near when it is asked for next; at
   * the values too where `looks` says how. Returns a number that means nothing: without it nothing would be looked at.
   */
  bringNear(keys: readonly string[], looks?: Looks<Fields>): number
  /** Does nothing where an entry with a newer position is there. The fields are those of `TierEntry`. */
  put(
    key: string,
    value: Fields | undefined,
    position: Position,
    expiresAt: number,
    flat: boolean,
    bytes: number,
  ): void
  remove(key: string): void
  clear(): void
  keys(): IterableIterator<string>
  readonly entries: number
  readonly bytes: number
}
