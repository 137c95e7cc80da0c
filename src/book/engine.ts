/**
 * The engine behind a book: the journal, the lanes and the keyspaces, and the path of a write through them.
 *
 *     append (position taken, bytes encoded) ─▶ tier, in the same turn ─▶ group commit ─▶ lane ─▶ flusher ─▶ store
 *
 * Nothing undurable escapes: lanes only get what is durable, and a reader waits until what it would see is.
 */

import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Ports } from '../base/ports.ts'
import type { DeadLetters } from '../flush/dead-letters.ts'
import type { FlushTable } from '../flush/flush-table.ts'
import type { Flusher } from '../flush/flusher.ts'
import type { Commit, Journal, JournalListener, JournalState } from '../journal/journal.ts'
import type { Entry, Position } from '../mutation/mutation.ts'
import { diagnostics } from '../observe/diagnostics.ts'
import type { Events, PressureState } from '../observe/events.ts'
import type { Store } from '../store/store.ts'
import type { Keyspace } from './keyspace.ts'
import type { Durability, PressurePolicy, ResolvedBookOptions } from './options.ts'
import { Writer } from './writer.ts'

export interface WriteLimits {
  readonly durability: Durability
  readonly policy: PressurePolicy
  /** Deadline for room, and for the store with durability 'store'. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

export class Engine implements JournalListener {
  readonly ports: Ports
  /** Replaced as a whole where some of it changes while the book is open. */
  options: ResolvedBookOptions
  readonly store: Store
  readonly events: Events
  readonly writer: Writer
  /** By the cache's name; what is declared. */
  readonly keyspaces = new Map<string, Keyspace>()
  /** The same, and caches that an earlier run declared and this one has not yet. */
  readonly tables = new Map<string, FlushTable>()
  #journal: Journal | undefined
  #flusher: Flusher | undefined
  #deadLetters: DeadLetters | undefined
  #fullSince: number | undefined
  #pressure: PressureState = 'none'
  /** Mutations that have become durable. */
  acknowledged = 0

  constructor(ports: Ports, options: ResolvedBookOptions, store: Store, events: Events) {
    this.ports = ports
    this.options = options
    this.store = store
    this.events = events
    this.writer = new Writer(
      ports.clock,
      () => this.journal,
      () => this.notePressure(),
    )
  }

  get journal(): Journal {
    return this.#part(this.#journal)
  }

  get flusher(): Flusher {
    return this.#part(this.#flusher)
  }

  get deadLetters(): DeadLetters {
    return this.#part(this.#deadLetters)
  }

  /** Opening puts the parts in as they come up. */
  use(parts: { journal?: Journal; flusher?: Flusher; deadLetters?: DeadLetters }): void {
    this.#journal = parts.journal ?? this.#journal
    this.#flusher = parts.flusher ?? this.#flusher
    this.#deadLetters = parts.deadLetters ?? this.#deadLetters
  }

  #part<T>(part: T | undefined): T {
    if (part === undefined) throw new DaybookError('CLOSED', 'The daybook is not open.')
    return part
  }

  get pressure(): PressureState {
    if (this.writer.waiting > 0 || this.#journal?.budgetUsedUp === true) return 'limit'
    return this.#flusher?.spilling === true ? 'spilling' : 'none'
  }

  /** Says so where the pressure is another than the last time. */
  notePressure(): void {
    const state = this.pressure
    if (state === this.#pressure) return
    this.#pressure = state
    this.events.emit('pressure', {
      state,
      pendingBytes: this.flusher.lanes.reduce((sum, lane) => sum + lane.pendingBytes, 0),
      journalBytes: this.journal.stats().bytes,
    })
  }

  // ── JournalListener ──

  durable(entries: readonly Entry[]): void {
    this.acknowledged += entries.length
    this.flusher.add(entries)
    if (this.writer.waiting > 0) this.ports.clock.defer(() => this.writer.pump())
    diagnostics.commit.publish(() => ({
      mutations: entries.length,
      bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0),
      position: entries.at(-1)?.position ?? 0,
    }))
  }

  undone(entries: readonly Entry[]): void {
    const keys = new Map<string, string[]>()
    for (const entry of entries) {
      const list = keys.get(entry.cache)
      if (list === undefined) keys.set(entry.cache, [entry.key])
      else list.push(entry.key)
    }
    const durable = this.journal.durablePosition
    for (const [cache, names] of keys) this.keyspaces.get(cache)?.undone(names, durable)
  }

  changed(state: JournalState, failure: Error | undefined): void {
    const reason = failure === undefined ? state : reasonOf(failure)
    if (state === 'full') {
      this.#fullSince = this.ports.clock.now()
      this.events.emit('journalFull', { reason })
    } else if (state === 'failed') {
      this.events.emit('journalFailed', { reason })
      // Those in line learn it now.
      this.writer.pump()
    } else if (state === 'open' && this.#fullSince !== undefined) {
      this.events.emit('journalRecovered', { fullMs: this.ports.clock.now() - this.#fullSince })
      this.#fullSince = undefined
      this.writer.pump()
    }
  }

  // ── Waiting for a write ──

  /** After the append: waits until the write has come as far as it should. Throws what became of it otherwise. */
  async settle(
    commit: Commit,
    entries: readonly Entry[],
    limits: WriteLimits,
  ): Promise<Durability> {
    if (limits.durability === 'memory') {
      commit.done.catch(() => undefined)
      return 'memory'
    }
    await commit.done
    if (limits.durability !== 'store') return 'journal'
    const newest = new Map<number, Position>()
    for (const entry of entries) newest.set(entry.lane, entry.position)
    await Promise.all(
      [...newest].map(([lane, position]) =>
        this.flusher.whenApplied(lane, position, {
          timeoutMs: limits.timeoutMs,
          signal: limits.signal,
        }),
      ),
    )
    for (const entry of entries) await this.#refuseDead(entry)
    return 'store'
  }

  /** The dead letter that this mutation became, if it did and is not settled. */
  letterOf(place: {
    cache: string
    key: string
    lane: number
    position: Position
  }): string | undefined {
    if (this.deadLetters.count === 0) return undefined
    const id = `${place.lane}-${place.position}`
    // A retry's letter also has the place of what it retries in its name.
    return this.deadLetters.has(id)
      ? id
      : this.deadLetters.ofKey(place.cache, place.key).find((other) => other.startsWith(`${id}.`))
  }

  async #refuseDead(entry: Entry): Promise<void> {
    const id = this.letterOf(entry)
    if (id === undefined) return
    // What became of the write is known, also where the letter cannot be read.
    const letter = await this.deadLetters.get(id).catch(() => undefined)
    throw new DaybookError(
      'STORE_REJECTED',
      `The store refused the write: ${letter?.failure.message ?? 'see the dead letter'}.`,
      {
        details: { deadLetter: id, code: letter?.failure.code, outcome: 'dead-lettered' },
        hint: 'It is kept as a dead letter; retry, edit or discard it.',
      },
    )
  }
}
