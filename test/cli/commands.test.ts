/** Every command beside a running application (a fake book behind a real socket) and on a stopped one (real files). */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { nodeFiles } from '../../src/base/node-files.ts'
import type { Status } from '../../src/cli/status-command.ts'
import { type Control, startControl } from '../../src/control/control-server.ts'
import type { DeadLetter } from '../../src/flush/dead-letter.ts'
import { DeadLetters } from '../../src/flush/dead-letters.ts'
import { lockName } from '../../src/journal/segment.ts'
import type { BookStats } from '../../src/observe/stats.ts'
import { FakeBook } from '../control/fake-book.ts'
import { figures } from './figures.ts'
import { run } from './run.ts'

let directory = ''
let control: Control | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-test-'))
  mkdirSync(join(directory, 'journal'))
})

afterEach(async () => {
  await control?.close()
  control = undefined
  rmSync(directory, { recursive: true, force: true })
})

const outage: BookStats['breaker'] = {
  state: 'open',
  failures: 3,
  since: 1,
  nextProbeInMs: 800,
  lastFailure: { kind: 'outage', code: 'ECONNREFUSED', message: 'no answer', known: true },
}

async function running(stats: object = figures): Promise<FakeBook> {
  const book = new FakeBook()
  book.figures = stats
  control = await startControl(book, { directory, clock: systemClock, logger: silentLogger })
  return book
}

function letterAt(position: number, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: `0-${position}`,
    cache: 'users',
    key: String(position),
    lane: 0,
    position,
    mutation: { kind: 'set', fields: { name: 'Ada', visits: 2n ** 60n } },
    reason: 'rejected',
    failure: { kind: 'rejected', code: '23505', message: 'duplicate \u001b[31mkey' },
    attempts: 1,
    deadAtMs: systemClock.wallTime() - 60_000,
    ...changes,
  }
}

async function stoppedWith(letters: readonly DeadLetter[]): Promise<void> {
  const file = await openLetters()
  await file.add(letters)
  await file.close()
}

function openLetters(): Promise<DeadLetters> {
  const path = join(directory, 'dead-letters.log')
  return DeadLetters.open({ files: nodeFiles, path, clock: systemClock })
}

async function lettersLeft(): Promise<string[]> {
  const file = await openLetters()
  const { letters } = await file.list({}, { limit: 100 })
  await file.close()
  return letters.map(({ id }) => id)
}

