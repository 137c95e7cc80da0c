/** The library `redis` of scripts. */

import { createHash } from 'node:crypto'
import { NotNamedBefore } from '../../../book/turn.ts'
import { serverVersion } from '../commands/server-version.ts'
import { luaType, type HostFunction, type LuaMachine, type Thread } from '../lua/machine.ts'
import { numberText } from '../lua/number-text.ts'
import { errorLine } from '../redis-error.ts'
import { pushError, pushReply } from './lua-values.ts'
import { ScriptRefused, type ScriptCaller } from './script-caller.ts'

const logLevels = { LOG_DEBUG: 0, LOG_VERBOSE: 1, LOG_NOTICE: 2, LOG_WARNING: 3 } as const
const allReplication = 3

export const redisConstants: Readonly<Record<string, number | string>> = {
  ...logLevels,
  REPL_NONE: 0,
  REPL_AOF: 1,
  REPL_SLAVE: 2,
  REPL_REPLICA: 2,
  REPL_ALL: allReplication,
  REDIS_VERSION: serverVersion,
  REDIS_VERSION_NUM: serverVersion
    .split('.')
    .reduce((number, part) => number * 256 + Number(part), 0),
}

export function redisFunctions(
  machine: LuaMachine,
  caller: ScriptCaller,
): Record<string, HostFunction> {
  const { api } = machine
  const fail = (thread: Thread, message: string): never => {
    pushError(machine, thread, `ERR ${message}`)
    return machine.raiseTop(thread)
  }
  const call = (thread: Thread, raises: boolean): number => {
    const failed = (line: string): number => {
      pushError(machine, thread, line)
      machine.setBooleanField(thread, 'ignore_error_stats_update', true)
      return raises ? machine.raiseTop(thread) : 1
    }
    const args = argumentsOf(machine, thread)
    if (typeof args === 'string') return failed(`ERR ${args}`)
    let reply: string
    try {
      reply = caller.run(args)
    } catch (error) {
      if (error instanceof NotNamedBefore || error instanceof ScriptRefused) throw error
      return failed(errorLine(error))
    }
    api.lua_settop(thread, 0)
    pushReply(machine, thread, reply)
    return raises && reply.startsWith('-') ? machine.raiseTop(thread) : 1
  }
  const answer = (thread: Thread, push: (text: string) => void): number => {
    if (api.lua_gettop(thread) === 1 && api.lua_type(thread, 1) === luaType.string) {
      push(machine.stringAt(thread, 1) ?? '')
    } else pushError(machine, thread, 'ERR wrong number or type of arguments')
    return 1
  }
  return {
    call: (thread) => call(thread, true),
    pcall: (thread) => call(thread, false),
    sha1hex(thread) {
      if (api.lua_gettop(thread) !== 1) fail(thread, 'wrong number of arguments')
      machine.pushString(thread, sha1Of(machine.stringAt(thread, 1) ?? ''))
      return 1
    },
    error_reply: (thread) => answer(thread, (text) => pushError(machine, thread, codedError(text))),
    status_reply: (thread) =>
      answer(thread, (text) => {
        api.lua_createtable(thread, 0, 1)
        machine.setStringField(thread, 'ok', text)
      }),
    // Values of clients are in no log.
    log(thread) {
      const count = api.lua_gettop(thread)
      if (count < 2) fail(thread, 'redis.log() requires two arguments or more.')
      if (api.lua_isnumber(thread, 1) === 0) {
        fail(thread, 'First argument must be a number (log level).')
      }
      const level = Math.trunc(api.lua_tonumber(thread, 1))
      if (level < logLevels.LOG_DEBUG || level > logLevels.LOG_WARNING) {
        fail(thread, 'Invalid debug level.')
      }
      return 0
    },
    setresp(thread) {
      if (api.lua_gettop(thread) !== 1) fail(thread, 'redis.setresp() requires one argument.')
      const version = Math.trunc(api.lua_tonumber(thread, 1))
      if (version !== 2 && version !== 3) fail(thread, 'RESP version must be 2 or 3.')
      else caller.version = version
      return 0
    },
    set_repl(thread) {
      if (api.lua_gettop(thread) !== 1) fail(thread, 'redis.set_repl() requires two arguments.')
      const flags = Math.trunc(api.lua_tonumber(thread, 1))
      if (flags < 0 || flags > allReplication) {
        fail(
          thread,
          'Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.',
        )
      }
      return 0
    },
    replicate_commands(thread) {
      api.lua_pushboolean(thread, 1)
      return 1
    },
    acl_check_cmd(thread) {
      const args = argumentsOf(machine, thread)
      if (typeof args === 'string') return fail(thread, args)
      if (!caller.knows(args)) fail(thread, 'Invalid command passed to redis.acl_check_cmd()')
      api.lua_pushboolean(thread, 1)
      return 1
    },
    breakpoint(thread) {
      api.lua_pushboolean(thread, 0)
      return 1
    },
    debug: () => 0,
  }
}

/** What is on the stack as arguments of a command, or what is wrong with them. */
function argumentsOf(machine: LuaMachine, thread: Thread): string[] | string {
  const { api } = machine
  const count = api.lua_gettop(thread)
  if (count === 0) return 'Please specify at least one argument for this redis lib call'
  const args: string[] = []
  for (let index = 1; index <= count; index++) {
    const type = api.lua_type(thread, index)
    if (type === luaType.string) args.push(machine.stringAt(thread, index) ?? '')
    // Not as Lua writes it, which is less exact.
    else if (type === luaType.number) args.push(numberText(api.lua_tonumber(thread, index), 17))
    else return 'Lua redis lib command arguments must be strings or integers'
  }
  return args
}

/** `-CODE message`, `CODE message`, or a message alone, which is of the code ERR. */
function codedError(text: string): string {
  const line = text.startsWith('-') ? text.slice(1) : text
  const space = line.indexOf(' ')
  const [code, message] = space < 0 ? ['ERR', line] : [line.slice(0, space), line.slice(space + 1)]
  return `${code} ${message.replace(/^[\r\n]+|[\r\n]+$/g, '')}`
}

export function sha1Of(binary: string): string {
  return createHash('sha1').update(binary, 'latin1').digest('hex')
}
