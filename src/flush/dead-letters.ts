/**
 * The dead letters of a book: mutations that the store refused, or that queue behind one, until someone settles them.
 *
 * They are durable before the checkpoint that passes them, so a mutation is always in the journal's pending part, in the
 * store, or here. Memory holds what is needed to find and filter letters; their mutations stay in the file.
 *
 * File: a `LineLog` whose first line is `{"daybook":"dead letters","version":2}`. Every other line is one of
 *
 *     {"letters":[…]}                             added
 *     {"settled":[ids],"outcome":…,"atMs":…}      no longer dead letters; 'discarded' ones stay without effect
 *     {"superseded":[ids],"atMs":…}               a newer value of their key has landed
 */

import type { Clock } from '../base/clock.ts'
import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import { silentLogger, type Logger } from '../base/log.ts'
import type { Position } from '../mutation/mutation.ts'
import { fromTaggedJson } from '../mutation/tagged-json.ts'
import {
  encodeLetter,
  isDeadLetter,
  isRecord,
  lettersLine,
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterGroup,
  type DeadLetterOutcome,
  type DeadLetterPage,
  type EncodedLetter,
} from './dead-letter.ts'
import { letterLane, letterPosition } from './letter-id.ts'
import { LetterIndex, type Slot } from './letter-index.ts'
import { corruptLine, LineLog, type Line } from './line-log.ts'

export type { DeadLetter } from './dead-letter.ts'

interface Opening {
  readonly files: Files
  readonly path: string
  readonly clock: Clock
  /** What unsettled letters may take. Default 256 MiB. The file has at most twice that, plus 2 MiB. */
  readonly maxBytes?: number | undefined
  readonly logger?: Logger | undefined
}

const defaultMaxBytes = 256 * 1024 * 1024
/** Version 1 had lines that did not link to each other. */
const version = 2
const header = JSON.stringify({ daybook: 'dead letters', version })
/** A line has at least one letter, and no further one beyond this: reading a letter reads its line. */
const lineBytes = 64 * 1024
const idsPerLine = 4096
/** The file is written anew when more than this, and more than half of it, is settled. */
const compactBytes = 1024 * 1024

/** All calls take their turns: each sees the file and the memory as the one before it left them. */
export class DeadLetters {
  readonly maxBytes: number
  readonly #clock: Clock
  readonly #path: string
  readonly #logger: Logger
  #log: LineLog | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false
  readonly #index = new LetterIndex()
  /**
   * By position, what was discarded: a database that goes back in time must not have it decided again. For as long as
   * the journal has it.
   */
  readonly #discarded = new Map<Position, string>()
  #discardedBytes = 0
  /** No compaction is tried before the file has this size: the last one failed. */
  #compactAt = 0

  private constructor(options: Opening) {
    this.maxBytes = options.maxBytes ?? defaultMaxBytes
    this.#clock = options.clock
    this.#path = options.path
    this.#logger = options.logger ?? silentLogger
  }

