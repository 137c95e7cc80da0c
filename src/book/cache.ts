/**
 * A cache: a named, typed keyspace bound to a table. This is what applications use all day.
 *
 * A write's promise resolves when the write is as durable as asked for, and rejects with a DaybookError otherwise:
 * then nothing was acknowledged, and `details.outcome` says 'failed' (it will never be seen), 'pending' (it is in the
 * journal and will be applied) or 'dead-lettered'. Reads see every acknowledged write at once.
 */

import { waitFor, withSignal } from '../base/deadline.ts'
import { DaybookError, isDaybookError } from '../base/errors.ts'
import type { Commit } from '../journal/journal.ts'
import { deletion } from '../mutation/coalesce.ts'
import { addAmount } from '../mutation/decimal.ts'
import type {
  Amount,
  Amounts,
  Entry,
  Fields,
  FieldValue,
  Mutation,
  Position,
} from '../mutation/mutation.ts'
import type { Lane } from '../flush/lane.ts'
import { diagnostics } from '../observe/diagnostics.ts'
import { canonicalField } from '../store/columns.ts'
import { canonicalKey } from '../store/key.ts'
import type { TableSchema } from '../store/schema.ts'
import type { TierEntry } from '../tier/tier.ts'
import type { Engine, WriteLimits } from './engine.ts'
import type { Keyspace } from './keyspace.ts'
import type { Durability } from './options.ts'
import { storeError } from './store-error.ts'
import { copyFields } from './value-copy.ts'

/** A string, or for a composite key an array of as many strings as it has columns. */
export type Key = string | readonly string[]

/** Proof of a write: where it is in the journal, and how far it had come when its promise resolved. */
export interface Receipt {
  readonly cache: string
  readonly key: string
  readonly lane: number
  readonly position: number
  readonly durability: Durability
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined
}

export interface KeysOptions extends ReadOptions {
  /** Only keys that begin so; composite ones begin as their JSON array. */
  readonly prefix?: string | undefined
}

export interface WriteOptions {
  /** Overrides the cache's. */
  readonly durability?: Durability | undefined
  /** Gives up waiting (for room, or for the store) when aborted. */
  readonly signal?: AbortSignal | undefined
  /** Deadline for waiting. Default: the book's `pressure.waitMs`. */
  readonly timeoutMs?: number | undefined
}

export interface SetOptions extends WriteOptions {
  /** Overrides the cache's. */
  readonly ttlMs?: number | undefined
}

export interface IncrementOptions extends WriteOptions {
  /** false: do not load the value of a key that is not cached; resolves with a receipt. */
  readonly returning?: boolean | undefined
}

/** Columns that can be incremented, and by how much. */
export type Increments<T> = { readonly [Name in keyof T]?: number | bigint | string }

export interface KeyStatus {
  readonly key: string
  readonly lane: number
  readonly cached: boolean
  /** Acknowledged and not in the store yet. */
  readonly pending: boolean
  /** The newest pending mutation; undefined where none is pending. */
  readonly position: number | undefined
  /** Ids of the key's dead letters. */
  readonly deadLetters: readonly string[]
}

/** The places where something is known of a key, side by side. */
export interface KeyInspection<T> extends KeyStatus {
  /** The cached value (undefined: that there is none); undefined where nothing is cached. */
  readonly held: { readonly value: T | undefined; readonly position: Position } | undefined
  /** All that is pending as one mutation, as it will reach the store; undefined where nothing is pending. */
  readonly mutation: Mutation | undefined
  /** The store's own row of just now (undefined: there is none), or why it cannot be read. */
  readonly stored: { readonly value: T | undefined } | { readonly failure: DaybookError }
}

export interface CacheStatus {
  readonly cache: string
  readonly table: string
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  readonly loads: number
}

/** What a modification decides to write, given the current value; undefined writes nothing. */
type Decide = (value: Fields | undefined) => Mutation | undefined

interface Modified {
  /** undefined: nothing was written. */
  readonly entry: Entry | undefined
  readonly commit: Commit | undefined
  /** The newest mutation in what was seen. */
  readonly position: Position
  /** It stood in line, and its policy is to wait for the store then. */
  readonly through: boolean
}

/** Why nothing could be decided in this turn. */
type NotNow = 'held' | 'full'

