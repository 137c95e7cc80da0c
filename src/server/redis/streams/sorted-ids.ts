/**
 * Ids of a stream in their order: those of its entries, or of entries that are pending.
 *
 * A sequence of sorted chunks that never changes. What a change makes of it shares the chunks that the change does not touch,
 * so that a step that fails, or is run again, leaves nothing to undo:
 *
 *     find an id                       O(log n)
 *     take a range                     O(what is in it)
 *     add one, or take one away        a copy of one chunk, and of the list of chunks: of 100,000 ids 1,100 pointers
 *
 * Chunks are filled and emptied as the nodes of a stream of Redis are: `XTRIM ~` takes away whole ones.
 *
 * Pure.
 */

import { firstWhere } from '../../../base/binary-search.ts'
import { compareIds } from './stream-ids.ts'

interface Chunk {
  /** No id in it or after it is smaller. */
  readonly from: string
  readonly ids: readonly string[]
  /** How many were put into it, with those that are gone: at the bound it takes no more at its end. */
  readonly used: number
}

interface OwnChunk {
  from: string
  ids: string[]
  used: number
}

export const chunkIds = 100
/** Each change copies one. */
const maxChunkIds = 1024

export class SortedIds {
  static readonly none = new SortedIds([], 0)
  readonly size: number
  readonly #chunks: readonly Chunk[]

  private constructor(chunks: readonly Chunk[], size: number) {
    this.#chunks = chunks
    this.size = size
  }

  /** In any order; none twice. */
  static of(ids: readonly string[], perChunk = chunkIds): SortedIds {
    const sorted = isSorted(ids) ? ids : [...ids].sort(compareIds)
    const most = boundedChunk(perChunk)
    const chunks: Chunk[] = []
    for (let at = 0; at < sorted.length; at += most) {
      const part = sorted.slice(at, at + most)
      chunks.push({ from: part[0] as string, ids: part, used: part.length })
    }
    return new SortedIds(chunks, sorted.length)
  }

  get first(): string | undefined {
    return this.#chunks[0]?.ids[0]
  }

  get last(): string | undefined {
    return this.#chunks.at(-1)?.ids.at(-1)
  }

  /** How many chunks there are. */
  get chunks(): number {
    return this.#chunks.length
  }

  has(id: string): boolean {
    const ids = this.#chunks[this.#chunkOf(id)]?.ids
    return ids !== undefined && ids[lowerBound(ids, id)] === id
  }

