/** XREAD, and XREADGROUP: what comes after an id in some streams, at once or when there is something. */

import { argumentOf, inGroup, type Call, type Command, type KeyRange } from '../command.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { bulk } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import { compareIds, firstId, lastId } from '../streams/stream-ids.ts'
import type { Stream } from '../streams/stream.ts'
import { deliverNew, deliverOld, type Reader } from './stream-delivery.ts'
import {
  entriesReply,
  givenCount,
  givenId,
  givenInteger,
  idsAfter,
  readStream,
} from './stream-values.ts'
import { waitForEntries } from './wait-for-entries.ts'

/** What someone who waits gets at once, where COUNT does not say. */
const maxEntriesAfterWait = 1000

interface Read {
  /** undefined: XREAD. */
  readonly reader: Reader | undefined
  /** 0: all. */
  readonly count: number
  /** undefined: nobody waits. 0: for as long as the connection is there. */
  readonly blockMs: number | undefined
  readonly names: readonly string[]
  /** As they are given. */
  readonly ids: readonly string[]
}

function readOf(call: Call, isGroup: boolean): Read {
  const { args } = call
  let [group, consumer]: (string | undefined)[] = []
  let [count, acknowledges]: [number, boolean] = [0, false]
  let blockMs: number | undefined
  let streams: number | undefined
  for (let at = 1; at < args.length && streams === undefined; at++) {
    const option = argumentOf(call, at).toLowerCase()
    const more = args.length - at - 1
    if (option === 'block' && more > 0) blockMs = blockOf(argumentOf(call, ++at))
    else if (option === 'count' && more > 0) count = givenCount(argumentOf(call, ++at))
    else if (option === 'streams' && more > 0) streams = at + 1
    else if (option === 'group' && more >= 2) {
      if (!isGroup) throw onlyOfGroups('GROUP')
      group = argumentOf(call, ++at)
      consumer = argumentOf(call, ++at)
    } else if (option === 'noack') {
      if (!isGroup) throw onlyOfGroups('NOACK')
      acknowledges = true
    } else throw syntaxError()
    if (streams !== undefined && more % 2 !== 0) {
      throw new RedisError(
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
      )
    }
  }
  if (streams === undefined) throw syntaxError()
  if (isGroup && group === undefined) {
    throw new RedisError('ERR Missing GROUP option for XREADGROUP')
  }
  const middle = streams + (args.length - streams) / 2
  const reader =
    group === undefined || consumer === undefined ? undefined : { group, consumer, acknowledges }
  return {
    reader,
    count,
    blockMs,
    names: args.slice(streams, middle),
    ids: args.slice(middle),
  }
}

function onlyOfGroups(option: string): RedisError {
  return new RedisError(
    `ERR The ${option} option is only supported by XREADGROUP. You called XREAD instead.`,
  )
}

function blockOf(text: string): number {
  const ms = givenInteger(
    text,
    () => new RedisError('ERR timeout is not an integer or out of range'),
  )
  if (ms < 0n) throw new RedisError('ERR timeout is negative')
  return Number(ms)
}

/** After which id each stream is read. Of XREADGROUP the largest id stands for what is new. */
function startsOf(call: Call, { reader, ids }: Read, targets: readonly Target[]): string[] {
  return ids.map((text, at) => {
    const target = targets[at] as Target
    const stream = readStream(call, target)
    if (reader !== undefined && stream?.group(reader.group) === undefined) {
      throw new RedisError(
        `NOGROUP No such key '${target.name}' or consumer group '${reader.group}' in XREADGROUP with GROUP option`,
      )
    }
    if (text === '$') {
      if (reader === undefined) return stream?.last ?? firstId
      throw new RedisError(
        'ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
      )
    }
    if (text === '>') {
      if (reader !== undefined) return lastId
      throw new RedisError(
        'ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.',
      )
    }
    return givenId(text)
  })
}

/** The entries of one stream; undefined where there are none to be told. */
function readOne(call: Call, read: Read, target: Target, after: string): string | undefined {
  const stream = readStream(call, target)
  if (stream === undefined) return undefined
  if (read.reader === undefined) return readPlain(stream, after, read.count)
  const delivery = { call, target, stream, reader: read.reader, count: read.count }
  return after === lastId ? deliverNew(delivery) : deliverOld(delivery, after)
}

