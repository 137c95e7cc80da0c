/** `daybook top`: its picture, its lines, and its keys, beside a fake book behind a real socket. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import { runCommandLine } from '../../src/cli/command-line.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import {
  sparkline,
  topColumns,
  topLine,
  topLines,
  type TopMoment,
} from '../../src/cli/top-picture.ts'
import { type Control, startControl } from '../../src/control/control-server.ts'
import type { BookStats } from '../../src/observe/stats.ts'
import { FakeBook } from '../control/fake-book.ts'
import { figures } from './figures.ts'
import { run } from './run.ts'

function momentOf(changes: Partial<BookStats> = {}, said = ''): TopMoment {
  return {
    stats: { ...figures, ...changes },
    atMs: 1_795_637_648_101,
    writesPerSecond: 977,
    rowsPerSecond: 309,
    lagsMs: [1, 200, 400],
    said,
  }
}

const plain = { style: (_: unknown, text: string): string => text }

let directory = ''
let book: FakeBook
let control: Control | undefined

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daybook-top-'))
  mkdirSync(join(directory, 'journal'))
  book = new FakeBook()
  book.figures = figures
})

afterEach(async () => {
  await control?.close()
  control = undefined
  rmSync(directory, { recursive: true, force: true })
})

async function listen(): Promise<void> {
  control = await startControl(book, { directory, clock: systemClock, logger: silentLogger })
}

describe('the picture', () => {
  it('shows lag and its trend first, then flow, latency, budgets, the store and the lanes', () => {
    const lines = topLines(plain, './data', momentOf())
    expect(lines[0]).toMatch(/^daybook \.\/data +open {2}\d\d:\d\d:\d\d$/)
    expect(lines[2]).toMatch(/^lag +212 ms +▁▅█ 400 ms$/)
    const text = lines.join('\n')
    expect(text).toContain('1,240 mutations, 17.6 KiB, drained in 300 ms')
    expect(text).toContain('977 writes/s in, 309 rows/s out (12.9 : 1, now 3.2 : 1)')
    expect(text).toContain('p50 3.2 ms, p99 41 ms; 12 batches, 1 retry')
    expect(text).toMatch(/journal {7}━─+ 128 MiB of 4\.0 GiB/)
    expect(text).toMatch(/store {9}answers/)
    expect(lines.at(-1)).toBe('q quit  p pause  r resume  f flush')
  })

  it('fits into 80 columns, whatever the figures are', () => {
    const huge = 10_000_000_000
    const lane = { state: 'lingering', lagMs: huge, pending: huge, checkpoint: huge } as const
    const moment: TopMoment = {
      ...momentOf(
        {
          state: 'halted',
          lagMs: 1e12,
          lanes: Array.from({ length: 256 }, (_, at) => ({ ...lane, lane: at, position: huge })),
          breaker: {
            state: 'open',
            failures: huge,
            since: 1,
            nextProbeInMs: huge,
            lastFailure: {
              kind: 'outage',
              code: 'ECONNREFUSED',
              message: `no\u001b[31m ${'x'.repeat(500)}`,
              known: true,
            },
          },
          deadLetters: { count: huge, bytes: huge },
          pressure: { state: 'limit', waitingWrites: 100_000 },
        },
        'z'.repeat(500),
      ),
      lagsMs: Array.from({ length: 500 }, (_, at) => at * 1e9),
    }
    const lines = topLines(plain, `/a/${'long/'.repeat(50)}path`, moment)
    for (const line of lines) {
      expect([line, line.length <= topColumns]).toEqual([line, true])
      expect(line).not.toContain('\u001b')
    }
    expect(lines.join('\n')).toContain('… 248 more lanes')
  })

  it('names every problem', () => {
    const text = topLines(
      plain,
      './data',
      momentOf({ state: 'paused', deadLetters: { count: 17, bytes: 100 } }),
    ).join('\n')
    expect(text).toContain('! 17 dead letters')
    expect(text).toContain('! flushing is paused')
  })

  it('is one line where there is no terminal', () => {
    expect(topLine(momentOf())).toMatch(
      /^\d\d:\d\d:\d\d {2}open {2}lag 212 ms {2}pending 1,240 {2}writes 977\/s {2}rows 309\/s {2}store up {2}dead letters 0$/,
    )
  })
})

describe('a sparkline', () => {
  it.each([
    [[], 4, '    '],
    [[0, 0], 4, '  ▁▁'],
    [[0, 7], 2, '▁█'],
    [[9, 1, 2, 4, 8], 4, '▂▃▅█'],
  ])('of %j in %i cells is %j', (values, cells, line) => {
    expect(sparkline(values, cells)).toBe(line)
  })
})

describe('the command', () => {
  it('prints a line for each look where there is no terminal, with rates from the second on', async () => {
    await listen()
    let looks = 0
    book.stats = () => ({ ...figures, acknowledged: 1_000 + 1_000 * looks++ })
    const { code, out } = await run(['top', directory, '--interval', '100', '--count', '3'])
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect(lines[0]).toContain('writes 0/s')
    const rates = lines
      .slice(1)
      .map((line) => Number(/writes ([\d,]+)\/s/.exec(line)?.[1]?.replace(',', '')))
    for (const rate of rates) expect(rate).toBeGreaterThan(500)
  })

  it('prints JSON, one line for each look', async () => {
    await listen()
    const { json } = await run(['top', directory, '--count', '1', '--json'])
    expect(json()).toMatchObject({ state: 'open', acknowledged: 1_000, lagMs: 212 })
  })

  it('says so where no application has the directory open', async () => {
    const { code, err } = await run(['top', directory])
    expect(code).toBe(3)
    expect(err).toContain('No application has this directory open.')
    expect(err).toContain('daybook status')
  })

  it('ends with an error where the application ends', async () => {
    await listen()
    const running = run(['top', directory, '--interval', '100'])
    await control?.close()
    expect((await running).code).toBe(3)
  })

  it.each(['--interval=5', '--count=0'])('refuses %s', async (flag) => {
    expect((await run(['top', directory, flag])).code).toBe(2)
  })
})

/** A pretended terminal of 80 columns with a keyboard. */
function terminal() {
  let screen = ''
  const raw: boolean[] = []
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (mode: boolean) => void raw.push(mode),
  })
  const abort = new AbortController()
  const ended = runCommandLine(['top', directory, '--interval', '100'], {
    terminal: new Terminal({
      output: { write: (text) => (screen += text), isTTY: true, columns: 80 },
      errors: { write: () => undefined },
      environment: { TERM: 'xterm' },
      now: () => systemClock.now(),
    }),
    environment: {},
    signal: abort.signal,
    input,
  })
  return {
    ended,
    raw,
    abort,
    press: (key: string) => void input.write(key),
    /** What is on it now. */
    picture: (): string => stripVTControlCharacters(screen.split('\u001b[0J').at(-1) ?? ''),
  }
}

describe('on a terminal', () => {
  it('redraws, takes keys, and gives the keyboard back', async () => {
    await listen()
    const { ended, press, picture, raw } = terminal()
    await expect.poll(picture).toContain('q quit  p pause')
    press('p')
    await expect.poll(picture).toContain('paused')
    press('r')
    await expect.poll(picture).toContain('resumed')
    expect(book.calls).toEqual(['pause', 'resume'])
    press('f')
    await expect.poll(picture).toContain('flushed, 1,240 mutations since')
    press('x')
    press('q')
    expect(await ended).toBe(0)
    expect(raw).toEqual([true, false])
  })

  it('shows that a key failed, and goes on', async () => {
    await listen()
    book.flush = () => Promise.reject(new Error('the store is away'))
    const { ended, press, picture } = terminal()
    await expect.poll(picture).toContain('q quit')
    press('f')
    await expect.poll(picture).toContain('the store is away')
    press('\u0003')
    expect(await ended).toBe(0)
  })

  it('ends by a signal', async () => {
    await listen()
    const { ended, picture, abort, raw } = terminal()
    await expect.poll(picture).toContain('q quit')
    abort.abort()
    expect([0, 130]).toContain(await ended)
    expect(raw).toEqual([true, false])
  })
})
