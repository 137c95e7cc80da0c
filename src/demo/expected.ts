/**
 * The oracle: what every table must hold in the end, computed straight from the flights.
 *
 * It shares nothing with `workload.ts` but the two thresholds: it looks at the finished list from behind, where the
 * application decided flight by flight.
 */

import type { Flight } from './flights.ts'
import type { Row, Rows } from './tables.ts'
import { lateMinutes, latestWindow } from './workload.ts'

export function expectedRows(flights: readonly Flight[]): Rows {
  return {
    routes: expectedRoutes(flights),
    airports: expectedAirports(flights),
    latest_flights: expectedLatestFlights(flights),
    alerts: expectedAlerts(flights),
    replay: flights.length === 0 ? [] : [{ id: 'cursor', flight: flights.length - 1 }],
  }
}

function expectedRoutes(flights: readonly Flight[]): Row[] {
  const groups = Map.groupBy(flights, ({ origin, destination }) => `${origin} ${destination}`)
  return [...groups.values()].map((group) => ({
    origin: group[0]?.origin ?? '',
    destination: group[0]?.destination ?? '',
    flights: group.length,
    delay_minutes: sum(group.map(({ delay }) => delay)),
    distance_miles: sum(group.map(({ distance }) => distance)),
  }))
}

function expectedAirports(flights: readonly Flight[]): Row[] {
  const codes = new Set(flights.flatMap(({ origin, destination }) => [origin, destination]))
  const departures = Map.groupBy(flights, ({ origin }) => origin)
  const arrivals = Map.groupBy(flights, ({ destination }) => destination)
  return [...codes].map((code) => {
    const departed = departures.get(code) ?? []
    const arrived = arrivals.get(code) ?? []
    const lastSeen = [departed.at(-1)?.date, arrived.at(-1)?.date].filter(
      (date) => date !== undefined,
    )
    return {
      code,
      departures: departed.length,
      arrivals: arrived.length,
      last_seen: lastSeen.sort().at(-1) ?? null,
      last_delay: departed.at(-1)?.delay ?? null,
    }
  })
}

function expectedLatestFlights(flights: readonly Flight[]): Row[] {
  const latest = new Map<string, Flight>()
  for (const flight of flights.slice(-latestWindow)) {
    latest.set(`${flight.origin} ${flight.destination}`, flight)
  }
  return [...latest.values()].map(({ origin, destination, date, delay, distance }) => ({
    origin,
    destination,
    flown_at: date,
    delay,
    distance,
  }))
}

function expectedAlerts(flights: readonly Flight[]): Row[] {
  const rows: Row[] = []
  for (const [airport, departed] of Map.groupBy(flights, ({ origin }) => origin)) {
    const sincePunctual = departed.slice(departed.findLastIndex(({ delay }) => delay <= 0) + 1)
    const late = sincePunctual.filter(({ delay }) => delay > lateMinutes)
    const last = late.at(-1)
    if (last === undefined) continue
    rows.push({
      airport,
      late_flights: late.length,
      last_delay: last.delay,
      last_late_at: last.date,
    })
  }
  return rows
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
