/**
 * The members of a sorted set in their order: by score, and by their bytes where scores are equal. A score may also be the hash
 * of a member, for what is scanned or picked from.
 *
 * It never changes, so a step that fails leaves nothing to undo. What a change makes of it is another one: the order is cut
 * into chunks, and all that the change does not touch are the same arrays in both.
 *
 *     find a rank, a member or a bound    O(log n)
 *     take a range                        O(log n + what is in it)
 *     change k of n members               O(k log n + k chunks + n / chunk)
 *
 * The last term is a list of pointers to the chunks: 300 of them for 100,000 members. A tree of more levels would have less of
 * that, and more to walk for each rank.
 *
 * Pure.
 */

import { firstWhere } from '../../../base/binary-search.ts'

export interface Scored {
  /** Bytes, one character for each. */
  readonly member: string
  /** Never NaN. */
  readonly score: number
}

/** In its order, and never empty. */
type Chunk = readonly Scored[]

const maxChunk = 512
/** What is smaller is joined with its neighbour where there is room for both. */
const minChunk = 128
/** Of one that is made: there is room for more before it must be cut. */
const fullChunk = 384

export class SortedMembers {
  readonly size: number
  readonly #chunks: readonly Chunk[]
  /** The rank of the first of each. */
  readonly #starts: readonly number[]

  private constructor(chunks: readonly Chunk[]) {
    const starts: number[] = []
    let size = 0
    for (const { length } of chunks) {
      starts.push(size)
      size += length
    }
    this.size = size
    this.#chunks = chunks
    this.#starts = starts
  }

  /** In any order; no member twice. */
  static of(items: Iterable<Scored>): SortedMembers {
    return new SortedMembers(cut([...items].sort(compare)))
  }

  at(rank: number): Scored | undefined {
    const chunk = this.#chunkAt(rank)
    return this.#chunks[chunk]?.[rank - (this.#starts[chunk] ?? 0)]
  }

