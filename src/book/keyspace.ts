/**
 * What the engine knows of one cache: its table, its cached values, and how a mutation of a key becomes an entry.
 *
 * A value in the tier is exact: it has every mutation of its key that was appended. Where the value is not known, a
 * mutation that depends on it is only journaled, and the loader puts things together when someone reads.
 */

import { Deferred } from '../base/deadline.ts'
import { hashText } from '../base/hash.ts'
import type { Clock } from '../base/clock.ts'
import type { FlushTable } from '../flush/flush-table.ts'
import { applyMutation, coalesce, deletion, patchInto } from '../mutation/coalesce.ts'
import { entryHash, laneOf } from '../mutation/entry-hash.ts'
import {
  mutationName,
  type Entry,
  type Fields,
  type FieldValue,
  type Mutation,
  type Patch,
  type Position,
} from '../mutation/mutation.ts'
import { isLayered, layered } from '../mutation/layered-fields.ts'
import { overlay } from '../mutation/overlay.ts'
import { rowCodec, type RowCodec } from '../store/row.ts'
import type { TableSchema } from '../store/schema.ts'
import type { Looks } from '../tier/key-index.ts'
import { MemoryTier } from '../tier/memory-tier.ts'
import type { Tier, TierEntry } from '../tier/tier.ts'
import { Loader, type LoaderParts, type Use } from './loader.ts'
import type { ResolvedCacheOptions } from './options.ts'
import { estimateBytes, estimateGrowth, type FieldNames } from './value-copy.ts'

/** What an entry in the tier takes besides its fields. */
const tierOverheadBytes = 240

/** Beyond it a value is not copied for each patch. Most rows are far below, and a copy of those is as fast. */
const maxCopiedBytes = 4096

export interface Patched {
  /** It may be `after`, which was changed. */
  readonly before: Fields
  /** The fields with these names as they were. There may be others. */
  readonly was: Fields
  readonly names: readonly string[]
  readonly after: Fields
}

export class Keyspace implements FlushTable {
  readonly name: string
  readonly options: ResolvedCacheOptions
  readonly schema: TableSchema
  readonly codec: RowCodec
  readonly loader: Loader
  /** A patch may take fields of its documents away. */
  readonly removesFields: boolean
  /** Told of each key that the sweep deletes because its time is over, and when no crash can take that back. */
  onExpired: ((key: string, done: Promise<unknown>) => void) | undefined = undefined
  /** Told of each value that a patch has made of another: what is known of that one can be carried over. */
  onPatched: ((change: Patched) => void) | undefined = undefined
  hits = 0
  misses = 0
  negativeHits = 0
  readonly #tier: Tier
  readonly #clock: Clock
  readonly #lanes: number
  readonly #nameHash: number
  readonly #held = new Map<string, Promise<void>>()
  /** Large values that nobody but the tier has: they may be changed. */
  readonly #ownCopies = new WeakSet<Fields>()

  constructor(
    name: string,
    options: ResolvedCacheOptions,
    schema: TableSchema,
    lanes: number,
    parts: LoaderParts,
  ) {
    this.name = name
    this.options = options
    this.schema = schema
    this.codec = rowCodec(schema)
    this.#tier = new MemoryTier(options.maxBytes)
    this.#clock = parts.clock
    this.#lanes = lanes
    this.#nameHash = hashText(name)
    this.removesFields = schema.document && parts.store.capabilities.removals === true
    this.loader = new Loader(name, schema, parts, (key, value, position) => {
      this.#keep(key, value, position, this.options.ttlMs)
    })
  }

  /** Nothing stands between a write and its group commit: no validator, and no wait for the store. */
  get settlesAtCommit(): boolean {
    return this.options.schema === undefined && this.options.durability === 'journal'
  }

  get tier(): Tier {
    return this.#tier
  }

  parks(mutation: Mutation): boolean {
    return this.options.rejection[mutationName(mutation)] === 'park'
  }

