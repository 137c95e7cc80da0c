/** Deadlines of keys: from what a client says, to wall time in ms. */

import type { Call } from './command.ts'
import { integerOf, maxInteger, minInteger } from './numbers.ts'
import { invalidExpire, notAnInteger, syntaxError } from './redis-error.ts'

/** A deadline that a double cannot hold is as good as this one, in the year 287,396. */
const maxDeadlineMs = Number.MAX_SAFE_INTEGER

/** `relative`: from now. Throws what Redis says where it is no integer, or leaves 64 bits. */
export function deadlineOf(
  call: Call,
  text: string,
  unitMs: number,
  relative: boolean,
  command: string,
): number {
  const value = integerOf(text)
  if (value === undefined) throw notAnInteger()
  const ms = value * BigInt(unitMs)
  const atMs = relative ? ms + BigInt(Math.floor(call.turn.wallTime())) : ms
  if (ms > maxInteger || ms < minInteger || atMs > maxInteger) throw invalidExpire(command)
  return Math.max(-maxDeadlineMs, Math.min(maxDeadlineMs, Number(atMs)))
}

export function isExpireOption(option: string): boolean {
  return ['ex', 'px', 'exat', 'pxat'].includes(option)
}

/** EX, PX, EXAT and PXAT with what follows them. */
export function expireOption(call: Call, option: string, text: string, command: string): number {
  const unitMs = option === 'ex' || option === 'exat' ? 1000 : 1
  if (!isExpireOption(option)) throw syntaxError()
  const atMs = deadlineOf(call, text, unitMs, option === 'ex' || option === 'px', command)
  if (text.startsWith('-') || text === '0') throw invalidExpire(command)
  return atMs
}
