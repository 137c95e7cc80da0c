/** The command behind `npm run simulate:exhaustive`. */

import { Command, Option } from 'commander'
import { integer } from '../../src/cli/flags.ts'
import { explorations } from './explorations.ts'
import type { Failure } from './explore.ts'
import { textOfFailure } from './report.ts'

interface Given {
  readonly history?: string
  readonly state?: number
}

const command = new Command('simulate:exhaustive')
  // What was given wrongly is no failed run.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .description(
    'Recovers from every state that a crash can leave on the disk, in every moment of scripted histories, and from every crash within those recoveries.',
  )
  .addOption(
    new Option('--history <name>', 'only this one').choices(explorations.map(({ name }) => name)),
  )
  .option('--state <number>', 'only this state, as a failure says', integer(0, 1e9))
  .addHelpText(
    'after',
    '\nThe exit code is 0 where all states were recovered from, 1 where one was not, and 2 where the options make no sense.',
  )
const { history: only, state } = command.parse().opts<Given>()
const chosen = explorations.filter(({ name }) => only === undefined || only === name)

console.log('history            operations  moments  crash states  in recovery    total  CPU s')
const totals = { states: 0, cpuSeconds: 0 }
const failures: Failure[] = []
for (const history of chosen) {
  const before = process.cpuUsage()
  const explored = await history.explore({ state })
  const { user, system } = process.cpuUsage(before)
  const cpuSeconds = (user + system) / 1e6
  const [first, second] = explored.states
  totals.states += first + second
  totals.cpuSeconds += cpuSeconds
  failures.push(...explored.failures)
  console.log(
    history.name.padEnd(18),
    String(explored.operations).padStart(10),
    String(explored.moments).padStart(8),
    String(first).padStart(13),
    String(second).padStart(12),
    String(first + second).padStart(8),
    cpuSeconds.toFixed(1).padStart(6),
  )
}
console.log(
  state === undefined
    ? `${totals.states} states in ${totals.cpuSeconds.toFixed(1)} s of one core; each was recovered from.`
    : `State ${state}: ${failures.length === 0 ? 'recovered' : 'not recovered'}.`,
)
for (const failure of failures) console.error(`\n${textOfFailure(failure)}`)
process.exitCode = failures.length === 0 ? 0 : 1
