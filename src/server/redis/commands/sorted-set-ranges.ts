/**
 * Ranges of a sorted set, as clients write them:
 *
 *     by rank     0 -1            both are in it; negative ones count from the end
 *     by score    1.5 (10  -inf   `(`: the bound itself is not in it
 *     by lex      [a (b  - +      the bytes of members whose scores are all the same; `-` and `+` are before and after all
 */

import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { scoreBoundOf } from '../spaces/scores.ts'
import type { Scored, SortedMembers } from '../spaces/sorted-members.ts'

export type RangeKind = 'rank' | 'score' | 'lex'

/** Where the range begins and ends among the members: `to` is the rank after the last one. */
export type Range = (members: SortedMembers) => { readonly from: number; readonly to: number }

/** Throws what Redis says of a range that is none. */
export function rangeOf(kind: RangeKind, min: string, max: string): Range {
  switch (kind) {
    case 'rank':
      return rankRange(min, max)
    case 'score':
      return scoreRange(min, max)
    case 'lex':
      return lexRange(min, max)
  }
}

/** A 64-bit integer, rounded where a double cannot hold it. */
export function wholeOf(text: string): number {
  const value = integerOf(text)
  if (value === undefined) throw notAnInteger()
  return Number(value)
}

function rankRange(startText: string, endText: string): Range {
  const start = wholeOf(startText)
  const end = wholeOf(endText)
  return ({ size }) => ({
    from: Math.max(0, start < 0 ? size + start : start),
    to: Math.max(0, Math.min(size, (end < 0 ? size + end : end) + 1)),
  })
}

function scoreRange(minText: string, maxText: string): Range {
  const min = scoreBound(minText)
  const max = scoreBound(maxText)
  return between(
    ({ score }) => score < min.score || (min.isOpen && score === min.score),
    ({ score }) => score < max.score || (!max.isOpen && score === max.score),
  )
}

function scoreBound(text: string): { readonly score: number; readonly isOpen: boolean } {
  const isOpen = text.startsWith('(')
  const score = scoreBoundOf(isOpen ? text.slice(1) : text)
  if (score === undefined) throw new RedisError('ERR min or max is not a float')
  return { score, isOpen }
}

function lexRange(minText: string, maxText: string): Range {
  const isBeforeMin = isBefore(minText, 'min')
  const isUpToMax = isBefore(maxText, 'max')
  return between(isBeforeMin, isUpToMax)
}

/** Of a lower bound: what comes before the range. Of an upper one: what does not come after it. */
function isBefore(text: string, bound: 'min' | 'max'): (item: Scored) => boolean {
  if (text === '-') return () => false
  if (text === '+') return () => true
  const [mark] = text
  if (mark !== '[' && mark !== '(') {
    throw new RedisError('ERR min or max not valid string range item')
  }
  const edge = text.slice(1)
  const takesEdge = (mark === '(') === (bound === 'min')
  return takesEdge ? ({ member }) => member <= edge : ({ member }) => member < edge
}

function between(
  isBeforeMin: (item: Scored) => boolean,
  isUpToMax: (item: Scored) => boolean,
): Range {
  return (members) => ({
    from: members.countWhile(isBeforeMin),
    to: members.countWhile(isUpToMax),
  })
}
