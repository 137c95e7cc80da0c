/**
 * A contiguous range of one lane, coalesced to one mutation per key.
 *
 * A batch covers the positions (from, to]. It is built in order, from entries that are durable, and goes to the store
 * as a whole: the store then equals the journal's prefix up to `to`.
 */

import { assert } from '../base/assert.ts'
import { coalesce, coalesceInto, isDeterminate } from '../mutation/coalesce.ts'
import type { Entry, Fields, Mutation, Position } from '../mutation/mutation.ts'
import type { TableMutations } from '../store/store.ts'
import type { FlushTable, FlushTables } from './flush-table.ts'

/** What a row costs in memory besides its record: map slots, the row object, the strings' headers. */
const rowOverheadBytes = 320

/** One more position in a row's `parts`. */
const positionBytes = 8

/**
 * The coalesced mutation of one key in one batch. An entry is one as it is: only where a patch has to be folded does a
 * row of its own come into being.
 */
export interface PendingRow {
  readonly mutation: Mutation
  readonly hash: number
  /** The newest mutation in it. */
  readonly position: Position
  /** The mutations that rebuild it from the journal; undefined where `position` alone does. */
  readonly parts?: readonly Position[] | undefined
  /** Of the record; a folded row counts its parts too. */
  readonly bytes: number
  readonly expiresAtMs?: number | undefined
}

/** Several mutations of one key that only together say what they do. */
class FoldedRow implements PendingRow {
  #mutation: Exclude<Mutation, { kind: 'delete' }>
  /** Nobody else has seen it: what comes next is folded into it. A copy of a large document for each write would not do. */
  #isOwn = true
  readonly hash: number
  position: Position
  readonly parts: Position[]
  bytes: number
  expiresAtMs: number | undefined

  constructor(earlier: PendingRow, later: Entry, blank: Fields) {
    this.#mutation = folded(earlier.mutation, later.mutation, blank)
    this.hash = later.hash
    this.position = later.position
    this.parts = [earlier.position, later.position]
    this.bytes = Math.max(earlier.bytes, later.bytes) + 2 * positionBytes
    if (widens(earlier.mutation, later.mutation)) this.bytes += Math.min(earlier.bytes, later.bytes)
    this.expiresAtMs = later.expiresAtMs
  }

  get mutation(): Mutation {
    this.#isOwn = false
    return this.#mutation
  }

  fold(later: Entry, blank: Fields): void {
    const { mutation } = later
    if (widens(this.#mutation, mutation)) this.bytes += later.bytes
    if (this.#isOwn && mutation.kind === 'patch') coalesceInto(this.#mutation, mutation)
    else {
      this.#mutation = folded(this.#mutation, mutation, blank)
      this.#isOwn = true
    }
    this.position = later.position
    this.parts.push(later.position)
    this.bytes += positionBytes
    this.expiresAtMs = later.expiresAtMs
  }
}

/** A new mutation: the later one is a patch, for all others stand for themselves. */
function folded(
  earlier: Mutation,
  later: Mutation,
  blank: Fields,
): Exclude<Mutation, { kind: 'delete' }> {
  const mutation = coalesce(earlier, later, blank)
  assert(mutation.kind !== 'delete' && later.kind === 'patch', 'only patches are folded')
  return mutation
}

/** The later patch brings fields that the earlier mutation did not have: together they take the memory of both. */
function widens(earlier: Mutation, later: Mutation): boolean {
  if (later.kind !== 'patch' || earlier.kind === 'delete') return false
  for (const name in later.fields) if (!Object.hasOwn(earlier.fields, name)) return true
  if (later.removed === undefined || earlier.kind === 'set') return false
  for (const name in later.removed) if (earlier.removed?.[name] !== true) return true
  return false
}

export class Batch {
  readonly lane: number
  from: Position
  /** When its oldest mutation became durable, on the monotonic clock. */
  readonly startedAt: number
  to: Position
  /** The position of its first mutation that has an effect, which may be well beyond `from`. Infinity: none has. */
  first: Position
  keys = 0
  bytes = 0
  mutations = 0
  /** Dead letters that mutations in it retry. */
  readonly retries: string[] = []
  /** The last entry added is not the last of its atomic group: the batch may not end here. */
  inGroup = false
  readonly #tables = new Map<string, Map<string, PendingRow>>()
  #lastCache = ''
  #lastRows: Map<string, PendingRow> | undefined

  constructor(lane: number, from: Position, startedAt: number) {
    this.lane = lane
    this.from = from
    this.to = from
    this.first = Infinity
    this.startedAt = startedAt
  }

  get empty(): boolean {
    return this.mutations === 0
  }

  /** Adds the next mutation of the lane. Returns by how many bytes the batch grew. */
  add(entry: Entry, blank: Fields): number {
    const rows = this.#rowsOf(entry.cache)
    const before = this.bytes
    const row = rows.get(entry.key)
    if (row === undefined) {
      rows.set(entry.key, entry)
      this.keys++
      this.bytes += entry.bytes + rowOverheadBytes
    } else {
      this.bytes -= row.bytes
      if (isDeterminate(entry.mutation)) {
        rows.set(entry.key, entry)
        this.bytes += entry.bytes
      } else {
        let folded = row
        if (row instanceof FoldedRow) row.fold(entry, blank)
        else {
          folded = new FoldedRow(row, entry, blank)
          rows.set(entry.key, folded)
        }
        this.bytes += folded.bytes
      }
    }
    if (this.first === Infinity) this.first = entry.position
    this.mutations++
    this.to = entry.position
    this.inGroup = entry.continues
    if (entry.retryOf !== undefined) this.retries.push(entry.retryOf)
    return this.bytes - before
  }

  /** Takes in a mutation of the lane that has no effect any more. */
  pass(position: Position): void {
    this.mutations++
    this.to = position
  }

  get(cache: string, key: string): PendingRow | undefined {
    return this.#tables.get(cache)?.get(key)
  }

  caches(): IterableIterator<string> {
    return this.#tables.keys()
  }

  *rows(): Generator<PendingRow> {
    for (const rows of this.#tables.values()) yield* rows.values()
  }

  *entries(): Generator<[cache: string, key: string, row: PendingRow]> {
    for (const [cache, rows] of this.#tables) {
      for (const [key, row] of rows) yield [cache, key, row]
    }
  }

  /**
   * What the store is to write: parents before children, and sorted by key within a table, so that two transactions
   * of whatever writer take their row locks in one order.
   */
  tables(tables: FlushTables): TableMutations[] {
    const result: TableMutations[] = []
    for (const [cache, rows] of this.#tables) {
      const { schema } = tables.get(cache) as FlushTable
      const keys = [...rows.keys()].sort()
      result.push({
        cache,
        schema,
        rows: keys.map((key) => {
          const row = rows.get(key) as PendingRow
          return { key, mutation: row.mutation, expiresAtMs: row.expiresAtMs }
        }),
      })
    }
    return result.sort((a, b) => a.schema.rank - b.schema.rank || (a.cache < b.cache ? -1 : 1))
  }

  #rowsOf(cache: string): Map<string, PendingRow> {
    if (this.#lastRows !== undefined && cache === this.#lastCache) return this.#lastRows
    let rows = this.#tables.get(cache)
    if (rows === undefined) {
      rows = new Map()
      this.#tables.set(cache, rows)
    }
    this.#lastCache = cache
    this.#lastRows = rows
    return rows
  }
}
