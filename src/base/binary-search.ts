/** Binary search over what is in order. Pure. */

/** The first place from `from` on, before `end`, for which it is true; `end` where none is. Once it is, it must be for all that follow. */
export function firstWhere(end: number, is: (at: number) => boolean, from = 0): number {
  let low = from
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    if (is(middle)) high = middle
    else low = middle + 1
  }
  return low
}
