/**
 * The contract of a journal, as tests: what the engine relies on, whatever the journal is made of.
 *
 *     import { describe, test } from 'vitest' // or node:test
 *     journalSuite('mine', { describe, test }, { create: async () => new MyHome() })
 */

import assert from 'node:assert/strict'
import { isDaybookError, type ErrorCode } from '../base/errors.ts'
import type { Journal, JournalListener } from '../journal/journal.ts'
import type { Entry, Mutation, Position } from '../mutation/mutation.ts'
import type { SuiteRunner } from './store-suite.ts'

/** Where one journal lives, empty at first. */
export interface SuiteJournalHome {
  /** Opens the journal that is there; the first time a new one, with three lanes. */
  open(listener: JournalListener): Promise<Journal>
  /** Gives the home up; its journal is closed by then. */
  close(): Promise<void>
}

export interface JournalSuiteOptions {
  create(): Promise<SuiteJournalHome>
}

const lanes = 3

class Listener implements JournalListener {
  readonly durablePositions: Position[] = []
  readonly undonePositions: Position[] = []

  durable(entries: readonly Entry[]): void {
    for (const { position } of entries) this.durablePositions.push(position)
  }

  undone(entries: readonly Entry[]): void {
    for (const { position } of entries) this.undonePositions.push(position)
  }
}

/** One home, and what the tests need of it. */
class Bench {
  readonly home: SuiteJournalHome
  listener = new Listener()

  constructor(home: SuiteJournalHome) {
    this.home = home
  }

  open(): Promise<Journal> {
    this.listener = new Listener()
    return this.home.open(this.listener)
  }
}

function entryOf(key: string, lane = 0, rest: Partial<Entry> = {}): Entry {
  return {
    position: 0,
    lane,
    cache: 'users',
    key,
    hash: 1_000 + lane,
    mutation: { kind: 'set', fields: { name: key } },
    continues: false,
    expiresAtMs: undefined,
    retryOf: undefined,
    bytes: 0,
    ...rest,
  }
}

async function entriesOf(
  journal: Journal,
  lane: number,
  after: Position = 0,
  to: Position = journal.durablePosition,
): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const chunk of journal.read(lane, after, to)) entries.push(...chunk)
  return entries
}

/** Appends each as a commit of its own. */
async function write(journal: Journal, ...entries: Entry[]): Promise<Entry[]> {
  for (const entry of entries) await journal.append([entry]).done
  return entries
}

function throwsCode(run: () => unknown, code: ErrorCode): void {
  assert.throws(run, (error) => isDaybookError(error, code))
}

export function journalSuite(
  name: string,
  runner: SuiteRunner,
  options: JournalSuiteOptions,
): void {
  runner.describe(`journal: ${name}`, () => {
    const test = (behaviour: string, body: (bench: Bench) => Promise<void>): void => {
      runner.test(behaviour, async () => {
        const home = await options.create()
        try {
          await body(new Bench(home))
        } finally {
          await home.close()
        }
      })
    }
    appendTests(test)
    readTests(test)
    reopenTests(test)
  })
}

type BenchTest = (behaviour: string, body: (bench: Bench) => Promise<void>) => void

function appendTests(test: BenchTest): void {
  test('a new journal is empty, open, and has its lanes', async (bench) => {
    const journal = await bench.open()
    assert.equal(journal.lanes, lanes)
    assert.equal(journal.state, 'open')
    assert.equal(journal.durablePosition, journal.lastPosition)
    assert.equal(journal.oldestPosition, journal.lastPosition + 1)
    assert.ok(journal.id.length > 0)
    assert.deepEqual(await entriesOf(journal, 0), [])
    await journal.close()
  })

  test('append gives growing positions and sizes at once', async (bench) => {
    const journal = await bench.open()
    const entries = [entryOf('a', 2), entryOf('b', 0), entryOf('c', 2)]
    const commit = journal.append(entries)
    const [a, b, c] = entries.map(({ position }) => position)
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    assert.ok(a > 0 && a < b && b < c)
    assert.equal(journal.lastPosition, c)
    assert.ok(entries.every(({ bytes }) => bytes > 0))
    await commit.done
    await journal.close()
  })

  test('the listener hears of entries in order, each once, before their promise resolves', async (bench) => {
    const journal = await bench.open()
    const appended: Position[] = []
    const commits: Promise<void>[] = []
    for (let index = 0; index < 200; index++) {
      const entry = entryOf(`k${index}`, index % lanes)
      const commit = journal.append([entry])
      assert.ok(!bench.listener.durablePositions.includes(entry.position))
      appended.push(entry.position)
      commits.push(
        commit.done.then(() => {
          assert.ok(bench.listener.durablePositions.includes(entry.position))
          assert.ok(journal.durablePosition >= entry.position)
        }),
      )
      if (index % 50 === 0) await commit.done
    }
    await Promise.all(commits)
    assert.deepEqual(bench.listener.durablePositions, appended)
    assert.deepEqual(bench.listener.undonePositions, [])
    await journal.close()
  })

  test('whenDurable resolves once everything up to a position is durable', async (bench) => {
    const journal = await bench.open()
    const entry = entryOf('a')
    journal.append([entry])
    await journal.whenDurable(entry.position)
    assert.ok(journal.durablePosition >= entry.position)
    await journal.whenDurable(0)
    await journal.close()
  })

  test('close makes durable what was appended, and refuses more', async (bench) => {
    const journal = await bench.open()
    const entry = entryOf('a')
    const commit = journal.append([entry])
    await journal.close()
    await commit.done
    assert.equal(journal.state, 'closed')
    throwsCode(() => journal.append([entryOf('b')]), 'CLOSED')
    await journal.close()
    const again = await bench.open()
    assert.equal(again.durablePosition, entry.position)
    await again.close()
  })
}

