/**
 * The bytes of one entry, as every journal stores them.
 *
 *      0  u32  length of the whole record
 *      4  i32  hash of cache and key
 *      8  u16  lane
 *     10  u8   bits 0-2: kind; 3: continues; 4: tagged; 5: has expiresAtMs; 6: has retryOf
 *     11  u8   length of the cache name in bytes
 *     12  u16  length of the key in bytes
 *     14       [f64 expiresAtMs] [u8 length, retryOf] cache name, key, payload, all text in UTF-8
 *
 * Numbers are little-endian. The position is not in it: records of a batch are consecutive, so the batch says it.
 * The payload is the JSON of the fields (set, merge), of the amounts (increment), of [fields, amounts] (a patch with
 * both) or [fields, amounts, removed names] (one that takes fields away), the text itself (a set of a document that is one text), or empty (delete). What JSON cannot say is tagged:
 * {"$bigint":"9007199254740993"}, {"$bytes":"base64"}, {"$number":"NaN"}; in a tagged payload a name of the value's own
 * that starts with `$` has one more.
 *
 * Encoding is on the path of every acknowledgement: it writes straight into the batch and allocates nothing but the
 * JSON text.
 */

import { assert, unreachable } from '../base/assert.ts'
import { DaybookError } from '../base/errors.ts'
import {
  isEmpty,
  type Amounts,
  type Entry,
  type Fields,
  type FieldValue,
  type Mutation,
  type Position,
  type Removed,
} from './mutation.ts'

export const maxCacheNameBytes = 255
export const maxKeyBytes = 65_535

/** Bytes before the variable part. */
const fixedBytes = 14

const kinds = { set: 1, delete: 2, merge: 3, increment: 4, patch: 5, text: 6 } as const
const kindMask = 0b111
const continuesFlag = 1 << 3
const taggedFlag = 1 << 4
const expiresFlag = 1 << 5
const retryFlag = 1 << 6

/** UTF-8 takes at most this many bytes for one UTF-16 code unit. */
const maxBytesPerUnit = 3
/** Up to this length the worst case is assumed, beyond it the bytes are counted. */
const countFromUnits = 65_536

/**
 * Writes the record at `offset`. Returns its length, or where `buffer` may be too small the negative of what would do;
 * then bytes behind `offset` are undefined. Throws INVALID_VALUE for what no canonical value contains.
 */
export function encodeRecord(entry: Entry, buffer: Buffer, offset: number): number {
  const { mutation, cache, key, retryOf, expiresAtMs } = entry
  let flags = entry.continues ? continuesFlag : 0
  let payload: string
  if (mutation.kind === 'delete') {
    flags |= kinds.delete
    payload = ''
  } else {
    const text = mutation.kind === 'set' ? loneText(mutation.fields) : undefined
    if (text !== undefined) {
      flags |= kinds.text
      payload = text
    } else if (isPlain(mutation)) {
      flags |= kindOf(mutation)
      payload = plainPayload(mutation)
    } else {
      flags |= kindOf(mutation) | taggedFlag
      payload = taggedPayload(mutation)
    }
  }

  const bound = boundOf(cache, key, payload, retryOf)
  if (offset + bound > buffer.length) return -bound

  let at = offset + fixedBytes
  if (expiresAtMs !== undefined) {
    flags |= expiresFlag
    at = buffer.writeDoubleLE(expiresAtMs, at)
  }
  if (retryOf !== undefined) {
    flags |= retryFlag
    const length = buffer.write(retryOf, at + 1)
    assert(length <= 255, 'a dead letter’s id is at most 255 bytes')
    buffer[at] = length
    at += 1 + length
  }
  const cacheAt = at
  at = putText(buffer, cache, at)
  const cacheBytes = at - cacheAt
  const keyAt = at
  at = putText(buffer, key, at)
  const keyBytes = at - keyAt
  const end = at + buffer.write(payload, at)
  if (cacheBytes > maxCacheNameBytes || keyBytes > maxKeyBytes) throw tooLong(entry)

  putU32(buffer, offset, end - offset)
  putU32(buffer, offset + 4, entry.hash)
  putU16(buffer, offset + 8, entry.lane)
  buffer[offset + 10] = flags
  buffer[offset + 11] = cacheBytes
  putU16(buffer, offset + 12, keyBytes)
  return end - offset
}

