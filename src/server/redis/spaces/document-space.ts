/**
 * Keys without a mapping: each is a JSON document of Daybook's generic table, in a form that people can query.
 *
 *     string                "Ada"
 *     string that expires   {"$string": "Ada", "$expiresAtMs": 1764100000000}
 *     hash                  {"name": "Ada", "visits": "3"}            and "$expiresAtMs" where it expires
 *     set                   {"$type": "set", "red": 1, "blue": 1}     and "$expiresAtMs" where it expires
 *     list                  {"$type": "list", "$items": ["a", "b"]}   and "$expiresAtMs" where it expires; a long one has
 *                           a field for each item, see `list-items.ts`
 *     sorted set            {"$type": "zset", "ada": 12.5, "bob": 3}  and "$expiresAtMs" where it expires
 *     stream                {"$type": "stream", "1764100000000-0": ["field", "value"], …}, see `streams/stream-fields.ts`
 *
 * Strings, names and members are stored as `binary-text.ts` says. A name of the client's own that begins with `$` has one
 * more. A score is a number, or the text "inf" or "-inf". A deadline is wall time, survives restarts, and null where it was
 * taken back. Changes of a few fields are patches. Where a field goes, the rest is written anew if it is small, or if the store
 * cannot take a field away.
 */

import type { Fields, FieldValue, Mutation } from '../../../mutation/mutation.ts'
import { overlay } from '../../../mutation/overlay.ts'
import type { Keyspace } from '../../../book/keyspace.ts'
import type { Turn } from '../../../book/turn.ts'
import type { Arrivals } from '../arrivals.ts'
import type { KeyspaceEvents } from '../keyspace-events.ts'
import { binaryOf, binaryOfName, isOwnName, nameOf, textOf } from './binary-text.ts'
import { FieldCounts, maxCounted } from './field-counts.ts'
import { listFields, Lists, type List, type ListChange, type Splice } from './list-items.ts'
import { decimalOf, integerOf, maxInteger, minInteger, sumOfDecimals } from '../numbers.ts'
import { isThere } from './own-field.ts'
import { byHash, byScore, Orders } from './orders.ts'
import { overflow, RedisError, wrongType } from '../redis-error.ts'
import { fieldOfScore, scoreOfField } from './scores.ts'
import type { SortedMembers } from './sorted-members.ts'
import { Stream } from '../streams/stream.ts'
import { StreamIndexes } from '../streams/stream-indexes.ts'
import type { Around, Space, Target, ValueType } from './space.ts'

/** The field of a document that is a string. */
export const scalar = ''
const string = '$string'
const deadline = '$expiresAtMs'
const type = '$type'
const noAmounts = {}
/** Of values whose documents say so. */
const namedTypes: ReadonlySet<string> = new Set(['list', 'set', 'stream', 'zset'])

export class DocumentSpace implements Space {
  readonly keyspace: Keyspace
  readonly ownsRows = true
  readonly endsRows = true
  database: number
  readonly #turn: Turn
  readonly #events: KeyspaceEvents
  readonly #arrivals: Arrivals
  readonly #prefix: string
  readonly #orders = new Orders(byScore)
  readonly #byHash = new Orders(byHash, maxCounted)
  readonly #counts = new FieldCounts()
  readonly #lists: Lists
  readonly #streams: StreamIndexes

  /** `prefix` is what the client's names have before the key: empty, or `sessions:`. */
  constructor(keyspace: Keyspace, around: Around, prefix: string) {
    this.keyspace = keyspace
    this.#lists = new Lists(keyspace.removesFields)
    this.database = around.database
    this.#turn = around.turn
    this.#events = around.events
    this.#arrivals = around.arrivals
    this.#prefix = prefix
    this.#streams = new StreamIndexes(around.streamNodes)
    keyspace.onExpired = (key, done) => {
      this.#events.expired(this, key, done)
      this.#arrivals.announceEnd({ keyspace, key })
    }
  }

