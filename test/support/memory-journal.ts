/**
 * A journal that is a list, without files. Alone, everything appended is durable at once; behind a book, group commits
 * become durable a turn later, or when the test says so.
 */

import { DaybookError } from '../../src/base/errors.ts'
import type { OpenJournal } from '../../src/book/open.ts'
import type {
  Commit,
  EntryVisitor,
  Journal,
  JournalListener,
  JournalState,
  JournalStats,
} from '../../src/journal/journal.ts'
import type { Entry, Position } from '../../src/mutation/mutation.ts'

interface Group {
  readonly entries: Entry[]
  readonly commit: Commit
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class MemoryJournal implements Journal {
  readonly id = 'memory'
  epoch = 0
  readonly lanes: number
  state: JournalState = 'open'
  readonly budgetUsedUp = false
  readonly entries: Entry[] = []
  oldestPosition = 1
  lastPosition = 0
  durablePosition = 0
  /** False: groups stay undurable until `commit` or `fail`. */
  automatic = true
  /** What `trim` was last asked for; nothing is let go of. */
  trimmedTo = 0
  /** Every append is a group of its own. */
  separate = false
  /** Appends are refused as by a full disk. */
  refusing = false
  /** Positions that were undone are not given out again. */
  #given = 0
  #listener: JournalListener | undefined
  #groups: Group[] = []

  constructor(lanes = 1) {
    this.lanes = lanes
  }

  /** For `openBook`: the same journal again and again, as after a restart. */
  readonly open: OpenJournal = async ({ listener }) => {
    this.#listener = listener
    this.epoch++
    this.state = 'open'
    this.#given = this.lastPosition
    return this
  }

  append(entries: readonly Entry[]): Commit {
    if (this.state === 'closed') throw new DaybookError('CLOSED', 'closed')
    if (this.state === 'failed') throw new DaybookError('JOURNAL_FAILED', 'failed')
    if (this.refusing) throw new DaybookError('JOURNAL_FULL', 'full')
    this.#given = Math.max(this.#given, this.lastPosition)
    for (const entry of entries) {
      entry.position = ++this.#given
      entry.bytes = 50
    }
    this.lastPosition = this.#given
    if (this.#listener === undefined) {
      this.entries.push(...entries)
      this.durablePosition = this.lastPosition
      return { done: Promise.resolve() }
    }
    const last = this.separate ? this.#newGroup() : (this.#groups.at(-1) ?? this.#newGroup())
    last.entries.push(...entries)
    return last.commit
  }

  /** All that was appended becomes durable. */
  commit(): void {
    for (const group of this.#groups.splice(0)) {
      this.entries.push(...group.entries)
      this.durablePosition = group.entries.at(-1)?.position ?? this.durablePosition
      this.#listener?.durable(group.entries)
      group.resolve()
    }
  }

  /** None of what was appended becomes durable, as on a full disk. */
  fail(): void {
    const error = new DaybookError('JOURNAL_FULL', 'no space')
    this.lastPosition = this.durablePosition
    for (const group of this.#groups.splice(0)) {
      this.#listener?.undone(group.entries, error)
      group.reject(error)
    }
  }

  /** A sync fails: nobody knows what of what was appended is durable. */
  poison(): void {
    const error = new DaybookError('JOURNAL_FAILED', 'sync failed')
    this.state = 'failed'
    this.#listener?.changed?.('failed', error)
    for (const group of this.#groups.splice(0)) group.reject(error)
  }

  /** The disk is full, or has space again. */
  setFull(full: boolean): void {
    this.state = full ? 'full' : 'open'
    this.refusing = full
    const error = full ? new DaybookError('JOURNAL_FULL', 'no space') : undefined
    this.#listener?.changed?.(this.state, error)
  }

  /** The process dies, and all that was not durable with it. */
  crash(): void {
    this.lastPosition = this.durablePosition
    this.#listener = undefined
    this.#groups = []
    this.state = 'closed'
  }

  /** The same journal elsewhere, as far as it is durable. */
  copy(): MemoryJournal {
    const copy = new MemoryJournal(this.lanes)
    copy.entries.push(...this.entries.map((entry) => ({ ...entry })))
    copy.epoch = this.epoch
    copy.oldestPosition = this.oldestPosition
    copy.durablePosition = this.durablePosition
    copy.lastPosition = this.durablePosition
    copy.#given = this.durablePosition
    return copy
  }

  async whenDurable(position: Position): Promise<void> {
    if (position <= this.durablePosition) return
    const group = this.#groups.find(({ entries }) => (entries.at(-1)?.position ?? 0) >= position)
    if (group !== undefined) return group.commit.done
    throw this.state === 'failed'
      ? new DaybookError('JOURNAL_FAILED', 'failed')
      : new DaybookError('JOURNAL_FULL', `Position ${position} was undone.`)
  }

  #newGroup(): Group {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    promise.catch(() => undefined)
    const group: Group = { entries: [], commit: { done: promise }, resolve, reject }
    this.#groups.push(group)
    if (this.automatic) setImmediate(() => this.commit())
    return group
  }

  async *read(lane: number, after: Position, to: Position): AsyncGenerator<readonly Entry[]> {
    if (after + 1 < this.oldestPosition) throw new DaybookError('JOURNAL_GAP', 'trimmed')
    const found = this.entries.filter(
      (entry) => entry.lane === lane && entry.position > after && entry.position <= to,
    )
    for (let at = 0; at < found.length; at += 3) yield found.slice(at, at + 3)
  }

  async find(positions: readonly Position[]): Promise<Entry[]> {
    return positions.map(
      (position) => this.entries.find((entry) => entry.position === position) as Entry,
    )
  }

  async scan(after: Position, visit: EntryVisitor): Promise<void> {
    for (const { position, lane, hash, bytes, retryOf } of this.entries) {
      if (position > after) visit(position, lane, hash, bytes, retryOf)
    }
  }

  trim(position: Position): Promise<void> {
    this.trimmedTo = position
    return Promise.resolve()
  }

  stats(): JournalStats {
    return {
      state: this.state,
      budgetUsedUp: this.budgetUsedUp,
      segments: 1,
      bytes: 0,
      undurableBytes: 0,
      commits: 0,
      syncMs: { p50: 0, p99: 0, max: 0, sum: 0 },
    }
  }

  async close(): Promise<void> {
    if (this.state !== 'failed') this.commit()
    this.state = 'closed'
  }
}