/** The inverse of `encodeRecord`. The caller has checked the batch's checksum; throws where it is no record. */
export function decodeRecord(buffer: Buffer, offset: number, position: Position): Entry {
  const length = recordLength(buffer, offset)
  const end = offset + length
  const flags = byteAt(buffer, offset + 10)
  const cacheBytes = byteAt(buffer, offset + 11)
  const keyBytes = buffer.readUInt16LE(offset + 12)
  let at = offset + fixedBytes
  let expiresAtMs: number | undefined
  let retryOf: string | undefined
  if (flags & expiresFlag) {
    assert(at + 8 <= end, partsFit)
    expiresAtMs = buffer.readDoubleLE(at)
    at += 8
  }
  if (flags & retryFlag) {
    const retryEnd = at + 1 + byteAt(buffer, at)
    assert(retryEnd <= end, partsFit)
    retryOf = buffer.toString('utf8', at + 1, retryEnd)
    at = retryEnd
  }
  const keyAt = at + cacheBytes
  const payloadAt = keyAt + keyBytes
  assert(payloadAt <= end, partsFit)
  return {
    position: asInteger(position),
    lane: buffer.readUInt16LE(offset + 8),
    cache: cacheName(buffer, at, keyAt),
    key: buffer.toString('utf8', keyAt, payloadAt),
    hash: buffer.readInt32LE(offset + 4),
    mutation: decodeMutation(flags, buffer.toString('utf8', payloadAt, end)),
    continues: (flags & continuesFlag) !== 0,
    expiresAtMs,
    retryOf,
    bytes: length,
  }
}

/**
 * The same number, as an integer of the engine where it is small enough. One that was computed as a double stays a double,
 * and the first object that has one in a field makes the engine convert all like it, those that writers make among them,
 * each at its first use.
 */
function asInteger(position: Position): Position {
  return position <= 0x7f_ff_ff_ff ? position | 0 : position
}

const partsFit = 'a record’s parts fit its length'

/** Neighbouring records are mostly of one cache: its name is not decoded again. */
let lastCacheName = ''

function cacheName(buffer: Buffer, start: number, end: number): string {
  if (end - start === lastCacheName.length) {
    let at = 0
    while (at < lastCacheName.length && buffer[start + at] === lastCacheName.charCodeAt(at)) at++
    // Equal bytes are equal text only where all of it is ASCII: a byte above is part of a longer sequence.
    if (at === lastCacheName.length) return lastCacheName
  }
  const name = buffer.toString('utf8', start, end)
  if (name.length === end - start) lastCacheName = name
  return name
}

export function recordLength(buffer: Buffer, offset: number): number {
  assert(offset + fixedBytes <= buffer.length, 'a record begins within its batch')
  const length = buffer.readUInt32LE(offset)
  assert(length >= fixedBytes && offset + length <= buffer.length, 'a record ends within its batch')
  return length
}

export function recordLane(buffer: Buffer, offset: number): number {
  return buffer.readUInt16LE(offset + 8)
}

/** `retryOf`: the dead letter that the entry retries, where it does. */
export type RecordVisitor = (
  position: Position,
  lane: number,
  hash: number,
  bytes: number,
  retryOf?: string,
) => void

/** Visits the records between `offset` and `end` without decoding key or payload. The first one is at `position`. */
export function visitRecords(
  buffer: Buffer,
  offset: number,
  end: number,
  position: Position,
  visit: RecordVisitor,
): void {
  for (let at = offset; at < end; position++) {
    const length = recordLength(buffer, at)
    const lane = recordLane(buffer, at)
    const hash = buffer.readInt32LE(at + 4)
    if (byteAt(buffer, at + 10) & retryFlag)
      visit(position, lane, hash, length, retryAt(buffer, at))
    else visit(position, lane, hash, length)
    at += length
  }
}

function retryAt(buffer: Buffer, offset: number): string {
  const at = offset + fixedBytes + (byteAt(buffer, offset + 10) & expiresFlag ? 8 : 0)
  return buffer.toString('utf8', at + 1, at + 1 + byteAt(buffer, at))
}

