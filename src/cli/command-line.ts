/** From arguments to an exit code: parses, runs the command, and says what went wrong. */

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { DaybookError, reasonOf } from '../base/errors.ts'
import { errorToWire } from '../control/wire.ts'
import type { CommandContext } from './context.ts'
import { deadLettersCommand } from './dead-letters-command.ts'
import { demoCommand } from './demo-command.ts'
import { type ExitCode, exitCodeOf, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { flushCommand } from './flush-command.ts'
import { journalCommand } from './journal-command.ts'
import { serveCommand } from './serve-command.ts'
import { statusCommand } from './status-command.ts'
import { printable } from './terminal.ts'
import { topCommand } from './top-command.ts'

export async function runCommandLine(
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  let exitCode: ExitCode = exitCodes.ok
  const program = commandLine(context, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (context.signal.aborted) return exitCodes.interrupted
    explain(error, args, context)
    return exitCodeOf(error)
  }
}

function commandLine(context: CommandContext, finish: (exitCode: ExitCode) => void): Command {
  const program = new Command('daybook')
    .description(
      'A write-behind cache for Node.js that loses nothing: look after its journal and its dead letters.',
    )
    .version(packageVersion())
    .option('--debug', 'show where an error came from')
    .addHelpText(
      'after',
      `
Examples:
  daybook demo                              see it survive kill -9
  daybook serve                             a server for every client of Redis
  daybook status ./data                     is anything not in the database yet?
  daybook dead-letters list ./data          what was refused, and why?
  daybook journal verify ./data             is the journal whole?

Every command but serve takes --json. Commands work beside the running application, and on a stopped one.
${exitCodesHelp}`,
    )
    .addCommand(demoCommand(context, finish))
    .addCommand(serveCommand(context, finish))
    .addCommand(statusCommand(context, finish))
    .addCommand(topCommand(context, finish))
    .addCommand(flushCommand(context, finish))
    .addCommand(deadLettersCommand(context, finish))
    .addCommand(journalCommand(context, finish))
  prepare(program, context)
  return program
}

/** Errors come back as exceptions, and everything printed goes through the context. */
function prepare(command: Command, context: CommandContext): void {
  command
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => context.terminal.line(text.trimEnd()),
      writeErr: (text) => context.terminal.error(text.trimEnd()),
      getOutHelpWidth: () => Math.min(context.terminal.columns, 110),
    })
  for (const child of command.commands) prepare(child, context)
}

function explain(error: unknown, args: readonly string[], { terminal }: CommandContext): void {
  // It has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return
  if (args.includes('--json')) {
    terminal.line(JSON.stringify({ error: errorToWire(error) }))
  } else if (error instanceof DaybookError) {
    const { message, hint } = errorToWire(error)
    terminal.error(`${terminal.style('red', `error ${error.code}:`)} ${printable(message)}`)
    const { directory, file, offset } = error.details
    const place = Object.entries({ directory, file, offset }).filter(
      ([, value]) => value !== undefined,
    )
    for (const [name, value] of place) terminal.error(`  ${name}: ${printable(String(value))}`)
    if (hint !== undefined) terminal.error(`  ${printable(hint)}`)
  } else {
    terminal.error(`${terminal.style('red', 'error:')} ${printable(reasonOf(error))}`)
  }
  if (args.includes('--debug') && error instanceof Error) terminal.error(error.stack ?? '')
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  )
  return (manifest as { version: string }).version
}
