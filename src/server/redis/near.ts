/**
 * What requests will probably look at, brought into the processor's cache before the first of them runs.
 *
 * Values lie all over memory, and each lookup is a chain of loads that wait for it. A pipeline, and what several connections
 * have sent, tells many keys at once: their chains are walked side by side here, and run into the cache one after the other
 * then. Nothing depends on it.
 */

import type { Keyspace } from '../../book/keyspace.ts'
import type { Fields } from '../../mutation/mutation.ts'
import { scalar } from './document-space.ts'

/** Enough of them to be worth it, and so few that what they need stays in the cache. */
export const maxNear = 64
/** Of a text; what is longer the processor fetches ahead by itself. */
const maxUnits = 256
const lineUnits = 64

export class Near {
  #keyspace: Keyspace | undefined
  readonly #keys: string[] = []
  #looksAtValues = false
  readonly #values: (Fields | undefined)[] = []
  readonly #texts: unknown[] = []
  #sum = 0

  get keys(): number {
    return this.#keys.length
  }

  /** `looksAtValue`: the request probably reads it. */
  add(keyspace: Keyspace, key: string, looksAtValue: boolean): void {
    if (keyspace !== this.#keyspace || this.#keys.length >= maxNear) this.bring()
    this.#keyspace = keyspace
    this.#keys.push(key)
    this.#looksAtValues ||= looksAtValue
  }

  /** The sum means nothing: it is there so that what it is made of is not optimised away. */
  bring(): number {
    const keys = this.#keys
    if (keys.length > 1 && this.#keyspace !== undefined) {
      this.#keyspace.peekAll(keys, this.#values)
      if (this.#looksAtValues) this.#sum = (this.#sum + this.#bringTexts(keys.length)) % 65_536
      // Nothing is kept alive for the next time.
      this.#values.fill(undefined)
      this.#texts.fill(undefined)
    }
    keys.length = 0
    this.#looksAtValues = false
    return this.#sum
  }

  #bringTexts(count: number): number {
    for (let at = 0; at < count; at++) this.#texts[at] = this.#values[at]?.[scalar]
    let sum = 0
    for (let at = 0; at < count; at++) {
      const text = this.#texts[at]
      if (typeof text !== 'string') continue
      const end = Math.min(text.length, maxUnits)
      for (let unit = 0; unit < end; unit += lineUnits) sum += text.charCodeAt(unit)
    }
    return sum
  }
}
