/** `npm run simulate:exhaustive [-- --history NAME [--state N]]` */

import { parseArgs } from 'node:util'
import { explore, type Failure } from './explore.ts'
import { histories } from './histories.ts'
import { textOfFailure } from './report.ts'

const { values } = parseArgs({
  options: { history: { type: 'string' }, state: { type: 'string' } },
})
const chosen = histories.filter(
  ({ name }) => values.history === undefined || values.history === name,
)
if (chosen.length === 0) {
  console.error(
    `There is no history ${values.history}: ${histories.map(({ name }) => name).join(', ')}.`,
  )
  process.exit(2)
}
const state = values.state === undefined ? undefined : Number(values.state)

console.log('history            operations  moments  crash states  in recovery    total      s')
const totals = { states: 0, seconds: 0 }
const failures: Failure[] = []
for (const history of chosen) {
  const startedAt = performance.now()
  const explored = await explore(history, { state })
  const seconds = (performance.now() - startedAt) / 1000
  const [first, second] = explored.states
  totals.states += first + second
  totals.seconds += seconds
  failures.push(...explored.failures)
  console.log(
    history.name.padEnd(18),
    String(explored.operations).padStart(10),
    String(explored.moments).padStart(8),
    String(first).padStart(13),
    String(second).padStart(12),
    String(first + second).padStart(8),
    seconds.toFixed(1).padStart(6),
  )
}
console.log(`${totals.states} states in ${totals.seconds.toFixed(1)} s; each was recovered from.`)
for (const failure of failures) console.error(`\n${textOfFailure(failure)}`)
process.exitCode = failures.length === 0 ? 0 : 1
