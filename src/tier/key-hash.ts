/**
 * A hash of keys that nobody outside this process can foresee: clients choose keys, and could otherwise choose many that
 * all meet in one place of a table.
 *
 * Simple tabulation (Carter and Wegman 1979; Pătraşcu and Thorup, "The Power of Simple Tabulation Hashing", 2012) of
 * blocks of 16 code units, put together by a secret odd factor: a load and an exclusive-or for each code unit. Only the
 * speed of a lookup depends on the secret, never an answer or an order.
 */

import { randomFillSync } from 'node:crypto'

const blockUnits = 16
/** One random word for each byte at each place of a block. */
const words = randomFillSync(new Uint32Array(blockUnits * 256))
/** For the upper byte of a code unit, where there is one. */
const upperWords = randomFillSync(new Uint32Array(blockUnits * 256))
const factor = (randomFillSync(new Uint32Array(1))[0] as number) | 1

/** An unsigned 32-bit hash of the key, good in all of its bits. */
export function keyHash(key: string): number {
  let hash = key.length
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    const place = (at % blockUnits) << 8
    if (place === 0) hash = Math.imul(hash, factor)
    hash ^= words[place | (unit & 0xff)] as number
    if (unit > 0xff) hash ^= upperWords[place | (unit >>> 8)] as number
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
