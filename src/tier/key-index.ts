/**
 * A hash table from keys to what is known of them, which can be asked for many keys at once.
 *
 * With more keys than the processor's cache has room for, a lookup is a handful of loads that each wait for memory, and a
 * `Map` makes them one after the other. Here `bringNear` makes each step for all keys before the next one, in loops that
 * are short enough for several rounds to be under way at once, so that their loads wait side by side.
 *
 *     slots, open addressing:   hash │ number   hash │ number   …        number 0: a free slot
 *                                          │
 *     pairs:                               └─▶ item │ value
 *                                               └─▶ key
 *
 * Values are here and not in their items: a new value of an old object is noted by the collector, and one place in one array
 * is noted more cheaply than one in each of many objects (it was a sixteenth of a SET). What is found together is kept by
 * its numbers for the same reason: an object that is stored anywhere is asked for its page, which is a load that misses.
 */

import { keyHash } from './key-hash.ts'

interface Keyed {
  readonly key: string
}

/** First at the value, then at what it holds. */
export interface Looks<Value> {
  readonly atValue: (value: Value) => number
  readonly into: (value: Value) => number
}

const initialSlots = 256

export class KeyIndex<Item extends Keyed, Value> {
  /** Two words for each slot. */
  #slots = new Uint32Array(2 * initialSlots)
  #mask = initialSlots - 1
  /** An item and its value for each number. The first pair is none. */
  readonly #pairs: (Item | Value | undefined)[] = [undefined, undefined]
  /** Numbers that may be given again. */
  readonly #free: number[] = []
  /** Numbers of what was found together: most are asked for next, one after the other, and need no second look. */
  #recent = new Uint32Array(0)
  #recentCount = 0
  /** Which of them was asked for last. */
  #at = 0
  readonly #hashOf: (key: string) => number

  /** `hashOf` gives unsigned 32-bit numbers. */
  constructor(hashOf: (key: string) => number = keyHash) {
    this.#hashOf = hashOf
  }

  get size(): number {
    return this.#pairs.length / 2 - 1 - this.#free.length
  }

  get(key: string): Item | undefined {
    if (this.#recentCount > 0) {
      const item = this.#recentOf(key)
      if (item !== undefined) return item
    }
    const slot = this.#slotOf(key)
    return slot < 0 ? undefined : this.#itemAt(this.#slots[2 * slot + 1] as number)
  }

  /** Of the item that `add` gave this number. */
  valueAt(number: number): Value | undefined {
    return this.#pairs[2 * number + 1] as Value | undefined
  }

  setValue(number: number, value: Value | undefined): void {
    this.#pairs[2 * number + 1] = value
  }

  /**
   * Looks at what there is of the keys, so that it is near when it is asked for next. Each look should wait for one load,
   * and return a number that it makes of it. The sum means nothing: without it the loads would be optimised away.
   *
   * Of two keys with the same hash it may look at the wrong one: nothing depends on it.
   */
  bringNear(
    keys: readonly string[],
    lookAtItem: (item: Item) => number,
    looks?: Looks<Value>,
  ): number {
    const count = this.#findAll(keys)
    const numbers = this.#recent
    const pairs = this.#pairs
    let sum = 0
    for (let at = 0; at < count; at++) {
      sum = (sum + lookAtItem(pairs[2 * (numbers[at] as number)] as Item)) | 0
    }
    for (let at = 0; at < count; at++) {
      sum = (sum + (pairs[2 * (numbers[at] as number)] as Item).key.length) | 0
    }
    if (looks === undefined) return sum
    // Two loops, not one within another: each call is of one function, which then becomes part of its loop.
    for (let at = 0; at < count; at++) {
      const value = pairs[2 * (numbers[at] as number) + 1] as Value | undefined
      if (value !== undefined) sum = (sum + looks.atValue(value)) | 0
    }
    for (let at = 0; at < count; at++) {
      const value = pairs[2 * (numbers[at] as number) + 1] as Value | undefined
      if (value !== undefined) sum = (sum + looks.into(value)) | 0
    }
    return sum
  }

