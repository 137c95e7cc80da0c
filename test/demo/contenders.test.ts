/** Each contender on SQLite: in the end the database is what the oracle says, and a kill takes what it may. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compare } from '../../src/demo/comparison.ts'
import { type ContenderName, openContender, spreadOf } from '../../src/demo/contender.ts'
import { openDemoDatabase } from '../../src/demo/database.ts'
import { compareRows } from '../../src/demo/differences.ts'
import { expectedRows } from '../../src/demo/expected.ts'
import { loadFlights } from '../../src/demo/flights.ts'
import { killPoints } from '../../src/demo/replay.ts'
import { seededRandom } from '../../src/demo/seeded-random.ts'
import { Workload } from '../../src/demo/workload.ts'
import { WriterProcess } from '../../src/demo/writer-process.ts'

let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-test-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const signal = new AbortController().signal

function placeOf(contender: ContenderName) {
  const url = `sqlite:${join(directory, `${contender}.sqlite`)}`
  return { target: { url, schema: undefined }, directory: join(directory, contender) }
}

describe.each<ContenderName>(['write-behind', 'write-through', 'memory-buffer'])('%s', (name) => {
  it('brings every flight to the database, in order', async () => {
    const flights = await loadFlights(1_500)
    const place = placeOf(name)
    const database = await openDemoDatabase(place.target)
    await database.createTables()
    const contender = await openContender(name, place)
    expect(contender.recovered).toBe(0)
    const workload = new Workload(flights)
    await Promise.all(flights.map(() => contender.apply(workload.next())))
    await contender.drain()
    const { pending, lagMs, rows, mutations } = contender.figures()
    await contender.close()
    expect({ pending, lagMs }).toEqual({ pending: 0, lagMs: 0 })
    expect(mutations).toBeGreaterThanOrEqual(rows)
    const { differences } = compareRows(expectedRows(flights), await database.read())
    // Only Daybook has a cursor.
    expect(differences.filter(({ table }) => table !== 'replay')).toEqual([])
    if (name === 'write-behind') expect(differences).toEqual([])
    await database.drop()
  })

  it('refuses a flight where its tables are missing', async () => {
    const place = placeOf(name)
    const failing = async (): Promise<void> => {
      const contender = await openContender(name, place)
      try {
        await contender.apply(new Workload(await loadFlights(1)).next())
        await contender.drain()
      } finally {
        await contender.close().catch(() => undefined)
      }
    }
    await expect(failing()).rejects.toThrow()
  })
})

describe('the comparison', () => {
  it('measures all, and finds what a kill lost', async () => {
    const started: string[] = []
    const comparison = await compare({
      flights: await loadFlights(),
      concurrency: 16,
      measureMs: 200,
      random: seededRandom(7),
      place: placeOf,
      keep: false,
      started: (contender) => started.push(contender),
      signal,
    })
    expect(started).toEqual(['write-through', 'write-behind', 'memory-buffer'])
    expect(comparison['write-through'].lostByKill).toBe(0)
    expect(comparison['write-behind'].lostByKill).toBe(0)
    expect(comparison['memory-buffer'].lostByKill).toBeGreaterThan(0)
    for (const compared of Object.values(comparison)) {
      expect(compared.acknowledgedAtKill).toBeGreaterThanOrEqual(compared.flights)
      expect(compared.statements).toBeGreaterThan(0)
      expect(compared.rows).toBeGreaterThan(0)
      expect(compared.latency.p99).toBeGreaterThanOrEqual(compared.latency.p50)
    }
  })

  it('ends when it is aborted', async () => {
    const aborted = AbortSignal.abort(new Error('enough'))
    const options = {
      flights: await loadFlights(10),
      concurrency: 1,
      measureMs: 1,
      random: seededRandom(1),
      place: placeOf,
      keep: false,
      started: () => undefined,
    }
    await expect(compare({ ...options, signal: aborted })).rejects.toThrow('enough')
  })
})

describe('the writer process', () => {
  it('that fails says why', async () => {
    const writer = new WriterProcess(
      {
        contender: 'write-through',
        target: { url: `sqlite:${join(directory, 'missing', 'x.sqlite')}`, schema: undefined },
        directory,
        flights: 1,
        concurrency: 1,
        measureMs: undefined,
      },
      () => undefined,
    )
    await expect(writer.finished).rejects.toThrow(
      'The writer process failed: unable to open database file',
    )
  })

  it('is killed at seeded points, one in each part of the way', () => {
    const points = killPoints(1_000, 4, seededRandom(3))
    expect(points).toEqual(killPoints(1_000, 4, seededRandom(3)))
    points.forEach((point, part) => {
      expect(point).toBeGreaterThanOrEqual(part * 250)
      expect(point).toBeLessThan((part + 1) * 250)
    })
    expect(killPoints(1, 2, seededRandom(3))).toEqual([1, 1])
  })

  it('tells percentiles, also of nothing', () => {
    expect(spreadOf([])).toEqual({ p50: 0, p99: 0 })
    expect(spreadOf(Array.from({ length: 100 }, (_, at) => 100 - at))).toEqual({
      p50: 51,
      p99: 100,
    })
  })
})