  /** From one id to another, both included, and not more than `count`. */
  range(from: string, to: string, count = Infinity): string[] {
    const found: string[] = []
    for (let at = Math.max(0, this.#chunkOf(from)); at < this.#chunks.length; at++) {
      const { ids } = this.#chunks[at] as Chunk
      for (let index = lowerBound(ids, from); index < ids.length; index++) {
        const id = ids[index] as string
        if (found.length >= count || compareIds(id, to) > 0) return found
        found.push(id)
      }
    }
    return found
  }

  /** The same, from the largest to the smallest. */
  rangeBack(from: string, to: string, count = Infinity): string[] {
    const found: string[] = []
    for (let at = this.#chunkOf(to); at >= 0; at--) {
      const { ids } = this.#chunks[at] as Chunk
      for (let index = upperBound(ids, to) - 1; index >= 0; index--) {
        const id = ids[index] as string
        if (found.length >= count || compareIds(id, from) < 0) return found
        found.push(id)
      }
    }
    return found
  }

  /** Whole chunks from the front, for as long as `goes` says so of how many are left before and of the chunk. */
  leadingChunks(goes: (ids: readonly string[], left: number) => boolean): string[] {
    const found: string[] = []
    for (const { ids } of this.#chunks) {
      if (!goes(ids, this.size - found.length)) break
      for (const id of ids) found.push(id)
    }
    return found
  }

  /** Without some, which are there, and with others, which are not there then. */
  changed(removed: readonly string[], added: readonly string[], perChunk = chunkIds): SortedIds {
    if (removed.length === 0 && added.length === 0) return this
    const draft = new Draft(this.#chunks, boundedChunk(perChunk))
    for (const id of removed) draft.remove(id)
    for (const id of added) draft.add(id)
    return new SortedIds(draft.chunks(), this.size - removed.length + added.length)
  }

  /** The last chunk that does not begin beyond the id; -1 where all do. */
  #chunkOf(id: string): number {
    return chunkIn(this.#chunks, id)
  }
}

/** Chunks while they are changed: each is copied when it is first touched. */
class Draft {
  readonly #chunks: Chunk[]
  readonly #own = new Set<Chunk>()
  readonly #most: number
  #emptied = false

  constructor(chunks: readonly Chunk[], most: number) {
    this.#chunks = [...chunks]
    this.#most = most
  }

  remove(id: string): void {
    const { ids } = this.#ownAt(chunkIn(this.#chunks, id))
    const index = lowerBound(ids, id)
    if (ids[index] !== id) throw new Error('Only an id that is there can be removed.')
    ids.splice(index, 1)
    this.#emptied ||= ids.length === 0
  }

  add(id: string): void {
    const at = Math.max(0, chunkIn(this.#chunks, id))
    const given = this.#chunks[at]
    const isLast = at >= this.#chunks.length - 1
    const index = given === undefined ? 0 : lowerBound(given.ids, id)
    const isEnd = given === undefined || (isLast && index === given.ids.length)
    if (given === undefined || (isEnd && given.used >= this.#most)) {
      this.#insert(this.#chunks.length, [id])
      return
    }
    const chunk = this.#ownAt(at)
    chunk.ids.splice(index, 0, id)
    if (compareIds(id, chunk.from) < 0) chunk.from = id
    chunk.used++
    if (chunk.ids.length <= this.#most) return
    const second = chunk.ids.splice(chunk.ids.length >>> 1)
    chunk.used = this.#most
    this.#insert(at + 1, second)
  }

  chunks(): readonly Chunk[] {
    return this.#emptied ? this.#chunks.filter(({ ids }) => ids.length > 0) : this.#chunks
  }

  #insert(at: number, ids: string[]): void {
    const chunk: OwnChunk = { from: ids[0] as string, ids, used: ids.length }
    this.#own.add(chunk)
    this.#chunks.splice(at, 0, chunk)
  }

  #ownAt(at: number): OwnChunk {
    const given = this.#chunks[at]
    if (given === undefined) throw new Error('Only an id that is there can be removed.')
    if (this.#own.has(given)) return given as OwnChunk
    const own: OwnChunk = { from: given.from, ids: [...given.ids], used: given.used }
    this.#own.add(own)
    this.#chunks[at] = own
    return own
  }
}

/** 0 is no bound for Redis. */
function boundedChunk(perChunk: number): number {
  return perChunk < 1 ? maxChunkIds : Math.min(perChunk, maxChunkIds)
}

function isSorted(ids: readonly string[]): boolean {
  for (let at = 1; at < ids.length; at++) {
    if (compareIds(ids[at - 1] as string, ids[at] as string) > 0) return false
  }
  return true
}

function chunkIn(chunks: readonly Chunk[], id: string): number {
  // Most ids come at the end.
  const last = chunks.length - 1
  if (last >= 0 && compareIds((chunks[last] as Chunk).from, id) <= 0) return last
  return firstWhere(chunks.length, (at) => compareIds((chunks[at] as Chunk).from, id) > 0) - 1
}

function lowerBound(ids: readonly string[], id: string): number {
  const { length } = ids
  if (length > 0 && compareIds(ids[length - 1] as string, id) < 0) return length
  return firstWhere(length, (at) => compareIds(ids[at] as string, id) >= 0)
}

function upperBound(ids: readonly string[], id: string): number {
  return firstWhere(ids.length, (at) => compareIds(ids[at] as string, id) > 0)
}
