import { runWorld } from './world.ts'
import { swarmOf } from './swarm.ts'
const from = Number(process.argv[2] ?? 1)
const count = Number(process.argv[3] ?? 1)
const trace = process.argv.includes('--trace')
Error.stackTraceLimit = trace ? 20 : 0
let events = 0
let boots = 0
const started = performance.now()
let bad = 0
const fired = new Map<string, number>()
for (let seed = from; seed < from + count; seed++) {
  if (process.env['P']) console.log(seed)
  const report = await runWorld(
    swarmOf(seed, 'memory'),
    trace ? { trace: (line) => console.log(line) } : {},
  )
  events += report.events
  boots += report.boots
  for (const [k] of report.fired) fired.set(k, (fired.get(k) ?? 0) + 1)
  if (report.violation !== undefined) {
    bad++
    console.log(
      seed,
      report.events,
      report.violation.checker,
      report.violation.message.slice(0, 600),
    )
    if (bad > 12) break
  }
}
console.log(
  count,
  'seeds',
  bad,
  'bad',
  ((performance.now() - started) / count).toFixed(2),
  'ms per seed',
)
if (process.argv.includes('--fired'))
  console.log(
    [...fired]
      .sort((a, b) => b[1] - a[1])
      .map(([k, v]) => `${v} ${k}`)
      .join('\n'),
  )
