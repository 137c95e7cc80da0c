/** What XREADGROUP gives a consumer: entries that the group has not read yet, or those that the consumer has pending. */

import type { Call } from '../command.ts'
import { bulk, emptyArray } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import type { Stream } from '../streams/stream.ts'
import { StreamChange, type Group } from '../streams/stream.ts'
import { compareIds, firstId } from '../streams/stream-ids.ts'
import type { GroupState } from '../streams/stream-fields.ts'
import { entriesReply, entryReply, idsAfter } from './stream-values.ts'

export interface Reader {
  readonly group: string
  readonly consumer: string
  /** Nothing becomes pending: NOACK. */
  readonly acknowledges: boolean
}

export interface Delivery {
  readonly call: Call
  readonly target: Target
  readonly stream: Stream
  readonly reader: Reader
  /** 0: all. */
  readonly count: number
}

/** undefined: there are none. */
export function deliverNew(delivery: Delivery): string | undefined {
  const { call, target, stream, reader, count } = delivery
  const group = stream.group(reader.group)
  const { last } = stream.ids
  if (group === undefined || last === undefined) return undefined
  let { state } = group
  if (compareIds(last, state.last) <= 0) return undefined
  const now = nowMs(call)
  const ids = idsAfter(stream.ids, state.last, count)
  const change = seen(delivery, group, now)
  for (const id of ids) {
    state = stateAfter(stream, state, id)
    if (reader.acknowledges) continue
    const pending = { consumer: reader.consumer, deliveredMs: now, deliveries: 1n }
    change.pending(reader.group, id, pending)
  }
  change.group(reader.group, state).write(target)
  return entriesReply(stream, ids)
}

export function deliverOld(delivery: Delivery, after: string): string {
  const { call, target, stream, reader, count } = delivery
  const group = stream.group(reader.group)
  if (group === undefined) return emptyArray
  const now = nowMs(call)
  const held = group.index.consumers.get(reader.consumer)
  const ids = held === undefined ? [] : idsAfter(held, after, count)
  const change = seen(delivery, group, now)
  let reply = `*${ids.length}\r\n`
  for (const id of ids) {
    const pending = group.pendingOf(id)
    if (stream.ids.has(id) && pending !== undefined) {
      const deliveries = pending.deliveries + 1n
      change.pending(reader.group, id, { ...pending, deliveredMs: now, deliveries })
      reply += entryReply(stream, id)
    } else reply += `*2\r\n${bulk(id)}${call.protocol.nilArray}`
  }
  change.write(target)
  return reply
}

export function nowMs({ turn }: Call): number {
  return Math.floor(turn.wallTime())
}

/** The consumer is there from now on. */
function seen({ call, target, stream, reader }: Delivery, group: Group, now: number): StreamChange {
  const change = new StreamChange(stream)
  change.consumer(reader.group, reader.consumer, now)
  if (!group.index.consumers.has(reader.consumer)) {
    call.server.events.tell(target, 'stream', 'xgroup-createconsumer')
  }
  return change
}

/** What the group has read once it has read the entry. */
function stateAfter(stream: Stream, { last, read }: GroupState, id: string): GroupState {
  if (compareIds(id, last) <= 0) return { last, read }
  if (read !== undefined && !hasGapsFrom(stream, id)) return { last: id, read: read + 1n }
  return { last: id, read: stream.added === 0n ? read : entriesUpTo(stream, id) }
}

/** XDEL has taken away something from there on, as far as is known. */
function hasGapsFrom(stream: Stream, id: string): boolean {
  const { length, maxDeleted, first } = stream
  if (length === 0 || maxDeleted === firstId) return false
  return compareIds(first, maxDeleted) <= 0 && compareIds(id, maxDeleted) <= 0
}

/** How many entries there ever were up to an id; undefined where that cannot be told. */
function entriesUpTo(stream: Stream, id: string): bigint | undefined {
  const { added, length, last, first, maxDeleted } = stream
  if (added === 0n) return 0n
  const beyond = compareIds(id, last)
  if (length === 0 && beyond <= 0) return added
  if (beyond === 0) return added
  if (beyond > 0) return undefined
  if (maxDeleted !== firstId && compareIds(maxDeleted, first) >= 0) return undefined
  const order = compareIds(id, first)
  if (order > 0) return undefined
  return added - BigInt(length) + (order === 0 ? 1n : 0n)
}

/** How many entries a group has not read; undefined where that cannot be told. */
export function lagOf(stream: Stream, { last, read }: GroupState): bigint | undefined {
  if (stream.added === 0n) return 0n
  const known = read !== undefined && !hasGapsFrom(stream, last) ? read : entriesUpTo(stream, last)
  return known === undefined ? undefined : stream.added - known
}
