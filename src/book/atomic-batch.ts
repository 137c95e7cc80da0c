/**
 * Several writes as one: all in the journal or none, and all in one transaction where they share a lane.
 */

import { DaybookError } from '../base/errors.ts'
import { deletion } from '../mutation/coalesce.ts'
import type { Entry, Mutation } from '../mutation/mutation.ts'
import { canonicalKey } from '../store/key.ts'
import {
  receiptOf,
  type Cache,
  type Increments,
  type Key,
  type Receipt,
  type WriteOptions,
} from './cache.ts'
import type { Engine, WriteLimits } from './engine.ts'
import type { Keyspace } from './keyspace.ts'
import type { Durability } from './options.ts'

/** What the function of `book.batch` is given. Calls are collected in order; nothing happens before it returns. */
export interface BatchWrites {
  set<T>(cache: Cache<T>, key: Key, value: T): void
  merge<T>(cache: Cache<T>, key: Key, fields: Partial<T>): void
  /** Of integer and numeric columns only: what must be computed from the current value needs `cache.increment`. */
  increment<T>(cache: Cache<T>, key: Key, amounts: Increments<T>): void
  delete<T>(cache: Cache<T>, key: Key): void
}

interface Operation {
  readonly cache: string
  readonly key: Key
  readonly mutationOf: (keyspace: Keyspace, key: string) => Mutation
}

/** Writes in one batch; together they also keep within the journal's largest group. */
const maxOperations = 10_000

export class AtomicBatch implements BatchWrites {
  readonly operations: Operation[] = []

  set<T>(cache: Cache<T>, key: Key, value: T): void {
    this.#add({
      cache: cache.name,
      key,
      mutationOf: (keyspace, canonical) => ({
        kind: 'set',
        fields: keyspace.codec.row(value, canonical),
      }),
    })
  }

  merge<T>(cache: Cache<T>, key: Key, fields: Partial<T>): void {
    this.#add({
      cache: cache.name,
      key,
      mutationOf: (keyspace, canonical) => ({
        kind: 'patch',
        fields: keyspace.codec.patch(fields, canonical),
        amounts: {},
      }),
    })
  }

  increment<T>(cache: Cache<T>, key: Key, amounts: Increments<T>): void {
    this.#add({
      cache: cache.name,
      key,
      mutationOf: (keyspace) => ({
        kind: 'patch',
        fields: {},
        amounts: keyspace.codec.amounts(amounts),
      }),
    })
  }

  delete<T>(cache: Cache<T>, key: Key): void {
    this.#add({ cache: cache.name, key, mutationOf: () => deletion })
  }

  #add(operation: Operation): void {
    if (this.operations.length >= maxOperations) {
      throw new DaybookError('INVALID_VALUE', `A batch has at most ${maxOperations} writes.`, {
        details: { maxOperations },
      })
    }
    this.operations.push(operation)
  }
}

export async function writeBatch(
  engine: Engine,
  operations: readonly Operation[],
  keyspaceOf: (cache: string) => Promise<Keyspace>,
  options: WriteOptions,
): Promise<Receipt[]> {
  if (operations.length === 0) return []
  const keyspaces = new Map<string, Keyspace>()
  for (const { cache } of operations) {
    // Without an await where the cache is ready: batches are appended in the order in which they were called.
    if (!keyspaces.has(cache)) {
      keyspaces.set(cache, engine.keyspaces.get(cache) ?? (await keyspaceOf(cache)))
    }
  }
  const entries = operations.map((operation) => {
    const keyspace = keyspaces.get(operation.cache) as Keyspace
    const key = canonicalKey(keyspace.schema, operation.key)
    return keyspace.entry(key, operation.mutationOf(keyspace, key), keyspace.options.ttlMs)
  })
  if (
    !engine.store.capabilities.patches &&
    entries.some((entry) => entry.mutation.kind === 'patch')
  ) {
    throw new DaybookError(
      'INVALID_VALUE',
      `Store "${engine.store.name}" knows no merge or increment in a batch.`,
      {
        hint: 'Use `cache.merge` and `cache.increment`, or a store that applies patches.',
      },
    )
  }
  const isHeld = ({ cache, key }: Entry): boolean => keyspaces.get(cache)?.isHeld(key) === true
  for (let held = entries.find(isHeld); held !== undefined; held = entries.find(isHeld)) {
    await keyspaces.get(held.cache)?.whenFree(held.key)
  }
  const ordered = groupedByLane(entries)
  const { pressure } = engine.options
  const limits: WriteLimits = {
    durability: options.durability ?? strongest([...keyspaces.values()]),
    policy: pressure.policy,
    timeoutMs: options.timeoutMs ?? pressure.waitMs,
    signal: options.signal,
  }
  const appended = (): void => {
    for (const entry of ordered) {
      const keyspace = keyspaces.get(entry.cache) as Keyspace
      keyspace.appended(entry, keyspace.options.ttlMs)
    }
  }
  let commit = engine.writer.append(ordered)
  if (commit === undefined) {
    const room = { policy: limits.policy, waitMs: limits.timeoutMs, signal: limits.signal }
    ;({ commit } = await engine.writer.whenRoom(room, () => {
      if (entries.some(isHeld)) return { done: false }
      const done = engine.writer.appendInTurn(ordered)
      if (done === undefined) return { done: false }
      appended()
      return { done: true, value: { commit: done } }
    }))
  } else appended()

  const durability = await engine.settle(commit, ordered, limits)
  // `entries` are in the caller's order and carry the positions.
  return entries.map((entry) => receiptOf(entry, durability))
}

/** A batch is acknowledged when the most demanding of its caches is content. */
function strongest(keyspaces: readonly Keyspace[]): Durability {
  const levels = ['store', 'journal', 'memory'] as const
  const wanted = new Set(keyspaces.map((keyspace) => keyspace.options.durability))
  return levels.find((level) => wanted.has(level)) ?? 'journal'
}

/** By lane, each lane's entries adjacent and marked as one group. A key's entries share a lane, so they keep their order. */
export function groupedByLane(entries: readonly Entry[]): Entry[] {
  const byLane = new Map<number, Entry[]>()
  for (const entry of entries) {
    const lane = byLane.get(entry.lane)
    if (lane === undefined) byLane.set(entry.lane, [entry])
    else lane.push(entry)
  }
  return [...byLane.values()].flatMap((lane) => {
    for (const entry of lane.slice(0, -1)) entry.continues = true
    return lane
  })
}
