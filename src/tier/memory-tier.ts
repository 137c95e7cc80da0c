/**
 * The tier in this process's memory, within a budget of bytes. Who goes is decided by SIEVE (Zhang et al., "SIEVE is
 * Simpler than LRU", NSDI 2024): a hit sets one bit and moves nothing, and a hand passes once over what was hit since its
 * last visit before it evicts.
 *
 *     newest ─▶ … ─▶ … ─▶ oldest          new entries come in at the newest end
 *                    ▲ hand ◀──           the hand walks towards the newest, and starts again at the oldest
 *
 * An entry that alone exceeds the budget is not kept, and neither is the older one of its key. Expiry is the reader's
 * concern: an entry past its time stays until it is replaced, removed or evicted.
 */

import type { Tier, TierEntry } from './tier.ts'

interface Node {
  readonly key: string
  entry: TierEntry
  /** Read or replaced since the hand was here. */
  visited: boolean
  newer: Node | undefined
  older: Node | undefined
}

export class MemoryTier implements Tier {
  readonly #maxBytes: number
  readonly #nodes = new Map<string, Node>()
  #newest: Node | undefined
  #oldest: Node | undefined
  #hand: Node | undefined
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get entries(): number {
    return this.#nodes.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): TierEntry | undefined {
    const node = this.#nodes.get(key)
    if (node === undefined) return undefined
    node.visited = true
    return node.entry
  }

  put(key: string, entry: TierEntry): void {
    let node = this.#nodes.get(key)
    if (node !== undefined && node.entry.position > entry.position) return
    const bytes = sizeOf(entry)
    // One that has grown beyond what is left comes in anew.
    if (node !== undefined && this.#bytes - sizeOf(node.entry) + bytes > this.#maxBytes) {
      this.#drop(node)
      node = undefined
    }
    if (node !== undefined) {
      this.#bytes += bytes - sizeOf(node.entry)
      node.entry = entry
      node.visited = true
    } else if (bytes <= this.#maxBytes) {
      // Room is made first: the hand must not meet what has just come.
      while (this.#bytes + bytes > this.#maxBytes) this.#evict()
      this.#insert(key, entry)
    }
  }

  remove(key: string): void {
    const node = this.#nodes.get(key)
    if (node !== undefined) this.#drop(node)
  }

  clear(): void {
    this.#nodes.clear()
    this.#newest = undefined
    this.#oldest = undefined
    this.#hand = undefined
    this.#bytes = 0
  }

  /** In the order of their coming. What changes during the walk may or may not be in it. */
  keys(): IterableIterator<string> {
    return this.#nodes.keys()
  }

  /** Ends: each step clears a bit or evicts, and one round clears them all. */
  #evict(): void {
    let node = this.#hand ?? this.#oldest
    while (node?.visited === true) {
      node.visited = false
      node = node.newer ?? this.#oldest
    }
    this.#hand = node
    if (node !== undefined) this.#drop(node)
  }

  #insert(key: string, entry: TierEntry): void {
    const node: Node = { key, entry, visited: false, newer: undefined, older: this.#newest }
    if (this.#newest === undefined) this.#oldest = node
    else this.#newest.newer = node
    this.#newest = node
    this.#nodes.set(key, node)
    this.#bytes += sizeOf(entry)
  }

  #drop(node: Node): void {
    if (this.#hand === node) this.#hand = node.newer
    if (node.newer === undefined) this.#newest = node.older
    else node.newer.older = node.older
    if (node.older === undefined) this.#oldest = node.newer
    else node.older.newer = node.newer
    this.#nodes.delete(node.key)
    this.#bytes -= sizeOf(node.entry)
  }
}

/** An entry that claims no bytes takes one, so that the budget bounds the number of entries too. */
function sizeOf(entry: TierEntry): number {
  return Math.max(1, entry.bytes)
}
