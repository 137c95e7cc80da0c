/**
 * What requests will probably look at, brought into the processor's cache before the first of them runs.
 *
 * Values lie all over memory, and each lookup is a chain of loads that wait for it. A pipeline, and what several connections
 * have sent, tells many keys at once: their chains are walked side by side here, and run into the cache one after the other
 * then. Nothing depends on it.
 */

import type { Keyspace } from '../../book/keyspace.ts'
import type { Fields } from '../../mutation/mutation.ts'
import { scalar } from './spaces/document-space.ts'

/** Enough of them to be worth it, and so few that what they need stays in the cache. */
export const maxNear = 64
/** Of a text; what is longer the processor fetches ahead by itself. */
const maxUnits = 256
const lineUnits = 64

export class Near {
  #keyspace: Keyspace | undefined
  readonly #keys: string[] = []
  #looksAtValues = false

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

  /** Returns a number that means nothing, see `Tier.bringNear`. */
  bring(): number {
    const keys = this.#keys
    const looks = this.#looksAtValues ? { atValue, into } : undefined
    const sum = keys.length > 1 ? (this.#keyspace?.bringNear(keys, looks) ?? 0) : 0
    keys.length = 0
    this.#looksAtValues = false
    return sum
  }
}

/** Where the text is, and nothing of the text itself, which is another load. */
function atValue(value: Fields): number {
  return value[scalar] === undefined ? 0 : 1
}

function into(value: Fields): number {
  const text = value[scalar]
  if (typeof text !== 'string') return 0
  const end = Math.min(text.length, maxUnits)
  let sum = 0
  for (let unit = 0; unit < end; unit += lineUnits) sum += text.charCodeAt(unit)
  return sum
}
