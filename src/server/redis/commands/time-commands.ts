/** SLOWLOG and LATENCY: what took long. */

import { argumentOf, inGroup, subcommandsOf, type Call, type Command } from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { arrayOf, bulk, bulks, integer, ok } from '../reply.ts'
import type { SlowEntry } from '../slow-log.ts'
import { named } from './server-commands.ts'

const defaultCount = 10

function slowlogGet(call: Call): string {
  const { slowLog } = call.server.times
  const count = call.args.length > 2 ? safeIntegerOf(argumentOf(call, 2)) : defaultCount
  if (count === undefined) throw notAnInteger()
  if (count < -1) throw new RedisError('ERR count should be greater than or equal to -1')
  return arrayOf(slowLog.newest(count === -1 ? slowLog.length : count).map(entryReply))
}

function entryReply({ id, seconds, tookUs, args, address, name }: SlowEntry): string {
  return arrayOf([
    ...[integer(id), integer(seconds), integer(tookUs)],
    ...[bulks(args), bulk(address), bulk(name)],
  ])
}

const slowlogCommands = subcommandsOf('server', 'slowlog', [
  { name: 'get', arity: -2, flags: ['admin'], run: slowlogGet },
  {
    name: 'len',
    arity: 2,
    flags: ['admin'],
    run: (call) => integer(call.server.times.slowLog.length),
  },
  {
    name: 'reset',
    arity: 2,
    flags: ['admin'],
    run: (call) => {
      call.server.times.slowLog.reset()
      return ok
    },
  },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () =>
      bulks([
        'SLOWLOG <subcommand> [<arg> ...]. Subcommands are:',
        'GET [<count>]   the newest entries (default 10, -1 all): id, time, microseconds, arguments, address, name',
        'LEN             how many there are',
        'RESET           forgets them',
      ]),
  },
])

function latencyLatest(call: Call): string {
  return arrayOf(
    call.server.times.latency
      .latest()
      .map(({ event, last, worstMs }) =>
        arrayOf([bulk(event), integer(last.seconds), integer(last.ms), integer(worstMs)]),
      ),
  )
}

function latencyHistory(call: Call): string {
  const samples = call.server.times.latency.samples(argumentOf(call, 2))
  return arrayOf(samples.map(({ seconds, ms }) => arrayOf([integer(seconds), integer(ms)])))
}

/** Of the commands that are named, and have been called: how many took at most so many microseconds. */
function latencyHistogram(call: Call): string {
  const { server, protocol } = call
  const called = new Map(server.commandStats.map(([name, { times }]) => [name, times]))
  const wanted =
    call.args.length > 2
      ? new Set(call.args.slice(2).flatMap((name) => namesOf(named(call, name))))
      : new Set(called.keys())
  const shown = [...called].filter(([name, { count }]) => count > 0 && wanted.has(name))
  const replies = shown.map(([name, { count, histogram }]) => {
    let sum = 0
    const steps = histogram.flatMap((calls, bucket) => {
      sum += calls
      return calls === 0 ? [] : [integer(2 ** bucket) + integer(sum)]
    })
    return (
      bulk(name) +
      protocol.map(2) +
      bulk('calls') +
      integer(count) +
      bulk('histogram_usec') +
      protocol.map(steps.length) +
      steps.join('')
    )
  })
  return protocol.map(replies.length) + replies.join('')
}

function namesOf(command: Command | undefined): string[] {
  if (command === undefined) return []
  return [command.name, ...[...(command.subcommands?.values() ?? [])].map(({ name }) => name)]
}

function latencyDoctor(call: Call): string {
  const { latency } = call.server.times
  const latest = latency.latest()
  const text =
    latency.thresholdMs === 0
      ? 'Latency monitoring is off: CONFIG SET latency-monitor-threshold <ms>.'
      : latest.length === 0
        ? `No command took ${latency.thresholdMs} ms or more.`
        : latest
            .map(
              ({ event, worstMs }) =>
                `${event}: ${latency.samples(event).length} seconds with slow ones, the worst ${worstMs} ms. SLOWLOG GET has their names; whether the database or the disk was slow, INFO writebehind and the dashboard.`,
            )
            .join('\n')
  return call.protocol.verbatim('txt', `${text}\n`)
}

const latencyCommands = subcommandsOf('server', 'latency', [
  { name: 'latest', arity: 2, flags: ['admin'], run: latencyLatest },
  { name: 'history', arity: 3, flags: ['admin'], run: latencyHistory },
  { name: 'histogram', arity: -2, flags: ['admin'], run: latencyHistogram },
  { name: 'doctor', arity: 2, flags: ['admin'], run: latencyDoctor },
  {
    name: 'reset',
    arity: -2,
    flags: ['admin'],
    run: (call) => integer(call.server.times.latency.reset(call.args.slice(2))),
  },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () =>
      bulks([
        'LATENCY <subcommand> [<arg> ...]. Subcommands are:',
        'DOCTOR                     what was slow, in words',
        'HISTOGRAM [<command> ...]  how many calls took at most so many microseconds',
        'HISTORY <event>            seconds and milliseconds of event command or fast-command',
        'LATEST                     the latest and the worst of each event',
        'RESET [<event> ...]        forgets them',
      ]),
  },
])

export const timeCommands = inGroup('server', [
  { name: 'slowlog', arity: -2, flags: [], subcommands: slowlogCommands, run: () => ok },
  { name: 'latency', arity: -2, flags: [], subcommands: latencyCommands, run: () => ok },
])
