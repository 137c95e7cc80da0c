/** Random members, as HRANDFIELD, SPOP, SRANDMEMBER and ZRANDMEMBER give them. */

import type { Random } from '../../../base/random.ts'
import type { Fields } from '../../../mutation/mutation.ts'
import { argumentOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import type { Target } from '../spaces/space.ts'

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

/** What some are picked from: nothing of it is looked at but what is picked. */
export interface Picks<T> {
  readonly size: number
  at(place: number): T | undefined
}

/** With less it is faster to list them. */
const maxListed = 64

/** The names of a hash's fields, or a set's members. */
export function namesIn({ space }: Target, current: Fields | undefined): Picks<string> {
  if (current === undefined) return { size: 0, at: () => undefined }
  const size = space.fieldCount(current)
  if (size <= maxListed) {
    const names = space.fieldNames(current)
    return { size, at: (place) => names[place] }
  }
  const order = space.byHash(current)
  return { size, at: (place) => order.at(place)?.member }
}

/** A positive count: as many different ones, at most all. A negative one: as many, which may repeat. */
export function sample<T>(picks: Picks<T>, count: number, random: Random): T[] {
  const { size } = picks
  if (size === 0 || count === 0) return []
  const pick = (from: number): number => from + Math.floor(random.next() * (size - from))
  if (count < 0) return Array.from({ length: -count }, () => picks.at(pick(0)) as T)
  if (count >= size) return Array.from({ length: size }, (_, place) => picks.at(place) as T)
  // The beginning of a Fisher–Yates shuffle of all places, of which only those are kept that are not their own any more.
  const moved = new Map<number, number>()
  return Array.from({ length: count }, (_, at) => {
    const other = pick(at)
    const place = moved.get(other) ?? other
    moved.set(other, moved.get(at) ?? at)
    return picks.at(place) as T
  })
}
