/**
 * Goal: what was acknowledged is in the database exactly once, however often the process is killed.
 * Method: a child writes and is killed with SIGKILL after a seeded number of acknowledgements, again and again; this
 * process remembers what was acknowledged; the last child runs to the end, and the database is compared.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  administer,
  postgresUnavailable,
  startPostgres,
  type PostgresServer,
} from '../support/postgres-server.ts'

const tables = `
  create table counters (id text primary key, n integer not null default 0);
  create table notes (id text primary key, counter text not null);
`
const operationsPerRun = 3000
const kills = 6

/** A small generator with a seed: the same kills every time. */
function seeded(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed / 2 ** 32
  }
}

/** Runs a writer until it has acknowledged `killAfter` operations, or to its end. */
async function run(
  directory: string,
  url: string,
  first: number,
  killAfter: number | undefined,
  acknowledged: Set<number>,
): Promise<void> {
  const child = fork(
    new URL('./writer.ts', import.meta.url),
    [directory, url, String(first), String(operationsPerRun)],
    { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] },
  )
  let errors = ''
  child.stderr?.on('data', (text: Buffer) => (errors += text.toString()))
  let count = 0
  child.on('message', (message: { acknowledged: number }) => {
    acknowledged.add(message.acknowledged)
    if (++count === killAfter) child.kill('SIGKILL')
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  if (killAfter === undefined || signal !== 'SIGKILL') {
    expect({ code, errors }).toEqual({ code: 0, errors: '' })
  }
}

interface Row {
  readonly id: string
  readonly n?: number
}

async function killAndCompare(url: string, rows: (table: string) => Promise<Row[]>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-kill-'))
  try {
    const random = seeded(20_261_123)
    const acknowledged = new Set<number>()
    let first = 0
    for (let at = 0; at < kills; at++) {
      await run(directory, url, first, 1 + Math.floor(random() * 1200), acknowledged)
      first += operationsPerRun
    }
    await run(directory, url, first, undefined, acknowledged)

    const applied = (await rows('notes')).map(({ id }) => Number(id.split(':')[1]))
    const lost = [...acknowledged].filter((operation) => !new Set(applied).has(operation))
    expect(lost).toEqual([])
    const expected = new Map<string, number>()
    for (const operation of applied) {
      const counter = `c${operation % 7}`
      expected.set(counter, (expected.get(counter) ?? 0) + 1)
    }
    const counted = (await rows('counters')).map(({ id, n }): [string, number] => [id, Number(n)])
    expect(new Map(counted)).toEqual(expected)
    expect(acknowledged.size).toBeGreaterThan(operationsPerRun)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

describe('a process that is killed', () => {
  test('loses and doubles nothing on SQLite', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'daybook-sqlite-'))
    const path = join(directory, 'app.db')
    const database = new DatabaseSync(path)
    database.exec(tables)
    try {
      await killAndCompare(
        `sqlite:${path}`,
        async (table) => database.prepare(`select * from ${table}`).all() as unknown as Row[],
      )
    } finally {
      database.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

const unavailable = postgresUnavailable()

describe.skipIf(unavailable !== undefined)(
  `on PostgreSQL (${unavailable ?? 'private server'})`,
  () => {
    let server: PostgresServer
    beforeAll(async () => {
      server = await startPostgres()
      await administer(server.url, tables)
    })
    afterAll(() => server.stop())

    test('a process that is killed loses and doubles nothing', async () => {
      await killAndCompare(
        server.url,
        async (table) =>
          (await administer(server.url, `select * from ${table}`)) as unknown as Row[],
      )
    })
  },
)
