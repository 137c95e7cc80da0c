/** How a command ends, for scripts. The same table is in every `--help`. */

import { CommanderError } from 'commander'
import { isDaybookError, type ErrorCode } from '../base/errors.ts'

export const exitCodes = {
  /** Done, and nothing is wrong. */
  ok: 0,
  /** A problem was found, or what was asked could not be done. */
  problem: 1,
  /** The command was not understood. */
  usage: 2,
  /** The directory is in use and cannot be controlled, or the store cannot be reached. Try again later. */
  unreachable: 3,
  /** By Ctrl-C. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export const exitCodesHelp = `
Exit codes:
  0  done, and nothing is wrong
  1  a problem was found, or it could not be done
  2  the command was not understood
  3  the directory is in use, or the store cannot be reached: try again later`

/** The command itself was wrong, in a way that the option parser cannot know. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const usageCodes: readonly ErrorCode[] = ['INVALID_OPTION']
const unreachableCodes: readonly ErrorCode[] = [
  'JOURNAL_LOCKED',
  'STORE_UNAVAILABLE',
  'STORE_CONFLICT',
  'TIMEOUT',
  'CLOSED',
]

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  if (error instanceof UsageError) return exitCodes.usage
  if (!isDaybookError(error)) return exitCodes.problem
  if (usageCodes.includes(error.code)) return exitCodes.usage
  return unreachableCodes.includes(error.code) ? exitCodes.unreachable : exitCodes.problem
}
