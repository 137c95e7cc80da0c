/** XINFO: what there is to know of a stream, of its groups and of their consumers. */

import { argumentOf, inGroup, subcommandsOf, targetOf, type Call } from '../command.ts'
import { RedisError, wrongSubcommand } from '../redis-error.ts'
import { arrayOf, bulk, integer, simple } from '../reply.ts'
import type { SortedIds } from '../streams/sorted-ids.ts'
import { firstId, lastId } from '../streams/stream-ids.ts'
import type { Group, Stream } from '../streams/stream.ts'
import { lagOf, nowMs } from './stream-delivery.ts'
import { entriesReply, entryReply, givenInteger, isOption, readStream } from './stream-values.ts'

/** How many entries of each kind FULL shows. */
const usualCount = 10

function streamOf(call: Call): Stream {
  const stream = readStream(call, targetOf(call))
  if (stream === undefined) throw new RedisError('ERR no such key')
  return stream
}

/** XINFO STREAM key [FULL [COUNT count]] */
function infoStream(call: Call): string {
  const stream = streamOf(call)
  const count = fullCountOf(call)
  const { ids } = stream
  const rows: [string, string][] = [
    ['length', integer(stream.length)],
    ['radix-tree-keys', integer(ids.chunks)],
    ['radix-tree-nodes', integer(ids.chunks + 1)],
    ['last-generated-id', bulk(stream.last)],
    ['max-deleted-entry-id', bulk(stream.maxDeleted)],
    ['entries-added', integer(stream.added)],
    ['recorded-first-entry-id', bulk(stream.first)],
  ]
  if (count === undefined) {
    const edge = (id: string | undefined): string =>
      id === undefined ? call.protocol.nil : entryReply(stream, id)
    rows.push(
      ['groups', integer(stream.groups.length)],
      ['first-entry', edge(ids.first)],
      ['last-entry', edge(ids.last)],
    )
  } else {
    rows.push(
      ['entries', entriesReply(stream, someOf(ids, count))],
      ['groups', arrayOf(stream.groups.map((group) => fullGroup(call, stream, group, count)))],
    )
  }
  return mapReply(call, rows)
}

/** undefined: not FULL. 0: all. */
function fullCountOf(call: Call): number | undefined {
  const { args } = call
  if (args.length === 3) return undefined
  const isFull = isOption(argumentOf(call, 3), 'full')
  const isCounted = args.length === 6 && isOption(argumentOf(call, 4), 'count')
  if (!isFull || (args.length !== 4 && !isCounted))
    throw wrongSubcommand(argumentOf(call, 1), 'XINFO')
  if (!isCounted) return usualCount
  const count = givenInteger(argumentOf(call, 5))
  return count < 0n ? usualCount : Number(count)
}

function fullGroup(call: Call, stream: Stream, group: Group, count: number): string {
  const { state, pending } = group
  const pendingReply = (ids: SortedIds, withConsumer: boolean): string =>
    arrayOf(
      someOf(ids, count).flatMap((id) => {
        const given = group.pendingOf(id)
        if (given === undefined) return []
        const parts = [bulk(id), integer(given.deliveredMs), integer(given.deliveries)]
        if (withConsumer) parts.splice(1, 0, bulk(given.consumer))
        return [arrayOf(parts)]
      }),
    )
  const consumers = group.consumers.map(([name, ids]) =>
    mapReply(call, [
      ['name', bulk(name)],
      ['seen-time', integer(group.seenMs(name))],
      ['pel-count', integer(ids.size)],
      ['pending', pendingReply(ids, false)],
    ]),
  )
  return mapReply(call, [
    ['name', bulk(group.name)],
    ['last-delivered-id', bulk(state.last)],
    ['entries-read', countReply(call, state.read)],
    ['lag', countReply(call, lagOf(stream, state))],
    ['pel-count', integer(pending.size)],
    ['pending', pendingReply(pending, true)],
    ['consumers', arrayOf(consumers)],
  ])
}

function someOf(ids: SortedIds, count: number): readonly string[] {
  return ids.range(firstId, lastId, count === 0 ? Infinity : count)
}

function infoGroups(call: Call): string {
  const stream = streamOf(call)
  const groups = stream.groups.map((group) => {
    const { state } = group
    return mapReply(call, [
      ['name', bulk(group.name)],
      ['consumers', integer(group.index.consumers.size)],
      ['pending', integer(group.pending.size)],
      ['last-delivered-id', bulk(state.last)],
      ['entries-read', countReply(call, state.read)],
      ['lag', countReply(call, lagOf(stream, state))],
    ])
  })
  return arrayOf(groups)
}

function infoConsumers(call: Call): string {
  const stream = streamOf(call)
  const name = argumentOf(call, 3)
  const group = stream.group(name)
  if (group === undefined) {
    throw new RedisError(
      `NOGROUP No such consumer group '${name}' for key name '${targetOf(call).name}'`,
    )
  }
  const now = nowMs(call)
  const consumers = group.consumers.map(([consumer, pending]) =>
    mapReply(call, [
      ['name', bulk(consumer)],
      ['pending', integer(pending.size)],
      ['idle', integer(Math.max(0, now - group.seenMs(consumer)))],
    ]),
  )
  return arrayOf(consumers)
}

function mapReply({ protocol }: Call, rows: readonly (readonly [string, string])[]): string {
  return protocol.map(rows.length) + rows.map(([name, value]) => bulk(name) + value).join('')
}

function countReply({ protocol }: Call, count: bigint | undefined): string {
  return count === undefined ? protocol.nil : integer(count)
}

const help = [
  'XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'CONSUMERS <key> <groupname>',
  '    Show consumers of <groupname>.',
  'GROUPS <key>',
  '    Show the stream consumer groups.',
  'STREAM <key> [FULL [COUNT <count>]',
  '    Show information about the stream.',
  'HELP',
  '    Prints this help.',
]

const second = [2, 2, 1] as const

export const streamInfoCommands = inGroup('stream', [
  {
    name: 'xinfo',
    arity: -2,
    flags: [],
    run: () => '',
    subcommands: subcommandsOf('stream', 'xinfo', [
      { name: 'stream', arity: -3, flags: ['readonly'], keys: second, run: infoStream },
      { name: 'groups', arity: 3, flags: ['readonly'], keys: second, run: infoGroups },
      { name: 'consumers', arity: 4, flags: ['readonly'], keys: second, run: infoConsumers },
      { name: 'help', arity: 2, flags: ['loading', 'stale'], run: () => arrayOf(help.map(simple)) },
    ]),
  },
])
