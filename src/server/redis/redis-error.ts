/** Errors as Redis words them: clients compare these texts. */

import { isDaybookError, reasonOf, type ErrorCode } from '../../base/errors.ts'

/** What a command answers instead of a result. The message begins with its code, such as `ERR` or `WRONGTYPE`. */
export class RedisError extends Error {
  override readonly name = 'RedisError'
}

/** A browser that was tricked into talking to a Redis: hang up without a word. */
export class ForeignProtocol extends Error {
  override readonly name = 'ForeignProtocol'
}

export const wrongType = (): RedisError =>
  new RedisError('WRONGTYPE Operation against a key holding the wrong kind of value')
export const syntaxError = (): RedisError => new RedisError('ERR syntax error')
export const notAnInteger = (): RedisError =>
  new RedisError('ERR value is not an integer or out of range')
export const notAFloat = (): RedisError => new RedisError('ERR value is not a valid float')
export const overflow = (): RedisError =>
  new RedisError('ERR increment or decrement would overflow')
export const tooLong = (): RedisError =>
  new RedisError('ERR string exceeds maximum allowed size (proto-max-bulk-len)')
export const wrongArity = (command: string): RedisError =>
  new RedisError(`ERR wrong number of arguments for '${command}' command`)
export const invalidExpire = (command: string): RedisError =>
  new RedisError(`ERR invalid expire time in '${command}' command`)

/** The line that a client gets. Line ends would end the reply. */
export function errorLine(error: unknown): string {
  return messageOf(error).replace(/[\r\n]/g, ' ')
}

/** First words for what is not the command's fault. A client library makes a plain error of one that it does not know. */
const prefixes: Partial<Record<ErrorCode, string>> = {
  OVERLOADED: 'OOM',
  JOURNAL_FULL: 'MISCONF',
  JOURNAL_FAILED: 'MISCONF',
  STORE_UNAVAILABLE: 'STOREDOWN',
  STORE_CONFLICT: 'STOREDOWN',
  TIMEOUT: 'TIMEOUT',
  FENCED: 'READONLY',
}

function messageOf(error: unknown): string {
  if (error instanceof RedisError) return error.message
  if (!isDaybookError(error)) return `ERR internal error: ${reasonOf(error)}`
  return `${prefixes[error.code] ?? 'ERR'} ${error.message}`
}

/** None of the subcommands has that name, or takes these arguments. */
export function wrongSubcommand(given: string, command: string): RedisError {
  return new RedisError(
    `ERR unknown subcommand or wrong number of arguments for '${given}'. Try ${command} HELP.`,
  )
}