function readTests(test: BenchTest): void {
  test('entries come back exactly as they were appended', async (bench) => {
    const mutations: Mutation[] = [
      {
        kind: 'set',
        fields: { text: 'é\u0000"', big: 2n ** 70n, none: null, bytes: new Uint8Array([0, 255]) },
      },
      { kind: 'delete' },
      { kind: 'patch', fields: { zero: -0, inner: { list: [1, [true]] } }, amounts: {} },
      { kind: 'patch', fields: {}, amounts: { visits: 1, exact: '0.10', big: -5n } },
    ]
    const journal = await bench.open()
    const entries = mutations.map((mutation, index) =>
      entryOf(`ключ ${index}`, 1, {
        mutation,
        continues: index < 2,
        expiresAtMs: index === 0 ? 1_700_000_000_123 : undefined,
        retryOf: index === 1 ? 'letter-7' : undefined,
      }),
    )
    await journal.append(entries).done
    assert.deepEqual(await entriesOf(journal, 1), entries)
    await journal.close()
  })

  test('a lane is read in order, from one position up to another, without the other lanes', async (bench) => {
    const journal = await bench.open()
    const all: Entry[] = []
    for (let index = 0; index < 30; index++) all.push(entryOf(`k${index}`, index % lanes))
    await journal.append(all.slice(0, 10)).done
    await write(journal, ...all.slice(10))
    for (let lane = 0; lane < lanes; lane++) {
      const own = all.filter((entry) => entry.lane === lane)
      assert.deepEqual(await entriesOf(journal, lane), own)
      const after = own[2]?.position ?? 0
      const to = own[6]?.position ?? 0
      assert.deepEqual(await entriesOf(journal, lane, after, to), own.slice(3, 7))
      assert.deepEqual(await entriesOf(journal, lane, to, to), [])
    }
    await journal.close()
  })

  test('scan visits every durable entry beyond a position, with lane, hash and size', async (bench) => {
    const journal = await bench.open()
    const entries = await write(journal, entryOf('a', 0), entryOf('b', 1), entryOf('c', 2))
    const expected = entries.map(({ position, lane, hash, bytes }) => [position, lane, hash, bytes])
    for (const [index, after] of [0, ...entries.map(({ position }) => position)].entries()) {
      const visited: number[][] = []
      await journal.scan(after, (position, lane, hash, bytes) => {
        visited.push([position, lane, hash, bytes])
      })
      assert.deepEqual(visited, expected.slice(index))
    }
    await journal.close()
  })

  test('scan tells which dead letter an entry retries', async (bench) => {
    const journal = await bench.open()
    await write(journal, entryOf('a', 0), { ...entryOf('b', 1), retryOf: '1-7' })
    const retried: (string | undefined)[] = []
    await journal.scan(0, (_position, _lane, _hash, _bytes, retryOf) => {
      retried.push(retryOf)
    })
    assert.deepEqual(retried, [undefined, '1-7'])
    await journal.close()
  })

  test('find gives the entries at positions, in the order asked for', async (bench) => {
    const journal = await bench.open()
    const entries = await write(journal, entryOf('a', 0), entryOf('b', 1), entryOf('c', 2))
    const [a, b, c] = entries
    assert.ok(a !== undefined && b !== undefined && c !== undefined)
    assert.deepEqual(await journal.find([c.position, a.position]), [c, a])
    assert.deepEqual(await journal.find([b.position]), [b])
    assert.deepEqual(await journal.find([]), [])
    await journal.close()
  })

  test('trim lets go of nothing beyond its position', async (bench) => {
    const journal = await bench.open()
    const entries = await write(journal, entryOf('a'), entryOf('b'), entryOf('c'))
    const middle = entries[1]?.position ?? 0
    await journal.trim(middle)
    assert.ok(journal.oldestPosition <= middle + 1)
    assert.deepEqual(await entriesOf(journal, 0, middle), entries.slice(2))
    await journal.trim(journal.durablePosition)
    await write(journal, entryOf('d'))
    await journal.close()
  })
}

function reopenTests(test: BenchTest): void {
  test('a reopened journal has the same id, lanes and entries, and goes on behind them in a new epoch', async (bench) => {
    const first = await bench.open()
    const { id, epoch } = first
    const entries = await write(first, entryOf('a'), entryOf('b'))
    const { lastPosition } = first
    await first.close()
    const second = await bench.open()
    assert.equal(second.id, id)
    assert.equal(second.lanes, lanes)
    assert.ok(second.epoch > epoch)
    assert.equal(second.durablePosition, lastPosition)
    assert.equal(second.lastPosition, lastPosition)
    const more = await write(second, entryOf('c'))
    assert.ok((more[0]?.position ?? 0) > lastPosition)
    assert.deepEqual(await entriesOf(second, 0), [...entries, ...more])
    await second.close()
  })

  test('a journal that is open is not opened again', async (bench) => {
    const journal = await bench.open()
    await assert.rejects(bench.home.open(new Listener()), (error) =>
      isDaybookError(error, 'JOURNAL_LOCKED'),
    )
    await write(journal, entryOf('a'))
    await journal.close()
  })
}
