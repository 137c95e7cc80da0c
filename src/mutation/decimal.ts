/** Exact addition of decimals written as text, and of integers that may outgrow a double. Pure. */

import type { Amount, FieldValue } from './mutation.ts'

/** `-12.50` → { digits: -1250n, scale: 2 } */
function parse(text: string): { digits: bigint; scale: number } {
  const point = text.indexOf('.')
  if (point < 0) return { digits: BigInt(text), scale: 0 }
  return {
    digits: BigInt(text.slice(0, point) + text.slice(point + 1)),
    scale: text.length - point - 1,
  }
}

function format(digits: bigint, scale: number): string {
  if (scale === 0) return digits.toString()
  const negative = digits < 0n
  const text = (negative ? -digits : digits).toString().padStart(scale + 1, '0')
  const point = text.length - scale
  return `${negative ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`
}

/** The sum has the larger of the two scales, as in SQL. */
export function addDecimals(left: string, right: string): string {
  const a = parse(left)
  const b = parse(right)
  const scale = Math.max(a.scale, b.scale)
  const lifted = (part: { digits: bigint; scale: number }): bigint =>
    part.digits * 10n ** BigInt(scale - part.scale)
  return format(lifted(a) + lifted(b), scale)
}

/** The canonical form of an integer: number where it is safe, else bigint. */
export function canonicalInteger(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value
}

/** `base + amount`, where null counts as zero. Both are canonical for the same column. */
export function addAmount(base: FieldValue, amount: Amount): Amount {
  if (base === null) return amount
  if (typeof base === 'number' && typeof amount === 'number') {
    const sum = base + amount
    return Number.isSafeInteger(sum) ? sum : canonicalInteger(BigInt(base) + BigInt(amount))
  }
  const held = base as Amount
  if (typeof amount === 'string') return addDecimals(held.toString(), amount)
  return canonicalInteger(BigInt(held) + BigInt(amount))
}
