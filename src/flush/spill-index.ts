/**
 * Which positions of the journal belong to a key, for mutations that are pending but no longer in memory.
 *
 * A hash table with chains in typed arrays: 12 bytes a mutation and about 2 for its bucket, whatever the key's length.
 * It knows hashes, not keys, so an answer may contain positions of another key: the reader compares.
 *
 *     buckets[hash & mask] ─▶ newest entry ─▶ older ─▶ … ─▶ 0
 *
 * Entries live in chunks in the order in which they came. A chunk is dropped once the lane's checkpoint has passed all
 * of it; chains run from newer to older, so a link into a dropped chunk is the end of the chain.
 *
 * Of the newest chunk nothing is in the buckets yet; it is searched from its start to its end. A bucket is far from the
 * processor, and 1024 loads side by side take a fraction of what they take between the other work of each write.
 */

import type { Position } from '../mutation/mutation.ts'

/** Small enough that a lane with little in it costs little: see G7 in docs/guarantees.md. */
const chunkEntries = 1024
const initialBuckets = 1024
const entriesPerBucket = 4

class Chunk {
  readonly hashes = new Int32Array(chunkEntries)
  /** Relative to `base`. */
  readonly offsets = new Uint32Array(chunkEntries)
  /** Sequence number of the next older entry in the bucket; 0 is none. */
  readonly older = new Uint32Array(chunkEntries)
  readonly base: Position
  newest: Position = 0
  used = 0

  constructor(base: Position) {
    this.base = base
  }
}

export class SpillIndex {
  #chunks: Chunk[] = []
  /** Chunks dropped so far. Entry number n (from 1) lives in chunk (n - 1) / chunkEntries. */
  #dropped = 0
  #count = 0
  #buckets = new Uint32Array(initialBuckets)

  /** Entries in memory, those that the checkpoint has passed but whose chunk has not gone included. */
  get entries(): number {
    return this.#count - this.#dropped * chunkEntries
  }

  get bytes(): number {
    return this.#chunks.length * chunkEntries * 12 + this.#buckets.byteLength
  }

  add(hash: number, position: Position): void {
    let chunk = this.#chunks.at(-1)
    // Entries of one spilled batch come in the order of keys, not of positions: `base` leaves room below.
    const fits =
      chunk !== undefined &&
      chunk.used < chunkEntries &&
      position >= chunk.base &&
      position - chunk.base <= 0xffff_ffff
    if (chunk === undefined || !fits) {
      if (chunk !== undefined) this.#close(chunk)
      chunk = new Chunk(Math.max(0, position - 0x7fff_ffff))
      this.#chunks.push(chunk)
    }
    const slot = chunk.used++
    chunk.hashes[slot] = hash
    chunk.offsets[slot] = position - chunk.base
    if (position > chunk.newest) chunk.newest = position
    this.#count++
  }

  /** Positions with this hash in (after, upTo], ascending. */
  find(hash: number, after: Position, upTo: Position): Position[] {
    const found: Position[] = []
    const look = (chunk: Chunk, slot: number): void => {
      const position = chunk.base + (chunk.offsets[slot] as number)
      if (position > after && position <= upTo) found.push(position)
    }
    const open = this.#chunks.at(-1)
    const opened = open?.used ?? 0
    for (let slot = 0; slot < opened; slot++) if (open?.hashes[slot] === hash) look(open, slot)
    let number = this.#buckets[hash & (this.#buckets.length - 1)] as number
    const oldest = this.#dropped * chunkEntries
    while (number > oldest) {
      const chunk = this.#chunks[Math.floor((number - 1) / chunkEntries) - this.#dropped] as Chunk
      const slot = (number - 1) % chunkEntries
      if (chunk.hashes[slot] === hash) look(chunk, slot)
      number = chunk.older[slot] as number
    }
    // A batch that was read back and put back again is in the index twice.
    return found.sort((a, b) => a - b).filter((position, at) => position !== found[at - 1])
  }

  /** Forgets chunks that lie wholly at or below `position`. */
  release(position: Position): void {
    while (this.#chunks[0] !== undefined && this.#chunks[0].newest <= position) {
      const full = this.#chunks[0].used === chunkEntries || this.#chunks.length > 1
      if (!full) {
        this.clear()
        return
      }
      this.#chunks.shift()
      this.#dropped++
    }
  }

  clear(): void {
    this.#chunks = []
    this.#dropped = 0
    this.#count = 0
    this.#buckets = new Uint32Array(initialBuckets)
  }

  /** Links the newest chunk: another one follows. */
  #close(newest: Chunk): void {
    this.#count += chunkEntries - newest.used
    if (this.entries <= this.#buckets.length * entriesPerBucket) {
      this.#link(newest, this.#count - chunkEntries)
      return
    }
    this.#buckets = new Uint32Array(this.#buckets.length * 2)
    let before = this.#dropped * chunkEntries
    for (const chunk of this.#chunks) {
      this.#link(chunk, before)
      before += chunkEntries
    }
  }

  /** `before`: the number of the last entry that came before the chunk. */
  #link({ hashes, older, used }: Chunk, before: number): void {
    const buckets = this.#buckets
    const mask = buckets.length - 1
    for (let slot = 0; slot < used; slot++) {
      const bucket = (hashes[slot] as number) & mask
      older[slot] = buckets[bucket] as number
      buckets[bucket] = before + slot + 1
    }
  }
}
