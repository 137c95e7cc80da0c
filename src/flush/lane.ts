/**
 * One ordered stream of mutations that are durable in the journal and not yet in the store.
 *
 *     checkpoint                                                              lastPosition
 *         │ flushing │ queue[0] │ queue[1] … │ open                                │
 *         └──────────┴──────────┴────────────┴─────────────────────────────────────┘
 *           in flight   sealed batches, or     coalesces what comes
 *                       spilled ranges
 *
 * Ranges touch: each begins where the one before it ends. A *spilled range* has left memory: the journal has its
 * mutations, and the index tells which of them belong to a key. Recovery and a database that went back in time use
 * the same form, so there is one way in which pending mutations come back.
 *
 * All methods but `take` and `rebuild` are synchronous: between two awaits of anyone the lane is consistent.
 */

import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { DaybookError } from '../base/errors.ts'
import type { Journal } from '../journal/journal.ts'
import { applyMutation, coalesce, isDeterminate } from '../mutation/coalesce.ts'
import type { Entry, Fields, Mutation, Position } from '../mutation/mutation.ts'
import { Batch, type PendingRow } from './batch.ts'
import type { FlushTables } from './flush-table.ts'
import { letterPosition } from './letter-id.ts'
import { SpillIndex } from './spill-index.ts'

export interface LaneLimits {
  readonly delayMs: number
  readonly maxKeys: number
  readonly maxBytes: number
}

/** How exactly the age of what is spilled is known. */
const markMs = 1000

/** Pending mutations that are only in the journal: (from, to]. */
class SpilledRange {
  from: Position
  to: Position
  /** No mutation of the range that has an effect is below this; a lower bound once part of the range was taken. */
  first: Position
  mutations: number
  bytes: number
  startedAt: number
  /** Mutations beyond `after` began at `startedAt`: the range's age stays right while it grows at its end. */
  #marks: { readonly after: Position; readonly startedAt: number }[] = []

  constructor(from: Position, startedAt: number) {
    this.from = from
    this.to = from
    this.first = Infinity
    this.mutations = 0
    this.bytes = 0
    this.startedAt = startedAt
  }

