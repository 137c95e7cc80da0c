/** `daybook dead-letters retry`: writes dead letters again, and says what became of them. */

import { Command } from 'commander'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { selectionOf, type SelectionFlags, withSelectionFlags } from './dead-letters-flags.ts'
import {
  outcomeOfRetry,
  type RetryResult,
  retryExitCode,
  retryLines,
} from './dead-letters-outcome.ts'
import { type ExitCode, exitCodesHelp } from './exit-codes.ts'
import { integer, jsonFlag, storeFlag } from './flags.ts'

interface RetryFlags extends SelectionFlags {
  readonly force?: true
  readonly store?: string
  readonly timeout: number
  readonly json?: true
}

export function deadLettersRetry(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return withSelectionFlags(new Command('retry'))
    .summary('write dead letters again, once what was wrong is mended')
    .description(
      'Puts dead letters back into the journal, flushes, and says which the database took. What is parked behind a letter ' +
        'goes with it, in order. Try --first 5 before --all.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .argument('[ids...]', 'as dead-letters list shows them')
    .option('--force', 'also those whose key has a newer value by now: it would be overwritten')
    .option(...storeFlag)
    .option(
      '--timeout <ms>',
      'give up waiting for the database after this long',
      integer(1, 86_400_000),
      60_000,
    )
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters retry ./data 0-1240 0-1311
  daybook dead-letters retry ./data --code 23503 --first 5
  daybook dead-letters retry ./data --cache users --all
${exitCodesHelp}`,
    )
    .action(async (directory: string, ids: string[], flags: RetryFlags) => {
      const selection = selectionOf(ids, flags)
      const access = await openAccess(directory, { store: 'yes', url: flags.store }, context)
      try {
        const params = { ...selection, force: flags.force === true }
        const timeout = { timeoutMs: flags.timeout }
        const result = (await access.request('deadLetters.retry', params, timeout)) as RetryResult
        const outcome = await outcomeOfRetry(access, result, flags.timeout)
        if (flags.json === true) context.terminal.line(JSON.stringify(outcome))
        else for (const line of retryLines(context.terminal, outcome)) context.terminal.line(line)
        finish(retryExitCode(outcome))
      } finally {
        await access.close()
      }
    })
}