function readPlain(stream: Stream, after: string, count: number): string | undefined {
  const { last } = stream.ids
  if (last === undefined || compareIds(last, after) <= 0) return undefined
  return entriesReply(stream, idsAfter(stream.ids, after, count))
}

/** Of all streams that have something, by their keys. */
function readAll(
  call: Call,
  read: Read,
  targets: readonly Target[],
  starts: readonly string[],
): string | undefined {
  const found: string[] = []
  for (const [at, target] of targets.entries()) {
    const entries = readOne(call, read, target, starts[at] as string)
    if (entries !== undefined) found.push(keyed(call, target, entries))
  }
  return found.length === 0 ? undefined : head(call, found.length) + found.join('')
}

function keyed({ protocol }: Call, { name }: Target, entries: string): string {
  return `${protocol.version === 2 ? '*2\r\n' : ''}${bulk(name)}${entries}`
}

function head({ protocol }: Call, streams: number): string {
  return protocol.version === 2 ? `*${streams}\r\n` : protocol.map(streams)
}

/** Of the first stream that has something: who waits is told of one. */
function readFirst(
  call: Call,
  read: Read,
  targets: readonly Target[],
  starts: readonly string[],
): string | undefined {
  for (const [at, target] of targets.entries()) {
    const current = target.space.live(target)
    const isStream = current !== undefined && target.space.typeOf(current) === 'stream'
    if (!isStream && read.reader === undefined) continue
    if (!isStream) throw new RedisError('UNBLOCKED the stream key no longer exists')
    const { reader } = read
    if (reader !== undefined && target.space.stream(current).group(reader.group) === undefined) {
      throw new RedisError('NOGROUP the consumer group this client was blocked on no longer exists')
    }
    const entries = readOne(call, read, target, starts[at] as string)
    if (entries !== undefined) return head(call, 1) + keyed(call, target, entries)
  }
  return undefined
}

function readNow(isGroup: boolean): (call: Call) => string {
  return (call) => {
    const read = readOf(call, isGroup)
    const starts = startsOf(call, read, call.targets)
    return readAll(call, read, call.targets, starts) ?? call.protocol.nilArray
  }
}

function readLater(isGroup: boolean): (call: Call) => Promise<string> {
  return async (call) => {
    const read = readOf(call, isGroup)
    const later = { ...read, count: read.count === 0 ? maxEntriesAfterWait : read.count }
    let starts: readonly string[] = []
    return waitForEntries(call, {
      names: read.names,
      isAttached: isGroup,
      timeoutMs: read.blockMs ?? 0,
      first(targets) {
        starts = startsOf(call, read, targets)
        return readAll(call, read, targets, starts)
      },
      again: (targets) => readFirst(call, later, targets, starts),
    })
  }
}

/** STREAMS key … id …, behind the options. */
function streamKeys(args: readonly string[]): KeyRange | undefined {
  const at = optionAt(args, 'streams')
  const count = at === undefined ? 0 : (args.length - at - 1) >> 1
  return at === undefined || count === 0 ? undefined : [at + 1, at + count, 1]
}

/** Where the option stands, among those of XREAD and XREADGROUP. */
function optionAt(args: readonly string[], wanted: string): number | undefined {
  for (let at = 1; at < args.length; at++) {
    const option = (args[at] ?? '').toLowerCase()
    if (option === wanted) return at
    if (option === 'block' || option === 'count') at++
    else if (option === 'group') at += 2
    else if (option !== 'noack') return undefined
  }
  return undefined
}

function reading(name: 'xread' | 'xreadgroup', arity: number, kind: 'write' | 'readonly'): Command {
  const isGroup = name === 'xreadgroup'
  const described = {
    name,
    arity,
    flags: [kind, 'blocking', 'movablekeys'] as const,
    group: 'stream',
    keyRange: streamKeys,
  }
  const now: Command = { ...described, run: readNow(isGroup) }
  const later: Command = {
    ...described,
    wait: readLater(isGroup),
    atOnce: now,
    waitIsOption: true,
  }
  return {
    ...now,
    variant: (args) => (optionAt(args, 'block') === undefined ? undefined : later),
  }
}

export const streamReadCommands = inGroup('stream', [
  reading('xread', -4, 'readonly'),
  reading('xreadgroup', -7, 'write'),
])
