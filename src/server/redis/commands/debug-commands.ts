/** MONITOR and DEBUG: looking at a server from outside. Of DEBUG only what can harm nobody. */

import { argumentOf, inGroup, subcommandsOf, type Call } from '../command.ts'
import { waitFor } from '../../../base/deadline.ts'
import { isDaybookError } from '../../../base/errors.ts'
import { decimalOf } from '../numbers.ts'
import { notAFloat, RedisError } from '../redis-error.ts'
import { bulks, ok } from '../reply.ts'

const maxSleepSeconds = 3600

function monitor(call: Call): string {
  if (call.session.transaction !== undefined) {
    throw new RedisError("ERR MONITOR isn't allowed for DENY BLOCKING client")
  }
  call.server.monitors.join(call.session)
  return ok
}

/** Only the connection that asks for it sleeps. */
async function sleep(call: Call): Promise<string> {
  const seconds = decimalOf(argumentOf(call, 2)) === undefined ? NaN : Number(argumentOf(call, 2))
  if (Number.isNaN(seconds)) throw notAFloat()
  if (seconds < 0 || seconds > maxSleepSeconds) {
    throw new RedisError(`ERR DEBUG SLEEP takes 0 to ${maxSleepSeconds} seconds`)
  }
  const { clock } = call.server
  try {
    await waitFor(new Promise(() => undefined), {
      ...{ clock, timeoutMs: seconds * 1000, signal: call.session.gone, what: 'DEBUG SLEEP' },
    })
  } catch (error) {
    if (!isDaybookError(error, 'TIMEOUT') && !isDaybookError(error, 'ABORTED')) throw error
  }
  return ok
}

function setActiveExpire(call: Call): string {
  if (/^[01]$/.test(argumentOf(call, 2))) return ok
  throw new RedisError('ERR DEBUG SET-ACTIVE-EXPIRE takes 0 or 1')
}

const debugSubcommands = subcommandsOf('server', 'debug', [
  { name: 'sleep', arity: 3, flags: ['admin'], wait: sleep },
  { name: 'set-active-expire', arity: 3, flags: ['admin'], run: setActiveExpire },
  {
    name: 'help',
    arity: 2,
    flags: [],
    run: () =>
      bulks([
        'DEBUG <subcommand> [<arg> ...]. Subcommands are:',
        'SLEEP <seconds>           this connection waits; no other one does',
        'SET-ACTIVE-EXPIRE <0|1>   is taken, and changes nothing: rows whose time is over are always deleted',
      ]),
  },
])

export const debugCommands = inGroup('server', [
  { name: 'monitor', arity: 1, flags: ['admin', 'noscript'], run: monitor },
  {
    name: 'debug',
    arity: -2,
    flags: ['admin', 'noscript'],
    subcommands: debugSubcommands,
    run: () => ok,
  },
])
