/** Commands of consumer groups: XGROUP, and what becomes of entries that a consumer has. */

import { argumentOf, inGroup, subcommandsOf, targetOf, type Call } from '../command.ts'
import { RedisError, syntaxError, wrongSubcommand } from '../redis-error.ts'
import { arrayOf, bulk, bulks, emptyArray, integer, ok, one, simple, zero } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import { firstId } from '../streams/stream-ids.ts'
import { StreamChange, type Group, type Stream } from '../streams/stream.ts'
import { nowMs } from './stream-delivery.ts'
import {
  givenCount,
  givenEnd,
  givenId,
  givenInteger,
  givenRange,
  isOption,
  noGroup,
  readStream,
  streamAt,
} from './stream-values.ts'

interface GroupOptions {
  readonly makesStream: boolean
  readonly read: bigint | undefined
}

/** [MKSTREAM] [ENTRIESREAD entries-read], of which MKSTREAM is of CREATE only. */
function groupOptionsOf(call: Call, isCreate: boolean): GroupOptions {
  const { args } = call
  let [makesStream, read]: [boolean, bigint] = [false, -1n]
  for (let at = 5; at < args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (isCreate && option === 'mkstream') makesStream = true
    else if (option === 'entriesread' && at + 1 < args.length) {
      read = givenInteger(argumentOf(call, ++at))
      if (read < -1n) throw new RedisError('ERR value for ENTRIESREAD must be positive or -1')
    } else throw wrongSubcommand(argumentOf(call, 1), 'XGROUP')
  }
  return { makesStream, read: read === -1n ? undefined : read }
}

function existing(target: Target): Stream {
  const stream = streamAt(target)
  if (stream !== undefined) return stream
  throw new RedisError(
    'ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
  )
}

function groupOf(call: Call): { readonly stream: Stream; readonly group: Group } {
  const target = targetOf(call)
  const stream = existing(target)
  const name = argumentOf(call, 3)
  const group = stream.group(name)
  if (group !== undefined) return { stream, group }
  throw new RedisError(`NOGROUP No such consumer group '${name}' for key name '${target.name}'`)
}

function createGroup(call: Call): string {
  const { makesStream, read } = groupOptionsOf(call, true)
  const target = targetOf(call)
  const stream = makesStream ? streamAt(target) : existing(target)
  const given = argumentOf(call, 4)
  const last = given === '$' ? (stream?.last ?? firstId) : givenId(given)
  const name = argumentOf(call, 3)
  if (stream?.group(name) !== undefined) {
    throw new RedisError('BUSYGROUP Consumer Group name already exists')
  }
  const change = new StreamChange(stream)
  if (stream === undefined) change.last(firstId).added(0n)
  change.group(name, { last, read }).write(target)
  call.server.events.tell(target, 'stream', 'xgroup-create')
  return ok
}

function setGroupId(call: Call): string {
  const { read } = groupOptionsOf(call, false)
  const { stream, group } = groupOf(call)
  const given = argumentOf(call, 4)
  const last = given === '$' ? stream.last : givenEnd(given)
  const target = targetOf(call)
  new StreamChange(stream).group(group.name, { last, read }).write(target)
  call.server.events.tell(target, 'stream', 'xgroup-setid')
  return ok
}

function destroyGroup(call: Call): string {
  const target = targetOf(call)
  const stream = existing(target)
  const group = stream.group(argumentOf(call, 3))
  if (group === undefined) return zero
  new StreamChange(stream).withoutGroup(group).write(target)
  call.server.events.tell(target, 'stream', 'xgroup-destroy')
  // Whoever waits for the group has to be told that it is gone.
  call.server.arrivals.announce(target)
  return one
}

function createConsumer(call: Call): string {
  const { stream, group } = groupOf(call)
  const name = argumentOf(call, 4)
  if (group.index.consumers.has(name)) return zero
  const target = targetOf(call)
  new StreamChange(stream).consumer(group.name, name, nowMs(call)).write(target)
  call.server.events.tell(target, 'stream', 'xgroup-createconsumer')
  return one
}

function deleteConsumer(call: Call): string {
  const { stream, group } = groupOf(call)
  const name = argumentOf(call, 4)
  const pending = group.index.consumers.get(name)
  if (pending === undefined) return zero
  const target = targetOf(call)
  new StreamChange(stream).withoutConsumer(group, name).write(target)
  call.server.events.tell(target, 'stream', 'xgroup-delconsumer')
  return integer(pending.size)
}

/** XACK key group id … */
function xack(call: Call): string {
  const target = targetOf(call)
  const stream = readStream(call, target)
  const group = stream?.group(argumentOf(call, 2))
  if (stream === undefined || group === undefined) return zero
  const ids = new Set(call.args.slice(3).map(givenId))
  const change = new StreamChange(stream)
  let count = 0
  for (const id of ids) {
    if (!group.pending.has(id)) continue
    change.withoutPending(group.name, id)
    count++
  }
  change.write(target)
  return integer(count)
}

