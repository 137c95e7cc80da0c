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
    const going = [...removed].sort(compare)
    const coming = [...added].sort(compare)
    const chunks: Chunk[] = []
    let next = 0
    let [gone, come] = [0, 0]
    while (gone < going.length || come < coming.length) {
      const at = this.#chunkOf(firstOf(going[gone], coming[come]))
      keep(chunks, this.#chunks, next, at)
      next = at + 1
      const end = this.#chunks[next]?.[0]
      const [goneTo, comeTo] = [countBefore(going, gone, end), countBefore(coming, come, end)]
      const merged = merge(
        this.#chunks[at] ?? [],
        going.slice(gone, goneTo),
        coming.slice(come, comeTo),
      )
      for (const chunk of cut(merged)) join(chunks, chunk)
      gone = goneTo
      come = comeTo
    }
    keep(chunks, this.#chunks, next, this.#chunks.length)
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

/** How many of a sorted list come first for which it is true, `from` being the first that it may be false for. */
function lengthWhile<T>(list: readonly T[], isBefore: (item: T) => boolean, from = 0): number {
  let low = from
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(list[middle] as T)) low = middle + 1
    else high = middle
  }
  return low
}

/** Without an end there is nothing that is not before it. */
function countBefore(items: readonly Scored[], from: number, end: Scored | undefined): number {
  if (end === undefined) return items.length
  return lengthWhile(items, (item) => compare(item, end) < 0, from)
}

/** One of them is there. */
function firstOf(going: Scored | undefined, coming: Scored | undefined): Scored {
  if (coming === undefined) return going as Scored
  return going === undefined || compare(coming, going) < 0 ? coming : going
}

/** All three are sorted. */
function merge(chunk: Chunk, going: readonly Scored[], coming: readonly Scored[]): Scored[] {
  const items: Scored[] = []
  let next = 0
  let [gone, come] = [0, 0]
  while (gone < going.length || come < coming.length) {
    const item = firstOf(going[gone], coming[come])
    const at = lengthWhile(chunk, (other) => compare(other, item) < 0, next)
    append(items, chunk, next, at)
    next = at
    if (item === going[gone]) {
      const there = chunk[at]
      if (there === undefined || compare(there, item) !== 0) {
        throw new Error('Only a member that is there can be removed.')
      }
      next++
      gone++
    } else {
      items.push(item)
      come++
    }
  }
  append(items, chunk, next, chunk.length)
  return items
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

/** Chunks that stay as they are. Only the first of them has a new neighbour. */
function keep(chunks: Chunk[], kept: readonly Chunk[], from: number, to: number): void {
  if (from >= to) return
  join(chunks, kept[from] as Chunk)
  for (let at = from + 1; at < to; at++) chunks.push(kept[at] as Chunk)
}

function join(chunks: Chunk[], chunk: Chunk): void {
  const last = chunks.at(-1)
  const isSmall = last !== undefined && Math.min(last.length, chunk.length) < minChunk
  if (isSmall && last.length + chunk.length <= maxChunk) {
    chunks[chunks.length - 1] = [...last, ...chunk]
  } else chunks.push(chunk)
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
