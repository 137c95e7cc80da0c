/** The demonstration as a user runs it, in small; and that its checks can fail. */

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDemoDatabase } from '../../src/demo/database.ts'
import { replay, type ReplayOptions } from '../../src/demo/replay.ts'
import { seededRandom } from '../../src/demo/seeded-random.ts'
import { run } from '../cli/run.ts'
import { postgresUnavailable, startPostgres } from '../support/postgres-server.ts'

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'daybook-test-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const small = ['--flights', '3000', '--kills', '2', '--seed', '7']

function lastLine(out: string): unknown {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
}

describe('the demonstration', () => {
  it('ends without a difference after its kills, and says so to a program', async () => {
    const { code, out, err } = await run(['demo', ...small, '--compare-ms', '200', '--json'])
    expect(err).toContain('kill -9 after')
    expect(lastLine(out)).toMatchObject({
      flights: 3_000,
      kills: 2,
      differences: 0,
      acknowledgedLost: 0,
      seed: 7,
      comparison: {
        'write-through': { lostByKill: 0 },
        'write-behind': { lostByKill: 0 },
      },
    })
    expect(code).toBe(0)
    const { mutations, rowsWritten, seconds } = lastLine(out) as Record<string, number>
    expect(mutations).toBeGreaterThan(20_000)
    expect(rowsWritten).toBeLessThan(mutations ?? 0)
    expect(seconds).toBeGreaterThan(0)
  })

  it('says it in plain lines where there is no terminal, and keeps what it is asked to keep', async () => {
    const directory = join(folder, 'kept')
    const { code, out } = await run([
      'demo',
      ...small,
      '--compare-ms',
      '0',
      '--directory',
      directory,
    ])
    expect(code).toBe(0)
    expect(out).toContain('differences: 0')
    expect(out).toContain(`Kept in ${directory}`)
    expect(out).not.toContain('\u001b')
    expect(existsSync(join(directory, 'flights.sqlite'))).toBe(true)
  })

  it('touches no directory that has something in it', async () => {
    mkdirSync(join(folder, 'full'))
    writeFileSync(join(folder, 'full', 'letter.txt'), '')
    const { code, err } = await run(['demo', '--directory', join(folder, 'full')])
    expect(code).toBe(2)
    expect(err).toContain('not empty')
  })

  it('ends with 3 where the database cannot be reached', async () => {
    const { code, err } = await run([
      'demo',
      '--store',
      'postgres://nobody:secret@127.0.0.1:1/none',
    ])
    expect(code).toBe(3)
    expect(err).not.toContain('secret')
  })

  it('ends its processes and takes its directory away when it is interrupted', async () => {
    const interrupt = new AbortController()
    const directory = join(folder, 'interrupted')
    const running = run(['demo', ...small, '--directory', directory], { signal: interrupt.signal })
    while (!existsSync(join(directory, 'data', 'journal'))) await new Promise(setImmediate)
    interrupt.abort()
    expect(await running).toMatchObject({ code: 130 })
  })

  const unavailable = postgresUnavailable()
  it.skipIf(unavailable !== undefined)(`works on PostgreSQL ${unavailable ?? ''}`, async () => {
    const server = await startPostgres()
    try {
      const args = ['demo', ...small, '--compare-ms', '200', '--json', '--store', 'postgres']
      const { code, out, err } = await run(args, { environment: { DATABASE_URL: server.url } })
      expect(err).not.toContain('error')
      expect(lastLine(out)).toMatchObject({ kills: 2, differences: 0, acknowledgedLost: 0 })
      expect(code).toBe(0)
      const database = await openDemoDatabase({ url: server.url, schema: 'left' })
      await expect(database.read()).rejects.toThrow()
      await database.close()
    } finally {
      await server.stop()
    }
  })
})

describe('the replay', () => {
  const optionsFor = (contender: ReplayOptions['contender']): ReplayOptions => ({
    contender,
    target: { url: `sqlite:${join(folder, 'x.sqlite')}`, schema: undefined },
    directory: join(folder, 'data'),
    flights: 2_000,
    kills: 1,
    concurrency: 16,
    random: seededRandom(1),
    watch: { progress: () => undefined, killed: () => undefined },
    signal: new AbortController().signal,
  })

  it('notices what a contender without a journal loses', async () => {
    const options = optionsFor('memory-buffer')
    const database = await openDemoDatabase(options.target)
    await database.createTables()
    await database.close()
    const { acknowledgedLost, kills } = await replay(options)
    expect(kills).toHaveLength(1)
    expect(acknowledgedLost).toBeGreaterThan(0)
  })
})