describe('the command line', () => {
  it.each([
    [[]],
    [['statsu', '/tmp']],
    [['status']],
    [['status', '/tmp', '--nonsense']],
    [['demo', '--flights', '0']],
    [['demo', '--flights', '20001']],
    [['demo', '--kills', 'many']],
    [['demo', '--store', 'mysql']],
    [['demo', '--store', 'postgres']],
    [['dead-letters', 'list', '/tmp', '--since', 'yesterday']],
    [['dead-letters', 'list', '/tmp', '--limit', '100000']],
  ])('says what is wrong with %o, and ends with 2', async (args) => {
    const { code, out, err } = await run(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).not.toBe('')
    expect(err).not.toContain(' at ')
  })

  it('suggests what may have been meant', async () => {
    expect((await run(['statsu', '/tmp'])).err).toContain('Did you mean status?')
  })

  it.each([
    [],
    ['demo'],
    ['status'],
    ['flush'],
    ['dead-letters', 'retry'],
    ['dead-letters', 'edit'],
  ])('helps with %s %s', async (...command) => {
    const { code, out } = await run([...command, '--help'])
    expect(code).toBe(0)
    expect(out).toContain('Example')
    expect(out).toContain('Exit codes')
  })

  it('tells its version', async () => {
    expect((await run(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it('tells an error with its code, place and hint, and the stack only with --debug', async () => {
    const { code, err } = await run(['status', join(directory, 'journal')])
    expect(code).toBe(1)
    expect(err).toContain('error JOURNAL_FOREIGN: This is not the directory of a daybook.')
    expect(err).toContain(`directory: ${join(directory, 'journal')}`)
    expect(err).toContain('Give the directory that the application opens')
    expect(err).not.toContain('access.ts')
    expect((await run(['--debug', 'status', join(directory, 'journal')])).err).toContain('access')
  })

  it('tells an error as JSON where JSON was asked for', async () => {
    const { code, json } = await run(['status', join(directory, 'missing'), '--json'])
    expect(code).toBe(1)
    expect(json()).toMatchObject({ error: { code: 'DIRECTORY_UNUSABLE' } })
  })

  it('ends with 3 where the directory is in use and nobody answers', async () => {
    const lock = await nodeFiles.lock(join(directory, 'journal', lockName))
    const { code, err } = await run(['status', directory])
    await lock?.release()
    expect(code).toBe(3)
    expect(err).toContain('JOURNAL_LOCKED')
  })
})

describe('status', () => {
  it('shows a running book', async () => {
    await running()
    const { code, out } = await run(['status', directory])
    expect(code).toBe(0)
    expect(out).toContain('1,240 mutations, 17.6 KiB')
    expect(out).toContain('212 ms, drained in about 300 ms')
    expect(out).toContain('12,400 writes → 960 rows (12.9 : 1)')
    expect(out).toContain('reachable; 1 retry')
    expect(out).toMatch(/0 {2}waiting +1,000 +212 ms +5 +1,005/)
    expect((await run(['status', directory, '--json'])).json()).toMatchObject({
      lagMs: 212,
      problems: [],
    })
  })

  it.each<[string, Partial<BookStats>]>([
    ['paused', { state: 'paused' }],
    ['halted', { state: 'halted' }],
    ['has taken over', { state: 'fenced' }],
    ['disk is full', { journal: { ...figures.journal, state: 'full' } }],
    ['journal has failed', { journal: { ...figures.journal, state: 'failed' } }],
    ['not reachable: ECONNREFUSED no answer', { breaker: outage }],
    ['2 dead letters', { deadLetters: { count: 2, bytes: 100 } }],
  ])('ends with 1 and says it: %s', async (words, change) => {
    await running({ ...figures, ...change })
    const { code, out } = await run(['status', directory])
    expect(code).toBe(1)
    expect(out).toContain(words)
  })

  it.each<[string, Partial<BookStats>]>([
    ['flushing is paused', { state: 'paused' }],
    ['the store is away', { breaker: outage }],
  ])('promises no end of what is pending while %s', async (_, change) => {
    await running({ ...figures, ...change })
    const { out } = await run(['status', directory])
    expect(out).toMatch(/lag +212 ms\n/)
  })

  it('says so where nothing is pending', async () => {
    const status: Status = {
      ...figures,
      pending: { ...figures.pending, mutations: 0 },
      lanes: [],
      drainEstimateMs: undefined,
    }
    await running(status)
    const { code, out } = await run(['status', directory])
    expect(code).toBe(0)
    expect(out).toContain('nothing: all that was acknowledged is in the database')
  })

  it('shows what the files of a stopped one tell, and makes none', async () => {
    expect(await run(['status', directory])).toMatchObject({ code: 0, err: '' })
    expect(await nodeFiles.size(join(directory, 'dead-letters.log'))).toBeUndefined()
    await stoppedWith([letterAt(1)])
    const { code, json } = await run(['status', directory, '--json'])
    expect(code).toBe(1)
    expect(json()).toMatchObject({ state: 'stopped', deadLetters: { count: 1 } })
  })
})

describe('flush', () => {
  it('asks the running application', async () => {
    const book = await running({ ...figures, pending: { ...figures.pending, mutations: 0 } })
    const { code, out } = await run(['flush', directory])
    expect([code, out]).toEqual([0, 'Flushed 0 mutations. Everything is in the database.\n'])
    expect(book.flushSignal).toBeDefined()
  })

  it('ends with 3 where the deadline passes', async () => {
    const book = await running()
    book.flushing = Promise.withResolvers<undefined>().promise
    expect(await run(['flush', directory, '--timeout', '20'])).toMatchObject({ code: 3 })
  })

  it('ends at once when it is interrupted', async () => {
    const book = await running()
    book.flushing = Promise.withResolvers<undefined>().promise
    const interrupt = new AbortController()
    const flushing = run(['flush', directory], { signal: interrupt.signal })
    while (book.flushSignal === undefined) await new Promise(setImmediate)
    interrupt.abort()
    expect(await flushing).toMatchObject({ code: 130, out: '', err: '' })
  })

  it('needs the store of a stopped application', async () => {
    const { code, err } = await run(['flush', directory])
    expect(code).toBe(2)
    expect(err).toContain('--store')
  })

  it('does not show the URL of a store that it does not know', async () => {
    const { code, err } = await run(['flush', directory, '--store', 'mysql://root:secret@host/db'])
    expect(code).toBe(2)
    expect(err).not.toContain('secret')
  })
})

describe('dead letters of a stopped application', () => {
  beforeEach(async () => {
    await stoppedWith([
      letterAt(1),
      letterAt(2, { cache: 'carts', mutation: { kind: 'delete' } }),
      letterAt(3, { reason: 'parked', behind: '0-1', superseded: true }),
    ])
  })

  it('are listed, a page at a time, and cannot steer the terminal', async () => {
    const { code, out } = await run(['dead-letters', 'list', directory])
    expect(code).toBe(0)
    expect(out).toMatch(/0-1 {2}users +1 +set +1 min 0 s +1 {2}23505 duplicate \\u001b\[31mkey/)
    expect(out).toMatch(/0-3 {2}users .*parked behind 0-1 · a newer value has landed/)
    const page = await run(['dead-letters', 'list', directory, '--limit', '1'])
    expect(page.out).toContain('There are more: add --after 0-1')
    const rest = await run(['dead-letters', 'list', directory, '--after', '0-1', '--json'])
    expect(rest.json()).toMatchObject({ letters: [{ id: '0-2' }, { id: '0-3' }] })
  })

  it.each([
    [['--cache', 'carts'], ['0-2']],
    [['--key', '3'], ['0-3']],
    [['--key-prefix', '1'], ['0-1']],
    [['--reason', 'parked'], ['0-3']],
    [['--code', '40001'], []],
    [['--since', '5s'], []],
    [
      ['--since', '2h', '--until', '30s'],
      ['0-1', '0-2', '0-3'],
    ],
    [
      ['--since', '2001-01-01'],
      ['0-1', '0-2', '0-3'],
    ],
  ])('are filtered by %o', async (filter, ids) => {
    const { json } = await run(['dead-letters', 'list', directory, '--json', ...filter])
    expect(json()).toMatchObject({ letters: ids.map((id) => ({ id })) })
    expect((json() as { letters: unknown[] }).letters).toHaveLength(ids.length)
  })

  it('are grouped by what they failed of', async () => {
    const { out } = await run(['dead-letters', 'list', directory, '--groups'])
    expect(out).toMatch(/2 {2}users +23505/)
    const { json } = await run(['dead-letters', 'list', directory, '--groups', '--json'])
    expect(json()).toMatchObject({
      groups: [
        { cache: 'users', count: 2 },
        { cache: 'carts', count: 1 },
      ],
    })
  })

  it('are shown whole, and the current value is not guessed', async () => {
    const { code, out } = await run(['dead-letters', 'show', directory, '0-1'])
    expect(code).toBe(0)
    expect(out).toContain('23505 duplicate \\u001b[31mkey')
    expect(out).toContain('name    "Ada"')
    expect(out).toContain('Current value: unknown')
    expect(await run(['dead-letters', 'show', directory, '0-3'])).toMatchObject({
      out: expect.stringContaining('a retry would overwrite it') as string,
    })
    expect(await run(['dead-letters', 'show', directory, '0-9'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('DEAD_LETTER_UNKNOWN') as string,
    })
  })

  it('are exported whole, one a line', async () => {
    const { out } = await run(['dead-letters', 'export', directory, '--cache', 'users'])
    const lines = out.trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as DeadLetter).id)).toEqual(['0-1', '0-3'])
    expect(lines[0]).toContain('{"$bigint":"1152921504606846976"}')
  })

  it('are discarded by id or by filter, and never without a yes', async () => {
    const unasked = await run(['dead-letters', 'discard', directory, '--all'])
    expect(unasked).toMatchObject({ code: 2, err: expect.stringContaining('--yes') as string })
    expect(await lettersLeft()).toEqual(['0-1', '0-2', '0-3'])
    const unknown = await run(['dead-letters', 'discard', directory, '0-1', '0-9', '--yes'])
    expect(unknown.code).toBe(1)
    expect(await lettersLeft()).toEqual(['0-1', '0-2', '0-3'])
    expect(await run(['dead-letters', 'discard', directory, '0-2', '--yes'])).toMatchObject({
      code: 0,
      out: 'Discarded 1 dead letter.\n',
    })
    await run(['dead-letters', 'discard', directory, '--first', '1', '--yes'])
    expect(await lettersLeft()).toEqual(['0-3'])
    const rest = await run([
      'dead-letters',
      'discard',
      directory,
      '--cache',
      'users',
      '--all',
      '--yes',
      '--json',
    ])
    expect(rest.json()).toEqual({ discarded: 1 })
    expect(await run(['dead-letters', 'discard', directory, '--all', '--yes'])).toMatchObject({
      code: 1,
    })
    expect(await lettersLeft()).toEqual([])
  })

  it.each([
    ['retry', []],
    ['retry', ['0-1', '--all']],
    ['retry', ['0-1', '--cache', 'users']],
    ['retry', ['--reason', 'bad luck', '--all']],
    ['discard', ['--yes']],
    ['edit', ['0-1', '--set', 'name=x']],
    ['retry', ['0-1']],
  ])('%s %o is not understood', async (command, args) => {
    expect(await run(['dead-letters', command, directory, ...args])).toMatchObject({
      code: 2,
      out: '',
    })
    expect(await lettersLeft()).toEqual(['0-1', '0-2', '0-3'])
  })
})

describe('dead letters of a running application', () => {
  it('are shown beside what their key has now', async () => {
    const book = await running()
    book.deadLetters.show = async () => letterAt(1)
    book.deadLetters.current = async () => ({ name: 'Ada', visits: 3 })
    const { out } = await run(['dead-letters', 'show', directory, '0-1'])
    expect(out).toMatch(/name +"Ada" +"Ada"\n/)
    expect(out).toMatch(/visits +{"\$bigint":"1152921504606846976"} +3 +≠/)
    const { json } = await run(['dead-letters', 'show', directory, '0-1', '--json'])
    expect(json()).toMatchObject({ letter: { id: '0-1' }, current: { name: 'Ada', visits: 3 } })
  })

  it('are retried, flushed, and told of', async () => {
    const book = await running()
    book.receipts = [
      { lane: 0, position: 11 },
      { lane: 0, position: 12 },
    ]
    const good = await run(['dead-letters', 'retry', directory, '0-1', '0-2'])
    expect(good).toMatchObject({
      code: 0,
      out: 'Retried 2 dead letters: 2 in the database, 0 refused again.\n',
    })
    expect(book.flushSignal).toBeDefined()
    book.letters = [letterAt(11, { id: '0-11.1' }), letterAt(13)]
    book.skipped = [{ id: '0-3', reason: 'a newer value of the key has been written' }]
    const bad = await run([
      'dead-letters',
      'retry',
      directory,
      '--cache',
      'users',
      '--first',
      '5',
      '--force',
    ])
    expect(bad.code).toBe(1)
    expect(bad.out).toContain('1 in the database, 1 refused again')
    expect(bad.out).toContain('0-11.1  users 11  23505')
    expect(bad.out).toContain('0-3 left alone: a newer value')
    expect(book.calls).toContain('retry {"filter":{"cache":"users"},"first":5} true')
  })

  it('are on their way where the store does not answer in time', async () => {
    const book = await running()
    book.receipts = [{ lane: 0, position: 11 }]
    book.flushing = Promise.withResolvers<undefined>().promise
    const args = ['dead-letters', 'retry', directory, '--all', '--timeout', '20']
    expect(await run(args)).toMatchObject({
      code: 3,
      out: expect.stringContaining('safe in the journal, not in the database yet') as string,
    })
  })

  it('that are not there cannot be retried', async () => {
    await running()
    expect(await run(['dead-letters', 'retry', directory, '--all', '--json'])).toMatchObject({
      code: 1,
    })
  })

  it.each([
    [
      letterAt(1).mutation,
      ['--set', 'name=Grace', '--set', 'visits=3'],
      { set: { name: 'Grace', visits: 3 } },
    ],
    [letterAt(1).mutation, ['--json-patch', '{"visits":null}'], { set: { name: 'Ada' } }],
    [
      { kind: 'patch', fields: { name: 'Ada' }, amounts: {} } as const,
      ['--set', 'name="7"'],
      { merge: { name: '7' } },
    ],
    [
      { kind: 'patch', fields: {}, amounts: { visits: 1 } } as const,
      ['--set', 'visits={"$bigint":"2"}'],
      { increment: { visits: { $bigint: '2' } } },
    ],
  ])('are edited: %o by %o', async (mutation, change, edit) => {
    const book = await running()
    book.deadLetters.show = async () => letterAt(1, { mutation })
    book.receipts = [{ lane: 0, position: 11 }]
    const calls: unknown[] = []
    book.deadLetters.edit = async (id, given) => {
      calls.push(id, JSON.parse(JSON.stringify(given, bigintAsTag)))
      return { receipts: book.receipts, skipped: [] }
    }
    expect(await run(['dead-letters', 'edit', directory, '0-1', ...change])).toMatchObject({
      code: 0,
    })
    expect(calls).toEqual(['0-1', edit])
  })

  it.each([
    [[]],
    [['--set', 'name']],
    [['--set', '=1']],
    [['--json-patch', '{']],
    [['--json-patch', '[]']],
    [['--json-patch', '{}', '--set', 'a=1']],
  ])('are not edited by %o', async (change) => {
    const book = await running()
    expect(await run(['dead-letters', 'edit', directory, '0-1', ...change])).toMatchObject({
      code: 2,
    })
    expect(book.calls).toEqual([])
  })

  it('that are deletes have nothing to edit', async () => {
    const book = await running()
    book.deadLetters.show = async () => letterAt(1, { mutation: { kind: 'delete' } })
    expect(await run(['dead-letters', 'edit', directory, '0-1', '--set', 'a=1'])).toMatchObject({
      code: 2,
    })
  })
})

function bigintAsTag(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { $bigint: String(value) } : value
}
