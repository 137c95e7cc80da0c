/** `daybook top`: the figures of a running daybook, live. */

import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { Wake } from '../base/deadline.ts'
import { DaybookError, reasonOf } from '../base/errors.ts'
import type { BookStats } from '../observe/stats.ts'
import { type Access, openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { integer } from './flags.ts'
import { counted } from './quantities.ts'
import { topLine, topLines, type TopMoment } from './top-picture.ts'

interface TopFlags {
  readonly interval: number
  readonly count?: number
  readonly json?: true
}

const keptLags = 120
const flushTimeoutMs = 60_000

export function topCommand(context: CommandContext, finish: (exitCode: ExitCode) => void): Command {
  return new Command('top')
    .summary('lag, flow, latency, budgets and lanes of a running daybook, live')
    .description(
      'Shows the figures of the running application, once a second. Keys: q quits, p pauses flushing, r resumes it, f ' +
        'flushes now. Without a terminal it prints a line each time.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option('--interval <ms>', 'time between two looks', integer(100, 3_600_000), 1_000)
    .option('--count <looks>', 'end after so many looks', integer(1, 1_000_000_000))
    .option('--json', 'print the figures as JSON, one line for each look')
    .addHelpText(
      'after',
      `
Examples:
  daybook top ./data
  daybook top ./data --interval 60000 >> daybook.log
  daybook top ./data --count 1 --json | jq .lagMs
${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: TopFlags) => {
      const access = await openAccess(directory, { store: 'no', url: undefined }, context)
      try {
        if (access.mode !== 'running') throw stopped(directory)
        await new Top(directory, flags, access, context).run()
        finish(exitCodes.ok)
      } finally {
        await access.close()
      }
    })
}

function stopped(directory: string): DaybookError {
  return new DaybookError('CLOSED', 'No application has this directory open.', {
    details: { directory },
    hint: 'Start it, or see what the files tell: daybook status.',
  })
}

/** What a terminal's input can do besides being read. */
interface RawInput {
  setRawMode?: (raw: boolean) => unknown
}

class Top {
  readonly #directory: string
  readonly #flags: TopFlags
  readonly #access: Access
  readonly #context: CommandContext
  readonly #wake = new Wake()
  readonly #lagsMs: number[] = []
  #before: { readonly stats: BookStats; readonly at: number } | undefined
  #said = ''
  #over = false

  constructor(directory: string, flags: TopFlags, access: Access, context: CommandContext) {
    this.#directory = directory
    this.#flags = flags
    this.#access = access
    this.#context = context
  }

  async run(): Promise<void> {
    const { terminal, signal } = this.#context
    const { interval, count = Infinity, json } = this.#flags
    const isLive = terminal.interactive && json !== true
    const progress = isLive ? terminal.progress() : undefined
    const release = isLive ? this.#listen() : undefined
    try {
      for (let look = 1; !this.#ended(); look++) {
        const moment = await this.#look()
        if (json === true) terminal.line(JSON.stringify(moment.stats))
        else if (progress === undefined) terminal.line(topLine(moment))
        else
          progress.show(
            () => topLines(terminal, this.#directory, moment),
            () => topLine(moment),
          )
        if (look >= count) return
        await this.#wake.wait(systemClock, interval, signal)
      }
    } finally {
      release?.()
      progress?.end()
    }
  }

  /** A key or Ctrl-C may come at any await. */
  #ended(): boolean {
    return this.#over || this.#context.signal.aborted
  }

  async #look(): Promise<TopMoment> {
    const stats = (await this.#access.request('status')) as BookStats
    const at = systemClock.now()
    const before = this.#before
    this.#before = { stats, at }
    this.#lagsMs.push(stats.lagMs)
    if (this.#lagsMs.length > keptLags) this.#lagsMs.shift()
    const seconds = before === undefined ? Infinity : Math.max(0.001, (at - before.at) / 1_000)
    const rate = (now: number, then: number | undefined): number =>
      Math.max(0, (now - (then ?? now)) / seconds)
    return {
      stats,
      atMs: systemClock.wallTime(),
      writesPerSecond: rate(stats.acknowledged, before?.stats.acknowledged),
      rowsPerSecond: rate(stats.coalescing.rows, before?.stats.coalescing.rows),
      lagsMs: this.#lagsMs,
      said: this.#said,
    }
  }

  /** Returns what gives the keyboard back. */
  #listen(): (() => void) | undefined {
    const { input } = this.#context
    if (input.isTTY !== true) return undefined
    const raw = input as RawInput
    const onData = (chunk: Buffer | string): void => {
      for (const key of String(chunk)) this.#press(key)
    }
    raw.setRawMode?.(true)
    input.on('data', onData)
    input.resume()
    return () => {
      input.off('data', onData)
      raw.setRawMode?.(false)
      input.pause()
    }
  }

  #press(key: string): void {
    // In raw mode Ctrl-C is a character like any other.
    if (key === 'q' || key === '\u0003') {
      this.#over = true
      this.#wake.wake()
    } else if (key === 'p') void this.#do('pausing', 'paused', () => this.#access.request('pause'))
    else if (key === 'r') void this.#do('resuming', 'resumed', () => this.#access.request('resume'))
    else if (key === 'f') {
      void this.#do('flushing', 'flushed', async () => {
        const options = { timeoutMs: flushTimeoutMs }
        const { pending } = (await this.#access.request('flush', {}, options)) as BookStats
        return pending.mutations === 0 ? '' : `, ${counted(pending.mutations, 'mutation')} since`
      })
    }
  }

  /** Never rejects: what went wrong is said in the picture. */
  async #do(doing: string, done: string, work: () => Promise<unknown>): Promise<void> {
    this.#say(`${doing}…`)
    try {
      const more = await work()
      this.#say(`${done}${typeof more === 'string' ? more : ''}`)
    } catch (error) {
      this.#say(reasonOf(error))
    }
  }

  #say(text: string): void {
    this.#said = text
    this.#wake.wake()
  }
}
