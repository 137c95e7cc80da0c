/** The command behind `npm run simulate:planted`. */

import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { plantedBugs } from './bugs.ts'
import { huntAll, maxSeeds, type Hunt } from './hunt.ts'
import { plantedBugsPage, plantedBugsPath } from './page.ts'
import type { PlantedBug } from './planting.ts'

interface Given {
  readonly bug: readonly string[] | undefined
  readonly seeds: number
  readonly threads: number
  readonly write: boolean
}

const command = new Command('simulate:planted')
  .description(
    'Plants known mistakes into the engine, one at a time, and lets the simulation find them.',
  )
  .option('--bug <names...>', 'only these')
  .option('--seeds <count>', 'how many worlds may be tried for each', count, maxSeeds)
  .option('--threads <count>', 'side by side', count, Math.min(8, availableParallelism()))
  .option('--write', 'write the table of docs/planted-bugs.md', false)
  .addHelpText(
    'after',
    `
The exit code is 0 where each bug is caught by a checker that may find it, and 1 where one is not.`,
  )

const given = command.parse(process.argv).opts<Given>()
const unknown = given.bug?.find((wanted) => plantedBugs.every(({ name }) => name !== wanted))
if (unknown !== undefined) {
  command.error(`There is no planted bug ${unknown}: ${plantedBugs.map(nameOf).join(', ')}.`)
}
const bugs = plantedBugs.filter(({ name }) => given.bug?.includes(name) ?? true)
if (given.write && bugs.length < plantedBugs.length) {
  command.error('The table has all bugs: --write goes without --bug.')
}

const hunts: Hunt[] = []
for (const hunting of huntAll(bugs, given.seeds, given.threads).values()) {
  const hunt = await hunting
  hunts.push(hunt)
  console.log(lineOf(hunt))
  if (!isCaughtWell(hunt)) process.exitCode = 1
}
const caught = hunts.filter(isCaughtWell)
const seconds = hunts.reduce((sum, { userMs }) => sum + userMs, 0) / 1000
console.log(`\n${caught.length} of ${bugs.length} are caught, in ${seconds.toFixed(0)} s of CPU`)
if (given.write && process.exitCode === undefined) {
  await writeFile(plantedBugsPath, await plantedBugsPage(hunts))
}

/** By another checker than those that may: something else is wrong with the world, or with the planting. */
function isCaughtWell({ bug, caught }: Hunt): boolean {
  return caught !== undefined && bug.checkers.includes(caught.checker)
}

function lineOf(hunt: Hunt): string {
  const { bug, caught, userMs } = hunt
  const seconds = `${(userMs / 1000).toFixed(1)} s`.padStart(8)
  const name = bug.name.padEnd(36)
  if (caught === undefined) return `MISSED  ${name} ${String(given.seeds).padStart(5)} ${seconds}`
  const found = `${name} ${String(caught.seed).padStart(5)} ${seconds}  ${caught.checker}`
  return isCaughtWell(hunt) ? `caught  ${found}` : `OTHER   ${found}\n  ${caught.message}`
}

function nameOf({ name }: PlantedBug): string {
  return name
}

function count(text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 1) return number
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}
