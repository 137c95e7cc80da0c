/** Deadlines of keys: from what a client says, to wall time in ms. */

import type { Call } from './command.ts'
import { safeIntegerOf, integerOf } from './numbers.ts'
import { invalidExpire, notAnInteger, syntaxError } from './redis-error.ts'

/** Beyond it Redis refuses too: an expiry in ms must fit 64 bits, and here a double. */
const maxDeadlineMs = Number.MAX_SAFE_INTEGER

/** `relative`: from now. Throws what Redis says where it is no integer, or out of range. */
export function deadlineOf(
  call: Call,
  text: string,
  unitMs: number,
  relative: boolean,
  command: string,
): number {
  const value = safeIntegerOf(text)
  if (value === undefined) {
    throw integerOf(text) === undefined ? notAnInteger() : invalidExpire(command)
  }
  const atMs = value * unitMs + (relative ? call.turn.wallTime() : 0)
  if (Math.abs(atMs) > maxDeadlineMs) throw invalidExpire(command)
  return atMs
}

/** EX, PX, EXAT and PXAT with what follows them. */
export function expireOption(call: Call, option: string, text: string, command: string): number {
  const unitMs = option === 'ex' || option === 'exat' ? 1000 : 1
  if (!['ex', 'px', 'exat', 'pxat'].includes(option)) throw syntaxError()
  const atMs = deadlineOf(call, text, unitMs, option === 'ex' || option === 'px', command)
  if (text.startsWith('-') || text === '0') throw invalidExpire(command)
  return atMs
}
