/**
 * The demonstration's own tables, and the hand-written SQL that an application without Daybook would use on them. The
 * text is the same for SQLite and PostgreSQL but for the names of types and the form of placeholders.
 */

import type { FlightWork } from './workload.ts'

export type TableName = 'routes' | 'airports' | 'latest_flights' | 'alerts' | 'replay'

/** A row as it is compared: numbers, text, or null. Times as `2001-01-01T00:47:00.000`. */
export type Row = Readonly<Record<string, string | number | null>>

/** By table, the rows in any order. */
export type Rows = Readonly<Record<TableName, readonly Row[]>>

export const tableKeys: Readonly<Record<TableName, readonly string[]>> = {
  routes: ['origin', 'destination'],
  airports: ['code'],
  latest_flights: ['origin', 'destination'],
  alerts: ['airport'],
  replay: ['id'],
}

/** A row that only a merge or an increment made: every other column at its default. */
export const blankRows: Readonly<Record<TableName, Row>> = {
  routes: { flights: 0, delay_minutes: 0, distance_miles: 0 },
  airports: { departures: 0, arrivals: 0, last_seen: null, last_delay: null },
  latest_flights: { flown_at: null, delay: null, distance: null },
  alerts: { late_flights: 0, last_delay: null, last_late_at: null },
  replay: { flight: null },
}

export const tableNames = Object.keys(tableKeys) as readonly TableName[]

export async function rowsOfEach(
  rowsOf: (table: TableName) => Promise<readonly Row[]>,
): Promise<Rows> {
  return {
    routes: await rowsOf('routes'),
    airports: await rowsOf('airports'),
    latest_flights: await rowsOf('latest_flights'),
    alerts: await rowsOf('alerts'),
    replay: await rowsOf('replay'),
  }
}

/** `qualify` puts the schema before a table's name, where the database has schemas. */
export function createTables(qualify: (table: TableName) => string): string[] {
  return [
    `create table ${qualify('routes')} (
       origin text not null,
       destination text not null,
       flights bigint not null default 0,
       delay_minutes bigint not null default 0,
       distance_miles bigint not null default 0,
       primary key (origin, destination))`,
    `create table ${qualify('airports')} (
       code text not null primary key,
       departures integer not null default 0,
       arrivals integer not null default 0,
       last_seen timestamp,
       last_delay integer)`,
    `create table ${qualify('latest_flights')} (
       origin text not null,
       destination text not null,
       flown_at timestamp not null,
       delay integer not null,
       distance integer not null,
       primary key (origin, destination))`,
    `create table ${qualify('alerts')} (
       airport text not null primary key,
       late_flights integer not null default 0,
       last_delay integer,
       last_late_at timestamp)`,
    `create table ${qualify('replay')} (
       id text not null primary key,
       flight integer not null)`,
  ]
}

export interface Statement {
  /** With placeholders $1, $2, … */
  readonly sql: string
  readonly values: readonly (string | number | null)[]
}

/** What one flight takes, written by hand: one statement for each row it touches. */
export function flightStatements(
  { flight, outdated, alert }: FlightWork,
  qualify: (table: TableName) => string,
): Statement[] {
  const { origin, destination, date, delay, distance } = flight
  const statements: Statement[] = [
    {
      sql: `insert into ${qualify('routes')} as r (origin, destination, flights, delay_minutes, distance_miles)
            values ($1, $2, 1, $3, $4) on conflict (origin, destination) do update set flights = r.flights + 1,
            delay_minutes = r.delay_minutes + $3, distance_miles = r.distance_miles + $4`,
      values: [origin, destination, delay, distance],
    },
    {
      sql: `insert into ${qualify('airports')} as a (code, departures, last_seen, last_delay) values ($1, 1, $2, $3)
            on conflict (code) do update set departures = a.departures + 1, last_seen = $2, last_delay = $3`,
      values: [origin, date, delay],
    },
    {
      sql: `insert into ${qualify('airports')} as a (code, arrivals, last_seen) values ($1, 1, $2)
            on conflict (code) do update set arrivals = a.arrivals + 1, last_seen = $2`,
      values: [destination, date],
    },
    {
      sql: `insert into ${qualify('latest_flights')} (origin, destination, flown_at, delay, distance)
            values ($1, $2, $3, $4, $5) on conflict (origin, destination) do update
            set flown_at = $3, delay = $4, distance = $5`,
      values: [origin, destination, date, delay, distance],
    },
  ]
  if (outdated !== undefined) {
    statements.push({
      sql: `delete from ${qualify('latest_flights')} where origin = $1 and destination = $2`,
      values: [outdated.origin, outdated.destination],
    })
  }
  if (alert === 'raise') {
    statements.push({
      sql: `insert into ${qualify('alerts')} as a (airport, late_flights, last_delay, last_late_at)
            values ($1, 1, $2, $3) on conflict (airport) do update
            set late_flights = a.late_flights + 1, last_delay = $2, last_late_at = $3`,
      values: [origin, delay, date],
    })
  }
  if (alert === 'clear') {
    statements.push({
      sql: `delete from ${qualify('alerts')} where airport = $1`,
      values: [origin],
    })
  }
  return statements
}
