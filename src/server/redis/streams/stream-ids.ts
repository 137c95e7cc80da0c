/**
 * Ids of the entries of a stream: `1764100000000-3`, two integers of 64 bits without a sign. They are kept as their text in
 * canonical form, which is what the document has as names of fields: no number of JavaScript holds them all.
 *
 * Pure.
 */

export const firstId = '0-0'
const maxPart = 2n ** 64n - 1n
export const lastId = `${maxPart}-${maxPart}`
/** Longer ones Redis does not look at either. */
const maxTextLength = 127

const partPattern = /^[ \t\n\v\f\r]*\+?(\d+)$/
const canonicalPattern = /^(?:0|[1-9]\d{0,19})-(?:0|[1-9]\d{0,19})$/
/** So long a canonical part may be beyond 64 bits. */
const longestPart = 20

/** What a client says may have one part only. */
export interface GivenId {
  readonly ms: bigint
  readonly seq: bigint | 'missing' | 'any'
}

/** `1-2`, `1`, or `1-*`; undefined where it is none. */
export function givenIdOf(text: string): GivenId | undefined {
  if (text.length > maxTextLength) return undefined
  const dash = text.indexOf('-')
  const ms = partOf(dash < 0 ? text : text.slice(0, dash))
  if (ms === undefined) return undefined
  if (dash < 0) return { ms, seq: 'missing' }
  const rest = text.slice(dash + 1)
  if (rest === '*') return { ms, seq: 'any' }
  const seq = partOf(rest)
  return seq === undefined ? undefined : { ms, seq }
}

/** The canonical form of an id that need not have its second part: `-` and `+` are none. */
export function strictIdOf(
  text: string,
  missing: 'lowest' | 'highest' = 'lowest',
): string | undefined {
  if (isCanonical(text)) return text
  const given = givenIdOf(text)
  if (given === undefined || given.seq === 'any') return undefined
  const { ms, seq } = given
  return idOf(ms, seq !== 'missing' ? seq : missing === 'lowest' ? 0n : maxPart)
}

/** The same, and `-` and `+` are the ends. */
export function boundOf(
  text: string,
  missing: 'lowest' | 'highest' = 'lowest',
): string | undefined {
  if (text === '-') return firstId
  if (text === '+') return lastId
  return strictIdOf(text, missing)
}

export function idOf(ms: bigint, seq: bigint): string {
  return `${ms}-${seq}`
}

export function partsOf(id: string): { readonly ms: bigint; readonly seq: bigint } {
  const dash = id.indexOf('-')
  return { ms: BigInt(id.slice(0, dash)), seq: BigInt(id.slice(dash + 1)) }
}

/** A name of a field that is the id of an entry. */
export function isCanonical(name: string): boolean {
  if (!canonicalPattern.test(name)) return false
  const dash = name.indexOf('-')
  if (dash < longestPart && name.length - dash - 1 < longestPart) return true
  const { ms, seq } = partsOf(name)
  return ms <= maxPart && seq <= maxPart
}

/** Of canonical ids, as numbers would be compared: of two numbers without leading zeros the longer one is larger. */
export function compareIds(a: string, b: string): number {
  const [dashA, dashB] = [a.indexOf('-'), b.indexOf('-')]
  if (dashA !== dashB) return dashA - dashB
  if (a.length === b.length) return a === b ? 0 : a < b ? -1 : 1
  const [msA, msB] = [a.slice(0, dashA), b.slice(0, dashB)]
  if (msA !== msB) return msA < msB ? -1 : 1
  return a.length - b.length
}

/** undefined: there is none beyond it. */
export function idAfter(id: string): string | undefined {
  const { ms, seq } = partsOf(id)
  if (seq < maxPart) return idOf(ms, seq + 1n)
  return ms < maxPart ? idOf(ms + 1n, 0n) : undefined
}

/** undefined: there is none before it. */
export function idBefore(id: string): string | undefined {
  const { ms, seq } = partsOf(id)
  if (seq > 0n) return idOf(ms, seq - 1n)
  return ms > 0n ? idOf(ms - 1n, maxPart) : undefined
}

function partOf(text: string): bigint | undefined {
  const digits = partPattern.exec(text)?.[1]
  if (digits === undefined) return undefined
  const value = BigInt(digits)
  return value <= maxPart ? value : undefined
}
