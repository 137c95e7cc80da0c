/**
 * What a journal's bytes say, read by a decoder of its own, written from docs/journal-format.md: the oracle must not
 * believe the code that it checks.
 */

import { crc32 } from 'node:zlib'

/** One mutation as it stands in the journal. */
export interface JournalRecord {
  readonly position: number
  readonly lane: number
  readonly cache: string
  readonly key: string
  readonly kind: 'set' | 'delete' | 'patch'
  readonly fields: Readonly<Record<string, unknown>>
  readonly amounts: Readonly<Record<string, number | string>>
  readonly continues: boolean
  readonly expires: boolean
  readonly retryOf: string | undefined
}

export interface Batch {
  readonly end: number
  readonly epoch: number
  readonly records: readonly JournalRecord[]
}

const pageBytes = 4096
const headerBytes = 96
const batchMagic = 0x48435442

/** The batches from `offset` on, up to the first place where there is no whole one. */
export function batchesFrom(bytes: Uint8Array, offset: number): Batch[] {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const batches: Batch[] = []
  for (let at = offset; at + headerBytes <= image.length;) {
    const batch = batchAt(image, at)
    if (batch === undefined) break
    batches.push(batch)
    at = batch.end
  }
  return batches
}

/** Where a segment's first batch begins. */
export const firstBatchOffset = pageBytes

/** The lowest position that a segment can have; undefined where the header is not whole. */
export function segmentBase(bytes: Uint8Array): number | undefined {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (image.length < pageBytes || image.toString('latin1', 0, 8) !== 'DAYBOOK\n') return undefined
  const checksum = crc32(image.subarray(16, pageBytes), crc32(image.subarray(0, 12)))
  return checksum === image.readUInt32LE(12) ? Number(image.readBigUInt64LE(64)) : undefined
}

function batchAt(image: Buffer, at: number): Batch | undefined {
  if (image.readUInt32LE(at) !== batchMagic) return undefined
  if (crc32(image.subarray(at + 8, at + headerBytes)) !== image.readUInt32LE(at + 4)) {
    return undefined
  }
  if (Number(image.readBigUInt64LE(at + 40)) !== at) return undefined
  const bodyBytes = image.readUInt32LE(at + 68)
  const body = image.subarray(at + headerBytes, at + headerBytes + bodyBytes)
  if (body.length < bodyBytes || crc32(body) !== image.readUInt32LE(at + 72)) return undefined
  const count = image.readUInt32LE(at + 64)
  let position = Number(image.readBigUInt64LE(at + 48))
  const records: JournalRecord[] = []
  for (let offset = 0; records.length < count; position++) {
    records.push(recordAt(body, offset, position))
    offset += body.readUInt32LE(offset)
  }
  const end = at + Math.ceil((headerBytes + bodyBytes) / pageBytes) * pageBytes
  return { end, epoch: image.readUInt32LE(at + 56), records }
}

function recordAt(body: Buffer, offset: number, position: number): JournalRecord {
  const length = body.readUInt32LE(offset)
  const flags = body.readUInt8(offset + 10)
  let at = offset + 14
  const expires = (flags & 32) !== 0
  if (expires) at += 8
  let retryOf: string | undefined
  if ((flags & 64) !== 0) {
    const bytes = body.readUInt8(at)
    retryOf = body.toString('utf8', at + 1, at + 1 + bytes)
    at += 1 + bytes
  }
  const cacheEnd = at + body.readUInt8(offset + 11)
  const keyEnd = cacheEnd + body.readUInt16LE(offset + 12)
  const payload = body.toString('utf8', keyEnd, offset + length)
  return {
    position,
    lane: body.readUInt16LE(offset + 8),
    cache: body.toString('utf8', at, cacheEnd),
    key: body.toString('utf8', cacheEnd, keyEnd),
    ...effectOf(flags & 7, payload),
    continues: (flags & 8) !== 0,
    expires,
    retryOf,
  }
}

type Effect = Pick<JournalRecord, 'kind' | 'fields' | 'amounts'>

function effectOf(kind: number, payload: string): Effect {
  if (kind === 2) return { kind: 'delete', fields: {}, amounts: {} }
  const parsed = JSON.parse(payload) as Record<string, unknown>
  if (kind === 1) return { kind: 'set', fields: parsed, amounts: {} }
  if (kind === 3) return { kind: 'patch', fields: parsed, amounts: {} }
  if (kind === 4) {
    return { kind: 'patch', fields: {}, amounts: parsed as Effect['amounts'] }
  }
  const [fields, amounts] = parsed as unknown as [Effect['fields'], Effect['amounts']]
  return { kind: 'patch', fields, amounts }
}
