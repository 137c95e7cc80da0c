/** `daybook dead-letters edit`: mends what a dead letter would write, and writes it. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import type { LetterEdit } from '../control/methods.ts'
import { isRecord } from '../control/wire.ts'
import type { DeadLetter } from '../flush/dead-letter.ts'
import { fromTaggedJson, toTaggedJson } from '../mutation/tagged-json.ts'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import {
  outcomeOfRetry,
  type RetryResult,
  retryExitCode,
  retryLines,
} from './dead-letters-outcome.ts'
import { type ExitCode, exitCodesHelp, UsageError } from './exit-codes.ts'
import { integer, jsonFlag, storeFlag } from './flags.ts'

interface EditFlags {
  readonly set?: readonly string[]
  readonly jsonPatch?: string
  readonly store?: string
  readonly timeout: number
  readonly json?: true
}

export function deadLettersEdit(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('edit')
    .summary('mend what a dead letter would write, and write it')
    .description(
      'Changes the columns of a dead letter and retries it. Without --set or --json-patch, $EDITOR opens with its content. ' +
        'The original stays a dead letter until the database has dealt with the new one.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .argument('<id>', 'as dead-letters list shows it')
    .option(
      '--set <column=value>',
      'a column’s new value, as JSON where it is JSON, else as text; again for more columns',
      (assignment: string, before: readonly string[] = []) => [...before, assignment],
    )
    .option(
      '--json-patch <json>',
      'an object with the columns to change; null removes one (RFC 7396)',
    )
    .option(...storeFlag)
    .option(
      '--timeout <ms>',
      'give up waiting for the database after this long',
      integer(1, 86_400_000),
      60_000,
    )
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
Examples:
  daybook dead-letters edit ./data 0-1240 --set email=ada@example.org --set visits=3
  daybook dead-letters edit ./data 0-1240 --json-patch '{"email": "ada@example.org"}'
  EDITOR=vi daybook dead-letters edit ./data 0-1240
${exitCodesHelp}`,
    )
    .action(async (directory: string, id: string, flags: EditFlags) => {
      const access = await openAccess(directory, { store: 'yes', url: flags.store }, context)
      try {
        const letter = (await access.request('deadLetters.show', { id })) as DeadLetter
        const edit = editOf(letter, changeOf(letter, flags, context))
        const timeout = { timeoutMs: flags.timeout }
        const result = (await access.request(
          'deadLetters.edit',
          { id, edit },
          timeout,
        )) as RetryResult
        const outcome = await outcomeOfRetry(access, result, flags.timeout)
        if (flags.json === true) context.terminal.line(JSON.stringify(outcome))
        else for (const line of retryLines(context.terminal, outcome)) context.terminal.line(line)
        finish(retryExitCode(outcome))
      } finally {
        await access.close()
      }
    })
}

type Content = Readonly<Record<string, unknown>>

/** What is to be written instead. */
function changeOf(letter: DeadLetter, flags: EditFlags, context: CommandContext): Content {
  const content = contentOf(letter)
  if (flags.set !== undefined && flags.jsonPatch !== undefined) {
    throw new UsageError('Give --set or --json-patch, not both.')
  }
  if (flags.set !== undefined)
    return { ...content, ...Object.fromEntries(flags.set.map(assignmentOf)) }
  if (flags.jsonPatch !== undefined)
    return patched(content, parseObject(flags.jsonPatch, '--json-patch'))
  return editInEditor(content, context)
}

function contentOf({ id, mutation }: DeadLetter): Content {
  if (mutation.kind === 'delete') {
    throw new UsageError(
      `Dead letter ${id} is a delete: it has no columns to edit. Retry or discard it.`,
    )
  }
  if (mutation.kind === 'patch' && mutation.removed !== undefined) {
    throw new UsageError(
      `Dead letter ${id} takes fields of a document away: it has nothing to edit. Retry or discard it.`,
    )
  }
  return mutation.kind === 'set' || !hasAmounts(mutation) ? mutation.fields : mutation.amounts
}

function hasAmounts(mutation: DeadLetter['mutation']): boolean {
  return mutation.kind === 'patch' && Object.keys(mutation.amounts).length > 0
}

/** The same kind of write with other content. */
export function editOf({ mutation }: DeadLetter, content: Content): LetterEdit {
  if (mutation.kind === 'set') return { set: content }
  return hasAmounts(mutation) ? { increment: content } : { merge: content }
}

export function assignmentOf(assignment: string): [column: string, value: unknown] {
  const at = assignment.indexOf('=')
  if (at < 1) throw new UsageError('--set needs column=value, such as --set visits=3.')
  const text = assignment.slice(at + 1)
  return [assignment.slice(0, at), valueOf(text)]
}

function valueOf(text: string): unknown {
  try {
    return fromTaggedJson(text)
  } catch {
    return text
  }
}

/** JSON merge patch of the columns; a JSON column's value is replaced as a whole. */
function patched(content: Content, patch: Content): Content {
  const removed = new Set(Object.keys(patch).filter((column) => patch[column] === null))
  return Object.fromEntries(
    Object.entries({ ...content, ...patch }).filter(([column]) => !removed.has(column)),
  )
}

function parseObject(text: string, what: string): Content {
  let value: unknown
  try {
    value = fromTaggedJson(text)
  } catch {
    throw new UsageError(`${what} is not JSON.`)
  }
  if (isRecord(value)) return value
  throw new UsageError(`${what} is an object of columns.`)
}

function editInEditor(content: Content, { environment, input }: CommandContext): Content {
  const editor = environment['VISUAL'] ?? environment['EDITOR']
  if (editor === undefined || input.isTTY !== true) {
    throw new UsageError(
      'Say what to change: --set column=value, --json-patch, or set EDITOR in a terminal.',
    )
  }
  // Readable by this user only: it is a row of the database.
  const folder = mkdtempSync(join(tmpdir(), 'daybook-edit-'))
  const file = join(folder, 'dead-letter.json')
  try {
    const before = `${JSON.stringify(JSON.parse(toTaggedJson(content)), undefined, 2)}\n`
    writeFileSync(file, before, { mode: 0o600 })
    // EDITOR may have arguments (`code --wait`), so the shell splits it; the file's name is ours.
    const { status } = spawnSync(`${editor} '${file}'`, { shell: true, stdio: 'inherit' })
    const after = readFileSync(file, 'utf8')
    if (status !== 0 || after === before)
      throw new UsageError('Nothing was changed, so nothing was written.')
    return parseObject(after, 'What the editor saved')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
