/** Where an entry belongs: its hash over cache and key, and the lane of its routing key. Part of the journal's format. */

/**
 * One hash of the key serves lane and index; the cache's name is mixed in, so that equal keys of two caches differ. Signed,
 * 32 bits: such a number stands in an object's field itself, where a larger one is an object of its own for each entry.
 */
export function entryHash(cacheHash: number, keyHash: number): number {
  const mixed = Math.imul(keyHash ^ cacheHash, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** The lane of a routing key by its hash. Caches are not mixed in: keys that route alike share a lane across caches. */
export function laneOf(routingHash: number, lanes: number): number {
  // Of integers that the engine knows to be some: else it divides by the processor's slowest instruction.
  return ((routingHash >>> 0) % (lanes >>> 0)) | 0
}
