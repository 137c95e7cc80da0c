/** A round of every fuzz target, always with the same seed: `npm run fuzz` takes new ones. */

import { expect, test } from 'vitest'
import fc from 'fast-check'
import { fuzzTarget } from '../../fuzz/fuzz-target.ts'
import { targets } from '../../fuzz/targets.ts'

const seed = 20_261_123

test.each(targets.map((target) => [target.name, target] as const))(
  '%s',
  async (_name, target) => {
    const { cases } = target
    const report = await target.run({ seed, cases })
    expect(report.failure).toBeUndefined()
    expect(report.cases).toBe(cases)
    // A target that never comes to one of its outcomes checks less than it seems to.
    const reached = target.outcomes.filter((outcome) => report.outcomes.has(outcome))
    expect(reached).toEqual(target.outcomes)
  },
  120_000,
)

test('names of targets are unique, for --target', () => {
  expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length)
})

test('a case that fails is reported with its seed, its path, its shrunk form and the cause', async () => {
  const target = fuzzTarget(fc.nat(1_000), {
    name: 'below-500',
    doc: 'Numbers are below 500.',
    cases: 100,
    outcomes: ['below'],
    check: (number) => {
      if (number < 500) return 'below'
      throw new Error('it is not', { cause: new Error('the cause') })
    },
  })
  const { failure, outcomes } = await target.run({ seed: 1, cases: 100 })
  expect(failure).toContain('seed: 1, path: "')
  expect(failure).toContain('Counterexample: [500]')
  expect(failure).toContain('the cause')
  expect(outcomes.get('below')).toBeGreaterThan(0)
  const path = /path: "([\d:]+)"/.exec(failure ?? '')?.[1]
  const again = await target.run({ seed: 1, cases: 100, path })
  expect(again.failure).toContain('Counterexample: [500]')
})

test('the same seed makes the same cases', async () => {
  for (const target of targets.slice(0, 3)) {
    const [one, other] = [
      await target.run({ seed: 5, cases: 50 }),
      await target.run({ seed: 5, cases: 50 }),
    ]
    expect([...other.outcomes]).toEqual([...one.outcomes])
  }
})