  /**
   * Opens the file, or creates it. Cuts a half written last line; throws JOURNAL_CORRUPT for other damage,
   * JOURNAL_VERSION for a newer format and JOURNAL_FOREIGN for another file.
   */
  static async open(options: Opening): Promise<DeadLetters> {
    const letters = new DeadLetters(options)
    letters.#log = await LineLog.open(options.files, options.path, header, (text, line) =>
      letters.#visit(text, line),
    )
    return letters
  }

  get count(): number {
    return this.#index.count
  }

  /** What unsettled letters take. */
  get bytes(): number {
    return this.#index.bytes
  }

  /**
   * Durable when it resolves. Letters that are there already are left as they are. Throws DEAD_LETTERS_FULL where they
   * do not all fit (then none was added), JOURNAL_FULL and JOURNAL_FAILED; adding the same letters again is safe.
   */
  add(letters: readonly DeadLetter[]): Promise<void> {
    return this.#inTurn(async (log) => {
      const added = new Map<string, DeadLetter>()
      for (const letter of letters) {
        if (this.#index.get(letter.id) !== undefined || this.isDiscarded(letter.id)) continue
        added.set(letter.id, letter)
      }
      const encoded = [...added.values()].map((letter) => encodeLetter(letter))
      const needed = encoded.reduce((bytes, letter) => bytes + letter.bytes, 0)
      if (this.#index.bytes + needed > this.maxBytes) throw this.#full(needed)
      for (const group of inLines(encoded)) {
        const line = await log.append(lettersLine(group))
        group.forEach(({ letter, bytes }, index) => this.#index.insert(letter, bytes, line, index))
      }
    })
  }

  /** Durable when it resolves. Unknown ids are ignored. Throws JOURNAL_FULL and JOURNAL_FAILED. */
  settle(ids: readonly string[], outcome: DeadLetterOutcome): Promise<void> {
    return this.#inTurn((log) => this.#settle(log, this.#index.known(ids), outcome))
  }

  /**
   * Marks letters whose key has a newer value in the store: they no longer hold up later writes of the key. Durable when
   * it resolves; unknown ids are ignored.
   */
  supersede(ids: readonly string[]): Promise<void> {
    return this.#inTurn(async (log) => {
      const slots = this.#index.known(ids).filter((slot) => !slot.superseded)
      for (const part of chunks(slots, idsPerLine)) {
        const superseded = part.map((slot) => slot.id)
        await log.append(JSON.stringify({ superseded, atMs: this.#clock.wallTime() }))
        for (const slot of part) this.#index.supersede(slot)
      }
    })
  }

  /**
   * Withdraws the letters that the store has not passed: what it holds decides, so they are decided again.
   * `positions` are the store's checkpoints by lane. Returns how many there were. `withdrawn` is told of their keys before
   * they are.
   */
  withdrawBeyond(
    positions: readonly Position[],
    withdrawn?: (cache: string, key: string) => void,
  ): Promise<number> {
    return this.#inTurn(async (log) => {
      const beyond = [...this.#index.all()].filter(
        (slot) => slot.position > (positions[slot.lane] ?? Infinity),
      )
      // First: where the file cannot take it, a part of them may be withdrawn already, and is not seen again.
      for (const { cache, key } of beyond) withdrawn?.(cache, key)
      await this.#settle(log, beyond, 'withdrawn')
      return beyond.length
    })
  }

  /** Whether it was given up, and the journal has not let go of it since. */
  isDiscarded(id: string): boolean {
    return this.#discarded.has(letterPosition(id))
  }

  /** Positions of the lane beyond `after` that were discarded. */
  *discardedBeyond(lane: number, after: Position): Generator<Position> {
    for (const [position, id] of this.#discarded) {
      if (position > after && letterLane(id) === lane) yield position
    }
  }

  /** The journal begins at `oldest` now: nothing before it can be decided again. */
  forgetDiscarded(oldest: Position): void {
    for (const [position, id] of this.#discarded) {
      if (position < oldest) this.#undiscard(id)
    }
  }

  /** Without a look at the file. */
  has(id: string): boolean {
    return this.#index.get(id) !== undefined
  }

  get(id: string): Promise<DeadLetter | undefined> {
    return this.#inTurn(async (log) => {
      const slot = this.#index.get(id)
      if (slot === undefined) return undefined
      return this.#letter(await this.#readLine(log, slot.line), slot)
    })
  }

  /**
   * Ids of the key's letters, oldest first (a retry has the place of what it retries), without superseded ones. Not a
   * copy: it changes with the letters.
   */
  ofKey(cache: string, key: string): readonly string[] {
    return this.#index.ofKey(cache, key)
  }

  /** By position. A page has `limit` letters at most (1 to 10,000), fewer where they are large. */
  list(
    filter: DeadLetterFilter,
    page: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<DeadLetterPage> {
    return this.#inTurn(async (log) => {
      const { slots, more } = this.#index.select(filter, page.after, page.limit)
      const letters: DeadLetter[] = []
      let line: Line | undefined
      let content: readonly DeadLetter[] = []
      for (const slot of slots) {
        if (line !== slot.line) {
          line = slot.line
          content = await this.#readLine(log, line)
        }
        letters.push(this.#letter(content, slot))
      }
      const last = slots.at(-1)
      return more && last !== undefined ? { letters, next: last.id } : { letters }
    })
  }

  /** How many fit. */
  matching(filter: DeadLetterFilter): number {
    return this.#index.matching(filter)
  }

  /** Letters that failed alike, the most frequent first. */
  groups(): DeadLetterGroup[] {
    return this.#index.groups()
  }

  /** Later calls, but those that only look at memory, throw CLOSED. */
  async close(): Promise<void> {
    if (this.#closed) return
    const closing = this.#inTurn((log) => log.close())
    this.#closed = true
    await closing
  }

  #inTurn<T>(work: (log: LineLog) => Promise<T>): Promise<T> {
    const log = this.#log
    if (this.#closed || log === undefined) {
      return Promise.reject(new DaybookError('CLOSED', 'The dead letters are closed.'))
    }
    const result = this.#turn.then(() => work(log))
    // The caller gets the error; whoever comes next only waits for the turn.
    this.#turn = result.catch(() => undefined)
    return result
  }

  #full(needed: number): DaybookError {
    return new DaybookError(
      'DEAD_LETTERS_FULL',
      `${this.count} dead letters take ${this.#index.bytes} of ${this.maxBytes} bytes.`,
      {
        details: { count: this.count, bytes: this.#index.bytes, maxBytes: this.maxBytes, needed },
        hint: 'Retry or discard some; see "daybook dead-letters list".',
      },
    )
  }

  // ── File ──

  async #settle(log: LineLog, slots: readonly Slot[], outcome: DeadLetterOutcome): Promise<void> {
    if (slots.length === 0) return
    for (const part of chunks(slots, idsPerLine)) {
      const settled = part.map((slot) => slot.id)
      await log.append(JSON.stringify({ settled, outcome, atMs: this.#clock.wallTime() }))
      if (outcome === 'discarded') for (const id of settled) this.#discard(id)
      for (const slot of part) this.#index.remove(slot)
    }
    await this.#compact(log)
  }

  #discard(id: string): void {
    const position = letterPosition(id)
    if (this.#discarded.has(position)) return
    this.#discarded.set(position, id)
    this.#discardedBytes += discardBytes(id)
  }

  #undiscard(id: string): void {
    if (this.#discarded.delete(letterPosition(id))) this.#discardedBytes -= discardBytes(id)
  }

  /** Failing leaves everything as it was, only longer: what was asked for is durable already. */
  async #compact(log: LineLog): Promise<void> {
    const settledBytes = log.bytes - this.#index.bytes - this.#discardedBytes
    if (settledBytes <= Math.max(compactBytes, log.bytes / 2) || log.bytes < this.#compactAt) return
    const slots: Slot[][] = []
    try {
      const [, ...lines] = await log.replace(this.#live(log, slots))
      lines.forEach((line, at) => {
        slots[at]?.forEach((slot, index) => {
          slot.line = line
          slot.index = index
        })
      })
    } catch (error) {
      this.#compactAt = log.bytes + compactBytes
      const fields = { file: this.#path, reason: reasonOf(error) }
      this.#logger.warn(
        fields,
        'the dead letters could not be compacted; this is tried again later',
      )
    }
  }

  /** The lines of a file that has nothing but what still counts. Notes in `placed` which letters each line has. */
  async *#live(log: LineLog, placed: Slot[][]): AsyncGenerator<string> {
    yield header
    let line: Line | undefined
    let content: readonly DeadLetter[] = []
    for (const group of inLines(this.#index.inOrder().filter((slot) => !slot.settled))) {
      const letters: EncodedLetter[] = []
      for (const slot of group) {
        if (line !== slot.line) {
          line = slot.line
          content = await this.#readLine(log, line)
        }
        letters.push(encodeLetter(this.#letter(content, slot)))
      }
      placed.push(group)
      yield lettersLine(letters)
    }
    for (const settled of chunks([...this.#discarded.values()], idsPerLine)) {
      yield JSON.stringify({ settled, outcome: 'discarded', atMs: this.#clock.wallTime() })
    }
  }

  async #readLine(log: LineLog, line: Line): Promise<readonly DeadLetter[]> {
    return (fromTaggedJson(await log.read(line)) as { letters: DeadLetter[] }).letters
  }

  #letter(content: readonly DeadLetter[], slot: Slot): DeadLetter {
    const letter = content[slot.index]
    if (letter?.id !== slot.id) throw corruptLine(this.#path, slot.line.offset)
    return slot.superseded ? { ...letter, superseded: true } : letter
  }

  /** Takes in one line of the file at open. */
  #visit(text: string, line: Line): void {
    const record = parse(text)
    if (line.offset === 0) this.#checkHeader(record)
    else if (isIds(record.settled)) {
      for (const slot of this.#index.known(record.settled)) this.#index.remove(slot)
      if (record.outcome === 'discarded') for (const id of record.settled) this.#discard(id)
    } else if (isIds(record.superseded)) {
      for (const slot of this.#index.known(record.superseded)) this.#index.supersede(slot)
    } else if (Array.isArray(record.letters) && record.letters.every(isDeadLetter)) {
      record.letters.forEach((letter, index) => {
        // Version 0.1.0 decided again what had been discarded: it is a letter like any other since.
        this.#undiscard(letter.id)
        if (this.#index.get(letter.id) === undefined)
          this.#index.insert(letter, encodeLetter(letter).bytes, line, index)
      })
    } else throw corruptLine(this.#path, line.offset)
  }

  #checkHeader(record: Readonly<Record<string, unknown>>): void {
    const details = { file: this.#path }
    if (record.daybook !== 'dead letters' || typeof record.version !== 'number') {
      throw new DaybookError('JOURNAL_FOREIGN', `${this.#path} is not a file of dead letters.`, {
        details,
      })
    }
    if (record.version !== version && record.version !== 1) {
      throw new DaybookError('JOURNAL_VERSION', `${this.#path} has format ${record.version}.`, {
        details: { ...details, version: record.version },
        hint: 'Use the version of Daybook that wrote it, or a newer one.',
      })
    }
  }
}

/** Groups of at least one, and no more than `lineBytes` where there are several. */
function* inLines<Item extends { readonly bytes: number }>(
  items: Iterable<Item>,
): Generator<Item[]> {
  let group: Item[] = []
  let bytes = 0
  for (const item of items) {
    if (group.length > 0 && bytes + item.bytes > lineBytes) {
      yield group
      group = []
      bytes = 0
    }
    group.push(item)
    bytes += item.bytes
  }
  if (group.length > 0) yield group
}

function* chunks<Item>(items: readonly Item[], size: number): Generator<Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

/** In the file, with what a share of its line takes. */
function discardBytes(id: string): number {
  return id.length + 4
}

/** Its checksum was right, so the text is what was written: anything unexpected is another program's doing. */
function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const record = fromTaggedJson(text)
    return isRecord(record) ? record : {}
  } catch {
    return {}
  }
}

function isIds(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((id) => typeof id === 'string')
}
