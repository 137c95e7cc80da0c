/**
 * JSON text that gives every canonical value back exactly as it was.
 *
 * What JSON cannot say travels under a tag: `{"$bigint":"123"}`, `{"$bytes":"<base64>"}`, `{"$number":"NaN"}` (also the
 * infinities and -0). A name of the value's own that starts with `$` has one more. Members that are undefined are left
 * out. This is part of the format of files: what was once written must stay readable.
 */

export function toTaggedJson(value: unknown): string {
  return JSON.stringify(tag(value))
}

/** The inverse of `toTaggedJson`. Throws a SyntaxError where the text is not such JSON. */
export function fromTaggedJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  // Tags and names that have one more `$` are the only strings that begin so; most texts have none.
  return text.includes('"$') ? untag(value) : value
}

function tag(value: unknown): unknown {
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { $number: '-0' }
    return Number.isFinite(value) ? value : { $number: String(value) }
  }
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return value.map(tag)
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [
    name.startsWith('$') ? `$${name}` : name,
    tag(member),
  ])
  // `fromEntries` defines members, so one named `__proto__` stays a member.
  return Object.fromEntries(members)
}

function untag(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(untag)
  const { $bigint, $number, $bytes } = value as Readonly<Record<string, unknown>>
  if (typeof $bigint === 'string') return BigInt($bigint)
  if (typeof $number === 'string') return Number($number)
  if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'))
  const members = Object.entries(value).map(([name, member]): [string, unknown] => [
    name.startsWith('$') ? name.slice(1) : name,
    untag(member),
  ])
  return Object.fromEntries(members)
}
