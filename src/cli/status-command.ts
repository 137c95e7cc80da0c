/** `daybook status`: is anything not in the database yet, how old is it, and does anything stand in the way? */

import { Command } from 'commander'
import { problemsOf as runningProblems, type Problem } from '../observe/problems.ts'
import type { BookStats } from '../observe/stats.ts'
import { openAccess } from './access.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { jsonFlag } from './flags.ts'
import { laneTable } from './lane-table.ts'
import { bytes, count, counted, duration, ratio } from './quantities.ts'
import { pairs, printable, type Terminal } from './terminal.ts'

export function statusCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  return new Command('status')
    .summary('is anything not in the database yet, and does anything stand in the way?')
    .description(
      'Shows what is pending and how old it is, the journal, the store and the dead letters. Of a stopped application it ' +
        'shows what the files alone can tell; nothing is changed.',
    )
    .argument('<directory>', 'the directory that the application opens')
    .option(...jsonFlag)
    .addHelpText(
      'after',
      `
The exit code is 1 where flushing stands still, the journal refuses writes, or there are dead letters.

Examples:
  daybook status ./data
  daybook status ./data --json | jq .lagMs
${exitCodesHelp}`,
    )
    .action(async (directory: string, flags: { readonly json?: true }) => {
      const access = await openAccess(directory, { store: 'no', url: undefined }, context)
      try {
        const status = (await access.request('status')) as Status
        const problems = problemsOf(status)
        if (flags.json === true) context.terminal.line(JSON.stringify({ ...status, problems }))
        else
          for (const line of statusLines(context.terminal, status, problems))
            context.terminal.line(line)
        finish(problems.length === 0 ? exitCodes.ok : exitCodes.problem)
      } finally {
        await access.close()
      }
    })
}

/** What the files of a stopped application tell. */
interface StoppedStatus {
  readonly state: 'stopped'
  readonly deadLetters: BookStats['deadLetters']
}

export type Status = BookStats | StoppedStatus

function isStopped(status: Status): status is StoppedStatus {
  return status.state === 'stopped'
}

/** What someone should do something about, in plain words. */
export function problemsOf(status: Status): string[] {
  const { count: letters } = status.deadLetters
  const problems: readonly Problem[] = isStopped(status)
    ? letters > 0
      ? [{ code: 'DEAD_LETTERS', message: counted(letters, 'dead letter') }]
      : []
    : runningProblems(status)
  return problems.map(({ code, message }) =>
    code === 'DEAD_LETTERS' ? `${message}: see daybook dead-letters list` : message,
  )
}

export function statusLines(
  terminal: Terminal,
  status: Status,
  problems: readonly string[],
): string[] {
  const lines = isStopped(status) ? stoppedLines(terminal, status) : runningLines(terminal, status)
  const said = problems.map((problem) => terminal.style('red', `! ${printable(problem)}`))
  return said.length === 0 ? lines : [...lines, '', ...said]
}

function stoppedLines(terminal: Terminal, { deadLetters }: StoppedStatus): string[] {
  return pairs(terminal, [
    ['state', `stopped: no application has the directory open`],
    [
      'pending',
      'unknown: the database knows how far it has come (daybook flush brings it up to date)',
    ],
    ['dead letters', deadLettersOf(terminal, deadLetters)],
  ])
}

function runningLines(terminal: Terminal, status: BookStats): string[] {
  const { pending, coalescing, batches, journal, cache } = status
  const good = status.state === 'open'
  const drain = status.drainEstimateMs
  // At the pace of late, which says nothing while nothing moves.
  const isMoving = good && status.breaker.state === 'closed'
  const estimate =
    pending.mutations === 0 || drain === undefined || !isMoving
      ? ''
      : `, drained in about ${duration(drain)}`
  const lines = pairs(terminal, [
    ['state', terminal.style(good ? 'green' : 'yellow', status.state)],
    [
      'pending',
      pending.mutations === 0
        ? 'nothing: all that was acknowledged is in the database'
        : `${counted(pending.mutations, 'mutation')}, ${bytes(pending.bytes)} (${bytes(pending.memoryBytes)} in memory)`,
    ],
    ['lag', `${duration(status.lagMs)}${estimate}`],
    [
      'coalescing',
      `${count(coalescing.mutations)} writes → ${count(coalescing.rows)} rows (${ratio(coalescing.ratio)} : 1)`,
    ],
    [
      'batches',
      batches.count === 0
        ? 'none yet'
        : `${count(batches.count)}; keys p50 ${count(batches.keys.p50)}, p99 ${count(batches.keys.p99)}; ` +
          `took p50 ${duration(batches.tookMs.p50)}, p99 ${duration(batches.tookMs.p99)}`,
    ],
    [
      'journal',
      `${journal.state}, ${counted(journal.segments, 'segment')}, ${bytes(journal.bytes)}; ` +
        `sync p50 ${duration(journal.syncMs.p50)}, p99 ${duration(journal.syncMs.p99)}`,
    ],
    ['store', storeOf(status)],
    ['dead letters', deadLettersOf(terminal, status.deadLetters)],
    [
      'cache',
      `${count(cache.entries)} values, ${bytes(cache.bytes)}; hit ratio ${(cache.ratio * 100).toFixed(1)} %`,
    ],
  ])
  return status.lanes.length < 2 ? lines : [...lines, '', ...laneTable(terminal, status.lanes)]
}

function storeOf({ breaker, retries, cache }: BookStats): string {
  const retried = `${count(retries)} ${retries === 1 ? 'retry' : 'retries'}`
  const reads = cache.readFailure === undefined ? '' : ' by flushes, reads fail'
  if (breaker.state === 'closed') return `reachable${reads}; ${retried}`
  const next =
    breaker.nextProbeInMs === undefined ? '' : `, next probe in ${duration(breaker.nextProbeInMs)}`
  return `not reachable after ${counted(breaker.failures, 'attempt')}${next}`
}

function deadLettersOf(terminal: Terminal, letters: BookStats['deadLetters']): string {
  if (letters.count === 0) return 'none'
  return terminal.style('red', `${count(letters.count)}, ${bytes(letters.bytes)}`)
}
