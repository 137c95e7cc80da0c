import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  batchHeaderBytes,
  decodeBatchHeader,
  decodeSegmentHeader,
  encodeBatchHeader,
  encodeSegmentHeader,
  pageBytes,
  type BatchScope,
} from '../../src/journal/format.ts'

const scope: BatchScope = {
  journalId: '11111111-1111-4111-8111-111111111111',
  segmentId: '22222222-2222-4222-8222-222222222222',
}
const other = '33333333-3333-4333-8333-333333333333'

function batch(given: Partial<Parameters<typeof encodeBatchHeader>[2]> = {}): Buffer {
  const bytes = Buffer.alloc(batchHeaderBytes)
  encodeBatchHeader(bytes, scope, {
    offset: pageBytes,
    firstPosition: 7,
    epoch: 2,
    kind: 'data',
    count: 1,
    bodyBytes: 20,
    bodyChecksum: 3,
    previousLink: 4,
    ...given,
  })
  return bytes
}

describe('a batch’s header', () => {
  test('comes back, with what the next one links to', () => {
    const header = decodeBatchHeader(batch(), 0, scope, pageBytes)
    expect(header).toMatchObject({ firstPosition: 7, epoch: 2, kind: 'data', previousLink: 4 })
    expect(header?.link).toBe(batch().readUInt32LE(4))
    const seal = decodeBatchHeader(batch({ kind: 'seal' }), 0, scope, pageBytes)
    expect(seal?.kind).toBe('seal')
  })

  test.each<[string, BatchScope, number]>([
    ['in another journal', { ...scope, journalId: other }, pageBytes],
    ['in another segment', { ...scope, segmentId: other }, pageBytes],
    ['at another offset', scope, 2 * pageBytes],
  ])('is none %s, whole as it is', (_place, where, offset) => {
    expect(decodeBatchHeader(batch(), 0, where, offset)).toBeUndefined()
  })

  test('is none of a kind that this version does not know', () => {
    const bytes = batch()
    bytes.writeUInt32LE(3, 60)
    bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
    expect(decodeBatchHeader(bytes, 0, scope, pageBytes)).toBeUndefined()
  })

  test('is none where the bytes end before it does', () => {
    expect(decodeBatchHeader(batch().subarray(0, 95), 0, scope, pageBytes)).toBeUndefined()
  })
})

test('a segment’s header comes back with what is said of the segment before, and without in the first', () => {
  const fields = { ...scope, lanes: 2, base: 5, bytes: 8 * pageBytes, epoch: 1 }
  const previous = { segmentId: other, end: 2 * pageBytes, link: 9 }
  const second = decodeSegmentHeader(encodeSegmentHeader({ ...fields, ordinal: 2, previous }))
  expect(second).toMatchObject({ ...fields, ordinal: 2, previous })
  const first = { ...fields, ordinal: 1, previous: undefined }
  expect(decodeSegmentHeader(encodeSegmentHeader(first))).toMatchObject(first)
  expect(decodeSegmentHeader(Buffer.alloc(100))).toBe('damaged')
})