/** XPENDING key group [[IDLE min-idle-time] start end count [consumer]] */
function xpending(call: Call): string {
  const { args } = call
  if (args.length !== 3 && (args.length < 6 || args.length > 9)) throw syntaxError()
  const range = args.length === 3 ? undefined : pendingRangeOf(call)
  const target = targetOf(call)
  const name = argumentOf(call, 2)
  const group = readStream(call, target)?.group(name)
  if (group === undefined) throw noGroup(target.name, name)
  return range === undefined ? summary(call, group) : pendingReply(call, group, range)
}

interface PendingRange {
  readonly from: string
  readonly to: string
  readonly count: number
  readonly minIdleMs: number
  readonly consumer: string | undefined
}

function pendingRangeOf(call: Call): PendingRange {
  const { args } = call
  let at = 3
  let minIdle = 0n
  if (isOption(argumentOf(call, 3), 'idle')) {
    minIdle = givenInteger(argumentOf(call, 4))
    if (args.length < 8) throw syntaxError()
    at = 5
  }
  const count = givenCount(argumentOf(call, at + 2))
  const { from, to } = givenRange(argumentOf(call, at), argumentOf(call, at + 1))
  return { from, to, count, minIdleMs: Number(minIdle), consumer: args[at + 3] }
}

function summary({ protocol }: Call, group: Group): string {
  const { first, last, size } = group.pending
  if (first === undefined || last === undefined) {
    return `*4\r\n${zero}${protocol.nil}${protocol.nil}${protocol.nilArray}`
  }
  const consumers = group.consumers
    .filter(([, ids]) => ids.size > 0)
    .map(([name, ids]) => bulks([name, String(ids.size)]))
  return `*4\r\n${integer(size)}${bulk(first)}${bulk(last)}${arrayOf(consumers)}`
}

function pendingReply(call: Call, group: Group, range: PendingRange): string {
  const { from, to, count, minIdleMs, consumer } = range
  const ids = consumer === undefined ? group.pending : group.index.consumers.get(consumer)
  if (ids === undefined) return emptyArray
  const now = nowMs(call)
  const found: string[] = []
  for (const id of ids.range(from, to, minIdleMs === 0 ? count : Infinity)) {
    if (found.length >= count) break
    const pending = group.pendingOf(id)
    if (pending === undefined) continue
    const idleMs = now - pending.deliveredMs
    if (minIdleMs !== 0 && idleMs < minIdleMs) continue
    const parts = [bulk(id), bulk(pending.consumer), integer(Math.max(0, idleMs))]
    found.push(arrayOf([...parts, integer(pending.deliveries)]))
  }
  return arrayOf(found)
}

const help = [
  'XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'CREATE <key> <groupname> <id|$> [option]',
  '    Create a new consumer group. Options are:',
  '    * MKSTREAM',
  '      Create the empty stream if it does not exist.',
  '    * ENTRIESREAD entries_read',
  "      Set the group's entries_read counter (internal use).",
  'CREATECONSUMER <key> <groupname> <consumer>',
  '    Create a new consumer in the specified group.',
  'DELCONSUMER <key> <groupname> <consumer>',
  '    Remove the specified consumer.',
  'DESTROY <key> <groupname>',
  '    Remove the specified group.',
  'SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]',
  '    Set the current group ID and entries_read counter.',
  'HELP',
  '    Prints this help.',
]

const second = [2, 2, 1] as const
const write = ['write'] as const
const adds = ['write', 'denyoom'] as const

export const streamGroupCommands = inGroup('stream', [
  {
    name: 'xgroup',
    arity: -2,
    flags: [],
    run: () => '',
    subcommands: subcommandsOf('stream', 'xgroup', [
      { name: 'create', arity: -5, flags: adds, keys: second, run: createGroup },
      { name: 'setid', arity: -5, flags: write, keys: second, run: setGroupId },
      { name: 'destroy', arity: 4, flags: write, keys: second, run: destroyGroup },
      { name: 'createconsumer', arity: 5, flags: adds, keys: second, run: createConsumer },
      { name: 'delconsumer', arity: 5, flags: write, keys: second, run: deleteConsumer },
      { name: 'help', arity: 2, flags: ['loading', 'stale'], run: () => arrayOf(help.map(simple)) },
    ]),
  },
  { name: 'xack', arity: -4, flags: ['write', 'fast'], keys: [1, 1, 1], run: xack },
  { name: 'xpending', arity: -3, flags: ['readonly'], keys: [1, 1, 1], run: xpending },
])
