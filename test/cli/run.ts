/** Runs the command line in this process, on pipes or on a pretended terminal. */

import { Readable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { runCommandLine } from '../../src/cli/command-line.ts'
import { Terminal } from '../../src/cli/terminal.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  /** The standard output as the one JSON value that it is. */
  readonly json: () => unknown
}

export interface Around {
  readonly environment?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export async function run(args: readonly string[], around: Around = {}): Promise<Ran> {
  let out = ''
  let err = ''
  const { environment = {}, signal = new AbortController().signal } = around
  const terminal = new Terminal({
    output: { write: (text) => (out += text), columns: 100 },
    errors: { write: (text) => (err += text) },
    environment,
    now: () => 0,
  })
  const code = await runCommandLine(args, {
    terminal,
    environment,
    signal,
    input: Readable.from([]),
  })
  return { code, out: stripVTControlCharacters(out), err, json: () => JSON.parse(out) as unknown }
}
