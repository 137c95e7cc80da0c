/**
 * Patterns of KEYS, SCAN and PSUBSCRIBE: `*`, `?`, `[a-z]`, `[^a]`, `\` for the next character as it is.
 *
 * Matching takes at most pattern × text steps whatever the pattern is: a mismatch goes back to the last star only, never to
 * one before it. (Redis had a denial of service by patterns of many stars, CVE-2024-31228.)
 */

/** In binary strings. */
export function matchesGlob(pattern: string, text: string): boolean {
  if (pattern === '*') return true
  let at = 0
  let in_ = 0
  let starAt = -1
  let starIn = 0
  while (in_ < text.length) {
    if (pattern[at] === '*') {
      starAt = at++
      starIn = in_
      continue
    }
    const next = at < pattern.length ? afterMatch(pattern, at, text[in_] ?? '') : -1
    if (next >= 0) {
      at = next
      in_++
    } else if (starAt >= 0) {
      at = starAt + 1
      in_ = ++starIn
    } else return false
  }
  while (pattern[at] === '*') at++
  return at >= pattern.length
}

/** The place behind the element at `at` where it matches the character, or -1. */
function afterMatch(pattern: string, at: number, character: string): number {
  switch (pattern[at] ?? '') {
    case '?':
      return at + 1
    case '[':
      return afterClass(pattern, at + 1, character)
    case '\\': {
      const escaped = at + 1 < pattern.length ? at + 1 : at
      return pattern[escaped] === character ? escaped + 1 : -1
    }
    default:
      return pattern[at] === character ? at + 1 : -1
  }
}

/** An unclosed class ends with the pattern, as in Redis. */
function afterClass(pattern: string, start: number, character: string): number {
  let at = start
  const negated = pattern[at] === '^'
  if (negated) at++
  let found = false
  for (; at < pattern.length && pattern[at] !== ']'; at++) {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      at++
      found ||= pattern[at] === character
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const [low, high] = [pattern[at] ?? '', pattern[at + 2] ?? ''].sort()
      found ||= character >= (low ?? '') && character <= (high ?? '')
      at += 2
    } else found ||= pattern[at] === character
  }
  return found === negated ? -1 : Math.min(at + 1, pattern.length)
}