  /** The key must not be there. Returns the item's number, which is its own until it is removed. */
  add(item: Item): number {
    if (2 * (this.size + 1) > this.#mask + 1) this.#grow()
    let number = this.#free.pop()
    if (number === undefined) number = this.#pairs.push(item, undefined) / 2 - 1
    else this.#pairs[2 * number] = item
    this.#place(this.#hashOf(item.key), number)
    return number
  }

  remove(key: string): void {
    const slots = this.#slots
    const mask = this.#mask
    let slot = this.#slotOf(key)
    if (slot < 0) return
    this.#forgetRecent()
    const number = slots[2 * slot + 1] as number
    this.#pairs[2 * number] = undefined
    this.#pairs[2 * number + 1] = undefined
    this.#free.push(number)
    // What would not be found over the gap moves into it (Knuth, TAOCP 3, algorithm 6.4R).
    for (let next = (slot + 1) & mask; ; next = (next + 1) & mask) {
      if (slots[2 * next + 1] === 0) break
      const home = (slots[2 * next] as number) & mask
      if (((next - home) & mask) < ((next - slot) & mask)) continue
      slots[2 * slot] = slots[2 * next] as number
      slots[2 * slot + 1] = slots[2 * next + 1] as number
      slot = next
    }
    slots[2 * slot + 1] = 0
  }

  clear(): void {
    this.#slots = new Uint32Array(2 * initialSlots)
    this.#mask = initialSlots - 1
    this.#pairs.length = 2
    this.#free.length = 0
    this.#forgetRecent()
  }

  #itemAt(number: number): Item | undefined {
    return this.#pairs[2 * number] as Item | undefined
  }

  /** Puts the numbers of what there is of the keys into `#recent`, in their order, and returns how many they are. */
  #findAll(keys: readonly string[]): number {
    const count = keys.length
    if (this.#recent.length < count) this.#recent = new Uint32Array(count)
    const slots = this.#slots
    const mask = this.#mask
    // Hashes first, then the numbers in their place.
    const recent = this.#recent
    for (let at = 0; at < count; at++) recent[at] = this.#hashOf(keys[at] as string)
    let found = 0
    for (let at = 0; at < count; at++) {
      const hash = recent[at] as number
      let slot = hash & mask
      while (slots[2 * slot + 1] !== 0 && slots[2 * slot] !== hash) slot = (slot + 1) & mask
      const number = slots[2 * slot + 1] as number
      if (number !== 0) recent[found++] = number
    }
    this.#recentCount = found
    this.#at = 0
    return found
  }

  /** What was asked for last, or the next one. */
  #recentOf(key: string): Item | undefined {
    const recent = this.#recent
    const last = Math.min(this.#at + 1, this.#recentCount - 1)
    for (let at = this.#at; at <= last; at++) {
      const item = this.#itemAt(recent[at] as number) as Item
      if (item.key !== key) continue
      this.#at = at
      return item
    }
    return undefined
  }

  #forgetRecent(): void {
    this.#recentCount = 0
    this.#at = 0
  }

  /** -1: it is not there. */
  #slotOf(key: string): number {
    const slots = this.#slots
    const mask = this.#mask
    const hash = this.#hashOf(key)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = slots[2 * slot + 1] as number
      if (number === 0) return -1
      if (slots[2 * slot] === hash && this.#itemAt(number)?.key === key) return slot
    }
  }

  #place(hash: number, number: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let slot = hash & mask
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask
    slots[2 * slot] = hash
    slots[2 * slot + 1] = number
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    this.#mask = old.length - 1
    for (let at = 0; at < old.length; at += 2) {
      const number = old[at + 1] as number
      if (number !== 0) this.#place(old[at] as number, number)
    }
  }
}
