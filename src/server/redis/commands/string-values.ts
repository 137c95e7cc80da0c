/** What commands of strings share: how they look at a key, and how they change a string in place. */

import type { Fields } from '../../../mutation/mutation.ts'
import { lookUp, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, tooLong } from '../redis-error.ts'
import type { Target } from '../spaces/space.ts'

/** The string, or undefined where there is no key. */
export function stringAt(call: Call, target: Target): string | undefined {
  const current = lookUp(call, target)
  return current === undefined ? undefined : target.space.stringOf(current)
}

/** The same, of one that is to be changed in place: a row's JSON cannot be. */
export function editable(target: Target, current: Fields | undefined): string | undefined {
  target.space.checkEditable()
  return current === undefined ? undefined : target.space.stringOf(current)
}

/** Writes the string, which keeps its deadline. */
export function edit(
  call: Call,
  target: Target,
  current: Fields | undefined,
  { value, event }: { readonly value: string; readonly event: string | undefined },
): void {
  if (value.length > call.server.config.maxBulkBytes) throw tooLong()
  const at = current === undefined ? undefined : target.space.expiresAt(target, current)
  target.space.setString(target, value, false, at)
  if (event !== undefined) call.server.events.tell(target, 'string', event)
}

/** Of a bit in a string. `unit` is what the offset counts, in bits. */
export function bitOffset(call: Call, text: string, unit = 1): number {
  const offset = (integerOf(text) ?? -1n) * BigInt(unit)
  if (offset < 0n || offset >= BigInt(call.server.config.maxBulkBytes) * 8n) {
    throw new RedisError('ERR bit offset is not an integer or out of range')
  }
  return Number(offset)
}