  /** Those from rank `from` on, before rank `to`. Ranks begin at 0. */
  range(from: number, to: number): readonly Scored[] {
    const [first, end] = [Math.max(0, from), Math.min(this.size, to)]
    if (first >= end) return []
    let chunk = this.#chunkAt(first)
    const start = this.#starts[chunk] ?? 0
    const items = (this.#chunks[chunk] as Chunk).slice(first - start, end - start)
    while (items.length < end - first) {
      const following = this.#chunks[++chunk] as Chunk
      append(items, following, 0, Math.min(following.length, end - first - items.length))
    }
    return items
  }

  /** Of a member with its score; undefined where it is not there. */
  rankOf(item: Scored): number | undefined {
    const rank = this.countWhile((other) => compare(other, item) < 0)
    const there = this.at(rank)
    return there !== undefined && compare(there, item) === 0 ? rank : undefined
  }

  /** How many come first for which it is true. Once it is false, it must be false for all that follow. */
  countWhile(isBefore: (item: Scored) => boolean): number {
    const whole = lengthWhile(this.#chunks, (chunk) => isBefore(chunk.at(-1) as Scored))
    const chunk = this.#chunks[whole]
    if (chunk === undefined) return this.size
    return (this.#starts[whole] ?? 0) + lengthWhile(chunk, isBefore)
  }

  /** Without some, which are there with these scores, and with others, which are not there then. */
  changed(removed: readonly Scored[], added: readonly Scored[]): SortedMembers {
    if (removed.length + added.length === 0) return this
    const edits = [
      ...removed.map((item): Edit => ({ item, comes: false })),
      ...added.map((item): Edit => ({ item, comes: true })),
    ].sort(byItem)
    const chunks = this.#chunks.slice()
    // From the end on: the numbers of the chunks before stay what they are.
    for (let end = edits.length; end > 0;) {
      const at = this.#chunkOf((edits[end - 1] as Edit).item)
      const first = this.#chunks[at]?.[0]
      // What comes before all others goes into the first chunk.
      const begin =
        at === 0 || first === undefined
          ? 0
          : lengthWhile(edits, ({ item }) => compare(item, first) < 0)
      // It may have been joined with the next one already.
      replace(chunks, at, edited(chunks[at] ?? [], edits.slice(begin, end)))
      end = begin
    }
    return new SortedMembers(chunks)
  }

  /** The number of the chunk that has this rank. */
  #chunkAt(rank: number): number {
    return lengthWhile(this.#starts, (start) => start <= rank) - 1
  }

  /** That the item is in, or would be. */
  #chunkOf(item: Scored): number {
    const begun = lengthWhile(this.#chunks, (chunk) => compare(chunk[0] as Scored, item) <= 0)
    return Math.max(0, begun - 1)
  }
}

/** A member that goes or comes. */
interface Edit {
  readonly item: Scored
  readonly comes: boolean
}

/** One that goes before the same one that comes. */
function byItem(a: Edit, b: Edit): number {
  return compare(a.item, b.item) || Number(a.comes) - Number(b.comes)
}

/** How many come first for which it is true; the first `from` are known to. */
function lengthWhile<T>(list: readonly T[], isBefore: (item: T) => boolean, from = 0): number {
  return firstWhere(list.length, (at) => !isBefore(list[at] as T), from)
}

/** With more, one walk is cheaper than a shift for each. */
const maxShifts = 4

/** A copy, with the edits in their order. */
function edited(chunk: Chunk, edits: readonly Edit[]): readonly Scored[] {
  return edits.length <= maxShifts ? shifted(chunk, edits) : merged(chunk, edits)
}

function shifted(chunk: Chunk, edits: readonly Edit[]): readonly Scored[] {
  const items = chunk.slice()
  for (const { item, comes } of edits) {
    const at = lengthWhile(items, (other) => compare(other, item) < 0)
    if (comes) items.splice(at, 0, item)
    else {
      checkThere(items[at], item)
      items.splice(at, 1)
    }
  }
  return items
}

function merged(chunk: Chunk, edits: readonly Edit[]): readonly Scored[] {
  const items: Scored[] = []
  let next = 0
  for (const { item, comes } of edits) {
    const at = lengthWhile(chunk, (other) => compare(other, item) < 0, next)
    append(items, chunk, next, at)
    next = at
    if (comes) items.push(item)
    else checkThere(chunk[next++], item)
  }
  append(items, chunk, next, chunk.length)
  return items
}

function checkThere(found: Scored | undefined, item: Scored): void {
  if (found !== undefined && compare(found, item) === 0) return
  throw new Error('Only a member that is there can be removed.')
}

/** Into even parts, where it is too large for one chunk. */
function cut(items: readonly Scored[]): readonly Chunk[] {
  if (items.length === 0) return []
  if (items.length <= maxChunk) return [items]
  const parts = Math.ceil(items.length / fullChunk)
  return Array.from({ length: parts }, (_, part) =>
    items.slice(
      Math.floor((part * items.length) / parts),
      Math.floor(((part + 1) * items.length) / parts),
    ),
  )
}

/** In place: the chunk has become these items, and may be too large or too small for one now. */
function replace(chunks: Chunk[], at: number, items: readonly Scored[]): void {
  if (items.length <= maxChunk && items.length >= minChunk) {
    chunks[at] = items
    return
  }
  chunks.splice(at, 1, ...cut(items))
  if (items.length >= minChunk) return
  join(chunks, at)
  join(chunks, at - 1)
}

/** Makes one of it and the next, where both together are no more than one may have. */
function join(chunks: Chunk[], at: number): void {
  const [chunk, next] = [chunks[at], chunks[at + 1]]
  if (chunk === undefined || next === undefined) return
  if (chunk.length + next.length > maxChunk) return
  chunks.splice(at, 2, [...chunk, ...next])
}

function append(items: Scored[], from: Chunk, start: number, end: number): void {
  for (let at = start; at < end; at++) items.push(from[at] as Scored)
}

/** Not by subtraction: of two infinities that would be NaN. */
function compare(a: Scored, b: Scored): number {
  if (a.score !== b.score) return a.score < b.score ? -1 : 1
  if (a.member === b.member) return 0
  return a.member < b.member ? -1 : 1
}
