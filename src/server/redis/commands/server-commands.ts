/** Commands of the server as a whole. */

import {
  argumentOf,
  inGroup,
  keyNames,
  subcommandsOf,
  type Call,
  type Command,
} from '../command.ts'
import { databaseCount } from '../databases.ts'
import { matchesGlob } from '../glob.ts'
import { infoText, wantedSections } from '../info.ts'
import { safeIntegerOf } from '../numbers.ts'
import { parameter, parameterNames, setParameters } from '../parameters.ts'
import { RedisError, syntaxError, wrongArity } from '../redis-error.ts'
import { bulk, bulks, emptyArray, integer, ok, simple } from '../reply.ts'

/** Keys that are deleted in one batch. */
const deleteBatch = 1000

async function info(call: Call): Promise<string> {
  const wanted = wantedSections(call.args.slice(1))
  if (wanted.includes('keyspace')) await call.server.countKeys()
  return call.protocol.verbatim('txt', infoText(call.server, wanted))
}

async function dbsize(call: Call): Promise<string> {
  return integer(await call.server.keys.count(call.session.database))
}

function checkFlushMode(call: Call): void {
  if (call.args.length > 2 || !/^(sync|async)?$/i.test(argumentOf(call, 1))) throw syntaxError()
}

/** Deletes keys without a mapping. Rows of mapped tables stay where they are: they only leave memory. */
function flushDatabase(call: Call, database: number): Promise<void> {
  return call.server.databases.exclusively(() => deleteAll(call, database))
}

async function deleteAll(call: Call, database: number): Promise<void> {
  const { server, turn } = call
  for (const { space, cache } of server.databases.parts(database)) {
    if (!space.ownsRows) {
      space.keyspace.forgetAll()
      continue
    }
    let keys: string[] = []
    const deleteKeys = async (): Promise<void> => {
      const targets = keys.map((key) => ({
        space,
        keyspace: space.keyspace,
        key,
        name: key,
        blind: true,
      }))
      keys = []
      const { done } = await turn.later(targets, () => {
        for (const target of targets) space.delete(target)
      })
      await done
    }
    for await (const key of cache.keys()) if (keys.push(key) === deleteBatch) await deleteKeys()
    if (keys.length > 0) await deleteKeys()
  }
}

async function flushdb(call: Call): Promise<string> {
  checkFlushMode(call)
  await flushDatabase(call, call.session.database)
  return ok
}

async function flushall(call: Call): Promise<string> {
  checkFlushMode(call)
  for (let database = 0; database < databaseCount; database++) await flushDatabase(call, database)
  return ok
}

function time(call: Call): string {
  const nowMs = call.turn.wallTime()
  return bulks([String(Math.floor(nowMs / 1000)), String(Math.floor((nowMs % 1000) * 1000))])
}

function configGet(call: Call): string {
  const patterns = call.args.slice(2).map((pattern) => pattern.toLowerCase())
  const names = parameterNames().filter((name) =>
    patterns.some((pattern) => matchesGlob(pattern, name)),
  )
  const pairs = names.map((name) => bulk(name) + bulk(parameter(call.server, name)))
  return call.protocol.map(pairs.length) + pairs.join('')
}

function configSet(call: Call): string {
  if (call.args.length % 2 !== 0) throw wrongArity('config|set')
  setParameters(call.server, call.args.slice(2))
  return ok
}

function configResetStat(call: Call): string {
  call.server.resetStats()
  return ok
}

/** What COMMAND and COMMAND INFO say of one: name, arity, flags, first key, last key, step, and what Redis 7 added. */
function described(call: Call, command: Command): string {
  const { destination = 0 } = command
  const [first, last, step] = command.keys ?? [destination, destination, Math.sign(destination)]
  const flags = command.flags.filter((flag) => flag !== 'no_multi')
  const subcommands = [...(command.subcommands?.values() ?? [])]
  return (
    `*10\r\n${bulk(command.name)}${integer(command.arity)}${call.protocol.set(flags.length)}` +
    flags.map((flag) => simple(flag)).join('') +
    integer(first) +
    integer(last) +
    integer(step) +
    call.protocol.set(1) +
    simple(`@${command.group ?? 'generic'}`) +
    call.protocol.set(0) +
    emptyArray +
    `*${subcommands.length}\r\n${subcommands.map((subcommand) => described(call, subcommand)).join('')}`
  )
}

function everyCommand(call: Call): Command[] {
  return [...new Set(call.server.commands.values())]
}

export function named(call: Call, name: string): Command | undefined {
  const [parent = '', subcommand] = name.toLowerCase().split('|')
  const command = call.server.commands.get(parent)
  return subcommand === undefined ? command : command?.subcommands?.get(subcommand)
}

function commandInfo(call: Call): string {
  const wanted =
    call.args.length > 2 ? call.args.slice(2).map((name) => named(call, name)) : everyCommand(call)
  const shown = wanted.map((command) =>
    command === undefined ? call.protocol.nilArray : described(call, command),
  )
  return `*${shown.length}\r\n${shown.join('')}`
}

