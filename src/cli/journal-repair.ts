/** `daybook journal repair`: cuts a damaged journal, once someone has said what may be lost. */

import { Command } from 'commander'
import { nodeFiles } from '../base/node-files.ts'
import { repairJournal, type RepairReport } from '../journal/repair.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { integer, jsonFlag } from './flags.ts'
import { journalDirectory } from './journal-directory.ts'
import { count, counted } from './quantities.ts'
import { printable, type Terminal } from './terminal.ts'

interface RepairFlags {
  readonly acceptLossFrom?: number
  readonly json?: true
}

export function journalRepair(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('repair')
    .summary('cut a damaged journal, once you have said what may be lost')
    .description(
      'The last resort, when no copy of the files is left: what is cut had been acknowledged. Without --accept-loss-from it ' +
        'only says what would be lost, and changes nothing. What is cut is kept in the directory. The application must be stopped.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option(
      '--accept-loss-from <position>',
      'the first position to give up, as the plan says it',
      integer(1, Number.MAX_SAFE_INTEGER),
    )
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook journal repair ./data
  daybook journal repair ./data --accept-loss-from 1241
${exitCodesHelp}`,
    )
    .action(async (directory: string, { acceptLossFrom, json }: RepairFlags) => {
      const { terminal } = context
      const report = await repairJournal(await journalDirectory(directory), nodeFiles, {
        acceptLossFrom,
      })
      if (json === true) terminal.line(JSON.stringify(report))
      else for (const line of repairLines(terminal, report, directory)) terminal.line(line)
      finish(report.damage === undefined || report.repaired ? exitCodes.ok : exitCodes.problem)
    })
}

function repairLines(terminal: Terminal, report: RepairReport, directory: string): string[] {
  const { damage, firstLost, lastLost, lostRecords, repaired, copies } = report
  if (damage === undefined) return ['The journal is whole: there is nothing to repair.']
  const found = `Damaged in ${printable(damage.file)} at offset ${damage.offset}: ${printable(damage.reason)}.`
  const range =
    lastLost < firstLost
      ? `from position ${count(firstLost)} on`
      : `positions ${count(firstLost)} to ${count(lastLost)}`
  const lost = `${range}, at least ${counted(lostRecords, 'record')} that had been acknowledged`
  if (repaired) {
    return [
      found,
      `Repaired. Given up: ${lost}. Some of it may be in the database already.`,
      ...copies.map((copy) => `  kept: ${printable(copy)}`),
    ]
  }
  return [
    terminal.style('red', found),
    `A repair would give up ${lost}. Some of it may be in the database already.`,
    'Nothing was changed. If no copy of the files is left, and this loss is accepted:',
    `  daybook journal repair ${directory} --accept-loss-from ${firstLost}`,
  ]
}