function kindOf(mutation: Exclude<Mutation, { kind: 'delete' }>): number {
  if (mutation.kind === 'set') return kinds.set
  if (mutation.removed !== undefined) return kinds.patch
  if (isEmpty(mutation.amounts)) return kinds.merge
  return isEmpty(mutation.fields) ? kinds.increment : kinds.patch
}

/** Of a document that is a text and nothing else: it needs no JSON, unless UTF-8 cannot say it (lone surrogates). */
function loneText(fields: Fields): string | undefined {
  const text = fields['']
  if (typeof text !== 'string') return undefined
  for (const name in fields) if (name !== '') return undefined
  return text.isWellFormed() ? text : undefined
}

/** An upper bound of the record's length. */
function boundOf(cache: string, key: string, payload: string, retryOf: string | undefined): number {
  const units = cache.length + key.length + payload.length + (retryOf?.length ?? 0)
  const text =
    units <= countFromUnits
      ? units * maxBytesPerUnit
      : (cache.length + key.length + (retryOf?.length ?? 0)) * maxBytesPerUnit +
        Buffer.byteLength(payload)
  return fixedBytes + 9 + text
}

function plainPayload(mutation: Exclude<Mutation, { kind: 'delete' }>): string {
  if (mutation.kind === 'set') return JSON.stringify(mutation.fields)
  const kind = kindOf(mutation)
  if (kind === kinds.merge) return JSON.stringify(mutation.fields)
  if (kind === kinds.increment) return JSON.stringify(mutation.amounts)
  const { fields, amounts, removed } = mutation
  return JSON.stringify(
    removed === undefined ? [fields, amounts] : [fields, amounts, Object.keys(removed)],
  )
}

function taggedPayload(mutation: Exclude<Mutation, { kind: 'delete' }>): string {
  if (mutation.kind === 'set') return JSON.stringify(tag(mutation.fields))
  const kind = kindOf(mutation)
  if (kind === kinds.merge) return JSON.stringify(tag(mutation.fields))
  if (kind === kinds.increment) return JSON.stringify(tag(mutation.amounts))
  const parts = [tag(mutation.fields), tag(mutation.amounts)]
  if (mutation.removed !== undefined) parts.push(Object.keys(mutation.removed))
  return JSON.stringify(parts)
}

/** True where JSON says all of it. */
function isPlain(mutation: Exclude<Mutation, { kind: 'delete' }>): boolean {
  if (mutation.kind === 'set') return isPlainObject(mutation.fields)
  return isPlainObject(mutation.fields) && isPlainObject(mutation.amounts)
}

function isPlainObject(fields: Fields): boolean {
  for (const name in fields) {
    const value = fields[name]
    if (typeof value === 'string') {
      if (name === '__proto__') return false
      continue
    }
    if (!isPlainValue(value) || name === '__proto__') return false
  }
  return true
}

function isPlainValue(value: FieldValue | undefined): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  // 1 / -0 is -Infinity: JSON would make 0 of it.
  if (typeof value === 'number') return Number.isFinite(value) && (value !== 0 || 1 / value > 0)
  if (typeof value !== 'object' || value instanceof Uint8Array) return false
  if (Array.isArray(value)) return (value as readonly FieldValue[]).every(isPlainValue)
  return isPlainObject(value as Fields)
}

function tag(value: FieldValue): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'bigint') return { $bigint: value.toString() }
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { $number: '-0' }
    return Number.isFinite(value) ? value : { $number: String(value) }
  }
  if (typeof value !== 'object') {
    throw new DaybookError('INVALID_VALUE', `A value contains a field of type ${typeof value}.`)
  }
  if (value instanceof Uint8Array) {
    const view = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return { $bytes: view.toString('base64') }
  }
  if (Array.isArray(value)) return (value as readonly FieldValue[]).map(tag)
  const tagged: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value)) {
    refuseProto(name)
    tagged[name.startsWith('$') ? `$${name}` : name] = tag(field)
  }
  return tagged
}

