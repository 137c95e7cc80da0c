/**
 * The tier in this process's memory: least recently used goes first, within a budget of bytes.
 *
 * An entry that alone exceeds the budget is not kept, and neither is the older one of its key. Expiry is the reader's
 * concern: an entry past its time stays until it is replaced, removed or evicted.
 */

import { LRUCache } from 'lru-cache'

import type { Tier, TierEntry } from './tier.ts'

export class MemoryTier implements Tier {
  readonly #cache: LRUCache<string, TierEntry>

  constructor(maxBytes: number) {
    this.#cache = new LRUCache({ maxSize: maxBytes })
  }

  get entries(): number {
    return this.#cache.size
  }

  get bytes(): number {
    return this.#cache.calculatedSize
  }

  get(key: string): TierEntry | undefined {
    return this.#cache.get(key)
  }

  put(key: string, entry: TierEntry): void {
    const present = this.#cache.peek(key)
    if (present !== undefined && present.position > entry.position) return
    if (entry.bytes > this.#cache.maxSize) this.#cache.delete(key)
    else this.#cache.set(key, entry, { size: Math.max(1, entry.bytes) })
  }

  remove(key: string): void {
    this.#cache.delete(key)
  }

  clear(): void {
    this.#cache.clear()
  }

  /** The most recently used first. What changes during the walk may or may not be in it. */
  keys(): IterableIterator<string> {
    return this.#cache.keys()
  }
}
