/** What the demonstration has to say in the end, for people and for programs. */

import type { Comparison, Compared } from '../demo/comparison.ts'
import type { DemoResult, Replayed } from '../demo/demo.ts'
import { count, counted, duration, ratio } from './quantities.ts'
import { pairs, table, type Terminal } from './terminal.ts'

const shownDifferences = 10

export function verdictLines(terminal: Terminal, result: Replayed): string[] {
  const { flights, mutations, rowsWritten, seconds, kills, acknowledgedLost, verdict } = result
  const bad = verdict.differences.length
  const lines = pairs(terminal, [
    [
      'flights',
      `${count(flights)} in ${seconds.toFixed(1)} s, restarts and the last flush included`,
    ],
    [
      'coalescing',
      `${count(mutations)} writes → ${count(rowsWritten)} rows sent to the database (${ratio(mutations / rowsWritten)} : 1)`,
    ],
    [
      'kill -9',
      `${counted(kills.length, 'time')}; acknowledged flights lost: ${lossOf(terminal, acknowledgedLost)}`,
    ],
    [
      'every row',
      `${count(verdict.rows)} compared with the result computed from the file; differences: ${lossOf(terminal, bad)}`,
    ],
  ])
  for (const { table: name, key, expected, actual } of verdict.differences.slice(
    0,
    shownDifferences,
  )) {
    lines.push(
      `  ${name} ${key}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(actual)}`,
    )
  }
  if (bad > shownDifferences) lines.push(`  and ${count(bad - shownDifferences)} more`)
  return lines
}

function lossOf(terminal: Terminal, lost: number): string {
  return terminal.style(lost === 0 ? ['bold', 'green'] : ['bold', 'red'], count(lost))
}

export function comparisonLines(
  terminal: Terminal,
  { comparison, database, directory }: DemoResult,
): string[] {
  const lines: string[] = []
  if (comparison !== undefined) lines.push(...contendersTable(terminal, comparison, database))
  if (directory !== undefined) lines.push('', `Kept in ${directory}`)
  return lines
}

function contendersTable(terminal: Terminal, comparison: Comparison, database: string): string[] {
  const contenders = [
    comparison['write-through'],
    comparison['write-behind'],
    comparison['memory-buffer'],
  ]
  const row = (name: string, cell: (compared: Compared) => string): string[] => [
    name,
    ...contenders.map(cell),
  ]
  const rows = [
    row('flights acknowledged per second', ({ flights, acknowledgedMs }) =>
      count((flights * 1000) / acknowledgedMs),
    ),
    row('flights per second until in the database', ({ flights, drainedMs }) =>
      count((flights * 1000) / drainedMs),
    ),
    row('acknowledgement, p50', ({ latency }) => duration(latency.p50)),
    row('acknowledgement, p99', ({ latency }) => duration(latency.p99)),
    row('age of a row when it is in the database, p50', ({ staleness }) => duration(staleness.p50)),
    row('age of a row when it is in the database, p99', ({ staleness }) => duration(staleness.p99)),
    row('transactions per 1,000 flights', (compared) =>
      perThousand(compared, compared.transactions),
    ),
    row('statements per 1,000 flights', (compared) => perThousand(compared, compared.statements)),
    row('rows written per 1,000 flights', (compared) => perThousand(compared, compared.rows)),
    row('acknowledged flights that one kill -9 lost', ({ lostByKill }) =>
      lossOf(terminal, lostByKill),
    ),
  ]
  return [
    '',
    terminal.style('bold', `Write-through against write-behind, on ${database}, 64 clients`),
    ...table(
      terminal,
      [
        { title: '' },
        { title: 'write-through', align: 'right' },
        { title: 'write-behind', align: 'right' },
        { title: 'memory buffer', align: 'right' },
      ],
      rows,
    ),
    terminal.style(
      'dim',
      'write-through: one transaction of hand-written SQL per flight. write-behind: Daybook, acknowledged',
    ),
    terminal.style(
      'dim',
      'from its journal. memory buffer: acknowledged from memory, flushed every 500 ms, no journal.',
    ),
  ]
}

function perThousand({ flights }: Compared, value: number): string {
  const share = (value * 1000) / flights
  if (share < 1) return share.toFixed(2)
  return share < 10 ? share.toFixed(1) : count(share)
}

/** Figures for programs. Times in ms but `seconds`. */
export function demoJson(result: DemoResult): object {
  const {
    database,
    seed,
    flights,
    mutations,
    rowsWritten,
    kills,
    acknowledgedLost,
    verdict,
    seconds,
  } = result
  return {
    database,
    seed,
    flights,
    mutations,
    rowsWritten,
    kills: kills.length,
    acknowledgedLost,
    rowsCompared: verdict.rows,
    differences: verdict.differences.length,
    firstDifferences: verdict.differences.slice(0, shownDifferences),
    seconds,
    recoveryMs: kills.map(({ recoveryMs }) => recoveryMs),
    ...(result.comparison === undefined ? {} : { comparison: comparisonJson(result.comparison) }),
  }
}

function comparisonJson(comparison: Comparison): object {
  return Object.fromEntries(
    Object.entries(comparison).map(([name, compared]: [string, Compared]) => {
      const { flights, mutations, transactions, statements, rows, latency, staleness } = compared
      const { acknowledgedMs, drainedMs, acknowledgedAtKill, lostByKill } = compared
      const figures = {
        flights,
        acknowledgedPerSecond: (flights * 1000) / acknowledgedMs,
        drainedPerSecond: (flights * 1000) / drainedMs,
        latencyMs: latency,
        stalenessMs: staleness,
        mutations,
        transactions,
        statements,
        rows,
        acknowledgedAtKill,
        lostByKill,
      }
      return [name, figures]
    }),
  )
}