  /** Whoever finds a key that is over leaves it to the sweep, unless someone waits to be told. */
  live(target: Target): Fields | undefined {
    const fields = this.#turn.read(target)
    if (fields === undefined) {
      if (this.#events.tellsExpired && this.#turn.hasEnded(target)) this.#events.end(target)
      return undefined
    }
    const at = fields[deadline]
    if (typeof at !== 'number' || at > this.#turn.wallTime()) return fields
    if (this.#events.tellsExpired) this.#events.end(target)
    return undefined
  }

  typeOf(current: Fields): ValueType {
    if (current[scalar] !== undefined || current[string] !== undefined) return 'string'
    const given = current[type]
    return typeof given === 'string' && isNamedType(given) ? given : 'hash'
  }

  delete(target: Target): void {
    this.#turn.write(target, { kind: 'delete' })
    this.#arrivals.announceEnd(target)
  }

  nameOf(key: string): string {
    return this.#prefix + binaryOf(key)
  }

  isOver(key: string): boolean {
    const at = this.keyspace.fresh(key)?.value?.[deadline]
    return typeof at === 'number' && at <= this.#turn.wallTime()
  }

  expiresAt(_target: Target, current: Fields): number | undefined {
    const at = current[deadline]
    return typeof at === 'number' ? at : undefined
  }

  expire(target: Target, current: Fields, atMs: number | undefined): void {
    if (this.typeOf(current) === 'string') {
      const text = (current[string] ?? current[scalar]) as string
      this.#write(target, { kind: 'set', fields: stringFields(text, atMs) }, atMs)
    } else {
      const fields = { [deadline]: atMs ?? null }
      this.#write(target, { kind: 'patch', fields, amounts: noAmounts }, atMs)
    }
  }

  stringOf(current: Fields): string {
    const text = current[scalar] ?? current[string]
    // Another program may have written a number or a list.
    if (typeof text === 'string') return binaryOf(text)
    if (text === undefined) throw wrongType()
    return binaryOf(JSON.stringify(text))
  }

  setString(target: Target, value: string, plain: boolean, expiresAtMs: number | undefined): void {
    const text = textOf(value, plain)
    this.#write(target, { kind: 'set', fields: stringFields(text, expiresAtMs) }, expiresAtMs)
  }

  checkEditable(): void {
    // Every string here can be.
  }

  checkHash(current: Fields): void {
    if (this.typeOf(current) !== 'hash') throw wrongType()
  }

  field(current: Fields, name: string): string | undefined {
    const stored = nameOf(name, false)
    return Object.hasOwn(current, stored) ? shown(current[stored]) : undefined
  }

  fieldNames(current: Fields): string[] {
    const names: string[] = []
    for (const name in current) {
      if (isOwnName(name) && current[name] !== null) names.push(binaryOfName(name))
    }
    return names
  }

  fieldCount(current: Fields): number {
    this.#carryOver()
    return this.#counts.of(current)
  }

  byHash(current: Fields): SortedMembers {
    this.#carryOver()
    return this.#byHash.of(current)
  }

  setFields(
    target: Target,
    current: Fields | undefined,
    pairs: readonly string[],
    at: number,
    plain: boolean,
  ): void {
    const fields: Record<string, FieldValue> = {}
    for (let index = at; index < pairs.length; index += 2) {
      fields[nameOf(pairs[index] ?? '', plain)] = textOf(pairs[index + 1] ?? '', plain)
    }
    this.#patch(target, current, fields)
  }

  removeFields(target: Target, current: Fields, names: readonly string[]): void {
    this.#without(target, current, names)
  }

  increment(target: Target, current: Fields | undefined, name: string, by: bigint): bigint {
    const before = current === undefined ? undefined : this.field(current, name)
    const base = before === undefined ? 0n : integerOf(before)
    if (base === undefined) throw new RedisError('ERR hash value is not an integer')
    const sum = base + by
    if (sum < minInteger || sum > maxInteger) throw overflow()
    this.#patch(target, current, { [nameOf(name, false)]: sum.toString() })
    return sum
  }

  incrementFloat(target: Target, current: Fields | undefined, name: string, by: string): string {
    const before = current === undefined ? undefined : this.field(current, name)
    const base = before === undefined ? '0' : decimalOf(before)
    if (base === undefined) throw new RedisError('ERR hash value is not a float')
    const sum = sumOfDecimals(base, by)
    this.#patch(target, current, { [nameOf(name, false)]: sum })
    return sum
  }

  members(current: Fields): string[] {
    this.#checkSet(current)
    return this.fieldNames(current)
  }

  isMember(current: Fields, member: string): boolean {
    this.#checkSet(current)
    const stored = nameOf(member, false)
    return isThere(current, stored)
  }

  addMembers(target: Target, current: Fields | undefined, members: readonly string[]): void {
    const fields: Record<string, FieldValue> = current === undefined ? { [type]: 'set' } : {}
    for (const member of members) fields[nameOf(member, false)] = 1
    this.#patch(target, current, fields)
  }

  removeMembers(target: Target, current: Fields, members: readonly string[]): void {
    this.#without(target, current, members)
  }

  items(current: Fields): List {
    this.#carryOver()
    const items = this.#lists.of(current)
    if (items === undefined) throw wrongType()
    return items
  }

  spliceItems(target: Target, current: Fields, { from, count, inserted }: Splice): void {
    const texts = inserted.map((item) => textOf(item, false))
    this.#changeItems(
      target,
      current,
      this.items(current).spliced({ from, count, inserted: texts }),
    )
  }

  keepItems(target: Target, current: Fields, from: number, to: number): void {
    this.#changeItems(target, current, this.items(current).kept(from, to))
  }

  addList(target: Target, items: readonly string[]): void {
    this.#patch(target, undefined, listFields(items.map((item) => textOf(item, false))))
  }

  sorted(current: Fields): SortedMembers {
    if (current[type] !== 'zset') throw wrongType()
    this.#carryOver()
    return this.#orders.of(current)
  }

  score(current: Fields, member: string): number | undefined {
    if (current[type] !== 'zset') throw wrongType()
    const stored = nameOf(member, false)
    return isThere(current, stored) ? scoreOfField(current[stored]) : undefined
  }

  setScores(
    target: Target,
    current: Fields | undefined,
    scores: ReadonlyMap<string, number>,
  ): void {
    const fields: Record<string, FieldValue> = current === undefined ? { [type]: 'zset' } : {}
    for (const [member, score] of scores) fields[nameOf(member, false)] = fieldOfScore(score)
    this.#patch(target, current, fields)
  }

  stream(current: Fields): Stream {
    if (current[type] !== 'stream') throw wrongType()
    this.#carryOver()
    return new Stream(current, this.#streams.of(current))
  }

  changeStream(
    target: Target,
    current: Fields | undefined,
    fields: Fields,
    removed: readonly string[],
  ): void {
    if (current === undefined) this.#patch(target, undefined, { [type]: 'stream', ...fields })
    else if (removed.length === 0) this.#patch(target, current, fields)
    else if (this.keyspace.removesFields) {
      this.#patch(target, current, fields, namedIn(removed))
    } else {
      const after = overlay(current, fields)
      for (const name of removed) Reflect.deleteProperty(after, name)
      this.#writeAnew(target, current, after, [...Object.keys(fields), ...removed])
    }
  }

  copyTo(current: Fields, target: Target): void {
    this.#write(target, { kind: 'set', fields: current }, this.expiresAt(target, current))
  }

  #changeItems(target: Target, current: Fields, change: ListChange): void {
    if (change === 'gone') this.delete(target)
    else if ('whole' in change) this.#replace(target, current, change.whole)
    else this.#patch(target, current, change.fields, change.removed)
  }

  #checkSet(current: Fields): void {
    if (current[type] !== 'set') throw wrongType()
  }

  /** Over nothing, or over what is there. What expired is still in the store: it must not come back with the patch. */
  #patch(
    target: Target,
    current: Fields | undefined,
    fields: Fields,
    removed?: Readonly<Record<string, true>>,
  ): void {
    if (current === undefined) this.#write(target, { kind: 'set', fields }, undefined)
    else {
      const patch: Mutation =
        removed === undefined
          ? { kind: 'patch', fields, amounts: noAmounts }
          : { kind: 'patch', fields, amounts: noAmounts, removed }
      this.#write(target, patch, this.expiresAt(target, current))
    }
  }

