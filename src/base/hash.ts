/**
 * The hash that places a key in its lane and in the index of what left memory. It is part of the journal's format:
 * changing it would move keys between lanes. FNV-1a over UTF-16 code units, then MurmurHash3's final mix, since
 * FNV alone leaves the low bits of similar keys alike.
 */

/** An unsigned 32-bit hash of the text. `seed` lets several texts be hashed as one. */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
