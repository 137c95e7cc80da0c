/** Goal: a run that has found something, or has not really looked, says so and fails. */

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { CycleResult } from '../../torture/cycle.ts'
import { faults } from '../../torture/faults.ts'
import { Report, type Planned } from '../../torture/report.ts'

const [first, second] = faults
const planned: Planned[] = [first, second]
  .filter((fault) => fault !== undefined)
  .flatMap((fault) => fault.stores.map((store) => ({ fault, store })))

const quiet: CycleResult = {
  fired: true,
  point: 'before',
  acknowledged: 1_234,
  indeterminate: 5,
  violations: [],
  recoveriesMs: [30, 10, 20],
  tookMs: 900,
  directory: undefined,
}

function reporting(): { report: Report; text: () => string } {
  const output = new PassThrough()
  let text = ''
  output.setEncoding('utf8').on('data', (part: string) => (text += part))
  const report = new Report(planned, 10, output)
  return { report, text: () => text }
}

function at(index: number): Planned {
  const plan = planned[index]
  if (plan === undefined) throw new Error('there are fewer faults than that')
  return plan
}

test('a run in which everything fired and nothing was wrong does not fail', () => {
  const { report, text } = reporting()
  report.add(at(0), 7, quiet)
  report.add(at(2), 8, quiet)
  report.table()
  expect(report.failures).toEqual([])
  expect(text()).toMatch(/kill +sqlite +1 +1 +1,234 +5 +0 +0 +0 +20 ms +30 ms/)
})

test('a fault that has fired on one database only has fired', () => {
  const { report, text } = reporting()
  report.add(at(0), 7, quiet)
  report.add(at(1), 8, { ...quiet, fired: false })
  expect(report.failures).toEqual([])
  expect(text()).toContain('NOT FIRED')
})

test('a fault that has never fired fails the run', () => {
  const { report } = reporting()
  report.add(at(0), 7, quiet)
  report.add(at(2), 8, { ...quiet, fired: false })
  expect(report.failures).toEqual([`${at(2).fault.name} has never fired`])
})

test('a violation fails the run, and says what it is, what is kept, and how it is run again', () => {
  const { report, text } = reporting()
  report.add(at(0), 4_711, {
    ...quiet,
    violations: [
      { kind: 'lost', text: 'operation 3' },
      { kind: 'doubled', text: 'audit a1:2 is 2' },
      { kind: 'wrong row', text: 'a1' },
    ],
    directory: 'kept-here',
  })
  report.table()
  expect(report.failures).toEqual(['1 cycles with violations'])
  expect(text()).toContain('lost: operation 3')
  expect(text()).toContain('kept-here')
  expect(text()).toContain('npm run torture -- --cycles 1 --seed 4711 --store sqlite --only kill\n')
  expect(text()).toMatch(/kill +sqlite +1 +1 +1,234 +5 +1 +1 +1 /)
})
