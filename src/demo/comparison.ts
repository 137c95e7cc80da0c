/**
 * The same application on the same machine and database, with each contender in turn: what an acknowledgement costs, what the
 * database is sent, how old its rows are, and what one kill loses.
 *
 * The loss is counted by route: flights that were acknowledged to this process, less the flights that the route's row
 * counts after the contender's own recovery.
 */

import { type ContenderName, openContender } from './contender.ts'
import { openDemoDatabase, type Target } from './database.ts'
import type { Flight } from './flights.ts'
import type { FromWriter, Measurement } from './messages.ts'
import { systemClock } from '../base/clock.ts'
import { routeOf } from './workload.ts'
import { WriterProcess } from './writer-process.ts'

export interface ComparisonOptions {
  readonly flights: readonly Flight[]
  readonly concurrency: number
  readonly measureMs: number
  readonly random: () => number
  /** A place of its own for each contender. */
  readonly place: (contender: ContenderName) => {
    readonly target: Target
    readonly directory: string
  }
  readonly keep: boolean
  readonly started: (contender: ContenderName) => void
  readonly signal: AbortSignal
}

export interface Compared extends Measurement {
  /** Flights acknowledged before the kill, the measured ones included. */
  readonly acknowledgedAtKill: number
  /** Of those, flights that are in the database neither then nor after recovery. */
  readonly lostByKill: number
}

export type Comparison = Readonly<Record<ContenderName, Compared>>

export async function compare(options: ComparisonOptions): Promise<Comparison> {
  return {
    'write-through': await compareOne('write-through', options),
    'write-behind': await compareOne('write-behind', options),
    'memory-buffer': await compareOne('memory-buffer', options),
  }
}

async function compareOne(contender: ContenderName, options: ComparisonOptions): Promise<Compared> {
  options.signal.throwIfAborted()
  options.started(contender)
  const { target, directory } = options.place(contender)
  const database = await openDemoDatabase(target)
  try {
    await database.createTables()
    const { measurement, acknowledged } = await raceUntilKilled(
      contender,
      { target, directory },
      options,
    )
    const survivor = await openContender(contender, { target, directory })
    await survivor.close()
    const { routes } = await database.read()
    const counted = new Map(
      routes.map((row) => [`${row['origin']}-${row['destination']}`, Number(row['flights'])]),
    )
    let lostByKill = 0
    let acknowledgedAtKill = 0
    for (const [route, flights] of acknowledged) {
      acknowledgedAtKill += flights
      lostByKill += Math.max(0, flights - (counted.get(route) ?? 0))
    }
    return { ...measurement, acknowledgedAtKill, lostByKill }
  } finally {
    if (options.keep) await database.close()
    else await database.drop()
  }
}

interface Race {
  readonly measurement: Measurement
  /** By route. */
  readonly acknowledged: ReadonlyMap<string, number>
}

async function raceUntilKilled(
  contender: ContenderName,
  place: { readonly target: Target; readonly directory: string },
  { flights, concurrency, measureMs, random, signal }: ComparisonOptions,
): Promise<Race> {
  const acknowledged = new Map<string, number>()
  let measurement: Measurement | undefined
  const hear = (message: FromWriter): void => {
    if (message.type === 'acknowledged') {
      for (const index of message.flights) {
        const flight = flights[index % flights.length]
        if (flight === undefined) continue
        acknowledged.set(routeOf(flight), (acknowledged.get(routeOf(flight)) ?? 0) + 1)
      }
    }
    if (message.type === 'measured') {
      measurement = message.measurement
      // Somewhere between two flushes of half a second.
      systemClock.setTimer(100 + 350 * random(), kill)
    }
  }
  const assignment = { contender, ...place, flights: flights.length, concurrency, measureMs }
  const writer = new WriterProcess(assignment, hear)
  const kill = (): void => writer.kill()
  signal.addEventListener('abort', kill)
  try {
    await writer.finished
  } finally {
    signal.removeEventListener('abort', kill)
  }
  signal.throwIfAborted()
  if (measurement === undefined)
    throw new Error(`The ${contender} process ended before it was measured.`)
  return { measurement, acknowledged }
}
