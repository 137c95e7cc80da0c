/**
 * What the demonstrated application does with a flight: the business rules, apart from how they reach the database.
 *
 * - The route's counters grow, and so do those of both airports, which also remember when they were last seen.
 * - The route's latest flight is replaced; a route that none of the last `latestWindow` flights flew loses it.
 * - A departure more than `lateMinutes` late raises the airport's alert, or counts on it; the next punctual one deletes it.
 *
 * Work is decided in the order of the flights and depends on nothing else, so a restarted application decides the same.
 */

import type { Flight } from './flights.ts'

export const latestWindow = 1_000
export const lateMinutes = 60

export interface FlightWork {
  /** Counts from 0 over all flights of a run. */
  readonly index: number
  readonly flight: Flight
  /** The route whose latest flight is outdated now. */
  readonly outdated: Pick<Flight, 'origin' | 'destination'> | undefined
  readonly alert: 'raise' | 'clear' | undefined
}

export class Workload {
  readonly #flights: readonly Flight[]
  readonly #lastIndexOfRoute = new Map<string, number>()
  readonly #alerts = new Set<string>()
  #next = 0

  /** Starts over at the first flight once all are used up. */
  constructor(flights: readonly Flight[]) {
    this.#flights = flights
  }

  next(): FlightWork {
    const index = this.#next++
    const flight = this.#at(index)
    this.#lastIndexOfRoute.set(routeOf(flight), index)
    return { index, flight, outdated: this.#outdatedAt(index), alert: this.#alertOf(flight) }
  }

  #at(index: number): Flight {
    const flight = this.#flights[index % this.#flights.length]
    if (flight === undefined) throw new Error('There are no flights to replay.')
    return flight
  }

  #outdatedAt(index: number): FlightWork['outdated'] {
    if (index < latestWindow) return undefined
    const flight = this.#at(index - latestWindow)
    return this.#lastIndexOfRoute.get(routeOf(flight)) === index - latestWindow ? flight : undefined
  }

  #alertOf({ origin, delay }: Flight): FlightWork['alert'] {
    if (delay > lateMinutes) {
      this.#alerts.add(origin)
      return 'raise'
    }
    return delay <= 0 && this.#alerts.delete(origin) ? 'clear' : undefined
  }
}

export function routeOf({ origin, destination }: Pick<Flight, 'origin' | 'destination'>): string {
  return `${origin}-${destination}`
}
