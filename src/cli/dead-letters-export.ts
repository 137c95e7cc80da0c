/** `daybook dead-letters export`: one JSON object a line, for other programs and for keeping. */

import { Command } from 'commander'
import type { DeadLetterPage } from '../flush/dead-letter.ts'
import { toTaggedJson } from '../mutation/tagged-json.ts'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { filterOf, type FilterFlags, withFilterFlags } from './dead-letters-flags.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'

export function deadLettersExport(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return withFilterFlags(new Command('export'))
    .summary('all of them as NDJSON, one object a line')
    .description(
      'Writes dead letters as one JSON object a line, whole. Integers beyond 2^53 are {"$bigint": "…"}, bytes are ' +
        '{"$bytes": "<base64>"}.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option('--json', 'the same: it is always JSON')
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters export ./data > refused.ndjson
  daybook dead-letters export ./data --cache users | jq .key
${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: FilterFlags) => {
      const access = await openAccess(directory, { store: 'no', url: undefined }, context)
      try {
        let after: string | undefined
        do {
          const params = {
            ...filterOf(flags),
            limit: 500,
            ...(after === undefined ? {} : { after }),
          }
          const page = (await access.request('deadLetters.list', params)) as DeadLetterPage
          for (const letter of page.letters) context.terminal.line(toTaggedJson(letter))
          after = page.next
        } while (after !== undefined)
        finish(exitCodes.ok)
      } finally {
        await access.close()
      }
    })
}
