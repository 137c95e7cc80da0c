/**
 * Keys of a mapped cache: `users:42` is the row of its table with the key 42, and a composite key has as many parts,
 * `orders:acme:7`, or is a JSON array where a part has a colon, `visits:["2026-11-26T08:30:00.000Z","berlin"]`. A row is a
 * hash whose fields are its columns; one that is NULL is not there. As a string, by GET and SET, a row is JSON.
 *
 * Increments reach the database as increments, in the column's own type.
 *
 * What EXPIRE means is said by the mapping. By `evict` a row leaves memory at the end of its time, and the deadline is of
 * this process. By `delete` the row is deleted, so its deadline must survive a restart: it is a document of a cache of its
 * own, written in one batch with the row, and every write of the row repeats it for the engine's sweep.
 */

import type { Keyspace } from '../../../book/keyspace.ts'
import type { Turn } from '../../../book/turn.ts'
import { addAmount } from '../../../mutation/decimal.ts'
import type { Amount, Fields, FieldValue, Mutation } from '../../../mutation/mutation.ts'
import { canonicalAmount, canonicalField } from '../../../store/columns.ts'
import { canonicalKey } from '../../../store/key.ts'
import type { Column } from '../../../store/schema.ts'
import { binaryOfUtf8, utf8Of } from './binary-text.ts'
import { binaryOfField, fieldOfBinary, restOfBinary } from './column-text.ts'
import type { KeyspaceEvents } from '../keyspace-events.ts'
import { decimalOf, sumOfDecimals } from '../numbers.ts'
import { namesByHash } from './orders.ts'
import { overflow, RedisError, wrongType } from '../redis-error.ts'
import type { Items } from './list-items.ts'
import type { SortedMembers } from './sorted-members.ts'
import type { Stream } from '../streams/stream.ts'
import type { Around, Space, Target, ValueType } from './space.ts'

/** What EXPIRE of a row does at the end of its time. undefined: EXPIRE is refused. */
export type RowExpiry = 'evict' | 'delete' | undefined

/** Deadlines of `evict` that are remembered; beyond it the oldest is forgotten, and its row leaves memory at once. */
const maxDeadlines = 100_000
/** How much longer than its row a deadline stays: where it went first, a row that is not in memory would live on. */
const deadlineStaysMs = 86_400_000

export class TableSpace implements Space {
  readonly keyspace: Keyspace
  readonly ownsRows = false
  readonly endsRows: boolean
  database: number
  readonly #turn: Turn
  readonly #events: KeyspaceEvents
  readonly #prefix: string
  readonly #expiry: RowExpiry
  /** Of the deadlines, for `delete`. */
  readonly #ends: Keyspace | undefined
  readonly #columns: ReadonlyMap<string, Column>
  /** By key, for `expire: 'evict'`: of this process only, for the row itself stays. */
  readonly #deadlines = new Map<string, number>()

  constructor(
    keyspace: Keyspace,
    around: Around,
    prefix: string,
    expiry: RowExpiry,
    ends?: Keyspace,
  ) {
    this.keyspace = keyspace
    this.database = around.database
    this.#turn = around.turn
    this.#events = around.events
    this.#prefix = prefix
    this.#expiry = expiry
    this.endsRows = expiry === 'delete'
    this.#ends = expiry === 'delete' ? ends : undefined
    this.#columns = new Map(keyspace.schema.columns.map((column) => [column.name, column]))
    keyspace.onExpired = (key, done) => this.#events.expired(this, key, done)
  }

  /** The canonical key of what follows the prefix. */
  keyOf(rest: string): string {
    const text = utf8Of(rest)
    if (text === undefined) throw new RedisError('ERR the key of a row is UTF-8')
    const { schema } = this.keyspace
    if (schema.key.length === 1) return canonicalKey(schema, text)
    const parts = arrayOfTexts(text, schema.key.length) ?? text.split(':')
    if (parts.length !== schema.key.length) {
      throw new RedisError(
        `ERR a key of table "${schema.table}" is ${this.#prefix}${schema.key.map(({ name }) => `<${name}>`).join(':')}, ` +
          'or a JSON array of the parts where one has a colon',
      )
    }
    return canonicalKey(schema, parts)
  }