  hashOf(key: string): number {
    return entryHash(this.#nameHash, hashText(key))
  }

  laneOf(key: string): number {
    const { routeBy } = this.options
    return laneOf(hashText(routeBy === undefined ? key : routeBy(key)), this.#lanes)
  }

  entry(key: string, mutation: Mutation, ttlMs: number | undefined): Entry {
    const keyHash = hashText(key)
    const { routeBy } = this.options
    return {
      position: 0,
      bytes: 0,
      lane: laneOf(routeBy === undefined ? keyHash : hashText(routeBy(key)), this.#lanes),
      cache: this.name,
      key,
      hash: entryHash(this.#nameHash, keyHash),
      mutation: this.#lasting(this.#overExpired(key, mutation)),
      continues: false,
      expiresAtMs: this.#expiryOf(mutation, ttlMs),
      retryOf: undefined,
    }
  }

  /** Called in the turn of the append: from now on readers see it, once it is durable. */
  appended(entry: Entry, ttlMs: number | undefined): void {
    const { key, mutation } = entry
    if (this.loader.active) this.loader.wrote(entry)
    switch (mutation.kind) {
      case 'set':
        this.#put(key, mutation.fields, entry.position, ttlMs, entry.bytes + tierOverheadBytes)
        break
      case 'delete':
        this.#put(key, undefined, entry.position, this.options.negativeTtlMs, tierOverheadBytes)
        break
      case 'patch': {
        const held = this.#tier.get(key)
        if (held === undefined || held.expiresAt <= this.#clock.now()) this.#tier.remove(key)
        else this.#patched(held, mutation, entry, ttlMs)
      }
    }
  }

  /** Looks at the fields that the patch has changed: there may be thousands of others. */
  #patched(held: TierEntry, mutation: Patch, entry: Entry, ttlMs: number | undefined): void {
    const { value: before, bytes } = held
    const isFlat = held.flat && this.codec.isFlat(mutation.fields)
    if (before === undefined) {
      const after = this.applied(before, mutation) as Fields
      this.#put(entry.key, after, entry.position, ttlMs, this.#bytesOf(after))
      return
    }
    const names = namesIn(mutation)
    // Taken before it may be changed.
    const was = bytes > maxCopiedBytes ? fieldsOf(before, names) : before
    const after = this.#changed(before, bytes, mutation)
    const growth = estimateGrowth(was, after, names, this.#fieldNames)
    // What a record took, and what its fields are said to take, differ: it never comes to nothing.
    const grown = Math.max(bytes + growth, tierOverheadBytes)
    this.onPatched?.({ before, was, names, after })
    this.#put(entry.key, after, entry.position, ttlMs, grown, isFlat)
  }

  /** A large value is copied once, and changed from then on: nobody but the tier has the copy. See `TierEntry`. */
  #changed(before: Fields, bytes: number, mutation: Patch): Fields {
    if (bytes <= maxCopiedBytes) return applyMutation(before, mutation, this.schema.blank) as Fields
    if (this.#ownCopies.has(before)) {
      patchInto(before, mutation)
      return before
    }
    const after = applyMutation(before, mutation, this.schema.blank) as Fields
    this.#ownCopies.add(after)
    return after
  }

  /** What the mutation makes of a value, for the step that has written it: of a large one, a layer over it. */
  applied(before: Fields | undefined, mutation: Mutation): Fields | undefined {
    const isLarge = before !== undefined && (this.#ownCopies.has(before) || isLayered(before))
    const after =
      isLarge && mutation.kind === 'patch'
        ? layered(before, mutation)
        : applyMutation(before, mutation, this.schema.blank)
    if (mutation.kind === 'patch' && before !== undefined && after !== undefined) {
      this.onPatched?.({ before, was: before, names: namesIn(mutation), after })
    }
    return after
  }

  /** The tier's entry, unless its time is over. Where the row is to be deleted then, there is no value any more. */
  fresh(key: string): TierEntry | undefined {
    const held = this.#tier.get(key)
    if (held === undefined || held.expiresAt === Infinity) return held
    if (held.expiresAt > this.#clock.now()) return held
    if (this.options.expire === 'delete' && held.value !== undefined) {
      return {
        value: undefined,
        position: held.position,
        expiresAt: Infinity,
        flat: true,
        bytes: held.bytes,
      }
    }
    this.#tier.remove(key)
    return undefined
  }

  /** The tier has a value whose time is over; its row is to be deleted. */
  hasEnded(key: string): boolean {
    if (this.options.expire !== 'delete') return false
    const held = this.#tier.get(key)
    return held?.value !== undefined && held.expiresAt <= this.#clock.now()
  }

  /** See `Tier.bringNear`. */
  bringNear(keys: readonly string[], looks?: Looks<Fields>): number {
    return this.#tier.bringNear(keys, looks)
  }

  /**
   * Calls `use` with the exact current value: at once where it is known, and returns undefined then; else once it is
   * loaded.
   */
  withCurrent(key: string, use: Use, signal?: AbortSignal): Promise<void> | undefined {
    const held = this.fresh(key)
    if (held === undefined) {
      return this.loader.load(key, this.hashOf(key), this.laneOf(key), use, signal)
    }
    use(held.value, held.position)
    return undefined
  }

  /** True while any key is held: then a write asks `whenFree` first. */
  get holding(): boolean {
    return this.#held.size > 0
  }

  isHeld(key: string): boolean {
    return this.#held.has(key)
  }

  async whenFree(key: string): Promise<void> {
    for (let held = this.#held.get(key); held !== undefined; held = this.#held.get(key)) await held
  }

  /** Writes of the key wait until the result is called. */
  async hold(key: string): Promise<() => void> {
    // Not by `whenFree`: between its end and its caller's next step another one could come.
    for (let held = this.#held.get(key); held !== undefined; held = this.#held.get(key)) await held
    const held = new Deferred<void>()
    this.#held.set(key, held.promise)
    return () => {
      this.#held.delete(key)
      held.resolve()
    }
  }

  forget(key: string): void {
    this.#tier.remove(key)
    this.loader.forget(key)
  }

  /** Nothing is cached any more; what is pending is not touched. */
  forgetAll(): void {
    for (const key of [...this.#tier.keys()]) this.forget(key)
  }

  /** Entries appended beyond `durable` will never be. */
  undone(keys: Iterable<string>, durable: Position): void {
    for (const key of keys) this.#tier.remove(key)
    this.loader.undone(durable)
  }

  /** The row of a value whose time is over may still be in the store, and a patch must not bring it back. */
  #overExpired(key: string, mutation: Mutation): Mutation {
    if (mutation.kind !== 'patch' || !this.hasEnded(key)) return mutation
    return coalesce(deletion, mutation, this.schema.blank)
  }

  /** A mutation stays as it is. A value that the tier goes on changing must not be in it. */
  #lasting(mutation: Mutation): Mutation {
    if (mutation.kind !== 'set') return mutation
    if (!this.#ownCopies.has(mutation.fields) && !isLayered(mutation.fields)) return mutation
    return { kind: 'set', fields: overlay(mutation.fields, {}) }
  }

  #expiryOf(mutation: Mutation, ttlMs: number | undefined): number | undefined {
    if (this.options.expire !== 'delete' || ttlMs === undefined || mutation.kind === 'delete')
      return undefined
    return Math.ceil(this.#clock.wallTime() + ttlMs)
  }

  #keep(
    key: string,
    value: Fields | undefined,
    position: Position,
    ttlMs: number | undefined,
  ): void {
    if (value === undefined) {
      const { negativeTtlMs } = this.options
      if (negativeTtlMs > 0) this.#put(key, undefined, position, negativeTtlMs, tierOverheadBytes)
      else this.#tier.remove(key)
    } else this.#put(key, value, position, ttlMs, this.#bytesOf(value))
  }

  #bytesOf(value: Fields): number {
    return estimateBytes(value, this.#fieldNames) + tierOverheadBytes
  }

  get #fieldNames(): FieldNames {
    return this.schema.document ? 'own' : 'columns'
  }

  #put(
    key: string,
    value: Fields | undefined,
    position: Position,
    ttlMs: number | undefined,
    bytes: number,
    isFlat = value === undefined || this.codec.isFlat(value),
  ): void {
    this.#tier.put(
      key,
      value,
      position,
      ttlMs === undefined ? Infinity : this.#clock.now() + ttlMs,
      isFlat,
      bytes,
    )
  }
}

function fieldsOf(fields: Fields, names: readonly string[]): Fields {
  const some: Record<string, FieldValue> = {}
  for (const name of names) {
    if (Object.hasOwn(fields, name)) some[name] = fields[name] as FieldValue
  }
  return some
}

function namesIn({ fields, amounts, removed }: Patch): string[] {
  const names = [...Object.keys(fields), ...Object.keys(amounts)]
  return removed === undefined ? names : [...names, ...Object.keys(removed)]
}
