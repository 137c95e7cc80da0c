#!/usr/bin/env node
/** The command `daybook`. */

import { systemClock } from '../base/clock.ts'
import { runCommandLine } from './command-line.ts'
import { exitCodes } from './exit-codes.ts'
import { tooOldNode } from './node-version.ts'
import { Terminal } from './terminal.ts'

const tooOld = tooOldNode(process.versions.node)
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`)
  process.exit(exitCodes.problem)
}

/** Ctrl-C in a terminal reaches a command twice where npm runs it: by the terminal, and passed on by npm. */
const echoMs = 1000
const aliveMs = 3_600_000

const interrupted = new AbortController()
let interruptedAt: number | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  const interrupt = (): void => {
    const now = systemClock.now()
    interruptedAt ??= now
    interrupted.abort()
    if (now - interruptedAt < echoMs) return
    // Someone does not want to wait: the signal ends the process, as if nobody listened to it.
    process.off(signal, interrupt)
    process.kill(process.pid, signal)
  }
  process.on(signal, interrupt)
}

const terminal = new Terminal({
  output: process.stdout,
  errors: process.stderr,
  environment: process.env,
  now: () => systemClock.now(),
})
// A reader that has seen enough (`daybook … | head`) is no error.
process.stdout.on('error', () => {
  if (!terminal.outlivesReader) process.exit(0)
})
// Who does not read what went wrong still gets the exit code.
process.stderr.on('error', () => undefined)

// What a command waits for may be a timer alone (a database that is away), and timers of ours keep no process alive.
const alive = setInterval(() => undefined, aliveMs)
process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal,
  environment: process.env,
  input: process.stdin,
  signal: interrupted.signal,
})
clearInterval(alive)
