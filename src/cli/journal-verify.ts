/** `daybook journal verify`: is the journal whole? */

import { Command } from 'commander'
import { nodeFiles } from '../base/node-files.ts'
import { verifyJournal } from '../journal/verify.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { jsonFlag } from './flags.ts'
import { journalDirectory } from './journal-directory.ts'
import { stateOf } from './journal-report.ts'
import { count, counted } from './quantities.ts'

export function journalVerify(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('verify')
    .summary('is the journal whole?')
    .description(
      'Reads the whole journal, checks every checksum and decodes every record. It reads only, and works beside the running ' +
        'application. The exit code is 1 where something is damaged.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `\nExample:\n  daybook journal verify ./data && echo whole\n${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: { readonly json?: true }) => {
      const { terminal } = context
      const report = await verifyJournal(await journalDirectory(directory), nodeFiles)
      if (flags.json === true) {
        terminal.line(JSON.stringify(report))
      } else {
        const what = `${count(report.records)} records in ${counted(report.segments.length, 'segment')}`
        terminal.line(`Checked ${what}: ${stateOf(terminal, report)}.`)
        if (report.damage !== undefined) {
          terminal.line(
            'What comes after the damage cannot be trusted, and the application will not start with it.',
          )
          terminal.line(`Put a copy of the files back, or see daybook journal repair ${directory}`)
        }
      }
      finish(report.damage === undefined ? exitCodes.ok : exitCodes.problem)
    })
}
