/**
 * The application's rules and the oracle are written apart. Here the application's writes are applied one by one, without
 * Daybook or a database, and must come to what the oracle says of the finished list.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cacheWrites, type CacheWrite } from '../../src/demo/cache-writes.ts'
import { compareRows } from '../../src/demo/differences.ts'
import { expectedRows } from '../../src/demo/expected.ts'
import { type Flight, loadFlights, parseFlight } from '../../src/demo/flights.ts'
import {
  blankRows,
  type Row,
  type Rows,
  tableKeys,
  tableNames,
  type TableName,
} from '../../src/demo/tables.ts'
import { latestWindow, Workload } from '../../src/demo/workload.ts'

function applyAll(writes: Iterable<CacheWrite>): Rows {
  const tables = new Map(tableNames.map((table) => [table, new Map<string, Row>()]))
  for (const write of writes) {
    const rows = tables.get(write.cache) ?? new Map<string, Row>()
    const parts = typeof write.key === 'string' ? [write.key] : write.key
    const key = parts.join('/')
    if (write.kind === 'delete') {
      rows.delete(key)
      continue
    }
    const keyColumns: Row = Object.fromEntries(
      tableKeys[write.cache].map((column, index): [string, string | null] => [
        column,
        parts[index] ?? null,
      ]),
    )
    const before: Row = rows.get(key) ?? { ...keyColumns, ...blankRows[write.cache] }
    const changes =
      write.kind === 'increment'
        ? Object.entries(write.amounts).map(([name, by]) => [
            name,
            Number(before[name]) + Number(by),
          ])
        : Object.entries(write.fields)
    rows.set(key, { ...before, ...(Object.fromEntries(changes) as Row) })
  }
  const rowsOf = (table: TableName): Row[] => [...(tables.get(table)?.values() ?? [])]
  return {
    routes: rowsOf('routes'),
    airports: rowsOf('airports'),
    latest_flights: rowsOf('latest_flights'),
    alerts: rowsOf('alerts'),
    replay: rowsOf('replay'),
  }
}

function* writesOf(flights: readonly Flight[]): Generator<CacheWrite> {
  const workload = new Workload(flights)
  for (let index = 0; index < flights.length; index++) yield* cacheWrites(workload.next())
}

const airport = fc.constantFrom('AAA', 'BBB', 'CCC')
const randomFlights = fc
  .array(
    fc.record({
      delay: fc.constantFrom(-5, 0, 1, 60, 61, 300),
      distance: fc.integer({ min: 1, max: 3000 }),
      origin: airport,
      destination: airport,
    }),
    { maxLength: 60 },
  )
  .map((flights) =>
    flights.map((flight, minute) => ({
      ...flight,
      date: `2001-01-01T00:${String(minute).padStart(2, '0')}:00.000`,
    })),
  )

describe('the demonstrated application', () => {
  it('comes to the oracle’s rows on the real flights', async () => {
    const flights = await loadFlights()
    const verdict = compareRows(expectedRows(flights), applyAll(writesOf(flights)))
    expect(verdict.differences).toEqual([])
    expect(verdict.rows).toBeGreaterThan(3_000)
  })

  it('comes to the oracle’s rows on any flights', () => {
    fc.assert(
      fc.property(randomFlights, (flights) => {
        const verdict = compareRows(expectedRows(flights), applyAll(writesOf(flights)))
        expect(verdict.differences).toEqual([])
      }),
    )
  })

  it('really deletes rows and inserts them again on the real flights', async () => {
    const deleted = new Set<string>()
    let insertedAgain = 0
    for (const write of writesOf(await loadFlights())) {
      const key = `${write.cache} ${String(write.key)}`
      if (write.kind === 'delete') deleted.add(key)
      else if (deleted.delete(key)) insertedAgain++
    }
    expect(insertedAgain).toBeGreaterThan(1_000)
  })

  it('decides the same again after a restart, and starts over when the flights are used up', async () => {
    const flights = (await loadFlights(latestWindow + 50)).slice()
    const once = new Workload(flights)
    const again = new Workload(flights)
    for (let index = 0; index < flights.length * 2; index++) {
      const work = once.next()
      expect(again.next()).toEqual(work)
      expect(work.flight).toBe(flights[index % flights.length])
    }
  })
})

describe('the comparison of rows', () => {
  const expected = expectedRows([
    { date: '2001-01-01T00:00:00.000', delay: 61, distance: 10, origin: 'AAA', destination: 'BBB' },
  ])

  it.each<[string, (rows: Rows) => Rows]>([
    ['a missing row', (rows) => ({ ...rows, alerts: [] })],
    ['a row too many', (rows) => ({ ...rows, replay: [...rows.replay, { id: 'x', flight: 1 }] })],
    ['a row twice', (rows) => ({ ...rows, routes: [...rows.routes, ...rows.routes] })],
    ['a wrong field', (rows) => ({ ...rows, replay: [{ id: 'cursor', flight: 7 }] })],
    ['a missing field', (rows) => ({ ...rows, replay: [{ id: 'cursor' }] })],
    [
      'text where a number is due',
      (rows) => ({ ...rows, replay: [{ id: 'cursor', flight: '0' }] }),
    ],
  ])('finds %s', (_, spoil) => {
    expect(compareRows(expected, spoil(expected)).differences).toHaveLength(1)
  })

  it('does not care for the order of rows or columns', () => {
    const turned = expected.routes.map((row) => Object.fromEntries(Object.entries(row).reverse()))
    const actual = { ...expected, routes: turned, airports: [...expected.airports].reverse() }
    expect(compareRows(expected, actual)).toEqual({ rows: 6, differences: [] })
  })
})

describe('the flights', () => {
  it.each([{}, { date: '2001-01-01', delay: 1, distance: 1, origin: 'A', destination: 'B' }])(
    'refuses a record that is not a flight',
    (record) => {
      expect(() => parseFlight(record)).toThrow('not a flight')
    },
  )

  it('cannot be replayed where there are none', () => {
    expect(() => new Workload([]).next()).toThrow('no flights')
    expect(expectedRows([]).replay).toEqual([])
  })
})
