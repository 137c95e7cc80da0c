/** Draws numbers below `count`, the n-th as often as 1/n of the first: the same ones for the same seed. */

export function zipf(count: number, seed: number): () => number {
  const cumulative = new Float64Array(count)
  let sum = 0
  for (let index = 0; index < count; index++) {
    sum += 1 / (index + 1)
    cumulative[index] = sum
  }
  const random = mulberry32(seed)
  return () => {
    const target = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((cumulative[middle] ?? sum) < target) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** A small, well-known generator: good enough to draw keys, and the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
