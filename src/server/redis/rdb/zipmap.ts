/**
 * A zipmap, in which Redis before 2.6 held small hashes:
 *
 *     number of fields (1; 254 or more: too many to say)   fields …   0xff
 *     field: length, name, length, number of bytes that are left free behind the value (1), value, those bytes
 *     length: a byte below 254, or 254 and 4 bytes, the lowest first
 */

import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'
import type { ReadBudget } from './read-budget.ts'

const end = 0xff
const long = 0xfe

/** Names and values, alternating. */
export function readZipmap(bytes: Buffer, budget: ReadBudget): string[] {
  const reader = new ByteReader(bytes)
  const count = reader.byte()
  const entries: string[] = []
  while (reader.next !== end) {
    budget.element()
    budget.element()
    entries.push(reader.text(readLength(reader)))
    const length = readLength(reader)
    const free = reader.byte()
    entries.push(reader.text(length))
    reader.skip(free)
  }
  reader.skip(1)
  if (!reader.isAtEnd) throw badFormat()
  if (count < long && 2 * count !== entries.length) throw badFormat()
  return entries
}

function readLength(reader: ByteReader): number {
  const head = reader.byte()
  if (head < long) return head
  if (head === long) return reader.unsigned(4)
  throw badFormat()
}
