/** What one flight writes to the caches: all of it in one atomic batch. */

import type { Row, TableName } from './tables.ts'
import type { FlightWork } from './workload.ts'

export type CacheWrite = { readonly cache: TableName; readonly key: string | readonly string[] } & (
  | { readonly kind: 'set' | 'merge'; readonly fields: Row }
  | { readonly kind: 'increment'; readonly amounts: Readonly<Record<string, number>> }
  | { readonly kind: 'delete' }
)

export function cacheWrites({ index, flight, outdated, alert }: FlightWork): CacheWrite[] {
  const { origin, destination, date, delay, distance } = flight
  const route = [origin, destination]
  const writes: CacheWrite[] = [
    {
      cache: 'routes',
      key: route,
      kind: 'increment',
      amounts: { flights: 1, delay_minutes: delay, distance_miles: distance },
    },
    { cache: 'airports', key: origin, kind: 'increment', amounts: { departures: 1 } },
    {
      cache: 'airports',
      key: origin,
      kind: 'merge',
      fields: { last_seen: date, last_delay: delay },
    },
    { cache: 'airports', key: destination, kind: 'increment', amounts: { arrivals: 1 } },
    { cache: 'airports', key: destination, kind: 'merge', fields: { last_seen: date } },
    {
      cache: 'latest_flights',
      key: route,
      kind: 'set',
      fields: { flown_at: date, delay, distance },
    },
  ]
  if (outdated !== undefined) {
    const key = [outdated.origin, outdated.destination]
    writes.push({ cache: 'latest_flights', key, kind: 'delete' })
  }
  if (alert === 'raise') {
    const fields = { last_delay: delay, last_late_at: date }
    writes.push({ cache: 'alerts', key: origin, kind: 'increment', amounts: { late_flights: 1 } })
    writes.push({ cache: 'alerts', key: origin, kind: 'merge', fields })
  }
  if (alert === 'clear') writes.push({ cache: 'alerts', key: origin, kind: 'delete' })
  writes.push({ cache: 'replay', key: 'cursor', kind: 'set', fields: { flight: index } })
  return writes
}