export class Cache<T = Record<string, unknown>> {
  readonly name: string
  readonly #engine: Engine
  /** Describes the table on first use. */
  readonly #describe: () => Promise<Keyspace>
  #keyspace: Keyspace | undefined
  #closed = false
  readonly #computing = new Map<string, Promise<T>>()

  /** Use `book.cache(…)`. @internal */
  constructor(name: string, engine: Engine, describe: () => Promise<Keyspace>) {
    this.name = name
    this.#engine = engine
    this.#describe = describe
  }

  /** Whatever is called from here on throws CLOSED. @internal */
  close(): void {
    this.#closed = true
    this.#keyspace = undefined
  }

  /**
   * Resolves once the table has been found and checked, which otherwise happens at first use. Throws
   * STORE_MISCONFIGURED with what is wrong.
   */
  async ready(): Promise<this> {
    await this.#ready()
    return this
  }

  // ── Reading ──

  /** The value, or undefined where there is none. The caller may change what it gets. */
  get(key: Key, options?: ReadOptions): Promise<T | undefined> {
    const keyspace = this.#keyspace
    // The hot path is no async function: one costs more than all that a hit does.
    if (keyspace === undefined) return this.#getFirst(key, options)
    try {
      const canonical = canonicalKey(keyspace.schema, key)
      const held = keyspace.tier.get(canonical)
      if (
        held === undefined ||
        held.expiresAt !== Infinity ||
        held.position > this.#engine.journal.durablePosition
      ) {
        return this.#getSlowly(keyspace, canonical, options)
      }
      keyspace.hits++
      return Promise.resolve(this.#copy(keyspace, held))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Values by key, as given; keys without a value are left out. Misses are loaded in one query. */
  async getMany(keys: Iterable<Key>, options?: ReadOptions): Promise<Map<Key, T>> {
    const wanted = [...keys]
    const values = await Promise.all(wanted.map((key) => this.get(key, options)))
    const found = new Map<Key, T>()
    for (const [at, value] of values.entries()) {
      if (value !== undefined) found.set(wanted[at] as Key, value)
    }
    return found
  }

  async has(key: Key, options?: ReadOptions): Promise<boolean> {
    return (await this.get(key, options)) !== undefined
  }

  /** The value if it is cached, without asking the store and without counting as a use. */
  async peek(key: Key): Promise<T | undefined> {
    const keyspace = await this.#ready()
    const held = keyspace.fresh(canonicalKey(keyspace.schema, key))
    if (held === undefined) return undefined
    const copy = this.#copy(keyspace, held)
    // Where the write that it showed did not come to be, nothing is cached any more.
    return (await this.#durable(held.position)) ? copy : undefined
  }

  // ── Writing ──

  /** The value becomes exactly this. Columns that it leaves out get their default, or null. */
  set(key: Key, value: T, options?: SetOptions): Promise<Receipt> {
    const keyspace = this.#keyspace
    if (keyspace?.settlesAtCommit !== true || options !== undefined || keyspace.holding) {
      return this.#setSlowly(key, value, options)
    }
    // The hot path, synchronous up to the wait for the commit: see `get`.
    try {
      const canonical = canonicalKey(keyspace.schema, key)
      const { ttlMs } = keyspace.options
      const fields = keyspace.codec.row(value, canonical)
      const entry = keyspace.entry(canonical, { kind: 'set', fields }, ttlMs)
      const commit = this.#engine.writer.append([entry])
      if (commit === undefined) return this.#writeInTurn(keyspace, entry, ttlMs, undefined)
      keyspace.appended(entry, ttlMs)
      if (diagnostics.write.watched) this.#publish(entry)
      return acknowledged(commit, entry)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Sets several keys; each write stands for itself. Use `book.batch` for all or nothing. */
  async setMany(values: Iterable<readonly [Key, T]>, options?: SetOptions): Promise<Receipt[]> {
    return Promise.all([...values].map(([key, value]) => this.set(key, value, options)))
  }

  /** Changes some columns and leaves the others; inserts the row, over its defaults, where there is none. */
  async merge(key: Key, fields: Partial<T>, options?: WriteOptions): Promise<Receipt> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    const canonical = canonicalKey(keyspace.schema, key)
    const patch: Mutation = {
      kind: 'patch',
      fields: keyspace.codec.patch(fields, canonical),
      amounts: {},
    }
    if (this.#engine.store.capabilities.patches)
      return this.#write(keyspace, canonical, patch, options)
    const modified = await this.#modify(keyspace, canonical, () => patch, options)
    return (await this.#settledChange(modified, keyspace, options)) as Receipt
  }

  /**
   * Adds to columns, and resolves with the new value. A row that is not there is inserted, adding to its defaults; NULL
   * counts as zero. Integer and numeric columns are added to in the database; those of floating point and JSON
   * fields are computed here from the current value.
   */
  async increment(
    key: Key,
    amounts: Increments<T>,
    options?: IncrementOptions & { readonly returning?: true },
  ): Promise<T>
  async increment(
    key: Key,
    amounts: Increments<T>,
    options: IncrementOptions & { readonly returning: false },
  ): Promise<Receipt>
  async increment(
    key: Key,
    amounts: Increments<T>,
    options?: IncrementOptions,
  ): Promise<T | Receipt> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    const canonical = canonicalKey(keyspace.schema, key)
    const decide = this.#incrementOf(keyspace, canonical, amounts)
    const { patches } = this.#engine.store.capabilities
    if (typeof decide !== 'function' && options?.returning === false && patches) {
      return this.#write(keyspace, canonical, decide, options)
    }
    let value: Fields | undefined
    const modified = await this.#modify(
      keyspace,
      canonical,
      (current) => {
        const mutation = typeof decide === 'function' ? decide(current) : decide
        value = this.#checkedAfter(keyspace, current, mutation)
        return mutation
      },
      options,
    )
    const receipt = await this.#settledChange(modified, keyspace, options)
    if (options?.returning === false) return receipt as Receipt
    return this.#unwrap(keyspace, value as Fields)
  }

  /**
   * Reads, computes and writes in one step: no other write of this process comes between. `change` gets a copy of the
   * current value and returns the new one, or undefined to leave it; it must be synchronous. Resolves with the value.
   */
  async update(
    key: Key,
    change: (value: T | undefined) => T | undefined,
    options?: SetOptions,
  ): Promise<T | undefined> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    const canonical = canonicalKey(keyspace.schema, key)
    let after: Fields | undefined
    const modified = await this.#modify(
      keyspace,
      canonical,
      (current) => {
        const changed = change(current === undefined ? undefined : this.#unwrap(keyspace, current))
        after = current
        if (changed === undefined) return undefined
        after = keyspace.codec.row(this.#validateNow(keyspace, changed), canonical)
        return { kind: 'set', fields: after }
      },
      options,
      options?.ttlMs,
    )
    await this.#settledChange(modified, keyspace, options)
    return after === undefined ? undefined : this.#unwrap(keyspace, after)
  }

  /** Sets the value where there is none. Resolves with whether it did. */
  async setIfAbsent(key: Key, value: T, options?: SetOptions): Promise<boolean> {
    return (await this.#setWhereAbsent(key, value, options)) !== undefined
  }

  /** Deletes the row. Deleting what is not there is no error. */
  async delete(key: Key, options?: WriteOptions): Promise<Receipt> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    return this.#write(keyspace, canonicalKey(keyspace.schema, key), deletion, options)
  }

  async deleteMany(keys: Iterable<Key>, options?: WriteOptions): Promise<Receipt[]> {
    return Promise.all([...keys].map((key) => this.delete(key, options)))
  }

  /** The value; where there is none, the one that `make` makes, which is set. One call makes it for all who wait. */
  async getOrSet(
    key: Key,
    make: () => T | Promise<T>,
    options?: SetOptions & ReadOptions,
  ): Promise<T> {
    const held = await this.get(key, options)
    if (held !== undefined) return held
    const keyspace = await this.#ready()
    const canonical = canonicalKey(keyspace.schema, key)
    let making = this.#computing.get(canonical)
    if (making === undefined) {
      // One caller's signal ends its own wait, not the others'.
      making = this.#make(key, make, { ...options, signal: undefined }).finally(() =>
        this.#computing.delete(canonical),
      )
      this.#computing.set(canonical, making)
    }
    const made = await waitFor(making, {
      clock: this.#engine.ports.clock,
      signal: options?.signal,
      what: 'Making a value',
    })
    return structuredClone(made)
  }

  /** Forgets the cached value; the next read asks the store. What is pending is not touched. */
  async invalidate(key: Key): Promise<void> {
    const keyspace = await this.#ready()
    keyspace.forget(canonicalKey(keyspace.schema, key))
  }

  // ── Looking ──

  /**
   * All keys that have a value, in the store or pending, in no particular order. What is written during the walk may or
   * may not be in it. With a prefix, a store that lists keys in the order of their bytes is asked for those alone.
   */
  async *keys({ prefix = '', signal }: KeysOptions = {}): AsyncGenerator<string> {
    for await (const key of this.keysNear(prefix, signal)) if (key.startsWith(prefix)) yield key
  }

  /**
   * All keys that begin so, and others where the store cannot leave them out: whoever looks for few among many can stop
   * between them. @internal
   */
  async *keysNear(prefix: string, signal?: AbortSignal): AsyncGenerator<string> {
    const keyspace = await this.#ready()
    const pending = await this.#pendingKeys()
    for (const [key, exists] of pending) if (exists) yield key
    const { store, ports } = this.#engine
    const limits = {
      clock: ports.clock,
      timeoutMs: this.#engine.options.loadTimeoutMs,
      signal,
      what: 'Listing the keys',
    }
    const ask = <R>(call: (signal: AbortSignal) => Promise<R>): Promise<R> =>
      withSignal(limits, call).catch((error: unknown) => {
        throw storeError(store, error)
      })
    const pageKeys = 1000
    const isRange = keyspace.schema.keysByBytes === true && isCanonical(keyspace.schema, prefix)
    let after: string | undefined
    if (isRange) {
      // A page begins behind the key that it is asked for.
      const { rows } = await ask((signal) =>
        store.load(keyspace.schema, this.name, [prefix], { signal }),
      )
      if (rows[0] !== undefined && !pending.has(prefix)) yield prefix
      after = prefix
    }
    for (;;) {
      const page = await ask((signal) =>
        store.keys(keyspace.schema, this.name, after, pageKeys, { signal }),
      )
      for (const key of page) {
        if (isRange && !key.startsWith(prefix)) return
        if (!pending.has(key)) yield key
      }
      if (page.length < pageKeys) return
      after = page.at(-1)
    }
  }

  /** What is known of a key, or of the whole cache. */
  async status(): Promise<CacheStatus>
  async status(key: Key): Promise<KeyStatus>
  async status(key?: Key): Promise<KeyStatus | CacheStatus> {
    const keyspace = await this.#ready()
    if (key === undefined) {
      return {
        cache: this.name,
        table: keyspace.schema.table,
        entries: keyspace.tier.entries,
        bytes: keyspace.tier.bytes,
        hits: keyspace.hits,
        misses: keyspace.misses,
        loads: keyspace.loader.loads,
      }
    }
    const canonical = canonicalKey(keyspace.schema, key)
    const { journal, flusher, deadLetters } = this.#engine
    await this.#durable(journal.lastPosition)
    const lane = flusher.lanes[keyspace.laneOf(canonical)]
    await lane?.rebuilding
    const pending = lane?.pendingOf(
      this.name,
      canonical,
      keyspace.hashOf(canonical),
      lane.checkpoint,
    )
    const position = pending?.position === 0 ? undefined : pending?.position
    return {
      key: canonical,
      lane: keyspace.laneOf(canonical),
      cached: keyspace.fresh(canonical) !== undefined,
      pending: position !== undefined,
      position,
      deadLetters: [...deadLetters.ofKey(this.name, canonical)],
    }
  }

  /**
   * What the tier, the journal and the store each have of a key. They are looked at one after the other, so what is
   * flushed meanwhile may be in two of them. Changes nothing, and does not count as a use.
   */
  async inspect(key: Key, options?: ReadOptions): Promise<KeyInspection<T>> {
    const status = await this.status(key)
    const keyspace = await this.#ready()
    const canonical = status.key
    const fresh = keyspace.fresh(canonical)
    const held = fresh !== undefined && (await this.#durable(fresh.position)) ? fresh : undefined
    const lane = this.#engine.flusher.lanes[status.lane]
    const { blank } = keyspace.schema
    const hash = keyspace.hashOf(canonical)
    const pending = lane?.pendingOf(this.name, canonical, hash, lane.checkpoint)
    const mutation =
      pending === undefined
        ? undefined
        : await lane?.coalesced(pending, this.name, canonical, blank)
    const value = (fields: Fields | undefined): T | undefined =>
      fields === undefined ? undefined : this.#unwrap(keyspace, fields)
    return {
      ...status,
      held: held === undefined ? undefined : { value: value(held.value), position: held.position },
      mutation,
      stored: await this.#stored(keyspace, canonical, options).then(
        (row) => ({ value: value(row) }),
        (error: unknown) => ({ failure: storeError(this.#engine.store, error) }),
      ),
    }
  }

  // ── Inside ──

  /** The store's row, whatever is pending. */
  async #stored(
    keyspace: Keyspace,
    key: string,
    options: ReadOptions | undefined,
  ): Promise<Fields | undefined> {
    const { store, ports, options: book } = this.#engine
    const limits = {
      clock: ports.clock,
      timeoutMs: book.loadTimeoutMs,
      signal: options?.signal,
      what: 'Reading the row',
    }
    const { rows } = await withSignal(limits, (signal) =>
      store.load(keyspace.schema, this.name, [key], { signal }),
    )
    return rows[0]
  }

  async #ready(): Promise<Keyspace> {
    if (this.#closed) throw new DaybookError('CLOSED', 'The daybook is closed.')
    this.#keyspace ??= await this.#describe()
    return this.#keyspace
  }

  async #getFirst(key: Key, options: ReadOptions | undefined): Promise<T | undefined> {
    await this.#ready()
    return this.get(key, options)
  }

  /** Without an await where there is nothing to wait for: writes are appended in the order of the calls. */
  async #setSlowly(key: Key, value: T, options: SetOptions | undefined): Promise<Receipt> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    const canonical = canonicalKey(keyspace.schema, key)
    const validated = this.#validate(keyspace, value)
    const checked = validated instanceof Promise ? await validated : validated
    const fields = keyspace.codec.row(checked, canonical)
    return this.#write(keyspace, canonical, { kind: 'set', fields }, options)
  }

  async #getSlowly(keyspace: Keyspace, key: string, options?: ReadOptions): Promise<T | undefined> {
    const held = keyspace.fresh(key)
    if (held !== undefined) {
      keyspace.hits++
      if (held.value === undefined) keyspace.negativeHits++
      this.#refreshAhead(keyspace, key, held)
      const copy = this.#copy(keyspace, held)
      if (await this.#durable(held.position)) return copy
      // The write that it showed did not come to be: look again.
      return this.#getSlowly(keyspace, key, options)
    }
    keyspace.misses++
    let value: Fields | undefined
    let position = 0
    await keyspace.loader.load(
      key,
      keyspace.hashOf(key),
      keyspace.laneOf(key),
      (current, newest) => {
        value = current
        position = newest
      },
      options?.signal,
    )
    if (!(await this.#durable(position))) return this.#getSlowly(keyspace, key, options)
    return value === undefined ? undefined : this.#unwrap(keyspace, value)
  }

  /** Waits until nothing up to `position` can be taken back by a crash. False where it was undone instead. */
  async #durable(position: Position): Promise<boolean> {
    const { journal } = this.#engine
    if (position <= journal.durablePosition) return true
    try {
      await journal.whenDurable(position)
      return true
    } catch (error) {
      if (isDaybookError(error, 'JOURNAL_FULL')) return false
      throw error
    }
  }

  #refreshAhead(keyspace: Keyspace, key: string, held: TierEntry): void {
    const { refreshAheadMs } = keyspace.options
    if (refreshAheadMs === 0 || held.value === undefined) return
    if (held.expiresAt - this.#engine.ports.clock.now() > refreshAheadMs) return
    keyspace.loader
      .load(key, keyspace.hashOf(key), keyspace.laneOf(key), () => undefined)
      // The value at hand is good until its end; who reads after that gets the error.
      .catch(() => undefined)
  }

  async #write(
    keyspace: Keyspace,
    key: string,
    mutation: Mutation,
    options: SetOptions | undefined,
  ): Promise<Receipt> {
    while (keyspace.isHeld(key)) await keyspace.whenFree(key)
    const ttlMs = options?.ttlMs ?? keyspace.options.ttlMs
    const entry = keyspace.entry(key, mutation, ttlMs)
    const commit = this.#engine.writer.append([entry])
    if (commit === undefined) return this.#writeInTurn(keyspace, entry, ttlMs, options)
    keyspace.appended(entry, ttlMs)
    if (diagnostics.write.watched) this.#publish(entry)
    return this.#settled(commit, entry, keyspace, options)
  }

  async #writeInTurn(
    keyspace: Keyspace,
    entry: Entry,
    ttlMs: number | undefined,
    options: SetOptions | undefined,
  ): Promise<Receipt> {
    const { writer } = this.#engine
    const limits = this.#limits(keyspace, options)
    const commit = await writer.whenRoom(
      { policy: limits.policy, waitMs: limits.timeoutMs, signal: limits.signal },
      () => {
        if (keyspace.isHeld(entry.key)) return { done: false }
        const appended = writer.appendInTurn([entry])
        if (appended === undefined) return { done: false }
        keyspace.appended(entry, ttlMs)
        return { done: true, value: { appended } }
      },
    )
    return this.#settled(commit.appended, entry, keyspace, options, limits.policy === 'through')
  }

  /** undefined where nothing was written. */
  async #settledChange(
    { entry, commit, through }: Modified,
    keyspace: Keyspace,
    options: WriteOptions | undefined,
  ): Promise<Receipt | undefined> {
    if (entry === undefined || commit === undefined) return undefined
    return this.#settled(commit, entry, keyspace, options, through)
  }

  async #settled(
    commit: Commit,
    entry: Entry,
    keyspace: Keyspace,
    options: WriteOptions | undefined,
    through = false,
  ): Promise<Receipt> {
    const limits = this.#limits(keyspace, options)
    const durability = await this.#engine.settle(
      commit,
      [entry],
      through ? { ...limits, durability: 'store' } : limits,
    )
    return receiptOf(entry, durability)
  }

