/** Commands of streams: entries that are added, looked at and taken away. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { RedisError, syntaxError, wrongArity } from '../redis-error.ts'
import { bulk, emptyArray, integer, ok, zero } from '../reply.ts'
import { StreamChange, type Stream } from '../streams/stream.ts'
import {
  compareIds,
  firstId,
  idAfter,
  idOf,
  lastId,
  partsOf,
  type GivenId,
} from '../streams/stream-ids.ts'
import { SortedIds } from '../streams/sorted-ids.ts'
import { addOrTrimOf, trimmed } from './stream-trim.ts'
import {
  entriesReply,
  givenCount,
  givenId,
  givenInteger,
  givenRange,
  isOption,
  readStream,
  streamAt,
} from './stream-values.ts'

/** XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value … */
function xadd(call: Call): string {
  const { trim, makesStream, id: given, next } = addOrTrimOf(call, true)
  const words = call.args.slice(next)
  if (words.length < 2 || words.length % 2 === 1) throw wrongArity('xadd')
  if (given?.ms === 0n && (given.seq === 0n || given.seq === 'missing')) {
    throw new RedisError('ERR The ID specified in XADD must be greater than 0-0')
  }
  const target = targetOf(call)
  const stream = streamAt(target)
  if (stream === undefined && !makesStream) return call.protocol.nil
  const last = stream?.last ?? firstId
  if (last === lastId) {
    throw new RedisError(
      'ERR The stream has exhausted the last possible ID, unable to add more items',
    )
  }
  const id = newId(call, given, last)
  if (id === undefined || compareIds(id, last) <= 0) {
    throw new RedisError(
      'ERR The ID specified in XADD is equal or smaller than the target stream top item',
    )
  }
  const change = new StreamChange(stream)
    .last(id)
    .added((stream?.added ?? 0n) + 1n)
    .entry(id, words)
  const { maxEntries } = call.server.databases.streamNodes
  const ids = (stream?.ids ?? SortedIds.none).changed([], [id], maxEntries)
  const gone = trim === undefined ? [] : trimmed(ids, trim)
  for (const old of gone) change.withoutEntry(old)
  change.write(target)
  const { events, arrivals } = call.server
  events.tell(target, 'stream', 'xadd')
  if (gone.length > 0) events.tell(target, 'stream', 'xtrim')
  arrivals.announce(target)
  return bulk(id)
}

/** undefined: there is none left. */
function newId(call: Call, given: GivenId | undefined, last: string): string | undefined {
  const { ms, seq } = partsOf(last)
  if (given === undefined) {
    const now = BigInt(Math.floor(call.turn.wallTime()))
    return now > ms ? idOf(now, 0n) : idAfter(last)
  }
  if (given.seq === 'missing') return idOf(given.ms, 0n)
  if (given.seq !== 'any') return idOf(given.ms, given.seq)
  if (given.ms !== ms) return idOf(given.ms, 0n)
  const next = idAfter(idOf(ms, seq))
  return next !== undefined && partsOf(next).ms === ms ? next : undefined
}

/** XRANGE key start end [COUNT count] */
function range(direction: 'forth' | 'back'): (call: Call) => string {
  return (call) => {
    const { args } = call
    const [first, second] = [argumentOf(call, 2), argumentOf(call, 3)]
    const { from, to } =
      direction === 'forth' ? givenRange(first, second) : givenRange(second, first)
    let count: number | undefined
    for (let at = 4; at < args.length; at += 2) {
      if (!isOption(argumentOf(call, at), 'count') || at + 1 >= args.length) throw syntaxError()
      count = givenCount(argumentOf(call, at + 1))
    }
    const stream = readStream(call, targetOf(call))
    if (stream === undefined) return emptyArray
    if (count === 0) return call.protocol.nilArray
    const { ids } = stream
    return entriesReply(
      stream,
      direction === 'forth' ? ids.range(from, to, count) : ids.rangeBack(from, to, count),
    )
  }
}

