/**
 * What the clients of a world do: a list that is made before the world begins, so that it can be shortened when a seed
 * fails. Every write can be told from every other: by a name that nothing else has, or by an amount that nothing else adds.
 */

import type { Durability } from '../src/book/options.ts'
import type { Chance } from './chance.ts'
import { poison, type CacheName, type Row } from './tables.ts'

export interface WriteIntent {
  readonly cache: CacheName
  readonly key: string
  readonly kind: 'set' | 'merge' | 'increment' | 'delete'
  /** All columns of a set, some of a merge. */
  readonly fields: Row
  /** What an increment adds to `visits`. */
  readonly by: number
}

export type Operation = { readonly id: number; readonly thinkMs: number } & (
  | {
      readonly kind: 'write'
      readonly write: WriteIntent
      readonly durability: Durability | undefined
    }
  | { readonly kind: 'incrementAndGet'; readonly write: WriteIntent }
  | { readonly kind: 'update' | 'setIfAbsent' | 'getOrSet'; readonly write: WriteIntent }
  | { readonly kind: 'batch'; readonly writes: readonly WriteIntent[] }
  | {
      readonly kind: 'get' | 'peek' | 'has' | 'invalidate'
      readonly cache: CacheName
      readonly key: string
    }
  | { readonly kind: 'getMany'; readonly cache: CacheName; readonly keys: readonly string[] }
  | { readonly kind: 'keys'; readonly cache: CacheName }
  | { readonly kind: 'flush' | 'persisted'; readonly timeoutMs: number }
  | { readonly kind: 'pause' | 'resume' | 'status' }
  | { readonly kind: 'retry'; readonly first: number; readonly force: boolean }
  | { readonly kind: 'edit' | 'discard' }
)

export type OperationKind = Operation['kind']

export interface WorkloadShape {
  readonly operations: number
  /** How often each kind comes. */
  readonly weights: Readonly<Record<OperationKind, number>>
  readonly caches: Readonly<Record<CacheName, number>>
  /** Keys of each cache; the first ones are hot. */
  readonly keys: number
  readonly heat: number
  /** Writes that the database refuses. */
  readonly poison: number
  /** Writes of a unique value that another row may have. */
  readonly email: number
  /** Orders of a user who may not be there. */
  readonly parent: number
  readonly thinkMs: number
  /** Bytes that a value has beyond its name. */
  readonly padding: number
  readonly durabilities: Readonly<Record<Durability | 'default', number>>
}

export function operationsOf(shape: WorkloadShape, chance: Chance): Operation[] {
  const operations: Operation[] = []
  for (let id = 1; id <= shape.operations; id++) {
    operations.push(operationOf(id, shape, chance.stream(`operation ${id}`)))
  }
  return operations
}

function operationOf(id: number, shape: WorkloadShape, chance: Chance): Operation {
  const kind = chance.weighted(shape.weights)
  const thinkMs = chance.hits(0.4) ? 0 : chance.between(0, shape.thinkMs)
  const common = { id, thinkMs }
  const cache = chance.weighted(shape.caches)
  const key = keyOf(cache, shape, chance)
  switch (kind) {
    case 'write': {
      const level = chance.weighted(shape.durabilities)
      const durability = level === 'default' ? undefined : level
      return { ...common, kind, durability, write: writeOf(id, 0, cache, key, shape, chance) }
    }
    case 'incrementAndGet': {
      const counted = cache === 'notes' ? 'users' : cache
      const place = keyOf(counted, shape, chance)
      const write = { cache: counted, key: place, kind: 'increment' as const, fields: {}, by: id }
      return { ...common, kind, write }
    }
    case 'update':
    case 'setIfAbsent':
    case 'getOrSet': {
      const fields = valueOf(tagOf(id, 0, shape, chance), cache, shape, chance)
      return { ...common, kind, write: { cache, key, kind: 'set', fields, by: 0 } }
    }
    case 'batch': {
      const writes = Array.from({ length: 2 + chance.below(3) }, (_, at) => {
        const other = chance.weighted(shape.caches)
        return writeOf(id, at, other, keyOf(other, shape, chance), shape, chance)
      })
      return { ...common, kind, writes }
    }
    case 'get':
    case 'peek':
    case 'has':
    case 'invalidate':
      return { ...common, kind, cache, key }
    case 'getMany':
      return {
        ...common,
        kind,
        cache,
        keys: Array.from({ length: 3 }, () => keyOf(cache, shape, chance)),
      }
    case 'keys':
      return { ...common, kind, cache }
    case 'flush':
    case 'persisted':
      return { ...common, kind, timeoutMs: chance.pick([0, 20, 2000]) }
    case 'pause':
    case 'resume':
    case 'status':
    case 'edit':
    case 'discard':
      return { ...common, kind }
    case 'retry':
      return { ...common, kind, first: chance.pick([1, 2, Infinity]), force: chance.hits(0.3) }
  }
}

function keyOf(cache: CacheName, shape: WorkloadShape, chance: Chance): string {
  const at = Math.floor(shape.keys * chance.next() ** shape.heat)
  return cache === 'orders' ? String(at + 1) : `${cache.charAt(0)}${at + 1}`
}

/** Names the operation and the write's place in it. */
function tagOf(id: number, at: number, shape: WorkloadShape, chance: Chance): string {
  const padding = shape.padding === 0 ? '' : '.'.repeat(chance.below(shape.padding))
  return `${chance.hits(shape.poison) ? poison : ''}w${id}-${at}${padding}`
}

function writeOf(
  id: number,
  at: number,
  cache: CacheName,
  key: string,
  shape: WorkloadShape,
  chance: Chance,
): WriteIntent {
  const kind = chance.weighted({
    set: 4,
    merge: 3,
    increment: cache === 'notes' ? 0 : 4,
    delete: 2,
  })
  switch (kind) {
    case 'set':
      return {
        cache,
        key,
        kind,
        fields: valueOf(tagOf(id, at, shape, chance), cache, shape, chance),
        by: 0,
      }
    case 'merge': {
      const fields: Record<string, unknown> = { name: tagOf(id, at, shape, chance) }
      if (cache === 'users' && chance.hits(shape.email)) fields['email'] = emailOf(chance)
      if (cache === 'orders' && chance.hits(shape.parent))
        fields['user'] = `u${1 + chance.below(4)}`
      return { cache, key, kind, fields, by: 0 }
    }
    case 'increment':
      // Five in a batch at most, so no two amounts are the same.
      return { cache, key, kind, fields: {}, by: id + at * 10_000 }
    case 'delete':
      return { cache, key, kind, fields: {}, by: 0 }
  }
}

function valueOf(name: string, cache: CacheName, shape: WorkloadShape, chance: Chance): Row {
  const visits = chance.below(3)
  switch (cache) {
    case 'users':
      return { name, visits, email: chance.hits(shape.email) ? emailOf(chance) : null }
    case 'orders':
      return { name, visits, user: chance.hits(shape.parent) ? `u${1 + chance.below(4)}` : null }
    case 'sessions':
    case 'notes':
      return { name, visits }
  }
}

function emailOf(chance: Chance): string | null {
  return chance.pick(['a@x', 'b@x', null])
}

/** `3-1` for the second write of operation 3; undefined for what no workload wrote. */
export function intentOf(tag: unknown): { id: number; at: number } | undefined {
  const found = /^(?:poison)?w(\d+)-(\d+)\.*$/.exec(String(tag))
  return found === null ? undefined : { id: Number(found[1]), at: Number(found[2]) }
}
