/**
 * Strings that Redis has packed with LZF: pieces that stand for themselves, and pieces that were there before.
 *
 *     000LLLLL  bytes …                     L + 1 bytes
 *     LLLDDDDD  DDDDDDDD                    L + 2 bytes (L from 1 to 6) from D + 1 bytes back in what is unpacked
 *     111DDDDD  LLLLLLLL  DDDDDDDD          L + 9 bytes, likewise
 *
 * What is copied may overlap with what it makes: that is how a run of one byte is packed. Pure.
 */

import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'

/** Three bytes make no more than this. */
const maxPiece = 264

/** Exactly so many bytes. No memory is taken for a length that the packed bytes could not make. */
export function unpackLzf(packed: Buffer, length: number): Buffer {
  if (length > Math.ceil(packed.length / 3) * maxPiece) throw badFormat()
  const unpacked = Buffer.allocUnsafe(length)
  const reader = new ByteReader(packed)
  let at = 0
  while (!reader.isAtEnd) {
    const head = reader.byte()
    if (head < 0x20) {
      const piece = reader.bytes(head + 1)
      if (piece.length > length - at) throw badFormat()
      unpacked.set(piece, at)
      at += piece.length
      continue
    }
    const more = head >> 5
    const size = 2 + (more === 7 ? more + reader.byte() : more)
    const from = at - ((head & 0x1f) << 8) - reader.byte() - 1
    if (from < 0 || size > length - at) throw badFormat()
    if (from + size <= at) unpacked.copyWithin(at, from, from + size)
    else
      for (let index = 0; index < size; index++) unpacked[at + index] = unpacked[from + index] ?? 0
    at += size
  }
  if (at !== length) throw badFormat()
  return unpacked
}