function untag(value: unknown): FieldValue {
  if (typeof value !== 'object' || value === null) return value as FieldValue
  if (Array.isArray(value)) return value.map(untag)
  const fields = value as Readonly<Record<string, unknown>>
  const { $bigint, $number, $bytes } = fields
  if (typeof $bigint === 'string') return BigInt($bigint)
  if (typeof $number === 'string') return Number($number)
  if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'))
  const untagged: Record<string, FieldValue> = {}
  for (const [name, field] of Object.entries(fields)) {
    const own = name.startsWith('$') ? name.slice(1) : name
    refuseProto(own)
    untagged[own] = untag(field)
  }
  return untagged
}

function decodeMutation(flags: number, payload: string): Mutation {
  const kind = flags & kindMask
  if (kind === kinds.delete) return { kind: 'delete' }
  if (kind === kinds.text) return { kind: 'set', fields: { '': payload } }
  const parsed: unknown = JSON.parse(payload)
  if (payload.includes('__proto__')) refuseProtoWithin(parsed)
  const value = flags & taggedFlag ? untagParts(kind, parsed) : parsed
  switch (kind) {
    case kinds.set:
      return { kind: 'set', fields: asFields(value) }
    case kinds.merge:
      return { kind: 'patch', fields: asFields(value), amounts: {} }
    case kinds.increment:
      return { kind: 'patch', fields: {}, amounts: asAmounts(value) }
    case kinds.patch: {
      assert(Array.isArray(value) && (value.length === 2 || value.length === 3), payloadFits)
      const [fields, amounts, removed] = value as readonly unknown[]
      const patch = {
        kind: 'patch',
        fields: asFields(fields),
        amounts: asAmounts(amounts),
      } as const
      return removed === undefined ? patch : { ...patch, removed: asRemoved(removed) }
    }
    default:
      return unreachable(kind as never)
  }
}

function untagParts(kind: number, parsed: unknown): unknown {
  if (kind !== kinds.patch) return untag(parsed)
  assert(Array.isArray(parsed), payloadFits)
  return parsed.map(untag)
}

const payloadFits = 'a record’s payload is that of its kind'

function asFields(value: unknown): Fields {
  const fits = typeof value === 'object' && value !== null && !Array.isArray(value)
  assert(fits && !(value instanceof Uint8Array), payloadFits)
  return value as Fields
}

function asAmounts(value: unknown): Amounts {
  const amounts = asFields(value)
  for (const name in amounts) {
    assert(['number', 'bigint', 'string'].includes(typeof amounts[name]), payloadFits)
  }
  return amounts as Amounts
}

function asRemoved(value: unknown): Removed {
  assert(Array.isArray(value) && value.every((name) => typeof name === 'string'), payloadFits)
  const removed: Record<string, true> = {}
  for (const name of value as readonly string[]) {
    refuseProto(name)
    removed[name] = true
  }
  return removed
}

function refuseProto(name: string): void {
  if (name === '__proto__') {
    throw new DaybookError('INVALID_VALUE', 'A value contains a field named __proto__.')
  }
}

function refuseProtoWithin(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, field] of Object.entries(value)) {
    refuseProto(name)
    refuseProtoWithin(field)
  }
}

function tooLong(entry: Entry): DaybookError {
  return new DaybookError('INVALID_KEY', 'A cache name or key is too long for the journal.', {
    details: { cache: entry.cache, maxKeyBytes, maxCacheNameBytes },
  })
}

function byteAt(bytes: Buffer, offset: number): number {
  return bytes[offset] ?? 0
}

/** Short ASCII, as names and keys are, costs less byte by byte than a call into the engine's encoder. */
function putText(bytes: Buffer, text: string, offset: number): number {
  if (text.length <= 64) {
    let at = 0
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      if (unit > 127) break
      bytes[offset + at] = unit
    }
    if (at === text.length) return offset + at
  }
  return offset + bytes.write(text, offset)
}

// Plain stores: Buffer's writeUInt32LE checks its arguments on every call.

function putU16(bytes: Buffer, offset: number, value: number): void {
  bytes[offset] = value
  bytes[offset + 1] = value >>> 8
}

function putU32(bytes: Buffer, offset: number, value: number): void {
  bytes[offset] = value
  bytes[offset + 1] = value >>> 8
  bytes[offset + 2] = value >>> 16
  bytes[offset + 3] = value >>> 24
}
