/** `daybook journal inspect`: what is in the journal. */

import { Command } from 'commander'
import { nodeFiles } from '../base/node-files.ts'
import { inspectJournal } from '../journal/verify.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { jsonFlag } from './flags.ts'
import { journalDirectory } from './journal-directory.ts'
import { reportLines } from './journal-report.ts'

export function journalInspect(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('inspect')
    .summary('what is in the journal')
    .description(
      'Shows segments, positions and counts, and checks every checksum. It reads only, and works beside the running application.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option(...jsonFlag)
    .addHelpText('after', `\nExample:\n  daybook journal inspect ./data\n${exitCodesHelp}`)
    .action(async (directory: string, flags: { readonly json?: true }) => {
      const report = await inspectJournal(await journalDirectory(directory), nodeFiles)
      if (flags.json === true) context.terminal.line(JSON.stringify(report))
      else for (const line of reportLines(context.terminal, report)) context.terminal.line(line)
      finish(report.damage === undefined ? exitCodes.ok : exitCodes.problem)
    })
}
