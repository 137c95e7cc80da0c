/**
 * Scripts and functions of Lua: there are none, and each way of asking for one says so. EVALSHA is answered as by a Redis that
 * does not have the script yet, so that a client library goes on to send EVAL, whose answer tells a person what to do.
 */

import { inGroup, subcommandsOf } from '../command.ts'
import { RedisError } from '../redis-error.ts'
import { emptyArray, integer, ok } from '../reply.ts'

function refuse(): never {
  throw new RedisError(
    'ERR Lua scripts are not supported: use a transaction instead (MULTI and EXEC, WATCH where it depends on what is there)',
  )
}

function noScript(): never {
  throw new RedisError('NOSCRIPT No matching script. Please use EVAL.')
}

function noFunction(): never {
  throw new RedisError('ERR Function not found')
}

/** Redis's own test suite and tools flush and list before they begin; there is nothing here for that to do. */
const functionCommands = subcommandsOf('scripting', 'function', [
  { name: 'flush', arity: -2, flags: ['write', 'noscript'], run: () => ok },
  { name: 'list', arity: -2, flags: [], run: () => emptyArray },
  { name: 'load', arity: -3, flags: ['write', 'noscript'], run: refuse },
])

const scriptCommands = subcommandsOf('scripting', 'script', [
  { name: 'flush', arity: -2, flags: ['noscript'], run: () => ok },
  { name: 'load', arity: 3, flags: ['noscript'], run: refuse },
  {
    name: 'exists',
    arity: -3,
    flags: [],
    run: (call) =>
      `*${call.args.length - 2}\r\n${call.args
        .slice(2)
        .map(() => integer(0))
        .join('')}`,
  },
])

export const scriptingCommands = inGroup('scripting', [
  { name: 'eval', arity: -3, flags: ['noscript'], run: refuse },
  { name: 'eval_ro', arity: -3, flags: ['noscript', 'readonly'], run: refuse },
  { name: 'evalsha', arity: -3, flags: ['noscript'], run: noScript },
  { name: 'evalsha_ro', arity: -3, flags: ['noscript', 'readonly'], run: noScript },
  { name: 'fcall', arity: -3, flags: ['noscript'], run: noFunction },
  { name: 'fcall_ro', arity: -3, flags: ['noscript', 'readonly'], run: noFunction },
  { name: 'function', arity: -2, flags: [], subcommands: functionCommands, run: () => ok },
  { name: 'script', arity: -2, flags: [], subcommands: scriptCommands, run: () => ok },
])
