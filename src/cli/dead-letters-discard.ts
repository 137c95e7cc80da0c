/** `daybook dead-letters discard`: gives dead letters up for good. */

import { createInterface } from 'node:readline/promises'
import { Command } from 'commander'
import type { DeadLetterPage } from '../flush/dead-letter.ts'
import { type Access, openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { selectionOf, type SelectionFlags, withSelectionFlags } from './dead-letters-flags.ts'
import { type ExitCode, exitCodes, exitCodesHelp, UsageError } from './exit-codes.ts'
import { jsonFlag } from './flags.ts'
import { counted } from './quantities.ts'
import type { Params } from '../control/methods.ts'

interface DiscardFlags extends SelectionFlags {
  readonly yes?: true
  readonly json?: true
}

export function deadLettersDiscard(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return withSelectionFlags(new Command('discard'))
    .summary('give dead letters up for good')
    .description(
      'Discards dead letters: their writes will never be in the database. Export them first.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .argument('[ids...]', 'as dead-letters list shows them')
    .option('--yes', 'do not ask')
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters export ./data --code 22001 > refused.ndjson
  daybook dead-letters discard ./data --code 22001 --all
${exitCodesHelp}`,
    )
    .action(async (directory: string, ids: string[], flags: DiscardFlags) => {
      const selection = selectionOf(ids, flags)
      const access = await openAccess(
        directory,
        { store: 'no', url: undefined, changes: true },
        context,
      )
      try {
        const concerned = await countOf(access, selection)
        const agreed = flags.yes === true || concerned === 0 || (await agrees(concerned, context))
        const discarded = agreed
          ? Number(await access.request('deadLetters.discard', selection))
          : 0
        if (flags.json === true) context.terminal.line(JSON.stringify({ discarded }))
        else context.terminal.line(`Discarded ${counted(discarded, 'dead letter')}.`)
        finish(discarded > 0 ? exitCodes.ok : exitCodes.problem)
      } finally {
        await access.close()
      }
    })
}

/** How many it is about: asked before anything is given up. */
async function countOf(access: Access, selection: Params): Promise<number> {
  if (Array.isArray(selection.ids)) return selection.ids.length
  const filter = selection.filter as Params
  const first = typeof selection.first === 'number' ? selection.first : Infinity
  let count = 0
  let after: string | undefined
  do {
    const params = { ...filter, limit: 1_000, ...(after === undefined ? {} : { after }) }
    const page = (await access.request('deadLetters.list', params)) as DeadLetterPage
    count += page.letters.length
    after = page.next
  } while (after !== undefined && count < first)
  return Math.min(count, first)
}

async function agrees(
  concerned: number,
  { input, terminal, signal }: CommandContext,
): Promise<boolean> {
  if (input.isTTY !== true)
    throw new UsageError('Nobody can be asked here: add --yes to discard for good.')
  const prompt = createInterface({ input, output: process.stderr })
  try {
    const question = `Give up ${counted(concerned, 'dead letter')} for good? Type yes: `
    const answer = await prompt.question(terminal.style('yellow', question), { signal })
    return answer.trim().toLowerCase() === 'yes'
  } finally {
    prompt.close()
  }
}