  /** `blind`: the command looks at nothing, neither at the row nor at its deadline. */
  target(name: string, at: number, blind: boolean | 'rows'): Target {
    const key = this.keyOf(name.slice(at))
    if (this.#deadlines.size > 0) this.evictOver(key)
    const { keyspace } = this
    // A merge needs no look at the row, but one at its deadline, which it must repeat.
    const ends = this.#ends
    const deadline =
      ends === undefined
        ? undefined
        : { keyspace: ends, key: this.#prefix + key, blind: blind === true }
    const isBlind = blind === true || (blind === 'rows' && deadline === undefined)
    return { space: this, keyspace, key, name, blind: isBlind, deadline }
  }

  /** A row that is over is deleted by whoever looks at it first, or by the engine's sweep. */
  live(target: Target): Fields | undefined {
    const current = this.#turn.read(target)
    if (current === undefined) {
      if (this.#events.tellsExpired && this.#turn.hasEnded(target)) this.#events.end(target)
      return undefined
    }
    const atMs = this.#deadlineOf(target)
    if (atMs === undefined || atMs > this.#turn.wallTime()) return current
    this.#events.end(target)
    return undefined
  }

  typeOf(): ValueType {
    return 'hash'
  }

  delete(target: Target): void {
    this.#deadlines.delete(target.key)
    this.#forgetDeadline(target)
    this.#turn.write(target, { kind: 'delete' })
  }

  nameOf(key: string): string {
    const { schema } = this.keyspace
    return this.#prefix + binaryOfUtf8(schema.key.length === 1 ? key : nameOfParts(key))
  }

  isOver(): boolean {
    return false
  }

  /** A row whose time in memory is over is asked for anew. Called before a step, for each of its keys. */
  evictOver(key: string): void {
    const atMs = this.#deadlines.get(key)
    if (atMs === undefined || atMs > this.#turn.wallTime()) return
    this.#deadlines.delete(key)
    this.keyspace.forget(key)
  }

  expiresAt(target: Target): number | undefined {
    return this.#deadlines.get(target.key) ?? this.#deadlineOf(target)
  }

  expire(target: Target, _current: Fields, atMs: number | undefined): void {
    const { key } = target
    if (this.#ends !== undefined) {
      if (atMs === undefined) this.#forgetDeadline(target)
      else this.#setDeadline(target, atMs)
      // Changes nothing but when the row ends.
      this.#write(target, { kind: 'patch', fields: {}, amounts: {} }, atMs)
      return
    }
    if (atMs === undefined) {
      this.#deadlines.delete(key)
      return
    }
    if (this.#expiry !== 'evict') {
      const { table } = this.keyspace.schema
      throw new RedisError(
        `ERR the mapping does not say what EXPIRE of a row of table "${table}" means: add expire: "evict" or "delete" to cache "${this.keyspace.name}"`,
      )
    }
    this.#deadlines.delete(key)
    const [oldest] = this.#deadlines.keys()
    if (this.#deadlines.size >= maxDeadlines && oldest !== undefined) {
      this.#deadlines.delete(oldest)
      this.keyspace.forget(oldest)
    }
    this.#deadlines.set(key, atMs)
  }

  stringOf(current: Fields): string {
    return binaryOfUtf8(JSON.stringify(this.keyspace.codec.unwrap(current), jsonMember))
  }

  setString(target: Target, value: string, _plain: boolean, expiresAtMs: number | undefined): void {
    const row = this.#rowOf(value)
    const fields = this.keyspace.codec.row(row, target.key)
    if (this.#ends === undefined) {
      this.#write(target, { kind: 'set', fields })
      this.expire(target, {}, expiresAtMs)
      return
    }
    if (expiresAtMs === undefined) this.#forgetDeadline(target)
    else this.#setDeadline(target, expiresAtMs)
    this.#write(target, { kind: 'set', fields }, expiresAtMs)
  }

  checkEditable(): void {
    throw wrongType()
  }

  checkHash(): void {
    // Every row is one.
  }

  field(current: Fields, name: string): string | undefined {
    const text = utf8Of(name)
    return text !== undefined && Object.hasOwn(current, text)
      ? binaryOfField(current[text])
      : undefined
  }

  fieldNames(current: Fields): string[] {
    return Object.keys(current)
      .filter((name) => current[name] !== null)
      .map(binaryOfUtf8)
  }

  fieldCount(current: Fields): number {
    return this.fieldNames(current).length
  }

  byHash(current: Fields): SortedMembers {
    return namesByHash(this.fieldNames(current))
  }

  setFields(
    target: Target,
    _current: Fields | undefined,
    pairs: readonly string[],
    at: number,
  ): void {
    const fields: Record<string, FieldValue> = {}
    for (let index = at; index < pairs.length; index += 2) {
      const name = this.#nameOf(pairs[index] ?? '')
      const column = this.#columns.get(name)
      const value = pairs[index + 1] ?? ''
      fields[name] = column === undefined ? this.#other(name, value) : fieldOfBinary(column, value)
    }
    this.#patch(target, this.keyspace.codec.patch(fields, target.key))
  }

  removeFields(target: Target, _current: Fields, names: readonly string[]): void {
    const nulls = Object.fromEntries(names.map((name) => [this.#nameOf(name), null]))
    this.#patch(target, this.keyspace.codec.patch(nulls, target.key))
  }

  increment(target: Target, current: Fields | undefined, name: string, by: bigint): bigint {
    const column = this.#column(name)
    const before = this.#before(current, column)
    if (column.type.kind !== 'integer') {
      const sum = this.#incremented(target, before, column, by.toString())
      return BigInt(sum.split('.')[0] ?? '0')
    }
    const amount = canonicalAmount(column, by)
    const sum = this.#checked(column, addAmount(before, amount))
    this.#add(target, column, amount)
    return BigInt(sum as number | bigint)
  }

  incrementFloat(target: Target, current: Fields | undefined, name: string, by: string): string {
    const column = this.#column(name)
    return this.#incremented(target, this.#before(current, column), column, by)
  }

  members(): string[] {
    throw wrongType()
  }

  isMember(): boolean {
    throw wrongType()
  }

  addMembers(): void {
    throw wrongType()
  }

  removeMembers(): void {
    throw wrongType()
  }

  items(): Items {
    throw wrongType()
  }

  spliceItems(): void {
    throw wrongType()
  }

  keepItems(): void {
    throw wrongType()
  }

  addList(): void {
    throw wrongType()
  }

  sorted(): SortedMembers {
    throw wrongType()
  }

  score(): number | undefined {
    throw wrongType()
  }

  setScores(): void {
    throw wrongType()
  }

  stream(): Stream {
    throw wrongType()
  }

  changeStream(): void {
    throw wrongType()
  }

  copyTo(current: Fields, target: Target): void {
    this.#forgetDeadline(target)
    this.#write(target, { kind: 'set', fields: current })
  }

  /** For a write that leaves the row its deadline. One that is over was of a row that is gone. */
  #keptDeadline(target: Target): number | undefined {
    const atMs = this.#deadlineOf(target)
    if (atMs === undefined || atMs > this.#turn.wallTime()) return atMs
    this.#forgetDeadline(target)
    return undefined
  }

  /** Wall time in ms, perhaps over; undefined where the row has none, or where the step does not look. */
  #deadlineOf({ deadline }: Target): number | undefined {
    if (deadline === undefined || deadline.blind) return undefined
    const atMs = this.#turn.read(deadline)?.['']
    return typeof atMs === 'number' ? atMs : undefined
  }

  #setDeadline({ deadline }: Target, atMs: number): void {
    if (deadline === undefined) return
    const ttlMs = Math.max(0, atMs - this.#turn.wallTime()) + deadlineStaysMs
    this.#turn.write(deadline, { kind: 'set', fields: { '': atMs } }, ttlMs)
  }

  #forgetDeadline(target: Target): void {
    const { deadline } = target
    if (deadline === undefined) return
    if (deadline.blind || this.#turn.read(deadline) !== undefined) {
      this.#turn.write(deadline, { kind: 'delete' })
    }
  }

  #write(target: Target, mutation: Mutation, atMs = this.#keptDeadline(target)): void {
    const event = this.#events.byTheWay(target)
    const ttlMs = atMs === undefined ? undefined : Math.max(0, atMs - this.#turn.wallTime())
    this.#turn.write(target, mutation, ttlMs)
    if (event !== undefined) this.#events.tell(target, event, event)
  }

  /** Where a row is not there, its defaults are incremented. */
  #before(current: Fields | undefined, column: Column): FieldValue {
    return (current ?? this.keyspace.schema.blank)[column.name] ?? null
  }

  #incremented(target: Target, before: FieldValue, column: Column, by: string): string {
    const { kind } = column.type
    if (kind === 'integer' || kind === 'numeric') {
      const amount = canonicalAmount(column, by)
      const sum = this.#checked(column, addAmount(before, amount))
      this.#add(target, column, amount)
      return binaryOfField(sum) ?? '0'
    }
    const base =
      before === null ? '0' : typeof before === 'number' ? decimalOf(`${before}`) : undefined
    if (kind !== 'float' || base === undefined)
      throw new RedisError('ERR hash value is not a float')
    const sum = canonicalField(column, sumOfDecimals(base, by))
    this.#patch(target, { [column.name]: sum })
    return binaryOfField(sum) ?? '0'
  }

  #add(target: Target, column: Column, amount: Amount): void {
    this.#write(target, { kind: 'patch', fields: {}, amounts: { [column.name]: amount } })
  }

  #patch(target: Target, fields: Fields): void {
    this.#write(target, { kind: 'patch', fields, amounts: {} })
  }

  /** Out of the column's range is refused before it is acknowledged. */
  #checked(column: Column, sum: FieldValue): FieldValue {
    try {
      return canonicalField(column, sum)
    } catch {
      throw overflow()
    }
  }

  #column(name: string): Column {
    const column = this.#columns.get(this.#nameOf(name))
    if (column === undefined) {
      throw new RedisError(
        `ERR table "${this.keyspace.schema.table}" has no such column to increment`,
      )
    }
    if (['integer', 'numeric', 'float'].includes(column.type.kind)) return column
    throw new RedisError('ERR hash value is not an integer')
  }

