import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { bytes, count, counted, duration, ratio } from '../../src/cli/quantities.ts'
import { bar, pairs, printable, table, Terminal } from '../../src/cli/terminal.ts'

class Recorder {
  text = ''
  readonly isTTY: boolean
  readonly columns: number
  rows: number | undefined
  constructor(isTTY: boolean, columns = 80) {
    this.isTTY = isTTY
    this.columns = columns
  }
  write(text: string): void {
    this.text += text
  }
}

function terminalOn(isTTY: boolean, environment: Record<string, string> = {}) {
  const output = new Recorder(isTTY)
  const errors = new Recorder(isTTY)
  const clock = { ms: 0 }
  const terminal = new Terminal({ output, errors, environment, now: () => clock.ms })
  return { terminal, output, errors, clock }
}

describe('colour', () => {
  it('is for terminals only, and not where NO_COLOR is set', () => {
    expect(terminalOn(true).terminal.style('red', 'x')).toContain('\u001b[')
    expect(terminalOn(false).terminal.style('red', 'x')).toBe('x')
    expect(terminalOn(true, { NO_COLOR: '1' }).terminal.style('red', 'x')).toBe('x')
    expect(terminalOn(true, { TERM: 'dumb' }).terminal.style('red', 'x')).toBe('x')
  })
})

describe('the progress display', () => {
  it('redraws itself at most ten times a second, and leaves nothing behind', () => {
    const { terminal, output, clock } = terminalOn(true)
    const progress = terminal.progress()
    progress.show(
      () => ['one', 'two'],
      () => 'plain',
    )
    progress.show(
      () => ['not drawn'],
      () => 'plain',
    )
    clock.ms += 100
    progress.show(
      () => ['three'],
      () => 'plain',
    )
    progress.end()
    expect(output.text).toBe('one\ntwo\n\u001b[2A\u001b[0Jthree\n\u001b[1A\u001b[0J')
  })

  it('keeps notes above the picture', () => {
    const { terminal, output } = terminalOn(true)
    const progress = terminal.progress()
    progress.show(
      () => ['picture'],
      () => 'plain',
    )
    progress.note('kept')
    expect(output.text).toBe('picture\n\u001b[1A\u001b[0Jkept\npicture\n')
  })

  it('never writes a line that the terminal would wrap', () => {
    const { terminal, output } = terminalOn(true)
    terminal.progress().show(
      () => [terminal.style('red', 'x'.repeat(200))],
      () => '',
    )
    expect(stripVTControlCharacters(output.text).trimEnd()).toHaveLength(79)
  })

  it('never draws more lines than the terminal has, and keeps the first ones and the last', () => {
    const { terminal, output, clock } = terminalOn(true)
    output.rows = 4
    const progress = terminal.progress()
    progress.show(
      () => ['lag', 'pending', 'flow', 'flush', 'keys'],
      () => '',
    )
    clock.ms += 100
    progress.show(
      () => ['lag', 'pending', 'keys'],
      () => '',
    )
    expect(output.text).toBe('lag\npending\nkeys\n\u001b[3A\u001b[0Jlag\npending\nkeys\n')
  })

  it.each<[string, boolean, Record<string, string>]>([
    ['a pipe', false, {}],
    ['CI', true, { CI: 'true' }],
    ['NO_COLOR', true, { NO_COLOR: '1' }],
    ['a dumb terminal', true, { TERM: 'dumb' }],
  ])('becomes a plain line a second for %s', (_, isTTY, environment) => {
    const { terminal, output, clock } = terminalOn(isTTY, environment)
    const progress = terminal.progress()
    for (let ms = 0; ms < 2_500; ms += 100) {
      clock.ms = ms
      progress.show(
        () => ['picture'],
        () => `at ${ms}`,
      )
    }
    progress.note('a note')
    progress.end()
    expect(output.text).toBe('at 1000\nat 2000\na note\n')
  })

  it('can go to the error output, so that the standard output stays a program’s', () => {
    const { terminal, output, errors } = terminalOn(true)
    terminal.progress('errors').note('said')
    expect([output.text, errors.text]).toEqual(['', 'said\n'])
  })
})

describe('tables', () => {
  it('align by what is seen, not by its styling', () => {
    const { terminal } = terminalOn(true)
    const lines = table(
      terminal,
      [{ title: 'name' }, { title: 'rows', align: 'right' }],
      [
        [terminal.style('red', 'a'), '1'],
        ['longer', '1,000'],
      ],
    ).map(stripVTControlCharacters)
    expect(lines).toEqual(['name     rows', 'a           1', 'longer  1,000'])
    expect(
      pairs(terminalOn(false).terminal, [
        ['a', '1'],
        ['long', '2'],
      ]),
    ).toEqual(['a     1', 'long  2'])
  })

  it('make control characters visible: a key cannot steer the reader’s terminal', () => {
    expect(printable('a\u001b[2Jb\n\u202ec\u009b')).toBe('a\\u001b[2Jb\\u000a\\u202ec\\u009b')
    expect(printable('abcdef', 4)).toBe('abc…')
  })
})

describe('quantities', () => {
  it.each([
    [count(1234567), '1,234,567'],
    [counted(1, 'row'), '1 row'],
    [counted(0, 'row'), '0 rows'],
    [bytes(0), '0 B'],
    [bytes(1536), '1.5 KiB'],
    [bytes(300 * 1024 * 1024), '300 MiB'],
    [duration(0), '0 ms'],
    [duration(0.001), '< 0.01 ms'],
    [duration(0.25), '0.25 ms'],
    [duration(4.44), '4.4 ms'],
    [duration(999), '999 ms'],
    [duration(61_000), '1 min 1 s'],
    [duration(3 * 3_600_000), '3 h 0 min'],
    [duration(80 * 3_600_000), '3 d 8 h'],
    [duration(Infinity), 'unknown'],
    [ratio(12.94), '12.9'],
    [ratio(1234.5), '1235'],
    [ratio(NaN), '–'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected)
  })

  it('draw a bar that never leaves its width', () => {
    expect(bar(0.5, 4)).toEqual({ filled: '━━', rest: '──' })
    expect(bar(7, 4)).toEqual({ filled: '━━━━', rest: '' })
    expect(bar(-1, 2)).toEqual({ filled: '', rest: '──' })
  })
})
