/**
 * A ziplist, in which Redis before 7.0 held small values:
 *
 *     length of it all (4)   where the last entry begins (4)   number of entries (2; 0xffff: too many to say)   entries …   0xff
 *
 * with numbers that have the lowest byte first. An entry is the length of the one before it (a byte, or 0xfe and 4 bytes), a
 * head, and what the head says:
 *
 *     00LLLLLL                              a string of L bytes
 *     01LLLLLL LLLLLLLL                     likewise
 *     10------ and 4 bytes                  likewise, the highest first
 *     11000000, 11010000, 11100000          an integer of 2, 4 or 8 bytes with a sign, the lowest first
 *     11110000, 11111110                    of 3 bytes, of 1
 *     1111NNNN                              N - 1, for N from 1 to 13
 */

import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'
import type { ReadBudget } from './read-budget.ts'

const end = 0xff
const unknownCount = 0xffff

export function readZiplist(bytes: Buffer, budget: ReadBudget): string[] {
  const reader = new ByteReader(bytes)
  if (reader.unsigned(4) !== bytes.length) throw badFormat()
  const tail = reader.unsigned(4)
  const count = reader.unsigned(2)
  const entries: string[] = []
  let last: number | undefined
  let lastBytes = 0
  while (reader.next !== end) {
    budget.element()
    last = reader.at
    if (readBackLength(reader) !== lastBytes) throw badFormat()
    entries.push(readEntry(reader))
    lastBytes = reader.at - last
  }
  reader.skip(1)
  if (!reader.isAtEnd || (last ?? tail) !== tail || tail >= bytes.length) throw badFormat()
  if (count !== unknownCount && count !== entries.length) throw badFormat()
  return entries
}

function readBackLength(reader: ByteReader): number {
  const head = reader.byte()
  return head === 0xfe ? reader.unsigned(4) : head
}

function readEntry(reader: ByteReader): string {
  const head = reader.byte()
  if (head < 0x40) return reader.text(head)
  if (head < 0x80) return reader.text(((head & 0x3f) << 8) | reader.byte())
  if (head < 0xc0) return reader.text(reader.unsignedBigEndian(4))
  switch (head) {
    case 0xc0:
      return reader.integerText(2)
    case 0xd0:
      return reader.integerText(4)
    case 0xe0:
      return reader.integerText(8)
    case 0xf0:
      return reader.integerText(3)
    case 0xfe:
      return reader.integerText(1)
    default:
      if (head > 0xf0 && head < 0xfe) return String((head & 0x0f) - 1)
      throw badFormat()
  }
}
