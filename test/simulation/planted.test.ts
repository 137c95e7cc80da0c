/**
 * Each planted bug is caught by the simulation, and the engine without it holds in the same worlds. What is hunted here
 * is what `npm run simulate:planted` hunts: from seed 1 on, up to the first one that catches.
 */

import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { beforeAll, describe, expect, test } from 'vitest'
import { plantedBugs } from '../../simulation/planted/bugs.ts'
import {
  huntAll,
  maxSeeds,
  runThread,
  seedsUpTo,
  type Hunt,
} from '../../simulation/planted/hunt.ts'
import { plantedBugsPath } from '../../simulation/planted/page.ts'
import { planted, type PlantedBug } from '../../simulation/planted/planting.ts'

/** Minutes of two cores, which others may be using. */
const timeoutMs = 900_000
const threads = 2

describe('planted bugs', () => {
  test('are at least 28, each with a name of its own', () => {
    expect(new Set(plantedBugs.map(({ name }) => name)).size).toBe(plantedBugs.length)
    expect(plantedBugs.length).toBeGreaterThanOrEqual(28)
  })

  test.each(plantedBugs.map((bug) => [bug.name, bug] as const))(
    '%s: its places stand in the file once each, and what comes of it can be compiled',
    (_, bug) => {
      expect(stripTypeScriptTypes(planted(bug))).not.toBe('')
    },
  )

  test.each([
    ['gone', 'a place that is not there', 'stands 0 times'],
    ['two places', 'this.', 'times in'],
  ])('are refused where a place is %s', (_, find, message) => {
    const [bug] = plantedBugs
    const rotten = { ...(bug as PlantedBug), edits: [{ find, replace: '' }] }
    expect(() => planted(rotten)).toThrow(message)
  })

  test('are all in docs/planted-bugs.md', () => {
    const page = readFileSync(plantedBugsPath, 'utf8')
    expect(plantedBugs.filter(({ name }) => !page.includes(`\`${name}\``))).toEqual([])
  })
})

describe('the simulation', () => {
  let hunts: ReturnType<typeof huntAll> = new Map()

  beforeAll(() => {
    hunts = huntAll(plantedBugs, maxSeeds, threads)
    // Whichever fails, its own test says so.
    for (const hunt of hunts.values()) hunt.catch(() => undefined)
  })

  test.each(plantedBugs.map((bug) => [bug.name, bug] as const))(
    'catches %s',
    async (_, bug) => {
      const { caught } = (await hunts.get(bug)) as Hunt
      expect(caught, `no seed up to ${maxSeeds} catches it`).toBeDefined()
      expect(bug.checkers, caught?.message).toContain(caught?.checker)
    },
    timeoutMs,
  )

  test.each(['memory', 'sqlite'] as const)(
    'finds nothing in the engine without them, in the same worlds: %s',
    async (grade) => {
      const ended = await Promise.all(hunts.values())
      const seeds = ended
        .filter(({ bug }) => (bug.grade ?? 'memory') === grade)
        .map(({ caught }) => caught?.seed ?? maxSeeds)
      const { caught } = await runThread({
        bug: undefined,
        grade,
        seeds: seedsUpTo(Math.max(...seeds)),
      })
      expect(caught).toBeUndefined()
    },
    timeoutMs,
  )
})
