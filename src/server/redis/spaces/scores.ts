/**
 * Scores of sorted sets, which are doubles: how clients write them, how replies show them, and how documents hold them. Pure.
 *
 * In a document a score is a number, and an infinite one the text "inf" or "-inf", which JSON has no number for. The sign of
 * zero is lost there, as it is in a small sorted set of Redis.
 */

import type { FieldValue } from '../../../mutation/mutation.ts'
import { numberText } from '../lua/number-text.ts'

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const infinity = /^[+-]?inf(?:inity)?$/i
const hexadecimal = /^([+-]?)0x([\da-f]*)\.?([\da-f]*)(?:p([+-]?\d{1,5}))?$/i
/** Beyond so many characters nobody writes a double in hexadecimal. */
const maxHexadecimal = 64
const significant = /^[^e]*[1-9]/i

/** A score as C's strtod reads it; undefined where it is none, is no number, or is beyond what a double can hold. */
export function scoreOf(text: string): number | undefined {
  const score = doubleOf(text)
  if (score === undefined) return undefined
  if (Math.abs(score) === Infinity && !infinity.test(text)) return undefined
  return score === 0 && decimal.test(text) && significant.test(text) ? undefined : score
}

/** The bound of a range of scores: spaces before it are fine, nothing is 0, and beyond what a double can hold is infinite. */
export function scoreBoundOf(text: string): number | undefined {
  const trimmed = text.replace(/^[\t-\r ]+/, '')
  return text === '' ? 0 : doubleOf(trimmed)
}

/** As replies show it: 17 significant digits. */
export function scoreText(score: number): string {
  return numberText(score, 17)
}

/** Adding 0 makes 0 of -0. */
export function fieldOfScore(score: number): FieldValue {
  return Number.isFinite(score) ? score + 0 : scoreText(score)
}

/** Another program may have written something that is no score: it counts as 0. */
export function scoreOfField(field: FieldValue | undefined): number {
  if (typeof field === 'number') return field
  if (typeof field === 'bigint') return Number(field)
  return (typeof field === 'string' ? scoreOf(field) : undefined) ?? 0
}

function doubleOf(text: string): number | undefined {
  if (decimal.test(text)) return Number(text)
  if (infinity.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  const match = text.length > maxHexadecimal ? null : hexadecimal.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return undefined
  const shift = Number(exponent) - 4 * fraction.length
  // In two steps: a power of two beyond the range of doubles may still meet a mantissa that brings it back.
  const half = Math.trunc(shift / 2)
  const size = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** half * 2 ** (shift - half)
  return sign === '-' ? -size : size
}
