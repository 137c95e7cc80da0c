/** What all commands of streams share: how they look at a key, read their arguments, and answer with entries. */

import { lookUp, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { bulk, bulks, emptyArray } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import type { SortedIds } from '../streams/sorted-ids.ts'
import type { Stream } from '../streams/stream.ts'
import { boundOf, firstId, idAfter, idBefore, lastId, strictIdOf } from '../streams/stream-ids.ts'

/** Throws WRONGTYPE where it is something else. */
export function streamAt(target: Target): Stream | undefined {
  const current = target.space.live(target)
  return current === undefined ? undefined : target.space.stream(current)
}

/** The same, for a command that only reads. */
export function readStream(call: Call, target: Target): Stream | undefined {
  const current = lookUp(call, target)
  return current === undefined ? undefined : target.space.stream(current)
}

export const invalidId = (): RedisError =>
  new RedisError('ERR Invalid stream ID specified as stream command argument')

export function givenId(text: string): string {
  const id = strictIdOf(text)
  if (id === undefined) throw invalidId()
  return id
}

/** The same, where `-` and `+` are ids, too. */
export function givenEnd(text: string): string {
  const id = boundOf(text)
  if (id === undefined) throw invalidId()
  return id
}

/** The start of a range; `(` excludes it. */
export function givenStart(text: string): string {
  const id = intervalId(text, 'lowest')
  const start = isExcluding(text) ? idAfter(id) : id
  if (start === undefined) throw new RedisError('ERR invalid start ID for the interval')
  return start
}

/** Both ends of a range, which `(` excludes. */
export function givenRange(
  start: string,
  end: string,
): { readonly from: string; readonly to: string } {
  const from = givenStart(start)
  const given = intervalId(end, 'highest')
  const to = isExcluding(end) ? idBefore(given) : given
  if (to === undefined) throw new RedisError('ERR invalid end ID for the interval')
  return { from, to }
}

function isExcluding(text: string): boolean {
  return text.length > 1 && text.startsWith('(')
}

function intervalId(text: string, missing: 'lowest' | 'highest'): string {
  const id = isExcluding(text) ? strictIdOf(text.slice(1), missing) : boundOf(text, missing)
  if (id === undefined) throw invalidId()
  return id
}

export function givenInteger(text: string, error: () => RedisError = notAnInteger): bigint {
  const value = integerOf(text)
  if (value === undefined) throw error()
  return value
}

/** An argument that counts what is answered; less than none is none. */
export function givenCount(text: string): number {
  const count = givenInteger(text)
  return count < 0n ? 0 : Number(count)
}

export function isOption(text: string, name: string): boolean {
  return text.toLowerCase() === name
}

export function entryReply(stream: Stream, id: string): string {
  return `*2\r\n${bulk(id)}${bulks(stream.entry(id) ?? [])}`
}

export function entriesReply(stream: Stream, ids: readonly string[]): string {
  if (ids.length === 0) return emptyArray
  let reply = `*${ids.length}\r\n`
  for (const id of ids) reply += entryReply(stream, id)
  return reply
}

/** All that come after an id, or so many of them. */
export function idsAfter(ids: SortedIds, id: string, count: number): string[] {
  return ids.range(idAfter(id) ?? firstId, lastId, count === 0 ? Infinity : count)
}

export function noGroup(key: string, group: string): RedisError {
  return new RedisError(`NOGROUP No such key '${key}' or consumer group '${group}'`)
}
