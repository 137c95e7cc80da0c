/** Where an entry belongs: its hash over cache and key, and the lane of its routing key. Part of the journal's format. */

import { hashText } from '../base/hash.ts'

/** Seeded by the cache's name, so that equal keys of two caches differ. See `hashText`. */
export function entryHash(cacheHash: number, key: string): number {
  return hashText(key, cacheHash)
}

/** The lane of a routing key, which is the key itself unless the cache says otherwise. */
export function laneOf(routingKey: string, lanes: number): number {
  return lanes === 1 ? 0 : hashText(routingKey) % lanes
}
