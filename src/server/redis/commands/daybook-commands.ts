/** What Redis has no word for: how far writes have come, and what became of them. */

import { isDaybookError } from '../../../base/errors.ts'
import { argumentOf, type Call, type Command } from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { bulk, bulks, integer, ok } from '../reply.ts'
import { latin1Of } from '../latin1.ts'

/** Longest wait for the store where none is given. */
const defaultWaitMs = 30_000

function timeoutOf(call: Call, index: number, fallback: number): number {
  if (call.args.length <= index) return fallback
  const value = safeIntegerOf(argumentOf(call, index))
  if (value === undefined) throw new RedisError('ERR timeout is not an integer or out of range')
  if (value < 0) throw new RedisError('ERR timeout is negative')
  return value
}

/** True where everything written so far is in the store, within the time. 0 is for ever, as in Redis. */
async function isStored(call: Call, timeoutMs: number): Promise<boolean> {
  try {
    await call.server.book.flush(timeoutMs === 0 ? {} : { timeoutMs })
    return true
  } catch (error) {
    if (isDaybookError(error, 'TIMEOUT')) return false
    throw error
  }
}

/** WAIT numreplicas timeout: the store is the one replica. */
async function wait(call: Call): Promise<string> {
  const replicas = safeIntegerOf(argumentOf(call, 1))
  if (replicas === undefined) throw notAnInteger()
  const timeoutMs = timeoutOf(call, 2, 0)
  if (replicas < 1) return integer(0)
  return integer((await isStored(call, timeoutMs)) ? 1 : 0)
}

/** WAITAOF numlocal numreplicas timeout: the journal is the local log, the store the one replica. */
async function waitaof(call: Call): Promise<string> {
  const local = safeIntegerOf(argumentOf(call, 1))
  const replicas = safeIntegerOf(argumentOf(call, 2))
  if (local === undefined || replicas === undefined) throw notAnInteger()
  if (local < 0 || local > 1) {
    throw new RedisError('ERR value is out of range, must be between 0 and 1')
  }
  const timeoutMs = timeoutOf(call, 3, 0)
  await call.turn.whenDurable(call.session.position)
  const stored = replicas > 0 && (await isStored(call, timeoutMs))
  return `*2\r\n${integer(1)}${integer(stored ? 1 : 0)}`
}

async function flush(call: Call): Promise<string> {
  const timeoutMs = timeoutOf(call, 2, defaultWaitMs)
  await call.server.book.flush({ timeoutMs: Math.max(1, timeoutMs) })
  return ok
}

/** Names and values, as a map. */
function mapOf(call: Call, pairs: readonly (readonly [string, string])[]): string {
  return call.protocol.map(pairs.length) + pairs.map(([name, value]) => bulk(name) + value).join('')
}

async function status(call: Call): Promise<string> {
  const { server, session, protocol } = call
  const target = server.databases.target(session.database, argumentOf(call, 2), call.plain, false)
  const found = await server.book.cache(target.keyspace.name).status(target.key)
  return mapOf(call, [
    ['cache', bulk(target.keyspace.name)],
    ['table', bulk(target.keyspace.schema.table)],
    ['lane', integer(found.lane)],
    ['cached', protocol.boolean(found.cached)],
    ['pending', protocol.boolean(found.pending)],
    ['position', found.position === undefined ? protocol.nil : integer(found.position)],
    ['dead-letters', bulks(found.deadLetters)],
  ])
}

function pending(call: Call): string {
  const { pending: counted, lagMs, drainEstimateMs } = call.server.book.stats()
  return mapOf(call, [
    ['mutations', integer(counted.mutations)],
    ['keys', integer(counted.keys)],
    ['bytes', integer(counted.bytes)],
    ['lag-ms', integer(Math.round(lagMs))],
    [
      'drain-estimate-ms',
      drainEstimateMs === undefined ? call.protocol.nil : integer(Math.round(drainEstimateMs)),
    ],
  ])
}

/** DAYBOOK DEADLETTERS [count]: the oldest first. */
async function deadLetters(call: Call): Promise<string> {
  const limit = call.args.length > 2 ? safeIntegerOf(argumentOf(call, 2)) : 10
  if (limit === undefined || limit < 1 || limit > 1000) {
    throw new RedisError('ERR count is an integer from 1 to 1000')
  }
  const { letters } = await call.server.book.deadLetters.list({}, { limit })
  const shown = letters.map((letter) =>
    mapOf(call, [
      ['id', bulk(letter.id)],
      ['cache', bulk(letter.cache)],
      ['key', bulk(latin1Of(Buffer.from(letter.key)))],
      ['code', bulk(letter.failure.code)],
      ['message', bulk(latin1Of(Buffer.from(letter.failure.message)))],
    ]),
  )
  return `*${shown.length}\r\n${shown.join('')}`
}

const subcommands: readonly Command[] = [
  { name: 'flush', arity: -2, flags: ['blocking'], wait: flush },
  { name: 'status', arity: 3, flags: ['readonly'], wait: status },
  {
    name: 'lag',
    arity: 2,
    flags: ['readonly'],
    run: (call) => integer(Math.round(call.server.book.stats().lagMs)),
  },
  { name: 'pending', arity: 2, flags: ['readonly'], run: pending },
  { name: 'deadletters', arity: -2, flags: ['readonly'], wait: deadLetters },
  {
    name: 'pause',
    arity: 2,
    flags: ['admin'],
    run: (call) => {
      call.server.book.pause()
      return ok
    },
  },
  {
    name: 'resume',
    arity: 2,
    flags: ['admin'],
    run: (call) => {
      call.server.book.resume()
      return ok
    },
  },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () =>
      bulks([
        'DAYBOOK <subcommand> [<arg> ...]. Subcommands are:',
        'FLUSH [<timeout-ms>]    everything written so far is in the database when it answers',
        'STATUS <key>            where a key is: cached, pending, refused',
        'LAG                     age of the oldest write that is not in the database, in ms',
        'PENDING                 what is not in the database yet',
        'DEADLETTERS [<count>]   what the database refused, the oldest first',
        'PAUSE, RESUME           stop flushing, and go on',
      ]),
  },
]

const named = new Map(
  subcommands.map((command) => [
    command.name,
    { ...command, name: `daybook|${command.name}`, group: 'daybook' },
  ]),
)

/** `DAYBOOK FLUSH` and `DAYBOOK.FLUSH` alike: modules of Redis name their commands with a dot. */
const dotted = subcommands.map((command): Command => {
  const arity = command.arity < 0 ? command.arity + 1 : command.arity - 1
  const shifted = (call: Call): Call =>
    Object.create(call, { args: { value: ['daybook', ...call.args] } }) as Call
  const shared = { ...command, name: `daybook.${command.name}`, arity, group: 'daybook' }
  return 'wait' in command
    ? { ...shared, wait: (call) => command.wait(shifted(call)) }
    : { ...shared, run: (call) => command.run(shifted(call)) }
})

export const daybookCommands: readonly Command[] = [
  { name: 'wait', arity: 3, flags: ['noscript', 'blocking'], group: 'generic', wait },
  { name: 'waitaof', arity: 4, flags: ['noscript', 'blocking'], group: 'generic', wait: waitaof },
  { name: 'daybook', arity: -2, flags: [], group: 'daybook', subcommands: named, run: () => ok },
  ...dotted,
]
