/** `daybook dead-letters show`: one dead letter, and how it differs from what its key has now. */

import { isDeepStrictEqual } from 'node:util'
import { Command } from 'commander'
import { isDaybookError } from '../base/errors.ts'
import type { DeadLetter } from '../flush/dead-letter.ts'
import { mutationName } from '../mutation/mutation.ts'
import { toTaggedJson } from '../mutation/tagged-json.ts'
import { isRecord } from '../control/wire.ts'
import { type Access, openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { jsonFlag, storeFlag } from './flags.ts'
import { count } from './quantities.ts'
import { pairs, printable, table, type Terminal } from './terminal.ts'

interface ShowFlags {
  readonly store?: string
  readonly json?: true
}

export function deadLettersShow(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('show')
    .summary('one dead letter, and how it differs from what its key has now')
    .description(
      'Shows the write, the error, and the current value of the key. The current value needs the running application, or ' +
        '--store; a stopped directory that is opened with --store also flushes what it left behind.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .argument('<id>', 'as dead-letters list shows it')
    .option(...storeFlag)
    .option(...jsonFlag)
    .addHelpText('after', `\nExample:\n  daybook dead-letters show ./data 0-1240\n${exitCodesHelp}`)
    .action(async (directory: string, id: string, flags: ShowFlags) => {
      const access = await openAccess(directory, { store: 'if given', url: flags.store }, context)
      try {
        const letter = (await access.request('deadLetters.show', { id })) as DeadLetter
        const current = await currentOf(access, id)
        if (flags.json === true) context.terminal.line(toTaggedJson({ letter, ...current }))
        else
          for (const line of showLines(context.terminal, letter, current))
            context.terminal.line(line)
        finish(exitCodes.ok)
      } finally {
        await access.close()
      }
    })
}

/** The value that its key has now (undefined: none), or why that is not known. */
export type Current = { readonly current: unknown } | { readonly currentUnknown: string }

async function currentOf(access: Access, id: string): Promise<Current> {
  if (access.mode === 'stopped') {
    return { currentUnknown: 'the application is stopped, and no --store was given' }
  }
  try {
    const answer = await access.request('deadLetters.current', { id }, { timeoutMs: 10_000 })
    const { value } = answer as { readonly value?: unknown }
    return { current: value }
  } catch (error) {
    if (!isDaybookError(error)) throw error
    return { currentUnknown: error.message }
  }
}

export function showLines(terminal: Terminal, letter: DeadLetter, current: Current): string[] {
  const { failure } = letter
  const lines = pairs(terminal, [
    ['id', letter.id],
    ['cache', printable(letter.cache)],
    ['key', printable(letter.key)],
    [
      'write',
      `${mutationName(letter.mutation)}, lane ${letter.lane}, position ${count(letter.position)}`,
    ],
    [
      'reason',
      letter.reason === 'parked'
        ? `parked behind ${letter.behind ?? 'another letter'} of the same key or batch`
        : terminal.style('red', `${failure.code} ${printable(failure.message)}`),
    ],
    ['attempts', count(letter.attempts)],
    ...times(letter),
    ...(letter.group === undefined
      ? []
      : [['batch', `part of the atomic batch of ${letter.group}`] as const]),
    ...(letter.retryOf === undefined ? [] : [['retry of', letter.retryOf] as const]),
  ])
  if (letter.superseded === true) {
    lines.push(
      '',
      terminal.style(
        'yellow',
        'A newer value of this key is in the database: a retry would overwrite it.',
      ),
    )
  }
  return [...lines, '', ...contentLines(terminal, letter, current)]
}

function times({ writtenAtMs, deadAtMs }: DeadLetter): (readonly [string, string])[] {
  const written =
    writtenAtMs === undefined ? [] : [['written', new Date(writtenAtMs).toISOString()] as const]
  return [...written, ['dead since', new Date(deadAtMs).toISOString()]]
}

/** What it would write, beside what is there. */
function contentLines(terminal: Terminal, { mutation }: DeadLetter, current: Current): string[] {
  if ('currentUnknown' in current) {
    return [
      ...table(terminal, [{ title: 'column' }, { title: 'write' }], contentRows(mutation)),
      terminal.style('dim', `Current value: unknown, for ${printable(current.currentUnknown)}.`),
    ]
  }
  const now = isRecord(current.current) ? current.current : undefined
  if (mutation.kind === 'delete') {
    return [
      now === undefined
        ? 'The key has no value: there is nothing left to delete.'
        : `Now: ${shown(now)}`,
    ]
  }
  const rows = contentRows(mutation).map(([column = '', write = '']) => {
    const value = now?.[column]
    const isAmount = mutation.kind === 'patch' && Object.hasOwn(mutation.amounts, column)
    const wanted = isAmount ? undefined : mutation.fields[column]
    const same = wanted !== undefined && isDeepStrictEqual(wanted, value)
    return [
      column,
      write,
      now === undefined ? '(no value)' : shown(value),
      same ? '' : terminal.style('yellow', '≠'),
    ]
  })
  return table(
    terminal,
    [{ title: 'column' }, { title: 'write' }, { title: 'now' }, { title: '' }],
    rows,
  )
}

function contentRows(mutation: DeadLetter['mutation']): string[][] {
  if (mutation.kind === 'delete') return [['(all)', 'delete']]
  const fields = Object.entries(mutation.fields).map(([column, value]) => [column, shown(value)])
  if (mutation.kind === 'set') return fields
  const amounts = Object.entries(mutation.amounts).map(([column, by]) => {
    const text = String(by)
    return [column, text.startsWith('-') ? text : `+${text}`]
  })
  const removed = Object.keys(mutation.removed ?? {}).map((name) => [name, '(removed)'])
  return [...fields, ...amounts, ...removed].map(([column = '', text = '']) => [
    printable(column),
    text,
  ])
}

function shown(value: unknown): string {
  return value === undefined ? '' : printable(toTaggedJson(value), 60)
}
