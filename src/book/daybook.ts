/**
 * The book: all caches of one journal and one store, and what concerns them together.
 */

import { waitFor, withSignal } from '../base/deadline.ts'
import { DaybookError, isDaybookError, reasonOf } from '../base/errors.ts'
import type { EventName, Listener } from '../observe/events.ts'
import type { BookState, BookStats, ReadFailure } from '../observe/stats.ts'
import { AtomicBatch, writeBatch, type BatchWrites } from './atomic-batch.ts'
import { Cache, type Receipt, type WriteOptions } from './cache.ts'
import { DeadLetterDesk } from './dead-letter-desk.ts'
import type { Declarations } from './declarations.ts'
import type { Engine } from './engine.ts'
import { ExpirySweep } from './expiry-sweep.ts'
import { Keyspace } from './keyspace.ts'
import {
  changedOptions,
  flusherOptions,
  readCacheOptions,
  type CacheOptions,
  type LiveOptions,
  type ResolvedBookOptions,
  type ResolvedCacheOptions,
} from './options.ts'
import { pendingPage, type PendingFilter, type PendingPage } from './pending.ts'
import { storeError } from './store-error.ts'
import { Turn } from './turn.ts'

export interface WaitOptions {
  /** Default: no deadline but the signal. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CloseReport {
  /** Mutations that are in the journal and not in the store; the next open flushes them. */
  readonly pending: number
  /**
   * Lanes whose flush the store has neither ended nor given up, `pending` among them: it may still land. The directory
   * stays locked until it has, or this process ends. 0 with every store that heeds its signal.
   */
  readonly unsettledLanes: number
}

/** A store that heeds its signal has let go of everything by then. */
const letGoMs = 5_000

/** What became of a write, as far as the store is concerned. */
export type Outcome = 'persisted' | 'dead-lettered' | 'pending'

interface Declared {
  readonly cache: Cache<never>
  readonly options: ResolvedCacheOptions
}

export class Daybook {
  readonly deadLetters: DeadLetterDesk
  readonly #engine: Engine
  readonly #declarations: Declarations
  readonly #declared = new Map<string, Declared>()
  readonly #describing = new Map<string, Promise<Keyspace>>()
  readonly #sweeps: ExpirySweep[] = []
  readonly #onClose: (() => Promise<void>)[] = []
  #closing: Promise<CloseReport> | undefined
  #closed = false

