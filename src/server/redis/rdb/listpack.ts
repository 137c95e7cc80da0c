/**
 * A listpack, in which Redis since 7.0 holds small values:
 *
 *     length of it all (4)   number of entries (2; 0xffff: too many to say)   entries …   0xff
 *
 * with numbers that have the lowest byte first. An entry is a head, what the head says, and the length of both once more for
 * who comes from behind: in groups of 7 bits, the highest first, all but the first with their top bit set.
 *
 *     0NNNNNNN                    the integer N
 *     110NNNNN NNNNNNNN           N, with a sign
 *     11110001, …10, …11, …100    an integer of 2, 3, 4 or 8 bytes with a sign, the lowest first
 *     10LLLLLL                    a string of L bytes
 *     1110LLLL LLLLLLLL           likewise
 *     11110000 and 4 bytes        likewise, the lowest first
 */

import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'
import type { ReadBudget } from './read-budget.ts'

const end = 0xff
const headBytes = 6
const unknownCount = 0xffff
/** From these lengths on there is one group more. They are what Redis has, not quite powers of two. */
const groupsFrom = [128, 16_383, 2_097_151, 268_435_455]

export function readListpack(bytes: Buffer, budget: ReadBudget): string[] {
  const reader = new ByteReader(bytes)
  if (reader.unsigned(4) !== bytes.length) throw badFormat()
  const count = reader.unsigned(headBytes - 4)
  const entries: string[] = []
  while (reader.next !== end) {
    budget.element()
    const from = reader.at
    entries.push(readEntry(reader))
    checkBackLength(reader, reader.at - from)
  }
  reader.skip(1)
  if (!reader.isAtEnd) throw badFormat()
  if (count !== unknownCount && count !== entries.length) throw badFormat()
  return entries
}

function readEntry(reader: ByteReader): string {
  const head = reader.byte()
  if (head < 0x80) return String(head)
  if (head < 0xc0) return reader.text(head & 0x3f)
  if (head < 0xe0) {
    const value = ((head & 0x1f) << 8) | reader.byte()
    return String(value < 0x1000 ? value : value - 0x2000)
  }
  if (head < 0xf0) return reader.text(((head & 0x0f) << 8) | reader.byte())
  switch (head) {
    case 0xf0:
      return reader.text(reader.unsigned(4))
    case 0xf1:
    case 0xf2:
    case 0xf3:
      return reader.integerText(head - 0xef)
    case 0xf4:
      return reader.integerText(8)
    default:
      throw badFormat()
  }
}

function checkBackLength(reader: ByteReader, length: number): void {
  const groups = 1 + groupsFrom.filter((from) => length >= from).length
  for (let group = groups - 1; group >= 0; group--) {
    const bits = Math.floor(length / 2 ** (7 * group)) & 0x7f
    if (reader.byte() !== (group === groups - 1 ? bits : bits | 0x80)) throw badFormat()
  }
}
