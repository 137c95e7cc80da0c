/** Random members, as HRANDFIELD, SRANDMEMBER and ZRANDMEMBER give them. */

import type { Random } from '../../../base/random.ts'
import { argumentOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'

/** The count of random members that a client asks for, as its third word. A negative one is as many, with repeats. */
export function countOf(call: Call): number {
  const count = integerOf(argumentOf(call, 2))
  if (count === undefined) throw notAnInteger()
  const { maxArguments } = call.server.config
  if (count < -BigInt(maxArguments)) {
    throw new RedisError('ERR value is out of range')
  }
  return Number(count)
}

/** A positive count: as many different ones, at most all. A negative one: as many, which may repeat. */
export function sample<T>(items: readonly T[], count: number, random: Random): T[] {
  if (items.length === 0 || count === 0) return []
  const pick = (from: number): number => from + Math.floor(random.next() * (items.length - from))
  if (count < 0) return Array.from({ length: -count }, () => items[pick(0)] as T)
  if (count >= items.length) return [...items]
  // The beginning of a Fisher–Yates shuffle.
  const shuffled = [...items]
  for (let at = 0; at < count; at++) {
    const other = pick(at)
    const item = shuffled[other] as T
    shuffled[other] = shuffled[at] as T
    shuffled[at] = item
  }
  return shuffled.slice(0, count)
}