  #nameOf(binary: string): string {
    const name = utf8Of(binary)
    if (name === undefined) throw new RedisError('ERR the name of a column is UTF-8')
    return name
  }

  /** The codec refuses it where the table has no column for all other fields, and says which columns there are. */
  #other(name: string, value: string): FieldValue {
    const keyColumn = this.keyspace.schema.key.find((column) => column.name === name)
    return keyColumn === undefined ? restOfBinary(name, value) : fieldOfBinary(keyColumn, value)
  }

  #rowOf(binary: string): unknown {
    const text = utf8Of(binary)
    let value: unknown
    try {
      value = JSON.parse(text ?? '')
    } catch {
      value = undefined
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new RedisError(
        `ERR a row of table "${this.keyspace.schema.table}" is set as a JSON object of its columns`,
      )
    }
    for (const [name, member] of Object.entries(value)) {
      if (this.#columns.get(name)?.type.kind !== 'bytes' || typeof member !== 'string') continue
      Object.assign(value, { [name]: new Uint8Array(Buffer.from(member, 'base64')) })
    }
    return value
  }
}

/** What JSON has no word for: integers beyond 2^53 as digits, bytes in base64. */
function jsonMember(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}

/** Parts of a composite key that are given as JSON; undefined where they are not. */
function arrayOfTexts(text: string, length: number): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts) || parts.length !== length) return undefined
  return parts.every((part) => typeof part === 'string') ? parts : undefined
}

/** Of a canonical composite key, which is JSON: what `keyOf` reads back as the same key. */
function nameOfParts(key: string): string {
  const parts = JSON.parse(key) as string[]
  const isPlain = parts.every((part) => !part.includes(':')) && !parts[0]?.startsWith('[')
  return isPlain ? parts.join(':') : key
}
