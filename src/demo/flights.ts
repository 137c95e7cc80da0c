/**
 * The demonstration's data: 20,000 real flights of early 2001, in the order of their departure, from the npm package
 * `vega-datasets`.
 */

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { DaybookError } from '../base/errors.ts'

export interface Flight {
  /** `2001-01-01T00:47:00.000`, local time of the origin. */
  readonly date: string
  /** Minutes; negative where it was early. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

export const availableFlights = 20_000

/** The first `count` flights of the file. Throws INVALID_OPTION where the package is not installed. */
export async function loadFlights(count = availableFlights): Promise<Flight[]> {
  const records: unknown = JSON.parse(await readFile(findFlightsFile(), 'utf8'))
  if (!Array.isArray(records)) throw new Error('flights-20k.json is not a list.')
  return records.slice(0, count).map((record) => parseFlight(record))
}

/** The package exports no data files, so its folder is found by its entry point. */
function findFlightsFile(): string {
  for (const from of [import.meta.filename, join(process.cwd(), 'daybook-demo.js')]) {
    for (let folder = entryFolder(from); folder !== undefined; folder = parentOf(folder)) {
      const file = join(folder, 'data', 'flights-20k.json')
      if (existsSync(file)) return file
    }
  }
  throw new DaybookError('INVALID_OPTION', 'The demonstration’s flights are not installed.', {
    hint: 'Run `npm install vega-datasets` in this folder, then the demonstration again.',
  })
}

function entryFolder(from: string): string | undefined {
  try {
    return dirname(createRequire(from).resolve('vega-datasets'))
  } catch {
    return undefined
  }
}

function parentOf(folder: string): string | undefined {
  const parent = dirname(folder)
  return parent === folder ? undefined : parent
}

export function parseFlight(record: unknown): Flight {
  const { date, delay, distance, origin, destination } = record as Record<string, unknown>
  const parts = typeof date === 'string' ? /^(\d{4})\/(\d\d)\/(\d\d) (\d\d:\d\d)$/.exec(date) : null
  if (
    parts === null ||
    typeof delay !== 'number' ||
    typeof distance !== 'number' ||
    typeof origin !== 'string' ||
    typeof destination !== 'string'
  ) {
    throw new Error('flights-20k.json has a record that is not a flight.')
  }
  const [, year, month, day, time] = parts
  return { date: `${year}-${month}-${day}T${time}:00.000`, delay, distance, origin, destination }
}
