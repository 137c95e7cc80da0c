/**
 * Lengths and strings, which all values are made of:
 *
 *     00LLLLLL                              a length of 6 bits
 *     01LLLLLL LLLLLLLL                     of 14
 *     10000000 and 4 bytes                  of 32, the highest byte first
 *     10000001 and 8 bytes                  of 64, likewise
 *     11000000, 11000001, 11000010          no length: an integer of 1, 2 or 4 bytes, the lowest first
 *     11000011                              no length: packed with LZF; its length packed, its length unpacked, the bytes
 *
 * A string is a length and its bytes, or one of what is no length.
 */

import { latin1Of } from '../latin1.ts'
import { badFormat } from './bad-format.ts'
import type { ByteReader } from './byte-reader.ts'
import { unpackLzf } from './lzf.ts'
import type { ReadBudget } from './read-budget.ts'

const packed = 0xc3

export function readLength(reader: ByteReader): number {
  const head = reader.byte()
  if (head < 0x40) return head
  if (head < 0x80) return ((head & 0x3f) << 8) | reader.byte()
  if (head === 0x80) return reader.unsignedBigEndian(4)
  if (head === 0x81) return reader.unsigned64BigEndian()
  throw badFormat()
}

export function readString(reader: ByteReader, budget: ReadBudget): string {
  const head = reader.next
  if (head < 0xc0) return reader.text(readLength(reader))
  if (head === packed) return latin1Of(readPacked(reader, budget))
  return readInteger(reader)
}

/** The same as bytes: something that is itself encoded. */
export function readBytes(reader: ByteReader, budget: ReadBudget): Buffer {
  const head = reader.next
  if (head < 0xc0) return reader.bytes(readLength(reader))
  if (head === packed) return readPacked(reader, budget)
  return Buffer.from(readInteger(reader), 'latin1')
}

function readPacked(reader: ByteReader, budget: ReadBudget): Buffer {
  reader.skip(1)
  const packedLength = readLength(reader)
  const length = readLength(reader)
  const bytes = reader.bytes(packedLength)
  budget.unpack(length)
  return unpackLzf(bytes, length)
}

function readInteger(reader: ByteReader): string {
  const kind = reader.byte() & 0x3f
  if (kind > 2) throw badFormat()
  return reader.integerText(2 ** kind)
}

export function lengthText(length: number): string {
  if (length < 0x40) return String.fromCharCode(length)
  if (length < 0x4000) return String.fromCharCode(0x40 | (length >> 8), length & 0xff)
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(length)
  return `\x80${latin1Of(bytes)}`
}

export function stringText(text: string): string {
  return lengthText(text.length) + text
}
