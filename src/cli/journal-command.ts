/** `daybook journal`: looks into the journal's files, and mends them. */

import { Command } from 'commander'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodesHelp } from './exit-codes.ts'
import { journalInspect } from './journal-inspect.ts'
import { journalRepair } from './journal-repair.ts'
import { journalVerify } from './journal-verify.ts'

export function journalCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('journal')
    .summary('look into the journal’s files: inspect, verify, repair')
    .description('Looks into the journal’s files. Only repair changes anything.')
    .addHelpText(
      'after',
      `
Examples:
  daybook journal inspect ./data
  daybook journal verify ./data
${exitCodesHelp}`,
    )
    .addCommand(journalInspect(context, finish))
    .addCommand(journalVerify(context, finish))
    .addCommand(journalRepair(context, finish))
}
