/**
 * Chance from a seed. Every concern has a stream of its own, so that a new kind of fault does not change what the old
 * seeds do elsewhere.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), seeded by splitmix32.
 */

import type { Random } from '../src/base/random.ts'

export class Chance implements Random {
  readonly #seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#seed = seed >>> 0
    let state = this.#seed
    const mix = (): number => {
      state = (state + 0x9e3779b9) | 0
      let mixed = state ^ (state >>> 16)
      mixed = Math.imul(mixed, 0x21f0aaad)
      mixed ^= mixed >>> 15
      mixed = Math.imul(mixed, 0x735a2d97)
      return (mixed ^ (mixed >>> 15)) >>> 0
    }
    this.#a = mix()
    this.#b = mix()
    this.#c = mix()
    for (let warm = 0; warm < 12; warm++) this.#bits()
  }

  /** An independent stream. The same name gives the same stream, whatever was drawn from this one. */
  stream(name: string): Chance {
    let hash = 0x811c9dc5 ^ this.#seed
    for (let at = 0; at < name.length; at++) {
      hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    }
    return new Chance(hash ^ (hash >>> 13))
  }

  next(): number {
    return this.#bits() / 2 ** 32
  }

  /** Version-4 UUIDs in form; from the seed. */
  uuid(): string {
    const hex = [0, 1, 2, 3].map(() => this.#bits().toString(16).padStart(8, '0')).join('')
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `8${hex.slice(17, 20)}`,
      hex.slice(20),
    ].join('-')
  }

  /** An integer from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low)
  }

  /** True with this probability. */
  hits(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  /** One of the items, with the probability of its weight. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries(weights) as [T, number][]
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [item, weight] of entries) {
      left -= weight
      if (left < 0) return item
    }
    return (entries.at(-1) as [T, number])[0]
  }

  #bits(): number {
    const mixed = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + mixed) | 0
    return mixed >>> 0
  }
}
