/**
 * HSCAN, SSCAN and ZSCAN: the members of one value, page by page.
 *
 * A page is a range of the members in the order of their hashes, and the cursor is the hash that the next page begins at: a
 * member that is there all the time is given whatever comes and goes meanwhile.
 */

import { argumentOf, type Call } from '../command.ts'
import { matchesGlob } from '../glob.ts'
import { integerOf, safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError } from '../redis-error.ts'
import { bulk, bulks } from '../reply.ts'
import type { SortedMembers } from '../spaces/sorted-members.ts'

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

/** By their hashes; undefined where there is no key. With `valueOf` each member is followed by its value. */
export function scanMembers(
  call: Call,
  members: SortedMembers | undefined,
  valueOf: ((member: string) => string) | undefined,
): string {
  const cursor = cursorOf(argumentOf(call, 2))
  const { pattern, count } = scanOptions(call, 3, false)
  if (members === undefined) return `*2\r\n${bulk('0')}${bulks([])}`
  const from = members.countWhile((item) => item.score < cursor)
  const last = members.at(Math.min(from + count, members.size) - 1)?.score ?? -1
  // Members of one hash are never parted.
  const end = Math.max(
    from,
    members.countWhile((item) => item.score <= last),
  )
  const next = members.at(end)?.score ?? 0
  const items: string[] = []
  for (const { member } of members.range(from, end)) {
    if (!matchesGlob(pattern, member)) continue
    items.push(member)
    if (valueOf !== undefined) items.push(valueOf(member))
  }
  return `*2\r\n${bulk(String(next))}${bulks(items)}`
}