  #limits(keyspace: Keyspace, options: WriteOptions | undefined): WriteLimits {
    const { pressure } = this.#engine.options
    return {
      durability: options?.durability ?? keyspace.options.durability,
      policy: keyspace.options.pressure ?? pressure.policy,
      timeoutMs: options?.timeoutMs ?? pressure.waitMs,
      signal: options?.signal,
    }
  }

  /** Decides and appends in the turn in which the value is known to be current. */
  async #modify(
    keyspace: Keyspace,
    key: string,
    decide: Decide,
    options: SetOptions | undefined,
    ttlMs: number | undefined = keyspace.options.ttlMs,
  ): Promise<Modified> {
    const { writer } = this.#engine
    const attempt = (
      append: (entries: readonly Entry[]) => Commit | undefined,
      before: Fields | undefined,
      position: Position,
      through: boolean,
    ): Modified | NotNow => {
      if (keyspace.isHeld(key)) return 'held'
      const decided = decide(before)
      if (decided === undefined) return { entry: undefined, commit: undefined, position, through }
      const entry = keyspace.entry(key, this.#storable(keyspace, before, decided), ttlMs)
      const commit = append([entry])
      if (commit === undefined) return 'full'
      keyspace.appended(entry, ttlMs)
      if (diagnostics.write.watched) this.#publish(entry)
      return { entry, commit, position, through }
    }
    const append = (entries: readonly Entry[]): Commit | undefined => writer.append(entries)
    for (;;) {
      while (keyspace.isHeld(key)) await keyspace.whenFree(key)
      let result: Modified | NotNow = 'held'
      const loading = keyspace.withCurrent(
        key,
        (before, position) => {
          result = attempt(append, before, position, false)
        },
        options?.signal,
      )
      // No wait where there is none: who comes later must not stand in line first.
      if (loading !== undefined) await loading
      // The assignment is in a callback, which the compiler does not see.
      const outcome = result as Modified | NotNow
      if (outcome === 'held') continue
      const modified =
        outcome === 'full' ? await this.#modifyInTurn(keyspace, key, options, attempt) : outcome
      // Nothing was written because of what was seen: that must not be taken back either.
      if (modified.entry !== undefined || (await this.#durable(modified.position))) return modified
    }
  }

  /** Stands in line for room. When its turn comes it stays first in line until it knows the value and has written. */
  async #modifyInTurn(
    keyspace: Keyspace,
    key: string,
    options: SetOptions | undefined,
    attempt: (
      append: (entries: readonly Entry[]) => Commit | undefined,
      before: Fields | undefined,
      position: Position,
      through: boolean,
    ) => Modified | NotNow,
  ): Promise<Modified> {
    const { writer } = this.#engine
    const { policy, timeoutMs, signal } = this.#limits(keyspace, options)
    const append = (entries: readonly Entry[]): Commit | undefined => writer.appendInTurn(entries)
    let over = false
    let looking = false
    let result: Modified | undefined
    let failure: { readonly error: unknown } | undefined
    const look = async (): Promise<void> => {
      looking = true
      try {
        await keyspace.withCurrent(
          key,
          (before, position) => {
            if (over || result !== undefined) return
            const outcome = attempt(append, before, position, policy === 'through')
            if (typeof outcome === 'object') result = outcome
          },
          signal,
        )
      } catch (error) {
        failure = { error }
      }
      looking = false
      if (result !== undefined || failure !== undefined) writer.pump()
    }
    try {
      return await writer.whenRoom({ policy, waitMs: timeoutMs, signal }, () => {
        if (failure === undefined && result === undefined && !looking) void look()
        // A value that is cached is there at once.
        if (failure !== undefined) throw failure.error
        return result === undefined ? { done: false } : { done: true, value: result }
      })
    } finally {
      over = true
    }
  }

  /** A store that knows no patches gets whole rows. */
  #storable(keyspace: Keyspace, before: Fields | undefined, mutation: Mutation): Mutation {
    if (mutation.kind !== 'patch' || this.#engine.store.capabilities.patches) return mutation
    const fields = this.#checkedAfter(keyspace, before, mutation) as Fields
    return { kind: 'set', fields }
  }

  /** The value after the mutation; an increment out of the column's range is refused here, before it is acknowledged. */
  #checkedAfter(
    keyspace: Keyspace,
    before: Fields | undefined,
    mutation: Mutation,
  ): Fields | undefined {
    if (mutation.kind === 'delete') return undefined
    if (mutation.kind === 'set') return mutation.fields
    const { schema } = keyspace
    const after: Record<string, FieldValue> = { ...(before ?? schema.blank), ...mutation.fields }
    for (const name of Object.keys(mutation.amounts)) {
      const column = schema.columns.find((other) => other.name === name)
      const sum = addAmount(after[name] ?? null, mutation.amounts[name] as Amount)
      after[name] = column === undefined ? sum : canonicalField(column, sum)
    }
    return after
  }

  /** A mutation, or where it takes the current value, the function that makes it. */
  #incrementOf(
    keyspace: Keyspace,
    key: string,
    given: Increments<T>,
  ): Mutation | ((value: Fields | undefined) => Mutation) {
    const { schema, codec } = keyspace
    const amounts = new Map<string, unknown>(Object.entries(given as object))
    const computed = [...amounts.keys()].filter((name) => {
      const column = schema.columns.find((other) => other.name === name)
      return column === undefined
        ? schema.document || schema.rest !== undefined
        : column.type.kind === 'float'
    })
    const added = Object.fromEntries([...amounts].filter(([name]) => !computed.includes(name)))
    const exact: Amounts =
      computed.length > 0 && Object.keys(added).length === 0 ? {} : codec.amounts(added)
    if (computed.length === 0) return { kind: 'patch', fields: {}, amounts: exact }
    for (const name of computed) {
      if (typeof amounts.get(name) === 'number' && Number.isFinite(amounts.get(name))) continue
      throw new DaybookError('INVALID_VALUE', `The increment of "${name}" is a finite number.`, {
        details: { cache: this.name, column: name },
      })
    }
    return (value) => {
      const sums: Record<string, unknown> = {}
      for (const name of computed) {
        const base = (value ?? schema.blank)[name] ?? 0
        if (typeof base !== 'number') {
          throw new DaybookError(
            'INVALID_VALUE',
            `Field "${name}" is not a number, so it cannot be incremented.`,
            {
              details: { cache: this.name, column: name },
            },
          )
        }
        sums[name] = base + (amounts.get(name) as number)
      }
      return { kind: 'patch', fields: codec.patch(sums, key), amounts: exact }
    }
  }

  async #make(key: Key, make: () => T | Promise<T>, options?: SetOptions): Promise<T> {
    const made = await make()
    for (;;) {
      const written = await this.#setWhereAbsent(key, made, options)
      // Who was faster may have been deleted again by now: what is returned has been the key's value.
      const held = written ?? (await this.get(key, options))
      if (held !== undefined) return held
    }
  }

  /** The value as it was written; undefined where there was one. */
  async #setWhereAbsent(key: Key, value: T, options?: SetOptions): Promise<T | undefined> {
    const keyspace = this.#keyspace ?? (await this.#ready())
    const canonical = canonicalKey(keyspace.schema, key)
    const validated = this.#validate(keyspace, value)
    const checked = validated instanceof Promise ? await validated : validated
    const fields = keyspace.codec.row(checked, canonical)
    const modified = await this.#modify(
      keyspace,
      canonical,
      (current) => (current === undefined ? { kind: 'set', fields } : undefined),
      options,
      options?.ttlMs,
    )
    const receipt = await this.#settledChange(modified, keyspace, options)
    return receipt === undefined ? undefined : this.#unwrap(keyspace, fields)
  }

  async #pendingKeys(): Promise<Map<string, boolean>> {
    const { journal, flusher } = this.#engine
    await this.#durable(journal.lastPosition)
    const pending = new Map<string, boolean>()
    for (const lane of flusher.lanes) {
      for (const [key, exists] of await this.#pendingKeysOf(lane)) pending.set(key, exists)
    }
    return pending
  }

  async #pendingKeysOf(lane: Lane): Promise<Map<string, boolean>> {
    for (;;) {
      await lane.rebuilding
      const pending = new Map<string, boolean>()
      const from = lane.checkpoint
      try {
        for await (const entries of this.#engine.journal.read(
          lane.index,
          from,
          lane.lastPosition,
        )) {
          for (const { cache, key, mutation } of entries) {
            if (cache === this.name) pending.set(key, mutation.kind !== 'delete')
          }
        }
        return pending
      } catch (error) {
        // What was flushed and trimmed before it was read may be newer than what was read: the store has all of it.
        if (!isDaybookError(error, 'JOURNAL_GAP') || lane.checkpoint <= from) throw error
      }
    }
  }

  #validate(keyspace: Keyspace, value: T): T | Promise<T> {
    const { schema } = keyspace.options
    if (schema === undefined) return value
    const result = schema['~standard'].validate(value)
    return result instanceof Promise
      ? result.then((outcome) => outcomeOf<T>(this.name, outcome))
      : outcomeOf<T>(this.name, result)
  }

  #validateNow(keyspace: Keyspace, value: T): T {
    const { schema } = keyspace.options
    if (value instanceof Promise) {
      // Nobody waits for it.
      value.catch(() => undefined)
      throw new DaybookError('INVALID_VALUE', 'The function of `update` must not be async.', {
        details: { cache: this.name },
      })
    }
    if (schema === undefined) return value
    const result = schema['~standard'].validate(value)
    if (result instanceof Promise) {
      result.catch(() => undefined)
      throw new DaybookError(
        'INVALID_VALUE',
        'An asynchronous schema cannot check what `update` returns.',
        {
          details: { cache: this.name },
        },
      )
    }
    return outcomeOf<T>(this.name, result)
  }

  #copy(keyspace: Keyspace, held: TierEntry): T | undefined {
    if (held.value === undefined) return undefined
    if (!keyspace.schema.document) return copyFields(held.value, held.flat) as T
    return keyspace.codec.unwrap(copyFields(held.value, held.flat)) as T
  }

  #unwrap(keyspace: Keyspace, fields: Fields): T {
    return keyspace.codec.unwrap(copyFields(fields, keyspace.codec.isFlat(fields))) as T
  }

  #publish(entry: Entry): void {
    const kind = entry.mutation.kind
    diagnostics.write.publish(() => ({
      cache: this.name,
      kind: kind === 'patch' ? 'merge' : kind,
      mutations: 1,
      position: entry.position,
    }))
  }
}

/** As small as an async function can be: there is one for every write. */
function acknowledged(commit: Commit, entry: Entry): Promise<Receipt> {
  return commit.done.then(() => receiptOf(entry, 'journal'))
}

export function receiptOf(entry: Entry, durability: Durability): Receipt {
  return {
    cache: entry.cache,
    key: entry.key,
    lane: entry.lane,
    position: entry.position,
    durability,
  }
}

function outcomeOf<T>(
  cache: string,
  result: {
    readonly value?: unknown
    readonly issues?: readonly { readonly message: string; readonly path?: unknown }[] | undefined
  },
): T {
  if (result.issues === undefined) return result.value as T
  throw new DaybookError(
    'INVALID_VALUE',
    `The value does not fit the schema of cache "${cache}": ${result.issues.map((issue) => issue.message).join('; ')}`,
    { details: { cache, issues: result.issues } },
  )
}

/** False also of what is too long or empty, or has what no key may have. */
function isCanonical(schema: TableSchema, key: string): boolean {
  try {
    return canonicalKey(schema, key) === key
  } catch {
    return false
  }
}
