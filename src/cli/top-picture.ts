/** What `daybook top` shows of one moment: a picture of 80 columns, or one line. */

import { problemsOf } from '../observe/problems.ts'
import type { BookStats } from '../observe/stats.ts'
import { laneTable } from './lane-table.ts'
import { bytes, count, counted, duration, ratio } from './quantities.ts'
import { bar, pad, pairs, printable, type Terminal } from './terminal.ts'

/** Figures of now, and rates since the moment before. */
export interface TopMoment {
  readonly stats: BookStats
  /** Wall clock, ms. */
  readonly atMs: number
  readonly writesPerSecond: number
  readonly rowsPerSecond: number
  /** The newest last. */
  readonly lagsMs: readonly number[]
  /** What the last key did; empty where none did anything. */
  readonly said: string
}

/** A terminal of 80 columns keeps the last one free, so that no line wraps. */
export const topColumns = 79
const lagCells = 40
const meterCells = 20
/** Lanes beyond this are summed up in a line. */
const maxLanes = 8

type Styles = Pick<Terminal, 'style'>

export function topLines(terminal: Styles, directory: string, moment: TopMoment): string[] {
  const { stats, atMs } = moment
  const problems = problemsOf(stats).map(({ message }) =>
    terminal.style('red', `! ${printable(message, topColumns - 2)}`),
  )
  const title = `daybook ${printable(directory, 46)}`
  const when = `${stats.state}  ${timeOf(atMs)}`
  return [
    `${terminal.style('bold', pad(title, topColumns - when.length, 'left'))}${stateStyled(terminal, stats, when)}`,
    '',
    ...figures(terminal, moment),
    '',
    ...lanes(terminal, stats),
    ...(problems.length === 0 ? [] : ['', ...problems]),
    '',
    ...footer(terminal, moment.said),
  ]
}

/** For a pipe or a log. */
export function topLine({ stats, atMs, writesPerSecond, rowsPerSecond }: TopMoment): string {
  return [
    timeOf(atMs),
    stats.state,
    `lag ${duration(stats.lagMs)}`,
    `pending ${count(stats.pending.mutations)}`,
    `writes ${count(writesPerSecond)}/s`,
    `rows ${count(rowsPerSecond)}/s`,
    stats.breaker.state === 'closed' ? 'store up' : 'store away',
    `dead letters ${count(stats.deadLetters.count)}`,
  ].join('  ')
}

function figures(terminal: Styles, moment: TopMoment): string[] {
  const { stats, writesPerSecond, rowsPerSecond, lagsMs } = moment
  const { pending, coalescing, batches, journal, limits, cache } = stats
  const highest = Math.max(0, ...lagsMs)
  const now = rowsPerSecond === 0 ? '' : `, now ${ratio(writesPerSecond / rowsPerSecond)} : 1`
  return pairs(terminal, [
    [
      'lag',
      `${pad(duration(stats.lagMs), 12, 'left')}${terminal.style('cyan', sparkline(lagsMs, lagCells))} ${duration(highest)}`,
    ],
    [
      'pending',
      pending.mutations === 0
        ? 'nothing: all that was acknowledged is in the database'
        : `${counted(pending.mutations, 'mutation')}, ${bytes(pending.bytes)}${drain(stats)}`,
    ],
    [
      'flow',
      `${count(writesPerSecond)} writes/s in, ${count(rowsPerSecond)} rows/s out (${ratio(coalescing.ratio)} : 1${now})`,
    ],
    [
      'flush',
      `p50 ${duration(batches.tookMs.p50)}, p99 ${duration(batches.tookMs.p99)}; ${count(batches.count)} ${batches.count === 1 ? 'batch' : 'batches'}, ${count(stats.retries)} ${stats.retries === 1 ? 'retry' : 'retries'}`,
    ],
    ['sync', `p50 ${duration(journal.syncMs.p50)}, p99 ${duration(journal.syncMs.p99)}`],
    ['journal', meter(terminal, journal.bytes, limits.journalBytes)],
    ['memory', meter(terminal, pending.memoryBytes, limits.memoryBytes)],
    ['store', storeOf(terminal, stats)],
    [
      'dead letters',
      stats.deadLetters.count === 0
        ? 'none'
        : terminal.style(
            'red',
            `${count(stats.deadLetters.count)}, ${bytes(stats.deadLetters.bytes)}`,
          ),
    ],
    ['cache', `${(cache.ratio * 100).toFixed(1)} % hits, ${count(cache.entries)} values`],
  ])
}

function drain({ drainEstimateMs, breaker, state }: BookStats): string {
  const isMoving = breaker.state === 'closed' && state === 'open'
  return drainEstimateMs === undefined || !isMoving
    ? ''
    : `, drained in ${duration(drainEstimateMs)}`
}

function storeOf(terminal: Styles, { breaker, cache }: BookStats): string {
  if (breaker.state === 'closed' && cache.readFailure !== undefined) {
    return terminal.style('red', 'reads fail')
  }
  if (breaker.state === 'closed') return terminal.style('green', 'answers')
  const next =
    breaker.nextProbeInMs === undefined ? '' : `, next try in ${duration(breaker.nextProbeInMs)}`
  return terminal.style('red', `away after ${counted(breaker.failures, 'attempt')}${next}`)
}

function meter(terminal: Styles, value: number, max: number): string {
  const share = max === 0 ? 0 : value / max
  const { filled, rest } = bar(share, meterCells)
  const style = share > 0.9 ? 'red' : share > 0.7 ? 'yellow' : 'green'
  return `${terminal.style(style, filled)}${terminal.style('dim', rest)} ${bytes(value)} of ${bytes(max)}`
}

function lanes(terminal: Styles, stats: BookStats): string[] {
  const shown = stats.lanes.slice(0, maxLanes)
  const rest = stats.lanes.slice(maxLanes)
  const lines = laneTable(terminal, shown)
  if (rest.length === 0) return lines
  const pending = rest.reduce((sum, lane) => sum + lane.pending, 0)
  return [
    ...lines,
    terminal.style('dim', `  … ${counted(rest.length, 'more lane')}, ${count(pending)} pending`),
  ]
}

function footer(terminal: Styles, said: string): string[] {
  const keys = terminal.style('dim', 'q quit  p pause  r resume  f flush')
  return said === '' ? [keys] : [printable(said, topColumns), keys]
}

function stateStyled(terminal: Styles, { state, breaker }: BookStats, text: string): string {
  const isGood = state === 'open' && breaker.state === 'closed'
  return terminal.style(isGood ? 'green' : 'yellow', text)
}

function timeOf(atMs: number): string {
  return new Date(atMs).toTimeString().slice(0, 8)
}

const blocks = '▁▂▃▄▅▆▇█'

/** The newest `cells` values, each as a bar of up to eight eighths of the greatest; blank before there were any. */
export function sparkline(values: readonly number[], cells: number): string {
  const shown = values.slice(-cells)
  const top = Math.max(...shown, 0)
  const bars = shown.map((value) => {
    const eighth = top === 0 ? 0 : Math.round((value / top) * (blocks.length - 1))
    return blocks.charAt(Math.min(Math.max(eighth, 0), blocks.length - 1))
  })
  return pad(bars.join(''), cells, 'right')
}
