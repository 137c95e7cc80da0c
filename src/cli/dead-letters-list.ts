/** `daybook dead-letters list`: what was refused, and why? */

import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import type { DeadLetter, DeadLetterGroup, DeadLetterPage } from '../flush/dead-letter.ts'
import { mutationName } from '../mutation/mutation.ts'
import { toTaggedJson } from '../mutation/tagged-json.ts'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { filterOf, type FilterFlags, withFilterFlags } from './dead-letters-flags.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { integer, jsonFlag } from './flags.ts'
import { count, counted, duration } from './quantities.ts'
import { printable, table, type Terminal } from './terminal.ts'

interface ListFlags extends FilterFlags {
  readonly groups?: true
  readonly limit: number
  readonly after?: string
  readonly json?: true
}

export function deadLettersList(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return withFilterFlags(new Command('list'))
    .summary('what was refused, and why?')
    .description('Lists dead letters in the order in which they were written.')
    .argument('<directory>', 'the directory that the application opens')
    .option('--groups', 'count those that failed alike, the most frequent first')
    .option('--limit <n>', 'at most so many', integer(1, 1_000), 50)
    .option('--after <id>', 'go on after this one')
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters list ./data --groups
  daybook dead-letters list ./data --cache users --since 2h
  daybook dead-letters list ./data --code 23505 --limit 10 --json
${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: ListFlags) => {
      const access = await openAccess(directory, { store: 'no', url: undefined }, context)
      const { terminal } = context
      try {
        if (flags.groups === true) {
          const groups = (await access.request('deadLetters.groups')) as DeadLetterGroup[]
          if (flags.json === true) terminal.line(JSON.stringify({ groups }))
          else for (const line of groupLines(terminal, groups)) terminal.line(line)
        } else {
          const { limit, after } = flags
          const params = { ...filterOf(flags), limit, ...(after === undefined ? {} : { after }) }
          const page = (await access.request('deadLetters.list', params)) as DeadLetterPage
          if (flags.json === true) terminal.line(toTaggedJson(page))
          else
            for (const line of listLines(terminal, page, systemClock.wallTime()))
              terminal.line(line)
        }
        finish(exitCodes.ok)
      } finally {
        await access.close()
      }
    })
}

const maxKeyLength = 32
const maxErrorLength = 60

export function listLines(
  terminal: Terminal,
  { letters, next }: DeadLetterPage,
  nowMs: number,
): string[] {
  if (letters.length === 0) return ['No dead letters.']
  const lines = table(
    terminal,
    [
      { title: 'id' },
      { title: 'cache' },
      { title: 'key' },
      { title: 'write' },
      { title: 'age', align: 'right' },
      { title: 'tries', align: 'right' },
      { title: 'reason' },
    ],
    letters.map((letter) => [
      letter.id,
      printable(letter.cache, maxKeyLength),
      printable(letter.key, maxKeyLength),
      mutationName(letter.mutation),
      duration(Math.max(0, nowMs - letter.deadAtMs)),
      count(letter.attempts),
      reasonOf(terminal, letter),
    ]),
  )
  if (next === undefined) return [...lines, '', `${counted(letters.length, 'dead letter')}.`]
  return [...lines, '', `There are more: add --after ${next}`]
}

function reasonOf(terminal: Terminal, { reason, behind, failure, superseded }: DeadLetter): string {
  const newer = superseded === true ? terminal.style('dim', ' · a newer value has landed') : ''
  if (reason === 'parked')
    return `${terminal.style('yellow', 'parked')} behind ${behind ?? '?'}${newer}`
  const message = printable(failure.message, maxErrorLength)
  return `${terminal.style('red', failure.code)} ${message}${newer}`
}

function groupLines(terminal: Terminal, groups: readonly DeadLetterGroup[]): string[] {
  if (groups.length === 0) return ['No dead letters.']
  const nowMs = systemClock.wallTime()
  return table(
    terminal,
    [
      { title: 'letters', align: 'right' },
      { title: 'cache' },
      { title: 'code' },
      { title: 'oldest', align: 'right' },
      { title: 'message' },
    ],
    groups.map((group) => [
      count(group.count),
      printable(group.cache, maxKeyLength),
      terminal.style('red', group.code),
      duration(Math.max(0, nowMs - group.oldestMs)),
      printable(group.message, 100),
    ]),
  )
}
