#!/usr/bin/env node
/** The command `daybook`. */

import { systemClock } from '../base/clock.ts'
import { runCommandLine } from './command-line.ts'
import { Terminal } from './terminal.ts'

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())
process.once('SIGTERM', () => interrupted.abort())
// A reader that has seen enough (`daybook … | head`) is no error.
process.stdout.on('error', () => process.exit(0))

process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: new Terminal({
    output: process.stdout,
    errors: process.stderr,
    environment: process.env,
    now: () => systemClock.now(),
  }),
  environment: process.env,
  input: process.stdin,
  signal: interrupted.signal,
})