  /** Use `openDaybook`. @internal */
  constructor(engine: Engine, declarations: Declarations) {
    this.#engine = engine
    this.#declarations = declarations
    this.deadLetters = new DeadLetterDesk(engine, (cache) => this.#keyspaceNamed(cache))
  }

  /**
   * Declares a cache, or returns the one that was declared under this name. Options are checked at once; the table is
   * looked at on first use, or by `await cache.ready()`.
   */
  cache<T = Record<string, unknown>>(name: string, options: CacheOptions<T> = {}): Cache<T> {
    this.#refuseClosed()
    checkName(name)
    const resolved = readCacheOptions(name, options)
    const declared = this.#declared.get(name)
    if (declared !== undefined) {
      if (Object.keys(options).length === 0 || sameOptions(declared.options, resolved)) {
        return declared.cache
      }
      throw new DaybookError(
        'INVALID_STATE',
        `Cache "${name}" is declared already, with other options.`,
        {
          details: { cache: name },
          hint: 'Declare it once and share it.',
        },
      )
    }
    const cache = new Cache<T>(name, this.#engine, () => this.#keyspaceOf(name, resolved))
    this.#declared.set(name, { cache: cache as unknown as Cache<never>, options: resolved })
    return cache
  }

  /** Writes several keys as one: all in the journal or none, and all in one transaction where they share a lane. */
  async batch(
    collect: (writes: BatchWrites) => void,
    options: WriteOptions = {},
  ): Promise<Receipt[]> {
    this.#refuseClosed()
    const writes = new AtomicBatch()
    collect(writes)
    return writeBatch(
      this.#engine,
      writes.operations,
      (cache) => this.#keyspaceNamed(cache),
      options,
    )
  }

  /** Resolves once all that was written so far is in the store or in the dead letters. */
  async flush(options: WaitOptions = {}): Promise<void> {
    this.#refuseClosed()
    const { journal, flusher, ports } = this.#engine
    if (journal.lastPosition > journal.durablePosition) {
      await waitFor(journal.whenDurable(journal.lastPosition), {
        clock: ports.clock,
        ...options,
        what: 'Flushing',
      })
    }
    await flusher.whenAllApplied(options)
  }

  /**
   * What became of these writes. With `timeoutMs` it waits that long for the store, flushing at once; without, it
   * waits for ever; `timeoutMs: 0` only looks.
   */
  async persisted(
    receipts: Receipt | readonly Receipt[],
    options: WaitOptions = {},
  ): Promise<Outcome> {
    this.#refuseClosed()
    const list = Array.isArray(receipts) ? (receipts as readonly Receipt[]) : [receipts as Receipt]
    try {
      await Promise.all(list.map((receipt) => this.#whenDecided(receipt, options)))
    } catch (error) {
      if (isDaybookError(error, 'TIMEOUT')) return 'pending'
      throw error
    }
    for (const receipt of list) {
      if (this.#engine.letterOf(receipt) !== undefined) return 'dead-lettered'
    }
    return 'persisted'
  }

  async #whenDecided(receipt: Receipt, options: WaitOptions): Promise<void> {
    const { journal, flusher, ports } = this.#engine
    // A write with durability 'memory' may not have come as far as its lane.
    if (receipt.position > journal.durablePosition) {
      const durable = journal.whenDurable(receipt.position)
      await waitFor(durable, { clock: ports.clock, ...options, what: 'Waiting for the journal' })
    }
    if (options.timeoutMs !== 0) {
      await flusher.whenApplied(receipt.lane, receipt.position, options)
    } else if (flusher.lanes[receipt.lane]?.passed(receipt.position) !== true) {
      throw new DaybookError('TIMEOUT', 'The write is not in the store yet.')
    }
  }

  /** Stops flushing; writes go on into the journal. */
  pause(): void {
    this.#engine.flusher.pause()
  }

  /** Goes on after `pause`, or tries again after an error halted flushing. */
  resume(): void {
    this.#engine.flusher.resume()
  }

  /** Every option that is in force, defaults filled in. */
  get options(): ResolvedBookOptions {
    return this.#engine.options
  }

  /** Changes options while it is open. Throws INVALID_OPTION for those that cannot change; then none has. */
  configure(changes: LiveOptions): void {
    this.#refuseClosed()
    this.#engine.options = changedOptions(this.#engine.options, changes)
    this.#engine.flusher.configure(flusherOptions(this.#engine.options))
  }

  /**
   * What is acknowledged and not in the store yet: a page of single mutations, lane by lane, oldest first. `next` in the
   * result is the cursor for the page after it; a page may be empty and not the last one, where the filter passes little.
   */
  async pending(
    filter: PendingFilter = {},
    page: { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<PendingPage> {
    this.#refuseClosed()
    return pendingPage(this.#engine, filter, { after: page.after, limit: page.limit ?? 100 })
  }

  /** Calls `listener` at each event; returns what takes it off again. */
  on<Name extends EventName>(name: Name, listener: Listener<Name>): () => void {
    return this.#engine.events.on(name, listener)
  }

  /** Figures of this moment; counters since it was opened. */
  stats(): BookStats {
    const { flusher, journal, deadLetters, options } = this.#engine
    const { lanes } = flusher
    const keyspaces = [...this.#engine.keyspaces.values()]
    const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
      items.reduce((total, item) => total + of(item), 0)
    const hits = sum(keyspaces, (keyspace) => keyspace.hits)
    const misses = sum(keyspaces, (keyspace) => keyspace.misses)
    const laneStats = lanes.map((lane) => ({
      lane: lane.index,
      state: flusher.laneState(lane.index),
      lagMs: flusher.lagMs(lane),
      pending: lane.mutations,
      checkpoint: lane.checkpoint,
      position: lane.lastPosition,
    }))
    return {
      state: this.#state(),
      acknowledged: this.#engine.acknowledged,
      pending: {
        mutations: flusher.pendingMutations,
        keys: sum(lanes, (lane) => lane.keys),
        bytes: sum(lanes, (lane) => lane.pendingBytes),
        memoryBytes: sum(lanes, (lane) => lane.memoryBytes + lane.indexBytes),
        spilledMutations: sum(lanes, (lane) => lane.spilledMutations),
      },
      lagMs: Math.max(0, ...laneStats.map((lane) => lane.lagMs)),
      lanes: laneStats,
      drainEstimateMs: flusher.drainEstimateMs,
      coalescing: {
        mutations: flusher.mutationsFlushed,
        rows: flusher.rowsFlushed,
        ratio: flusher.rowsFlushed === 0 ? 1 : flusher.mutationsFlushed / flusher.rowsFlushed,
      },
      batches: {
        count: flusher.batches,
        keys: flusher.batchKeys.summary(),
        tookMs: flusher.batchMs.summary(),
      },
      journal: journal.stats(),
      retries: flusher.retries,
      breaker: flusher.breaker.snapshot,
      haltedBy: flusher.haltedBy,
      pressure: { state: this.#engine.pressure, waitingWrites: this.#engine.writer.waiting },
      deadLetters: { count: deadLetters.count, bytes: deadLetters.bytes },
      limits: {
        memoryBytes: options.pressure.memoryBytes,
        journalBytes: options.journal.maxBytes,
        deadLetterBytes: options.deadLetterBytes,
      },
      cache: {
        hits,
        misses,
        ratio: hits + misses === 0 ? 0 : hits / (hits + misses),
        entries: sum(keyspaces, (keyspace) => keyspace.tier.entries),
        bytes: sum(keyspaces, (keyspace) => keyspace.tier.bytes),
        loads: sum(keyspaces, (keyspace) => keyspace.loader.loads),
        failedLoads: sum(keyspaces, (keyspace) => keyspace.loader.failedLoads),
        negativeHits: sum(keyspaces, (keyspace) => keyspace.negativeHits),
        readFailure: readFailureOf(keyspaces),
      },
    }
  }

  /**
   * Takes no more writes, drains for at most `drainTimeoutMs`, and lets go of everything. What could not be drained is
   * in the journal: the report says how much, and the next open flushes it. A store that does not answer keeps nobody
   * waiting for more than 10 seconds beyond that; see `unsettledLanes` of the report.
   */
  close(options: { readonly drainTimeoutMs?: number } = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(options.drainTimeoutMs ?? this.#engine.options.drainTimeoutMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What the commands of a server are made of. @internal */
  turn(): Turn {
    return new Turn(this.#engine)
  }

  /** Runs before anything else is closed. @internal */
  onClose(work: () => Promise<void>): void {
    this.#onClose.push(work)
  }

  async #close(drainTimeoutMs: number): Promise<CloseReport> {
    const { writer, flusher, journal, store, deadLetters, ports } = this.#engine
    writer.close(
      new DaybookError('CLOSED', 'The daybook is closing; the write was not accepted.', {
        details: { outcome: 'failed' },
      }),
    )
    for (const sweep of this.#sweeps) sweep.stop()
    const errors: unknown[] = []
    const attempt = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        errors.push(error)
      }
    }
    for (const work of this.#onClose) await attempt(work)
    // A journal that failed has said so to every writer; what is durable in it is still flushed.
    await journal.whenDurable(journal.lastPosition).catch(() => undefined)
    if (drainTimeoutMs > 0 && flusher.stopReason === undefined) {
      await flusher.whenAllApplied({ timeoutMs: drainTimeoutMs }).catch((error: unknown) => {
        ports.logger.warn(
          { reason: reasonOf(error), pending: flusher.pendingMutations },
          'closing before all is in the store',
        )
      })
    }
    const { unsettledLanes, settled } = await flusher.stop(letGoMs)
    const pending = flusher.pendingMutations
    const letGo = async (): Promise<void> => {
      await attempt(() => settled)
      await attempt(() => deadLetters.close())
      await attempt(() => journal.close())
      await attempt(() => this.#closeStore())
    }
    if (unsettledLanes === 0) await letGo()
    else {
      ports.logger.error(
        { store: store.name, lanes: unsettledLanes, pending },
        'closed while the store has a flush that it does not end: the directory stays locked until it does',
      )
      // Whoever opened the directory before that could be overwritten by what lands late.
      const told = errors.length
      void letGo().then(() => {
        for (const error of errors.slice(told)) {
          ports.logger.error({ reason: reasonOf(error) }, 'letting go failed, after the close')
        }
      })
    }
    for (const { cache } of this.#declared.values()) cache.close()
    this.#closed = true
    if (errors.length > 0) throw errors[0]
    return { pending, unsettledLanes }
  }

  /** Nothing of ours is in it any more: it is not waited for as long as it likes. */
  async #closeStore(): Promise<void> {
    const { store, ports } = this.#engine
    const what = `Closing ${store.name}`
    try {
      await waitFor(store.close(), { clock: ports.clock, timeoutMs: letGoMs, what })
    } catch (error) {
      if (!isDaybookError(error, 'TIMEOUT')) throw error
      ports.logger.warn({ store: store.name, reason: error.message }, 'the store did not close')
    }
  }

  #state(): BookState {
    if (this.#closed) return 'closed'
    if (this.#closing !== undefined) return 'closing'
    const reason = this.#engine.flusher.stopReason
    return reason ?? 'open'
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new DaybookError('CLOSED', 'The daybook is closed.')
  }

  /** By name: declared by the application, or by an earlier run. */
  async #keyspaceNamed(cache: string): Promise<Keyspace> {
    const declared = this.#declared.get(cache)
    if (declared !== undefined) return this.#keyspaceOf(cache, declared.options)
    const known = this.#engine.keyspaces.get(cache)
    if (known !== undefined) return known
    const declaration = this.#declarations.get(cache)
    if (declaration !== undefined) {
      const { table, key, columns, rest } = declaration
      const options: CacheOptions<unknown> = {
        ...(table === undefined ? {} : { table, key }),
        ...(columns === undefined ? {} : { columns }),
        ...(rest === undefined ? {} : { rest }),
        onRejected: declaration.rejection,
      }
      return this.#keyspaceOf(cache, readCacheOptions(cache, options))
    }
    throw new DaybookError('INVALID_STATE', `Cache "${cache}" is not declared.`, {
      details: { cache },
      hint: `Call book.cache('${cache}', …).`,
    })
  }

  #keyspaceOf(name: string, options: ResolvedCacheOptions): Promise<Keyspace> {
    let describing = this.#describing.get(name)
    if (describing === undefined) {
      // A failure is not kept: the next use tries again.
      describing = this.#describe(name, options).catch((error: unknown) => {
        this.#describing.delete(name)
        throw storeError(this.#engine.store, error)
      })
      this.#describing.set(name, describing)
    }
    return describing
  }

  async #describe(name: string, options: ResolvedCacheOptions): Promise<Keyspace> {
    const { store, ports, journal, flusher, keyspaces, tables, options: book } = this.#engine
    this.#refuseClosed()
    const { table, key, columns, rest } = options
    this.#refuseRebinding(name, options)
    const schema = await withSignal(
      {
        clock: ports.clock,
        timeoutMs: book.loadTimeoutMs,
        what: `Looking at the table of "${name}"`,
      },
      (signal) => store.describe({ cache: name, table, key, columns, rest }, { signal }),
    )
    const keyspace = new Keyspace(name, options, schema, journal.lanes, {
      clock: ports.clock,
      journal,
      store,
      flusher: () => this.#engine.flusher,
      loadTimeoutMs: book.loadTimeoutMs,
    })
    await this.#declarations.put(name, options)
    keyspaces.set(name, keyspace)
    tables.set(name, keyspace)
    if (options.expire === 'delete') this.#sweeps.push(new ExpirySweep(keyspace, this.#engine))
    flusher.declared()
    return keyspace
  }

  /** What is pending was written for another table. */
  #refuseRebinding(name: string, options: ResolvedCacheOptions): void {
    const before = this.#declarations.get(name)
    if (before === undefined || this.#engine.flusher.pendingMutations === 0) return
    if (before.table === options.table && String(before.key) === String(options.key)) return
    throw new DaybookError(
      'INVALID_STATE',
      `Cache "${name}" was bound to ${before.table ?? 'the generic table'} when mutations that are still pending were written.`,
      { details: { cache: name }, hint: 'Flush first, with the old declaration.' },
    )
  }
}

function readFailureOf(keyspaces: readonly Keyspace[]): ReadFailure | undefined {
  for (const { name, loader } of keyspaces) {
    const { failure } = loader
    if (failure !== undefined) return { cache: name, code: failure.code, message: failure.message }
  }
  return undefined
}

const maxNameLength = 200

function checkName(name: string): void {
  if (
    typeof name === 'string' &&
    name !== '' &&
    name.length <= maxNameLength &&
    name.isWellFormed()
  )
    return
  throw new DaybookError(
    'INVALID_OPTION',
    `A cache's name is a string of 1 to ${maxNameLength} characters.`,
    {
      details: { path: 'name' },
    },
  )
}

function sameOptions(left: ResolvedCacheOptions, right: ResolvedCacheOptions): boolean {
  const functions = left.schema === right.schema && left.routeBy === right.routeBy
  return functions && JSON.stringify(left) === JSON.stringify(right)
}
