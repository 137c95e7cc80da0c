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

import type { Fields, Position } from '../mutation/mutation.ts'
import { KeyIndex, type Looks } from './key-index.ts'
import type { Tier, TierEntry } from './tier.ts'

type Nodes = KeyIndex<Node, Fields>

/** The entry and its place in one object: a write of a cached key allocates nothing here. */
class Node implements TierEntry {
  readonly key: string
  readonly #nodes: Nodes
  // What a hit looks at comes first: it shares lines of the processor's cache.
  #number: number
  position: Position
  /** undefined: never. A number that is no small integer is an object of its own, and each look at it a cache miss. */
  ends: number | undefined = undefined
  /** Read or replaced since the hand was here. */
  visited = false
  flat: boolean
  bytes: number
  newer: Node | undefined = undefined
  older: Node | undefined
  #last: Fields | undefined = undefined

  constructor(key: string, nodes: Nodes, older: Node | undefined) {
    this.key = key
    this.#nodes = nodes
    this.#number = nodes.add(this)
    this.position = 0
    this.flat = true
    this.bytes = 0
    this.older = older
  }

  get value(): Fields | undefined {
    return this.#number === 0 ? this.#last : this.#nodes.valueAt(this.#number)
  }

  set value(value: Fields | undefined) {
    this.#nodes.setValue(this.#number, value)
  }

  /** It is dropped: who still looks at it sees what it had, and not what its number comes to stand for. */
  leave(): void {
    this.#last = this.value
    this.#number = 0
  }

  get expiresAt(): number {
    return this.ends ?? Infinity
  }
}

/** At its far end: the near one has the key. */
function lookAtNode(node: Node): number {
  return node.bytes
}

export class MemoryTier implements Tier {
  readonly #maxBytes: number
  readonly #nodes: Nodes = new KeyIndex()
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
    // Not where it is true: a line that is written must go back to memory.
    if (!node.visited) node.visited = true
    return node
  }

  bringNear(keys: readonly string[], looks?: Looks<Fields>): number {
    return this.#nodes.bringNear(keys, lookAtNode, looks)
  }

  put(
    key: string,
    value: Fields | undefined,
    position: Position,
    expiresAt: number,
    flat: boolean,
    claimedBytes: number,
  ): void {
    let node = this.#nodes.get(key)
    if (node !== undefined && node.position > position) return
    // An entry that claims no bytes takes one, so that the budget bounds the number of entries too.
    const bytes = Math.max(1, claimedBytes)
    // One that has grown beyond what is left comes in anew.
    if (node !== undefined && this.#bytes - node.bytes + bytes > this.#maxBytes) {
      this.#drop(node)
      node = undefined
    }
    if (node === undefined) {
      if (bytes > this.#maxBytes) return
      // Room is made first: the hand must not meet what has just come.
      while (this.#bytes + bytes > this.#maxBytes) this.#evict()
      node = this.#insert(key)
    } else node.visited = true
    this.#bytes += bytes - node.bytes
    node.value = value
    node.position = position
    const ends = expiresAt === Infinity ? undefined : expiresAt
    // Whatever may be an object is told to the collector, which looks far away for it.
    if (node.ends !== ends) node.ends = ends
    node.flat = flat
    node.bytes = bytes
  }

  remove(key: string): void {
    const node = this.#nodes.get(key)
    if (node !== undefined) this.#drop(node)
  }

  clear(): void {
    for (let node = this.#oldest; node !== undefined; node = node.newer) node.leave()
    this.#nodes.clear()
    this.#newest = undefined
    this.#oldest = undefined
    this.#hand = undefined
    this.#bytes = 0
  }

  /** In the order of their coming. What changes during the walk may or may not be in it. */
  *keys(): IterableIterator<string> {
    for (let node = this.#oldest; node !== undefined; node = node.newer) yield node.key
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

  #insert(key: string): Node {
    const node = new Node(key, this.#nodes, this.#newest)
    if (this.#newest === undefined) this.#oldest = node
    else this.#newest.newer = node
    this.#newest = node
    return node
  }

  #drop(node: Node): void {
    if (this.#hand === node) this.#hand = node.newer
    if (node.newer === undefined) this.#newest = node.older
    else node.newer.older = node.older
    if (node.older === undefined) this.#oldest = node.newer
    else node.older.newer = node.newer
    node.leave()
    this.#nodes.remove(node.key)
    this.#bytes -= node.bytes
  }
}
