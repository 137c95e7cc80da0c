/**
 * Scripts of Lua: EVAL, EVALSHA and SCRIPT. What they do is in `scripts/`. Functions, which Redis keeps by name, there are
 * none, and each way of asking for one says so.
 */

import { argumentOf, type Call, inGroup, subcommandsOf } from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { bulk, bulks, emptyArray, integer, ok } from '../reply.ts'

function evaluate(by: 'text' | 'sha', readOnly: boolean): (call: Call) => string {
  return (call) => {
    const { args, server } = call
    const count = safeIntegerOf(argumentOf(call, 2))
    if (count === undefined) throw notAnInteger()
    if (count > args.length - 3) {
      throw new RedisError("ERR Number of keys can't be greater than number of args")
    }
    if (count < 0) throw new RedisError("ERR Number of keys can't be negative")
    const given = argumentOf(call, 1)
    const script = by === 'sha' ? server.scripts.bySha(given) : server.scripts.byText(given)
    const keys = args.slice(3, 3 + count)
    return server.scripts.run(call, script, { keys, args: args.slice(3 + count), readOnly })
  }
}

function noFunction(): never {
  throw new RedisError('ERR Function not found')
}

function refuse(): never {
  throw new RedisError('ERR functions are not supported: use scripts instead (EVAL, SCRIPT LOAD)')
}

/** Redis's own test suite and tools flush and list before they begin; there is nothing here for that to do. */
const functionCommands = subcommandsOf('scripting', 'function', [
  { name: 'flush', arity: -2, flags: ['write', 'noscript'], run: () => ok },
  { name: 'list', arity: -2, flags: [], run: () => emptyArray },
  { name: 'load', arity: -3, flags: ['write', 'noscript'], run: refuse },
])

function flush(call: Call): string {
  const mode = argumentOf(call, 2).toLowerCase()
  if (call.args.length > 3 || !['', 'sync', 'async'].includes(mode)) {
    throw new RedisError('ERR SCRIPT FLUSH only support SYNC|ASYNC option')
  }
  call.server.scripts.flush()
  return ok
}

function exists(call: Call): string {
  const found = call.args.slice(2).map((sha) => integer(call.server.scripts.has(sha) ? 1 : 0))
  return `*${found.length}\r\n${found.join('')}`
}

/** A script is never under way when another command is. */
function kill(): never {
  throw new RedisError('NOTBUSY No scripts in execution right now.')
}

function debug(call: Call): string {
  const mode = argumentOf(call, 2).toLowerCase()
  if (mode === 'no') return ok
  if (mode !== 'yes' && mode !== 'sync') throw new RedisError('ERR Use SCRIPT DEBUG YES/SYNC/NO')
  throw new RedisError('ERR there is no debugger for scripts: use redis.error_reply or return')
}

const scriptCommands = subcommandsOf('scripting', 'script', [
  { name: 'flush', arity: -2, flags: ['noscript'], run: flush },
  {
    name: 'load',
    arity: 3,
    flags: ['noscript'],
    run: (call) => bulk(call.server.scripts.byText(argumentOf(call, 2)).sha),
  },
  { name: 'exists', arity: -3, flags: ['noscript'], run: exists },
  { name: 'kill', arity: 2, flags: ['noscript'], run: kill },
  { name: 'debug', arity: 3, flags: ['noscript'], run: debug },
  {
    name: 'help',
    arity: 2,
    flags: ['loading', 'stale'],
    run: () =>
      bulks([
        'SCRIPT DEBUG NO, EXISTS <sha1> [<sha1> ...], FLUSH [ASYNC|SYNC], KILL, LOAD <script>',
      ]),
  },
])

export const scriptingCommands = inGroup('scripting', [
  {
    name: 'eval',
    arity: -3,
    flags: ['noscript'],
    countedKeys: 2,
    run: evaluate('text', false),
  },
  {
    name: 'eval_ro',
    arity: -3,
    flags: ['noscript', 'readonly'],
    countedKeys: 2,
    run: evaluate('text', true),
  },
  {
    name: 'evalsha',
    arity: -3,
    flags: ['noscript'],
    countedKeys: 2,
    run: evaluate('sha', false),
  },
  {
    name: 'evalsha_ro',
    arity: -3,
    flags: ['noscript', 'readonly'],
    countedKeys: 2,
    run: evaluate('sha', true),
  },
  { name: 'fcall', arity: -3, flags: ['noscript'], run: noFunction },
  { name: 'fcall_ro', arity: -3, flags: ['noscript', 'readonly'], run: noFunction },
  { name: 'function', arity: -2, flags: [], subcommands: functionCommands, run: () => ok },
  { name: 'script', arity: -2, flags: [], subcommands: scriptCommands, run: () => ok },
])