function xdel(call: Call): string {
  const target = targetOf(call)
  const stream = streamAt(target)
  if (stream === undefined) return zero
  const given = new Set(call.args.slice(2).map(givenId))
  const gone = [...given].filter((id) => stream.ids.has(id))
  if (gone.length === 0) return zero
  const change = new StreamChange(stream)
  let { maxDeleted } = stream
  for (const id of gone) {
    change.withoutEntry(id)
    if (compareIds(id, maxDeleted) > 0) maxDeleted = id
  }
  withLast(change, stream).maxDeleted(maxDeleted).write(target)
  call.server.events.tell(target, 'stream', 'xdel')
  return integer(gone.length)
}

/** Where another program has added what is taken away, it was there all the same. */
function withLast(change: StreamChange, stream: Stream): StreamChange {
  return change.last(stream.last).added(stream.added)
}

function xtrim(call: Call): string {
  const { trim } = addOrTrimOf(call, false)
  const target = targetOf(call)
  const stream = streamAt(target)
  if (stream === undefined || trim === undefined) return zero
  const gone = trimmed(stream.ids, trim)
  if (gone.length === 0) return zero
  const change = new StreamChange(stream)
  for (const id of gone) change.withoutEntry(id)
  withLast(change, stream).write(target)
  call.server.events.tell(target, 'stream', 'xtrim')
  return integer(gone.length)
}

/** XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id] */
function xsetid(call: Call): string {
  const { args } = call
  const id = givenId(argumentOf(call, 2))
  let added: bigint | undefined
  let maxDeleted = firstId
  for (let at = 3; at < args.length; at += 2) {
    const option = argumentOf(call, at).toLowerCase()
    const value = argumentOf(call, at + 1)
    if (at + 1 >= args.length) throw syntaxError()
    if (option === 'entriesadded') {
      added = givenInteger(value)
      if (added < 0n) throw new RedisError('ERR entries_added must be positive')
    } else if (option === 'maxdeletedid') {
      maxDeleted = givenId(value)
      if (compareIds(id, maxDeleted) < 0) {
        throw new RedisError(
          'ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id',
        )
      }
    } else throw syntaxError()
  }
  const target = targetOf(call)
  const stream = streamAt(target)
  if (stream === undefined) throw new RedisError('ERR no such key')
  if (stream.length > 0 && compareIds(id, stream.ids.last ?? firstId) < 0) {
    throw new RedisError(
      'ERR The ID specified in XSETID is smaller than the target stream top item',
    )
  }
  if (stream.length > 0 && added !== undefined && BigInt(stream.length) > added) {
    throw new RedisError(
      'ERR The entries_added specified in XSETID is smaller than the target stream length',
    )
  }
  const change = new StreamChange(stream).last(id).added(added ?? stream.added)
  if (maxDeleted !== firstId) change.maxDeleted(maxDeleted)
  change.write(target)
  call.server.events.tell(target, 'stream', 'xsetid')
  return ok
}

const one = [1, 1, 1] as const

export const streamCommands = inGroup('stream', [
  { name: 'xadd', arity: -5, flags: ['write', 'denyoom', 'fast'], keys: one, run: xadd },
  {
    name: 'xlen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: one,
    run: (call) => integer(readStream(call, targetOf(call))?.length ?? 0),
  },
  { name: 'xrange', arity: -4, flags: ['readonly'], keys: one, run: range('forth') },
  { name: 'xrevrange', arity: -4, flags: ['readonly'], keys: one, run: range('back') },
  { name: 'xdel', arity: -3, flags: ['write', 'fast'], keys: one, run: xdel },
  { name: 'xtrim', arity: -4, flags: ['write'], keys: one, run: xtrim },
  { name: 'xsetid', arity: -3, flags: ['write', 'denyoom', 'fast'], keys: one, run: xsetid },
])
