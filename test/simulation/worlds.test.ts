/**
 * Goal: what Daybook promises holds in worlds in which everything goes wrong. Method: `simulation/`, the real engine on a
 * virtual clock, disk and database. CI runs many more seeds by `npm run simulate`; here are enough of them to notice a
 * mistake at once, and the seeds that found one.
 */

import { expect, test } from 'vitest'

import { missing } from '../../simulation/coverage.ts'
import { runSeeds, sqliteDirectory } from '../../simulation/seeds.ts'
import { shrink } from '../../simulation/shrink.ts'
import { swarmOf } from '../../simulation/swarm.ts'
import { Tally } from '../../simulation/tally.ts'
import { runWorld } from '../../simulation/world.ts'

const nothing = (): void => undefined

test.each(['memory', 'sqlite'] as const)(
  'worlds on %s hold',
  async (grades) => {
    const count = grades === 'memory' ? 500 : 60
    const tally = await runSeeds({ first: 1, count, step: 1, grades, twiceEvery: 0 }, nothing)
    expect(tally.failures).toEqual([])
    expect(tally.commits, 'the database was written to').toBeGreaterThan(count)
    expect(tally.reads, 'reads were checked').toBeGreaterThan(count)
    expect(tally.boots, 'processes ended and began').toBeGreaterThan(count)
  },
  300_000,
)

test('the same seed gives the same trace, to the byte', async () => {
  const tally = await runSeeds(
    { first: 1001, count: 20, step: 7, grades: 'memory', twiceEvery: 1 },
    nothing,
  )
  expect(tally.failures).toEqual([])
  expect(tally.twice).toBe(20)
}, 120_000)

/** Each found a bug; docs/testing.md tells which. */
test.each([44, 51, 490, 607, 890, 1012, 1292, 1334, 1446, 1533, 1598, 1724, 1813])(
  'seed %i, which found a bug, holds',
  async (seed) => {
    const report = await runWorld(swarmOf(seed, 'memory'), { sqliteDirectory: sqliteDirectory() })
    expect(report.violation).toBeUndefined()
  },
  60_000,
)

test('a run in which a fault or a state never came is not taken for a proof', () => {
  const tally = new Tally()
  tally.seeds = 1000
  expect(missing(tally)).toContain('process: kill fired in 0.0 % of the seeds')
  expect(missing(tally)).toContain('fenced was reached in 0 seeds')
  tally.fired.set('process: kill', 50)
  expect(missing(tally).filter((lack) => lack.startsWith('process: kill'))).toEqual([])
  tally.seeds = 10
  expect(missing(tally), 'too few seeds to ask').toEqual([])
})

test('a world that holds cannot be shrunk', async () => {
  const shrunk = await shrink(2, 'memory', 'no such checker')
  expect(shrunk.without).toEqual([])
  expect(shrunk.operations).toHaveLength(swarmOf(2, 'memory').operations.length)
}, 120_000)
