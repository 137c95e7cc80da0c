/**
 * The members of a sorted set in their order: by score, and by their bytes where scores are equal.
 *
 * A sorted array that never changes. What a change makes of it is another one that shares the items: it is copied and not
 * sorted anew, so a step that fails leaves nothing to undo.
 *
 *     find a rank, a member or a bound    O(log n)
 *     take a range                        O(what is in it)
 *     change k of n members               O(n + k log k), of which a few are one copy of n pointers
 *
 * Pure.
 */

export interface Scored {
  /** Bytes, one character for each. */
  readonly member: string
  /** Never NaN. */
  readonly score: number
}

/** Where a change touches more items, one walk is cheaper than a shift for each. */
const maxShifts = 4

export class SortedMembers {
  readonly #items: readonly Scored[]

  private constructor(items: readonly Scored[]) {
    this.#items = items
  }

  /** In any order; no member twice. */
  static of(items: Iterable<Scored>): SortedMembers {
    return new SortedMembers([...items].sort(compare))
  }

  get size(): number {
    return this.#items.length
  }

  /** Those from rank `from` on, before rank `to`. Ranks begin at 0. */
  range(from: number, to: number): readonly Scored[] {
    return this.#items.slice(from, to)
  }

  /** Of a member with its score; undefined where it is not there. */
  rankOf(item: Scored): number | undefined {
    const rank = this.countWhile((other) => compare(other, item) < 0)
    return this.#items[rank]?.member === item.member ? rank : undefined
  }

  /** How many come first for which it is true. Once it is false, it must be false for all that follow. */
  countWhile(isBefore: (item: Scored) => boolean): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(this.#items[middle] as Scored)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Without some, which are there with these scores, and with others, which are not there then. */
  changed(removed: readonly Scored[], added: readonly Scored[]): SortedMembers {
    const isSmall = removed.length + added.length <= maxShifts
    return new SortedMembers(isSmall ? this.#shifted(removed, added) : this.#merged(removed, added))
  }

  #shifted(removed: readonly Scored[], added: readonly Scored[]): readonly Scored[] {
    const items = [...this.#items]
    const ranks = removed.map((item) => this.#rankOfThere(item)).sort((a, b) => b - a)
    for (const rank of ranks) items.splice(rank, 1)
    for (const item of added) {
      const rank = new SortedMembers(items).countWhile((other) => compare(other, item) < 0)
      items.splice(rank, 0, item)
    }
    return items
  }

  #merged(removed: readonly Scored[], added: readonly Scored[]): readonly Scored[] {
    const gone = new Set(removed.map((item) => this.#rankOfThere(item)))
    const coming = [...added].sort(compare)
    const items: Scored[] = []
    let next = 0
    for (const [rank, item] of this.#items.entries()) {
      if (gone.has(rank)) continue
      for (; next < coming.length; next++) {
        const other = coming[next] as Scored
        if (compare(other, item) > 0) break
        items.push(other)
      }
      items.push(item)
    }
    for (; next < coming.length; next++) items.push(coming[next] as Scored)
    return items
  }

  #rankOfThere(item: Scored): number {
    const rank = this.rankOf(item)
    if (rank === undefined) throw new Error('Only a member that is there can be removed.')
    return rank
  }
}

/** Not by subtraction: of two infinities that would be NaN. */
function compare(a: Scored, b: Scored): number {
  if (a.score !== b.score) return a.score < b.score ? -1 : 1
  if (a.member === b.member) return 0
  return a.member < b.member ? -1 : 1
}