  /** It is about to grow by what became durable at `startedAt`. */
  mark(startedAt: number): void {
    if (startedAt < (this.#marks.at(-1)?.startedAt ?? this.startedAt) + markMs) return
    this.#marks.push({ after: this.to, startedAt })
  }

  /** Its first mutations, up to `position`, are in memory. */
  taken(position: Position, mutations: number): void {
    this.bytes -= Math.round((this.bytes * mutations) / this.mutations)
    this.mutations -= mutations
    this.from = position
    this.first = position + 1
    while (this.#marks[0] !== undefined && this.#marks[0].after <= position) {
      this.startedAt = this.#marks[0].startedAt
      this.#marks.shift()
    }
  }
}

/** A piece of what is pending for a key: coalesced in memory, or positions to read. */
type Piece = { readonly mutation: Mutation } | { readonly positions: readonly Position[] }

/** What is pending for one key beyond some checkpoint, oldest first. */
export interface PendingPieces {
  readonly pieces: readonly Piece[]
  /** The newest position in it, or 0. */
  readonly position: Position
}

const nothingPending: PendingPieces = { pieces: [], position: 0 }

export class Lane {
  readonly index: number
  /** How far the store has come, as far as this process knows. */
  checkpoint: Position
  /** The newest durable mutation of the lane, or the checkpoint. */
  lastPosition: Position
  mutations = 0
  /** Bytes of batches in memory, those in flight and retired included. */
  memoryBytes = 0
  /** May change at any time. */
  limits: LaneLimits
  /** Grows with each rebuild: a read that began before one may have missed what lies between. */
  rebuilds = 0
  /** Reads under way, by the checkpoint that they began at: they may still need batches that are committed since. */
  readonly #readers = new Map<Position, number>()
  /** Committed since the oldest reader began, which may need them. */
  #retired: (Batch | SpilledRange)[] = []
  #flushing: Batch | undefined
  #queue: (Batch | SpilledRange)[] = []
  #open: Batch | undefined
  readonly #index = new SpillIndex()
  /**
   * Pending positions without an effect: their dead letter was retried, so that the mutation stands further on, or it was
   * discarded. Only a database that went back in time makes such positions pending again.
   */
  readonly #moved = new Set<Position>()
  #reader: SpillReader | undefined
  /** Set while the lane is rebuilt from the journal: nothing can be said about a key. */
  #rebuilding: Promise<void> | undefined
  readonly #clock: Clock
  readonly #journal: () => Journal
  readonly #discardedBeyond: (lane: number, after: Position) => Iterable<Position>
  readonly #tables: FlushTables

  constructor(
    index: number,
    checkpoint: Position,
    parts: {
      clock: Clock
      journal: () => Journal
      tables: FlushTables
      limits: LaneLimits
      /** Dead letters that were given up. */
      discardedBeyond?: (lane: number, after: Position) => Iterable<Position>
    },
  ) {
    this.index = index
    this.checkpoint = checkpoint
    this.lastPosition = checkpoint
    this.#clock = parts.clock
    this.#journal = parts.journal
    this.#discardedBeyond = parts.discardedBeyond ?? (() => [])
    this.#tables = parts.tables
    this.limits = parts.limits
  }

  get empty(): boolean {
    return this.mutations === 0
  }

  /** The batch in flight. */
  get flushing(): Batch | undefined {
    return this.#flushing
  }

  get keys(): number {
    let keys = (this.#flushing?.keys ?? 0) + (this.#open?.keys ?? 0)
    for (const part of this.#queue) keys += part instanceof Batch ? part.keys : part.mutations
    return keys
  }

  /** An upper bound of what is pending: records in the journal, and rows in memory. */
  get pendingBytes(): number {
    let bytes = (this.#flushing?.bytes ?? 0) + (this.#open?.bytes ?? 0)
    for (const part of this.#queue) bytes += part.bytes
    return bytes
  }

  get spilledMutations(): number {
    let mutations = 0
    for (const part of this.#queue) if (part instanceof SpilledRange) mutations += part.mutations
    return mutations
  }

  get indexBytes(): number {
    return this.#index.bytes
  }

  get rebuilding(): Promise<void> | undefined {
    return this.#rebuilding
  }

  /** When the oldest pending mutation became durable, on the monotonic clock; undefined where none is pending. */
  get oldestAt(): number | undefined {
    return (this.#flushing ?? this.#queue[0] ?? this.#open)?.startedAt
  }

  /** When the flusher should take the next batch: at once for a sealed one, else by the first mutation's age. */
  get dueAt(): number {
    if (this.#flushing !== undefined || this.#queue.length > 0) return 0
    return this.#open === undefined ? Infinity : this.#open.startedAt + this.limits.delayMs
  }

  /**
   * Nothing at or below `position` is pending here. What has moved does not count: two lanes could wait for each other
   * where each has nothing else left before the other's row.
   */
  passed(position: Position): boolean {
    if (this.#rebuilding !== undefined) return false
    if (this.checkpoint >= position || this.empty) return true
    if ((this.#flushing?.first ?? Infinity) <= position) return false
    for (const part of this.#queue) if (part.first < Infinity) return part.first > position
    return (this.#open?.first ?? Infinity) > position
  }

  /**
   * Takes the next durable mutation in. The caller feeds the lane in the order of positions. Behind a spilled range
   * mutations join it: while the store cannot keep up they cost an index entry each, and no memory that outlives them.
   */
  add(entry: Entry, blank: Fields, now: number): void {
    let open = this.#open
    if (open === undefined) {
      // A range that is about to be replaced by a rebuilt one must not take in what the rebuild does not look at.
      if (this.#rebuilding === undefined && this.#queue.at(-1) instanceof SpilledRange) {
        if (entry.retryOf !== undefined) this.noteRetry(entry.retryOf)
        this.addSpilled(entry.position, entry.hash, entry.bytes, now)
        return
      }
      open = new Batch(this.index, this.lastPosition, now)
      this.#open = open
    }
    if (entry.retryOf !== undefined) this.noteRetry(entry.retryOf)
    this.memoryBytes += open.add(entry, blank)
    this.lastPosition = entry.position
    this.mutations++
    if (
      (open.keys >= this.limits.maxKeys || open.bytes >= this.limits.maxBytes) &&
      !entry.continues
    ) {
      this.#queue.push(open)
      this.#open = undefined
    }
  }

  /** A retry of this dead letter is in the journal. */
  noteRetry(letter: string): void {
    const position = letterPosition(letter)
    // A rebuild under way may lower the checkpoint, and has perhaps scanned past this retry.
    if (position > this.checkpoint || this.#rebuilding !== undefined) this.#moved.add(position)
  }

  /** What was discarded has no effect although it is pending again. */
  noteDiscarded(): void {
    for (const position of this.#discardedBeyond(this.index, this.checkpoint)) {
      this.#moved.add(position)
    }
  }

  /** Notes a pending mutation without holding it: recovery. */
  addSpilled(position: Position, hash: number, bytes: number, now: number): void {
    assert(this.#open === undefined, 'a spilled mutation comes after one in memory')
    let range = this.#queue.at(-1)
    if (!(range instanceof SpilledRange)) {
      range = new SpilledRange(this.lastPosition, now)
      this.#queue.push(range)
    } else range.mark(now)
    if (!this.#moved.has(position)) range.first = Math.min(range.first, position)
    range.to = position
    range.mutations++
    range.bytes += bytes
    this.lastPosition = position
    this.mutations++
    this.#index.add(hash, position)
  }

  /**
   * The next batch for the store, which stays `flushing` until `advance` or `putBack`. Reads it from the journal where
   * it was spilled. `maxMutations` bounds a batch that is read; `keep` gets its entries one by one.
   */
  async take(
    options: { maxMutations?: number; upTo?: Position; keep?: Entry[] } = {},
  ): Promise<Batch | undefined> {
    if (this.#rebuilding !== undefined) await this.#rebuilding
    if (this.#flushing !== undefined) return this.#flushing
    const head = this.#queue[0]
    if (head instanceof SpilledRange) return this.#takeSpilled(head, options)
    if (head !== undefined) {
      this.#queue.shift()
      this.#flushing = head
    } else {
      // An atomic group is appended and becomes durable as one, so between two turns none is half added.
      this.#flushing = this.#open
      this.#open = undefined
    }
    return this.#flushing
  }

  /** The batch in flight is in the store. */
  advance(batch: Batch): void {
    assert(batch === this.#flushing, 'a batch is committed that is not in flight')
    this.#flushing = undefined
    this.checkpoint = batch.to
    this.mutations -= batch.mutations
    if (this.#readers.size > 0) this.#retired.push(batch)
    else this.memoryBytes -= batch.bytes
    this.#releaseIndex()
    for (const position of this.#moved) if (position <= batch.to) this.#moved.delete(position)
  }

  /** The store was told of a position that lies before all that is pending. */
  skipTo(position: Position): void {
    assert(this.passed(position) && this.#flushing === undefined, 'a lane skips what is pending')
    this.checkpoint = Math.max(this.checkpoint, position)
    this.lastPosition = Math.max(this.lastPosition, position)
    const first = this.#queue[0] ?? this.#open
    if (first !== undefined) first.from = this.checkpoint
  }

  /**
   * The batch in flight goes back to being a spilled range at the head, to be read again in smaller pieces.
   */
  spillFlushing(): void {
    const batch = this.#flushing
    if (batch === undefined) return
    this.#flushing = undefined
    this.memoryBytes -= batch.bytes
    this.#queue.unshift(this.#spilled(batch))
    this.#closeReader()
    this.#mergeSpilled()
  }

  /**
   * Moves the newest batch out of memory, the open one first: then what comes next joins it, and what the flusher takes
   * next stays. Returns the bytes that this freed; 0 where there is none.
   */
  spillNewest(): number {
    if (this.#rebuilding !== undefined) return 0
    if (this.#open !== undefined) {
      this.#queue.push(this.#open)
      this.#open = undefined
    }
    const at = this.#queue.findLastIndex((part) => part instanceof Batch)
    if (at < 0) return 0
    const batch = this.#queue[at] as Batch
    const freed = batch.bytes
    this.memoryBytes -= freed
    this.#queue[at] = this.#spilled(batch)
    this.#mergeSpilled()
    return freed
  }

  /**
   * Moves the oldest batch that is only kept for readers out of memory: a slow read among many commits must not cost more
   * than the budget. Returns the bytes that this freed; 0 where there is none.
   */
  spillRetired(): number {
    const at = this.#retired.findIndex((part) => part instanceof Batch)
    if (at < 0) return 0
    const batch = this.#retired[at] as Batch
    this.memoryBytes -= batch.bytes
    this.#retired[at] = this.#spilled(batch)
    return batch.bytes
  }

  /** Bytes that `spillNewest` could free at once. */
  get spillableBytes(): number {
    if (this.#rebuilding !== undefined) return 0
    let bytes = this.#open?.bytes ?? 0
    for (const part of this.#queue) if (part instanceof Batch) bytes += part.bytes
    return bytes
  }

  /**
   * What is pending for the key beyond `after`, which is a checkpoint: oldest first, from the last mutation that
   * decides the value.
   */
  pendingOf(cache: string, key: string, hash: number, after: Position): PendingPieces {
    if (this.mutations === 0 && this.#retired.length === 0) return nothingPending
    const pieces: Piece[] = []
    let position = 0
    const visit = (part: Batch | SpilledRange): boolean => {
      if (part.to <= after) return true
      if (part instanceof Batch) {
        const row = part.get(cache, key)
        if (row === undefined) return false
        if (part.from < after) {
          // The store stands inside the batch, so the coalesced mutation says too much.
          const beyond = (row.parts ?? [row.position]).filter((place) => place > after)
          position = Math.max(position, beyond.at(-1) ?? 0)
          if (beyond.length > 0) pieces.push({ positions: beyond })
          return true
        }
        position = Math.max(position, row.position)
        // It stays as it is: the row folds what comes while the caller reads from the journal into another one.
        pieces.push({ mutation: row.mutation })
        return isDeterminate(row.mutation)
      }
      const positions = this.#index
        .find(hash, Math.max(after, part.from), part.to)
        .filter((place) => !this.#moved.has(place))
      if (positions.length > 0) {
        position = Math.max(position, positions.at(-1) as number)
        pieces.push({ positions })
      }
      return false
    }
    const newestFirst = function* (this: Lane): Generator<Batch | SpilledRange> {
      if (this.#open !== undefined) yield this.#open
      for (let at = this.#queue.length - 1; at >= 0; at--) yield this.#queue[at] as Batch
      if (this.#flushing !== undefined) yield this.#flushing
      for (let at = this.#retired.length - 1; at >= 0; at--) yield this.#retired[at] as Batch
    }
    for (const part of newestFirst.call(this)) if (visit(part)) break
    return { pieces: pieces.reverse(), position }
  }

  /** Lays pending pieces over a value, reading from the journal what is not in memory. */
  async overlay(
    value: Fields | undefined,
    pending: PendingPieces,
    cache: string,
    key: string,
    blank: Fields,
  ): Promise<Fields | undefined> {
    const journal = this.#journal()
    for (const piece of pending.pieces) {
      if ('mutation' in piece) {
        value = applyMutation(value, piece.mutation, blank)
        continue
      }
      for (const entry of await journal.find(piece.positions)) {
        // Another key may have the same hash.
        if (entry.cache === cache && entry.key === key) {
          value = applyMutation(value, entry.mutation, blank)
        }
      }
    }
    return value
  }

  /** Pending pieces as one mutation, reading from the journal what is not in memory; undefined where there is none. */
  async coalesced(
    pending: PendingPieces,
    cache: string,
    key: string,
    blank: Fields,
  ): Promise<Mutation | undefined> {
    let whole: Mutation | undefined
    const add = (mutation: Mutation): void => {
      whole = whole === undefined ? mutation : coalesce(whole, mutation, blank)
    }
    for (const piece of pending.pieces) {
      if ('mutation' in piece) add(piece.mutation)
      else {
        for (const entry of await this.#journal().find(piece.positions)) {
          // Another key may have the same hash.
          if (entry.cache === cache && entry.key === key) add(entry.mutation)
        }
      }
    }
    return whole
  }

  /**
   * While a reader holds this, batches that are committed beyond the checkpoint of now stay visible to `pendingOf`. Call
   * the result once.
   */
  retain(): () => void {
    const { checkpoint } = this
    this.#readers.set(checkpoint, (this.#readers.get(checkpoint) ?? 0) + 1)
    return () => {
      const left = (this.#readers.get(checkpoint) ?? 1) - 1
      if (left > 0) this.#readers.set(checkpoint, left)
      else this.#readers.delete(checkpoint)
      this.#dropRetired()
    }
  }

  /** There may always be a reader: each batch goes as soon as none is as old as it. */
  #dropRetired(): void {
    if (this.#retired.length === 0) return
    const oldest = Math.min(...this.#readers.keys())
    while (this.#retired[0] !== undefined && this.#retired[0].to <= oldest) {
      const gone = this.#retired.shift()
      if (gone instanceof Batch) this.memoryBytes -= gone.bytes
    }
    this.#releaseIndex()
  }

  /** Readers may need what the checkpoint has passed. */
  #releaseIndex(): void {
    if (this.#index.entries === 0) return
    const kept = this.#retired.find((part) => part instanceof SpilledRange)
    this.#index.release(kept?.from ?? this.checkpoint)
  }

  /**
   * Starts over from `checkpoint`, which the store says: everything durable beyond it is pending again, and is read
   * from the journal. For a database that went back in time, and for a commit that turned out to be partial.
   */
  rebuild(checkpoint: Position): Promise<void> {
    const upTo = this.lastPosition
    // What comes during the scan begins a batch of its own, so that the rebuilt range ends where it begins.
    if (this.#open !== undefined) this.#queue.push(this.#open)
    this.#open = undefined
    this.#rebuilding = this.#rebuild(checkpoint, upTo).finally(() => {
      this.#rebuilding = undefined
    })
    return this.#rebuilding
  }

  async #rebuild(checkpoint: Position, upTo: Position): Promise<void> {
    const journal = this.#journal()
    if (checkpoint + 1 < journal.oldestPosition && checkpoint < upTo) {
      throw new DaybookError(
        'JOURNAL_GAP',
        `The store's checkpoint of lane ${this.index} is ${checkpoint}, and the journal begins at ${journal.oldestPosition}.`,
        {
          details: { lane: this.index, checkpoint, oldestPosition: journal.oldestPosition },
          hint: 'Restore a newer backup of the database, or keep more of the journal (journal.retainBytes).',
        },
      )
    }
    const found: [Position, number, number][] = []
    const retried: string[] = []
    await journal.scan(checkpoint, (position, lane, hash, bytes, retryOf) => {
      if (lane !== this.index) return
      if (position <= upTo) found.push([position, hash, bytes])
      if (retryOf !== undefined) retried.push(retryOf)
    })
    // What became durable during the scan is in memory, beyond `upTo`; it stays, behind the rebuilt range.
    const later = [...this.#queue, ...(this.#open === undefined ? [] : [this.#open])].filter(
      (part): part is Batch => part instanceof Batch && part.from >= upTo,
    )
    this.rebuilds++
    this.#flushing = undefined
    this.#retired = []
    this.#queue = []
    this.#open = undefined
    this.#closeReader()
    this.#index.clear()
    this.mutations = 0
    this.checkpoint = checkpoint
    this.lastPosition = checkpoint
    for (const letter of retried) this.noteRetry(letter)
    this.noteDiscarded()
    const now = this.#clock.now()
    for (const [position, hash, bytes] of found) this.addSpilled(position, hash, bytes, now)
    this.memoryBytes = 0
    for (const batch of later) {
      this.#queue.push(batch)
      this.mutations += batch.mutations
      this.memoryBytes += batch.bytes
      this.lastPosition = batch.to
    }
  }

  async #takeSpilled(
    range: SpilledRange,
    options: { maxMutations?: number; upTo?: Position; keep?: Entry[] },
  ): Promise<Batch | undefined> {
    let reader = this.#readerOf(range.from, range.to)
    let reopenedAt = -1
    let full = false
    const batch = new Batch(this.index, range.from, range.startedAt)
    const maxMutations = options.maxMutations ?? Infinity
    const upTo = options.upTo ?? Infinity
    while (!full) {
      const entry = reader.take()
      if (entry === undefined) {
        const more = await this.#fill(reader)
        // A rebuild or a put-back while reading makes what was read obsolete.
        if (this.#reader !== reader) {
          options.keep?.splice(0)
          return this.take(options)
        }
        if (more) continue
        const reached = batch.empty ? range.from : batch.to
        if (reached >= range.to) break
        // The range has grown since the reader was opened; what it has grown by is in the journal.
        assert(reached > reopenedAt, `the journal lacks mutations of lane ${this.index}`)
        reopenedAt = reached
        this.#closeReader()
        reader = this.#readerOf(reached, range.to)
        continue
      }
      const table = this.#tables.get(entry.cache)
      if (table === undefined) {
        this.#closeReader()
        throw new DaybookError(
          'INVALID_STATE',
          `Mutations of cache "${entry.cache}" are pending, and it has not been declared since the restart.`,
          {
            details: { cache: entry.cache, lane: this.index },
            hint: `Call book.cache('${entry.cache}', …).`,
          },
        )
      }
      if (this.#moved.has(entry.position)) {
        batch.pass(entry.position)
        if (!entry.continues) endGroup(batch, options.keep)
      } else {
        batch.add(entry, table.schema.blank)
        options.keep?.push(entry)
      }
      const limit =
        batch.keys >= this.limits.maxKeys ||
        batch.bytes >= this.limits.maxBytes ||
        batch.mutations >= maxMutations ||
        batch.to >= upTo
      full = limit && !batch.inGroup
    }
    assert(!batch.empty, `lane ${this.index} has a spilled range without mutations`)
    range.taken(batch.to, batch.mutations)
    if (batch.to >= range.to) {
      assert(this.#queue[0] === range, 'a spilled range is taken that is not the head')
      this.#queue.shift()
      this.#closeReader()
    }
    this.memoryBytes += batch.bytes
    this.#flushing = batch
    return batch
  }

  /** A reader that has failed stays failed: the next attempt needs another one. */
  async #fill(reader: SpillReader): Promise<boolean> {
    try {
      return await reader.fill()
    } catch (error) {
      if (this.#reader === reader) this.#closeReader()
      throw error
    }
  }

  #readerOf(after: Position, to: Position): SpillReader {
    this.#reader ??= new SpillReader(this.#journal(), this.index, after, to)
    return this.#reader
  }

  #closeReader(): void {
    this.#reader?.close()
    this.#reader = undefined
  }

  #spilled(batch: Batch): SpilledRange {
    const range = new SpilledRange(batch.from, batch.startedAt)
    range.to = batch.to
    range.first = batch.first
    range.mutations = batch.mutations
    range.bytes = batch.bytes
    for (const row of batch.rows()) this.#indexRow(row)
    return range
  }

  #indexRow(row: PendingRow): void {
    if (row.parts === undefined) this.#index.add(row.hash, row.position)
    else for (const position of row.parts) this.#index.add(row.hash, position)
  }

  #mergeSpilled(): void {
    const merged: (Batch | SpilledRange)[] = []
    for (const part of this.#queue) {
      const last = merged.at(-1)
      if (part instanceof SpilledRange && last instanceof SpilledRange) {
        last.mark(part.startedAt)
        last.to = part.to
        last.first = Math.min(last.first, part.first)
        last.mutations += part.mutations
        last.bytes += part.bytes
      } else merged.push(part)
    }
    this.#queue = merged
  }
}

/** The group's last member has moved: the one before it is the last now. */
function endGroup(batch: Batch, kept: Entry[] | undefined): void {
  batch.inGroup = false
  const last = kept?.at(-1)
  if (last !== undefined) last.continues = false
}

/** Reads a lane's entries, a chunk ahead, and remembers between two batches where it was. */
class SpillReader {
  readonly #chunks: AsyncIterator<readonly Entry[]>
  #chunk: readonly Entry[] = []
  #at = 0
  #ahead: Promise<IteratorResult<readonly Entry[]>>

  constructor(journal: Journal, lane: number, after: Position, to: Position) {
    this.#chunks = journal.read(lane, after, to)[Symbol.asyncIterator]()
    this.#ahead = this.#readAhead()
  }

  /** The next entry of the chunk; undefined at its end. */
  take(): Entry | undefined {
    return this.#chunk[this.#at++]
  }

  /** Gets the next chunk; false where there is none. */
  async fill(): Promise<boolean> {
    const next = await this.#ahead
    if (next.done === true) return false
    this.#chunk = next.value
    this.#at = 0
    this.#ahead = this.#readAhead()
    return true
  }

  /** Lets go of the files. */
  close(): void {
    // Nothing waits for it, and what it read is not used any more.
    this.#chunks.return?.().catch(() => undefined)
  }

  #readAhead(): Promise<IteratorResult<readonly Entry[]>> {
    const ahead = this.#chunks.next()
    // Whoever asks for the chunk gets the error.
    ahead.catch(() => undefined)
    return ahead
  }
}
