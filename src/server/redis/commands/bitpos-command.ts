/** BITPOS: the first bit of a string that is set, or clear. */

import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError } from '../redis-error.ts'
import { integer, zero } from '../reply.ts'
import { editable } from './string-values.ts'

const none = integer(-1)

function bitpos(call: Call): string {
  const { args } = call
  const bit = integerOf(argumentOf(call, 2))
  if (bit === undefined) throw notAnInteger()
  if (bit !== 0n && bit !== 1n) throw new RedisError('ERR The bit argument must be 1 or 0.')
  const target = targetOf(call)
  const value = editable(target, lookUp(call, target))
  // As in Redis, nobody looks at the range then. A string that is not there goes on in zeros.
  if (value === undefined) return bit === 1n ? none : zero
  const [from, to] = bitsOf(call, value.length)
  if (from > to) return none
  const found = firstBit(value, [from, to], bit === 1n)
  if (found !== undefined) return integer(found)
  // Where no end was given, the string goes on in zeros.
  return bit === 0n && args.length < 5 ? integer(value.length * 8) : none
}

/** First and last bit that are looked at; nothing where the first is the larger one. */
function bitsOf(call: Call, bytes: number): readonly [from: number, to: number] {
  const { args } = call
  if (args.length > 6) throw syntaxError()
  const start = args.length > 3 ? integerOf(argumentOf(call, 3)) : 0n
  if (start === undefined) throw notAnInteger()
  const unit = args.length === 6 ? argumentOf(call, 5).toLowerCase() : 'byte'
  if (unit !== 'bit' && unit !== 'byte') throw syntaxError()
  const end = args.length > 4 ? integerOf(argumentOf(call, 4)) : -1n
  if (end === undefined) throw notAnInteger()
  const size = unit === 'bit' ? bytes * 8 : bytes
  // Doubles are exact enough: what they round lies beyond every string.
  const from = Math.max(0, start < 0n ? size + Number(start) : Number(start))
  const to = Math.min(size - 1, Math.max(0, end < 0n ? size + Number(end) : Number(end)))
  return unit === 'bit' ? [from, to] : [from * 8, to * 8 + 7]
}

/** Whole bytes are passed by where nothing in them is looked for. */
function firstBit(
  value: string,
  [from, to]: readonly [number, number],
  set: boolean,
): number | undefined {
  const dull = set ? 0 : 255
  for (let at = from; at <= to;) {
    const byte = value.charCodeAt(at >> 3)
    if (byte === dull) at = ((at >> 3) + 1) * 8
    else if (((byte & (128 >> (at & 7))) !== 0) === set) return at
    else at++
  }
  return undefined
}

export const bitposCommands = inGroup('string', [
  { name: 'bitpos', arity: -3, flags: ['readonly'], keys: [1, 1, 1], run: bitpos },
])
