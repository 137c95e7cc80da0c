/** `daybook flush`: everything written so far goes to the database now. */

import { Command } from 'commander'
import type { BookStats } from '../observe/stats.ts'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { integer, jsonFlag, storeFlag } from './flags.ts'
import { counted, duration } from './quantities.ts'

interface FlushFlags {
  readonly store?: string
  readonly timeout: number
  readonly json?: true
}

export function flushCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('flush')
    .summary('bring everything that is pending to the database now')
    .description(
      'Asks the running application to flush, or opens the directory of a stopped one and flushes what it left behind.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option(...storeFlag)
    .option(
      '--timeout <ms>',
      'give up waiting after this long; what is pending stays in the journal',
      integer(1, 86_400_000),
      60_000,
    )
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook flush ./data
  daybook flush ./data --store postgres://localhost/shop --timeout 600000
${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: FlushFlags) => {
      const access = await openAccess(directory, { store: 'yes', url: flags.store }, context)
      try {
        const before = (await access.request('status')) as BookStats
        const after = (await access.request('flush', {}, { timeoutMs: flags.timeout })) as BookStats
        const flushed = after.coalescing.mutations - before.coalescing.mutations
        const letters = after.deadLetters.count - before.deadLetters.count
        const result = {
          flushed,
          pending: after.pending.mutations,
          lagMs: after.lagMs,
          newDeadLetters: letters,
        }
        if (flags.json === true) context.terminal.line(JSON.stringify(result))
        else for (const line of flushLines(result)) context.terminal.line(line)
        finish(letters > 0 ? exitCodes.problem : exitCodes.ok)
      } finally {
        await access.close()
      }
    })
}

interface Flushed {
  readonly flushed: number
  readonly pending: number
  readonly lagMs: number
  readonly newDeadLetters: number
}

function flushLines({ flushed, pending, lagMs, newDeadLetters }: Flushed): string[] {
  const now =
    pending === 0
      ? 'Everything is in the database.'
      : `${counted(pending, 'mutation')} came in since, the oldest ${duration(lagMs)} ago.`
  const lines = [`Flushed ${counted(flushed, 'mutation')}. ${now}`]
  if (newDeadLetters > 0) {
    lines.push(
      `The database refused some: ${counted(newDeadLetters, 'new dead letter')}. See daybook dead-letters list.`,
    )
  }
  return lines
}