  /** By other fields of the same value: its deadline stays. */
  #replace(target: Target, current: Fields, whole: Fields): void {
    const at = this.expiresAt(target, current)
    const fields = at === undefined ? whole : overlay(whole, { [deadline]: at })
    this.#write(target, { kind: 'set', fields }, at)
  }

  /** A hash or a set, sorted or not, without its last member does not exist. */
  #without(target: Target, current: Fields, names: readonly string[]): void {
    const gone = new Set(names.map((name) => nameOf(name, false)))
    // What is larger than what goes has something left.
    if (this.keyspace.removesFields && this.fieldCount(current) > gone.size + maxCounted) {
      this.#patch(target, current, {}, namedIn(gone))
      return
    }
    const left = Object.entries(current).filter(
      ([name, value]) => !gone.has(name) && value !== null,
    )
    if (left.some(([name]) => isOwnName(name))) {
      this.#writeAnew(target, current, Object.fromEntries(left), [...gone])
    } else this.delete(target)
  }

  /** All fields, of which those with these names have changed: what is known of the value is carried over, as by a patch. */
  #writeAnew(target: Target, current: Fields, after: Fields, names: readonly string[]): void {
    this.keyspace.onPatched?.({ before: current, was: current, names, after })
    this.#write(target, { kind: 'set', fields: after }, this.expiresAt(target, current))
  }

  /** From now on: no value before has an order or a count that could be carried over. */
  #carryOver(): void {
    this.keyspace.onPatched ??= (change) => {
      this.#orders.carry(change)
      this.#byHash.carry(change)
      this.#counts.carry(change)
      this.#lists.carry(change)
      this.#streams.carry(change)
    }
  }

  #write(target: Target, mutation: Mutation, expiresAtMs: number | undefined): void {
    const event = this.#events.byTheWay(target)
    const ttlMs =
      expiresAtMs === undefined ? undefined : Math.max(0, expiresAtMs - this.#turn.wallTime())
    this.#turn.write(target, mutation, ttlMs)
    if (mutation.kind === 'set') this.#arrivals.announceEnd(target)
    if (event !== undefined) this.#events.tell(target, event, event)
  }
}

function isNamedType(text: string): text is Exclude<ValueType, 'string' | 'hash'> {
  return namedTypes.has(text)
}

function namedIn(names: Iterable<string>): Record<string, true> {
  const named: Record<string, true> = {}
  for (const name of names) named[name] = true
  return named
}

function stringFields(text: string, expiresAtMs: number | undefined): Fields {
  return expiresAtMs === undefined
    ? { [scalar]: text }
    : { [string]: text, [deadline]: expiresAtMs }
}

function shown(value: FieldValue | undefined): string | undefined {
  if (typeof value === 'string') return binaryOf(value)
  if (value === null || value === undefined) return undefined
  return binaryOf(JSON.stringify(value))
}
