/** `daybook dead-letters`: what the database refused, until someone settles it. */

import { Command } from 'commander'
import type { CommandContext } from './context.ts'
import { deadLettersDiscard } from './dead-letters-discard.ts'
import { deadLettersEdit } from './dead-letters-edit.ts'
import { deadLettersExport } from './dead-letters-export.ts'
import { deadLettersList } from './dead-letters-list.ts'
import { deadLettersRetry } from './dead-letters-retry.ts'
import { deadLettersShow } from './dead-letters-show.ts'
import { type ExitCode, exitCodesHelp } from './exit-codes.ts'

export function deadLettersCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('dead-letters')
    .summary('what the database refused: list, show, retry, edit, discard, export')
    .description(
      'Works with the writes that the database refused, and those that are parked behind them.',
    )
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters list ./data --groups
  daybook dead-letters show ./data 0-1240
  daybook dead-letters retry ./data --code 23503 --first 5
${exitCodesHelp}`,
    )
    .addCommand(deadLettersList(context, finish))
    .addCommand(deadLettersShow(context, finish))
    .addCommand(deadLettersRetry(context, finish))
    .addCommand(deadLettersEdit(context, finish))
    .addCommand(deadLettersDiscard(context, finish))
    .addCommand(deadLettersExport(context, finish))
}
