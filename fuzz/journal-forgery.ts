/** Headers and records that say what no engine has written, with checksums that are right. */

import fc from 'fast-check'
import { batchHeaderBytes, checksum, pageBytes } from '../src/journal/format.ts'
import { damaged, inPlace, type Damage } from './damage.ts'
import type { PlacedBatch } from './journal-images.ts'

export type Forgery =
  | { readonly kind: 'segment header'; readonly segment: number; readonly edits: readonly Edit[] }
  | { readonly kind: 'batch header'; readonly batch: number; readonly edits: readonly Edit[] }
  | { readonly kind: 'records'; readonly batch: number; readonly damage: Damage }

/** Four bytes of a header. */
export interface Edit {
  readonly at: number
  readonly value: number
}

const values = fc.oneof(
  fc.constantFrom(0, 1, 2, 14, 4096, 65_535, 65_536, 0x1fffff, 0x200000, 2 ** 31, 2 ** 32 - 1),
  fc.nat(0xffff_ffff),
)

function edits(from: number, to: number): fc.Arbitrary<Edit[]> {
  const at = fc.integer({ min: from / 4, max: to / 4 - 1 }).map((word) => word * 4)
  return fc.array(fc.record({ at, value: values }), { minLength: 1, maxLength: 3 })
}

const last = fc.oneof(
  fc.nat(99),
  fc.nat(3).map((back) => -1 - back),
)

export const forgery: fc.Arbitrary<Forgery> = fc.oneof(
  fc.record({
    kind: fc.constant('segment header' as const),
    segment: last,
    edits: edits(16, 112),
  }),
  fc.record({ kind: fc.constant('batch header' as const), batch: last, edits: edits(8, 96) }),
  fc.record({ kind: fc.constant('records' as const), batch: last, damage: inPlace }),
)

/** A changed copy of the file with the first batch of `batches` that the forgery means, or of the segment. */
export function forged(
  forgery: Exclude<Forgery, { kind: 'segment header' }>,
  content: Uint8Array,
  batch: PlacedBatch,
): Uint8Array {
  const bytes = Buffer.from(content)
  const { offset, bodyBytes } = batch.header
  const header = bytes.subarray(offset, offset + batchHeaderBytes)
  if (forgery.kind === 'batch header') {
    for (const { at, value } of forgery.edits) header.writeUInt32LE(value, at)
  } else {
    const start = offset + batchHeaderBytes
    const body = damaged(bytes.subarray(start, start + bodyBytes), forgery.damage)
    bytes.set(body, start)
    header.writeUInt32LE(checksum(body), 72)
  }
  header.writeUInt32LE(checksum(header.subarray(8)), 4)
  return bytes
}

export function forgedSegment(edits: readonly Edit[], content: Uint8Array): Uint8Array {
  const bytes = Buffer.from(content)
  const page = bytes.subarray(0, pageBytes)
  for (const { at, value } of edits) page.writeUInt32LE(value, at)
  page.writeUInt32LE(checksum(Buffer.concat([page.subarray(0, 12), page.subarray(16)])), 12)
  return bytes
}

/** What stands behind the batch is gone, so that nothing but the forgery itself can be found wrong. */
export function alone(content: Uint8Array, { header, bytes }: PlacedBatch): Uint8Array {
  return new Uint8Array(content).fill(0, header.offset + bytes.length)
}
