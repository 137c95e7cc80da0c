/**
 * What commands print through: tables, colour and a progress display that redraws itself on a terminal and becomes
 * plain lines everywhere else (a pipe, a CI log, NO_COLOR, TERM=dumb).
 *
 * Text from data (keys, messages of a database) passes `printable`, so that it cannot steer the reader's terminal.
 */

import { stripVTControlCharacters, styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]

/** The part of a process's standard output that is used here. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface TerminalOptions {
  readonly output: Output
  readonly errors: Output
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Monotonic milliseconds: the progress display is redrawn at most ten times a second. */
  readonly now: () => number
}

const redrawMs = 100
const plainLineMs = 1_000

export class Terminal {
  /** Redraws are possible and wanted. */
  readonly interactive: boolean
  /** What is printed is read by a person, and lands in no log. */
  readonly isTerminal: boolean
  /** A server goes on where nobody reads what it prints any more; every other command ends then. */
  outlivesReader = false
  readonly #output: Output
  readonly #errors: Output
  readonly #colour: boolean
  readonly #now: () => number

  constructor({ output, errors, environment, now }: TerminalOptions) {
    this.#output = output
    this.#errors = errors
    this.#now = now
    this.isTerminal = output.isTTY === true
    const isSet = (name: string): boolean => (environment[name] ?? '') !== ''
    const dumb = environment.TERM === 'dumb'
    this.interactive = this.isTerminal && !dumb && !isSet('CI') && !isSet('NO_COLOR')
    this.#colour = this.isTerminal && !dumb && !isSet('NO_COLOR')
  }

  get columns(): number {
    return this.#output.columns ?? 100
  }

  line(text = ''): void {
    this.#output.write(`${text}\n`)
  }

  /** To the error output, so that the standard output stays what a program expects of it. */
  error(text: string): void {
    this.#errors.write(`${text}\n`)
  }

  style(style: Style, text: string): string {
    return this.#colour ? styleText(style, text, { validateStream: false }) : text
  }

  /** `plainTo` takes the lines of a display that cannot redraw itself. */
  progress(plainTo: 'output' | 'errors' = 'output'): Progress {
    if (this.interactive && plainTo === 'output') return new LiveProgress(this.#output, this.#now)
    return new PlainProgress(plainTo === 'output' ? this.#output : this.#errors, this.#now)
  }
}

export interface Progress {
  /** `live` is a whole picture; `plain` one line. Both are made only where they are going to be shown. */
  show(live: () => readonly string[], plain: () => string): void
  /** A line that stays. */
  note(text: string): void
  /** Takes the picture away. */
  end(): void
}

class LiveProgress implements Progress {
  readonly #output: Output
  readonly #now: () => number
  #drawnAt = -Infinity
  #picture: readonly string[] = []

  constructor(output: Output, now: () => number) {
    this.#output = output
    this.#now = now
  }

  show(live: () => readonly string[]): void {
    const now = this.#now()
    if (now - this.#drawnAt < redrawMs) return
    this.#drawnAt = now
    const { columns = 80, rows = Infinity } = this.#output
    const picture = fitting(live(), rows - 1).map((line) => clip(line, columns - 1))
    this.#output.write(`${this.#erased()}${picture.join('\n')}\n`)
    this.#picture = picture
  }

  note(text: string): void {
    const picture = this.#picture.map((line) => `${line}\n`).join('')
    this.#output.write(`${this.#erased()}${text}\n${picture}`)
  }

  end(): void {
    this.#output.write(this.#erased())
    this.#picture = []
  }

  #erased(): string {
    return this.#picture.length === 0 ? '' : `\u001b[${this.#picture.length}A\u001b[0J`
  }
}

class PlainProgress implements Progress {
  readonly #output: Output
  readonly #now: () => number
  #writtenAt: number

  constructor(output: Output, now: () => number) {
    this.#output = output
    this.#now = now
    this.#writtenAt = now()
  }

  show(_live: () => readonly string[], plain: () => string): void {
    const now = this.#now()
    if (now - this.#writtenAt < plainLineMs) return
    this.#writtenAt = now
    this.note(plain())
  }

  note(text: string): void {
    this.#output.write(`${stripVTControlCharacters(text)}\n`)
  }

  end(): void {
    // Lines that were written stay.
  }
}

/** A bar of `width` cells; `done` is a share from 0 to 1. */
export function bar(
  done: number,
  width: number,
): { readonly filled: string; readonly rest: string } {
  const cells = Math.round(Math.min(Math.max(done, 0), 1) * width)
  return { filled: '━'.repeat(cells), rest: '─'.repeat(width - cells) }
}

export interface TableColumn {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/** Lines of an aligned table, the titles first. Cells may be styled. */
export function table(
  terminal: Pick<Terminal, 'style'>,
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[index] ?? ''))),
  )
  const lineOf = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => pad(cells[index] ?? '', widths[index] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd()
  const titles = columns.map(({ title }) => terminal.style('dim', title))
  return [titles, ...rows].map(lineOf)
}

/** Lines of `name  value` pairs, the values aligned. */
export function pairs(
  terminal: Pick<Terminal, 'style'>,
  rows: readonly (readonly [name: string, value: string])[],
): string[] {
  const width = Math.max(0, ...rows.map(([name]) => widthOf(name)))
  return rows.map(([name, value]) => `${terminal.style('dim', pad(name, width, 'left'))}  ${value}`)
}

export function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)))
  return align === 'left' ? text + space : space + text
}

function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length
}

/** A picture that is higher than the screen would scroll, and could not be redrawn: lines above its last are left out. */
function fitting(picture: readonly string[], rows: number): readonly string[] {
  if (picture.length <= rows) return picture
  return [...picture.slice(0, Math.max(0, rows - 1)), ...picture.slice(-1)]
}

/** Cuts a line to the terminal's width: a wrapped line would break the redraw. Styles are dropped where it is cut. */
function clip(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line
  return `${[...stripVTControlCharacters(line)].slice(0, Math.max(0, columns - 1)).join('')}…`
}

/** The text with every control character made visible, and cut after `maxLength` characters. */
export function printable(text: string, maxLength = Infinity): string {
  const visible = text.replace(
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return visible.length <= maxLength ? visible : `${visible.slice(0, maxLength - 1)}…`
}
