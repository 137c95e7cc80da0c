/**
 * A set of integers in ascending order, all of the same width, with the lowest byte first everywhere:
 *
 *     width (4): 2, 4 or 8   number of members (4)   members …
 */

import { badFormat } from './bad-format.ts'
import { ByteReader } from './byte-reader.ts'
import type { ReadBudget } from './read-budget.ts'

const headBytes = 8

export function readIntset(bytes: Buffer, budget: ReadBudget): string[] {
  const reader = new ByteReader(bytes)
  const width = reader.unsigned(4)
  const count = reader.unsigned(4)
  if (![2, 4, 8].includes(width) || headBytes + count * width !== bytes.length) throw badFormat()
  const members: string[] = []
  let before: bigint | undefined
  while (!reader.isAtEnd) {
    budget.element()
    const member = reader.integerText(width)
    const value = BigInt(member)
    if (before !== undefined && value <= before) throw badFormat()
    before = value
    members.push(member)
  }
  return members
}