function commandDocs(call: Call): string {
  const wanted =
    call.args.length > 2
      ? call.args.slice(2).flatMap((name) => named(call, name) ?? [])
      : everyCommand(call)
  const shown = wanted.map((command) => {
    const fields =
      bulk('summary') +
      bulk(command.summary ?? '') +
      bulk('group') +
      bulk(command.group ?? 'generic')
    return bulk(command.name) + call.protocol.map(2) + fields
  })
  return call.protocol.map(shown.length) + shown.join('')
}

function commandList(call: Call): string {
  const names = everyCommand(call).map(({ name }) => name)
  if (call.args.length === 2) return bulks(names)
  const by = argumentOf(call, 3).toLowerCase()
  if (call.args.length !== 5 || argumentOf(call, 2).toLowerCase() !== 'filterby')
    throw syntaxError()
  const value = argumentOf(call, 4)
  if (by === 'pattern') return bulks(names.filter((name) => matchesGlob(value.toLowerCase(), name)))
  if (by === 'module' || by === 'aclcat') return emptyArray
  throw syntaxError()
}

function commandGetKeys(call: Call): string {
  const args = call.args.slice(2)
  const command = named(call, args[0] ?? '')
  if (command === undefined) throw new RedisError('ERR Invalid command specified')
  const names = keyNames(command, args)
  if (names === undefined) throw new RedisError('ERR The command has no key arguments')
  const { arity } = command
  if (arity >= 0 ? args.length !== arity : args.length < -arity) {
    throw new RedisError('ERR Invalid number of arguments specified for command')
  }
  return bulks(names)
}

const configCommands = subcommandsOf('server', 'config', [
  { name: 'get', arity: -3, flags: ['admin'], run: configGet },
  { name: 'set', arity: -4, flags: ['admin'], run: configSet },
  { name: 'resetstat', arity: 2, flags: ['admin'], run: configResetStat },
  {
    name: 'rewrite',
    arity: 2,
    flags: ['admin'],
    run: () => {
      throw new RedisError('ERR The server is running without a config file')
    },
  },
  { name: 'help', arity: 2, flags: [], run: () => bulks(['CONFIG GET, RESETSTAT, SET']) },
])

const commandCommands = subcommandsOf('server', 'command', [
  {
    name: 'count',
    arity: 2,
    flags: ['fast'],
    run: (call) => integer(everyCommand(call).length),
  },
  { name: 'info', arity: -2, flags: [], run: commandInfo },
  { name: 'docs', arity: -2, flags: [], run: commandDocs },
  { name: 'list', arity: -2, flags: [], run: commandList },
  { name: 'getkeys', arity: -3, flags: [], run: commandGetKeys },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () => bulks(['COMMAND COUNT, DOCS, GETKEYS, INFO, LIST']),
  },
])

const moduleCommands = subcommandsOf('server', 'module', [
  { name: 'list', arity: 2, flags: ['admin'], run: () => emptyArray },
])

/** What tells a client for clusters that this is none. */
function cluster(): never {
  throw new RedisError('ERR This instance has cluster support disabled')
}

async function swapdb(call: Call): Promise<string> {
  const indexAt = (at: number, which: string): number => {
    const index = safeIntegerOf(argumentOf(call, at))
    if (index === undefined) throw new RedisError(`ERR invalid ${which} DB index`)
    if (index < 0 || index >= databaseCount) throw new RedisError('ERR DB index is out of range')
    return index
  }
  await call.server.swap(indexAt(1, 'first'), indexAt(2, 'second'))
  return ok
}

export const serverCommands = inGroup('server', [
  { name: 'info', arity: -1, flags: ['loading', 'stale'], wait: info },
  { name: 'dbsize', arity: 1, flags: ['readonly', 'fast'], wait: dbsize },
  { name: 'flushdb', arity: -1, flags: ['write'], wait: flushdb },
  { name: 'flushall', arity: -1, flags: ['write'], wait: flushall },
  { name: 'time', arity: 1, flags: ['fast'], run: time },
  { name: 'config', arity: -2, flags: [], subcommands: configCommands, run: () => ok },
  { name: 'command', arity: -1, flags: [], subcommands: commandCommands, run: commandInfo },
  { name: 'module', arity: -2, flags: [], subcommands: moduleCommands, run: () => ok },
  { name: 'cluster', arity: -2, flags: [], run: cluster },
  { name: 'swapdb', arity: 3, flags: ['write', 'fast'], wait: swapdb },
  {
    name: 'role',
    arity: 1,
    flags: ['fast'],
    run: () => `*3\r\n${bulk('master')}${integer(0)}${emptyArray}`,
  },
  { name: 'readonly', arity: 1, flags: ['fast'], run: () => ok },
  {
    name: 'save',
    arity: 1,
    flags: ['admin'],
    wait: async (call) => {
      await call.server.book.flush({ timeoutMs: 30_000 })
      return ok
    },
  },
])
