/**
 * HSCAN, SSCAN and ZSCAN: the members of one value, page by page.
 *
 * The value is in memory as a whole, so a page is a range of its members in the order of their hashes, and the cursor is
 * the hash that the next page begins at: a member that is there all the time is given whatever comes and goes meanwhile.
 */

import { hashText } from '../../../base/hash.ts'
import { argumentOf, type Call } from '../command.ts'
import { matchesGlob } from '../glob.ts'
import { integerOf, safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError } from '../redis-error.ts'
import { bulk, bulks } from '../reply.ts'

export interface ScanOptions {
  readonly pattern: string
  readonly count: number
  readonly type: string | undefined
}

/** From `at` on: MATCH, COUNT, and TYPE where keys are scanned. */
export function scanOptions(call: Call, start: number, takesType: boolean): ScanOptions {
  let pattern = '*'
  let count = 10
  let type: string | undefined
  for (let at = start; at < call.args.length; at += 2) {
    const option = argumentOf(call, at).toLowerCase()
    if (at + 1 >= call.args.length) throw syntaxError()
    const value = argumentOf(call, at + 1)
    if (option === 'match') pattern = value
    else if (option === 'type' && takesType) type = value.toLowerCase()
    else if (option === 'count') {
      const given = safeIntegerOf(value)
      if (given === undefined) throw notAnInteger()
      if (given < 1) throw syntaxError()
      count = Math.min(given, call.server.config.maxArguments)
    } else throw syntaxError()
  }
  return { pattern, count, type }
}

export function cursorOf(text: string): number {
  const cursor = /^\d{1,20}$/.test(text) ? integerOf(text) : undefined
  if (cursor === undefined) throw new RedisError('ERR invalid cursor')
  return Number(cursor)
}

/** With `valueOf` each member is followed by its value. */
export function scanMembers(
  call: Call,
  members: readonly string[],
  valueOf: ((member: string) => string) | undefined,
): string {
  const from = cursorOf(argumentOf(call, 2))
  const { pattern, count } = scanOptions(call, 3, false)
  const sorted = members
    .map((member) => ({ member, hash: hashText(member) >>> 0 }))
    .filter(({ hash }) => hash >= from)
    .sort((a, b) => a.hash - b.hash)
  let end = Math.min(count, sorted.length)
  // Members of one hash are never parted.
  while (end < sorted.length && sorted[end]?.hash === sorted[end - 1]?.hash) end++
  const next = end < sorted.length ? (sorted[end]?.hash ?? 0) : 0
  const found = sorted.slice(0, end).filter(({ member }) => matchesGlob(pattern, member))
  const items = found.flatMap(({ member }) =>
    valueOf === undefined ? [member] : [member, valueOf(member)],
  )
  return `*2\r\n${bulk(String(next))}${bulks(items)}`
}
