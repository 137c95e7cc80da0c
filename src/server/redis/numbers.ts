/** Numbers as Redis reads and writes them. Pure. */

import { addDecimals } from '../../mutation/decimal.ts'

export const minInteger = -(2n ** 63n)
export const maxInteger = 2n ** 63n - 1n

const integerPattern = /^(?:0|-?[1-9]\d{0,18})$/

/** A 64-bit integer in canonical form: no plus sign, leading zeros or spaces. undefined where it is none. */
export function integerOf(text: string): bigint | undefined {
  if (!integerPattern.test(text)) return undefined
  const value = BigInt(text)
  return value >= minInteger && value <= maxInteger ? value : undefined
}

/** The same, where a double holds it exactly. */
export function safeIntegerOf(text: string): number | undefined {
  if (!integerPattern.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

const floatPattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/
/** Of a decimal's exponent: beyond it the digits alone would fill the memory. */
const maxExponent = 400
/** As many as Redis prints. */
const fractionDigits = 17

/** The exact decimal digits of a float as text; undefined where it is none, or out of range. */
export function decimalOf(text: string): string | undefined {
  const match = floatPattern.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return undefined
  const shift = Number(exponent)
  if (Math.abs(shift) > maxExponent || whole.length + fraction.length > maxExponent)
    return undefined
  const digits = whole + fraction
  const point = whole.length + shift
  const left = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0'
  const right = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits
  return `${sign === '-' ? '-' : ''}${left}${right === '' ? '' : `.${right}`}`
}

/** Redis reads these as floats, and then refuses to add them. */
export function isInfinite(text: string): boolean {
  return /^[+-]?inf(inity)?$/i.test(text)
}

/** The sum of two decimals as Redis prints it: 17 fraction digits, without trailing zeros. */
export function sumOfDecimals(left: string, right: string): string {
  return trimmed(rounded(addDecimals(left, right)))
}

/** A float in the shortest form that reads back as itself, as RESP3 doubles and SQL's floats are shown. */
export function floatText(value: number): string {
  if (value === Infinity) return 'inf'
  if (value === -Infinity) return '-inf'
  return Number.isNaN(value) ? 'nan' : String(value)
}

/** To the nearest; what is as near to both, to the even one. */
function rounded(decimal: string): string {
  const point = decimal.indexOf('.')
  if (point < 0 || decimal.length - point - 1 <= fractionDigits) return decimal
  const kept = decimal.slice(0, point + 1 + fractionDigits)
  const dropped = decimal.slice(point + 1 + fractionDigits)
  const isOdd = Number(kept.at(-1)) % 2 === 1
  if ((dropped[0] ?? '0') < '5' || (/^50*$/.test(dropped) && !isOdd)) return kept
  const unit = `${decimal.startsWith('-') ? '-' : ''}0.${'0'.repeat(fractionDigits - 1)}1`
  return addDecimals(kept, unit)
}

function trimmed(decimal: string): string {
  const short = decimal.includes('.') ? decimal.replace(/\.?0+$/, '') : decimal
  const plain = short.replace(/^(-?)0+(?=\d)/, '$1')
  return plain === '-0' ? '0' : plain
}
