/** `npm run simulate:exhaustive [-- --history NAME [--state N]]` */

import { parseArgs } from 'node:util'
import { explorations } from './explorations.ts'
import type { Failure } from './explore.ts'
import { textOfFailure } from './report.ts'

const { values } = parseArgs({
  options: { history: { type: 'string' }, state: { type: 'string' } },
})
const chosen = explorations.filter(
  ({ name }) => values.history === undefined || values.history === name,
)
if (chosen.length === 0) {
  console.error(
    `There is no history ${values.history}: ${explorations.map(({ name }) => name).join(', ')}.`,
  )
  process.exit(2)
}
const state = values.state === undefined ? undefined : Number(values.state)

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
