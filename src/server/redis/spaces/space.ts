/**
 * Where the values of some keys live, and what the types of Redis are there: a *space* is one cache of the book.
 *
 * - `document-space.ts`: keys without a mapping, in Daybook's generic table; strings, hashes, sets, lists,
 *   sorted sets and streams.
 * - `table-space.ts`: keys `users:42` of a mapped cache are the rows of its table; a row is a hash.
 *
 * Bytes of clients are binary strings here, names and values of the database are text.
 */

import type { Place, Turn } from '../../../book/turn.ts'
import type { Keyspace } from '../../../book/keyspace.ts'
import type { Fields, FieldValue } from '../../../mutation/mutation.ts'
import type { Arrivals } from '../arrivals.ts'
import type { KeyspaceEvents } from '../keyspace-events.ts'
import type { Items, Splice } from './list-items.ts'
import type { SortedMembers } from './sorted-members.ts'
import type { Stream } from '../streams/stream.ts'
import type { StreamNodes } from '../streams/stream-nodes.ts'

export type ValueType = 'string' | 'hash' | 'set' | 'list' | 'zset' | 'stream'

/** A key of a command. */
export interface Target extends Place {
  readonly space: Space
  /** As the client wrote it. */
  readonly name: string
  /** Where the deadline of a row is, for mappings whose rows end with their time. */
  readonly deadline?: Place | undefined
}

/** What a space is made with. */
export interface Around {
  readonly turn: Turn
  readonly events: KeyspaceEvents
  readonly arrivals: Arrivals
  readonly database: number
  readonly streamNodes: StreamNodes
}

/** All that a step on these keys reads and writes. */
export function placesOf(targets: readonly Target[]): readonly Place[] {
  for (const { deadline } of targets) {
    if (deadline !== undefined) return withDeadlines(targets)
  }
  return targets
}

function withDeadlines(targets: readonly Target[]): readonly Place[] {
  return targets.flatMap((target): Place[] =>
    target.deadline === undefined ? [target] : [target, target.deadline],
  )
}

/** What `current` is called below is what `live` has returned in the same step, and no write of its key has come since. */
export interface Space {
  readonly keyspace: Keyspace
  /** The number of the database that its keys are in. */
  database: number
  /** Of Daybook's own table: keys that FLUSHDB deletes. Rows of others' tables only leave the cache. */
  readonly ownsRows: boolean
  /** The end of a key's time deletes it. Else it leaves memory only. */
  readonly endsRows: boolean

  /** The value, unless its time is over. */
  live(target: Target): Fields | undefined
  typeOf(current: Fields): ValueType
  delete(target: Target): void
  /** The client's name of a key, as `cache.keys()` gives it. */
  nameOf(key: string): string
  /** Of a value in memory: its time is over, though the row is there. Without a look at the store. */
  isOver(key: string): boolean

  // ── Expiry: wall time in ms ──

  expiresAt(target: Target, current: Fields): number | undefined
  /** undefined: never. Throws where the mapping does not say what the end of a row's time means. */
  expire(target: Target, current: Fields, atMs: number | undefined): void

  // ── Strings ──

  /** Throws WRONGTYPE where it is something else. */
  stringOf(current: Fields): string
  /** Replaces whatever is there. */
  setString(target: Target, value: string, plain: boolean, expiresAtMs: number | undefined): void
  /** Throws WRONGTYPE where a string cannot be changed in place: a row. */
  checkEditable(): void

  // ── Hashes ──

  /** Throws WRONGTYPE where it is something else. */
  checkHash(current: Fields): void
  field(current: Fields, name: string): string | undefined
  fieldNames(current: Fields): string[]
  fieldCount(current: Fields): number
  /** The names of fields, or the members of a set, sorted or not, with their hashes and in the order of these. */
  byHash(current: Fields): SortedMembers
  /** Names and values, alternating from `at` on. */
  setFields(
    target: Target,
    current: Fields | undefined,
    pairs: readonly string[],
    at: number,
    plain: boolean,
  ): void
  removeFields(target: Target, current: Fields, names: readonly string[]): void
  /** Returns the new value. */
  increment(target: Target, current: Fields | undefined, name: string, by: bigint): bigint
  incrementFloat(target: Target, current: Fields | undefined, name: string, by: string): string

  // ── Sets ──

  /** Throws WRONGTYPE where it is something else. */
  members(current: Fields): string[]
  isMember(current: Fields, member: string): boolean
  addMembers(target: Target, current: Fields | undefined, members: readonly string[]): void
  /** Of a set, sorted or not. */
  removeMembers(target: Target, current: Fields, members: readonly string[]): void

  // ── Lists ──

  /** Throws WRONGTYPE where it is something else. */
  items(current: Fields): Items
  /** Puts items in the place of others, which may be none. Without its last item the list is gone. */
  spliceItems(target: Target, current: Fields, splice: Splice): void
  /** Only those from `from` on, before `to`, stay. Writes also where all do. */
  keepItems(target: Target, current: Fields, from: number, to: number): void
  /** In the place of whatever is there. At least one item. */
  addList(target: Target, items: readonly string[]): void

  // ── Sorted sets ──

  /** The members in their order. Throws WRONGTYPE where it is something else. */
  sorted(current: Fields): SortedMembers
  /** Throws WRONGTYPE where it is something else. */
  score(current: Fields, member: string): number | undefined
  /** Adds members, or changes their scores; the others stay. */
  setScores(target: Target, current: Fields | undefined, scores: ReadonlyMap<string, number>): void

  // ── Streams ──

  /** Throws WRONGTYPE where it is something else. */
  stream(current: Fields): Stream
  /** Fields of the document that become others, or go. Without a current one there comes to be a stream. */
  changeStream(
    target: Target,
    current: Fields | undefined,
    fields: Readonly<Record<string, FieldValue>>,
    removed: readonly string[],
  ): void

  /** Copies the value as it is; the target is of a space of the same kind. */
  copyTo(current: Fields, target: Target): void
}
