/**
 * The peers of bench/package.json, with the few shapes that are used of them: the project's type check must not
 * depend on what is installed here.
 */

import type { Submittable } from 'pg'
import type { Writable } from 'node:stream'

export interface Lmdb {
  put(key: string, value: unknown): Promise<boolean>
  close(): Promise<void>
}

interface LmdbModule {
  readonly open: (options: { path: string; encoding?: 'msgpack' | 'json' }) => Lmdb
}

interface LruCacheModule {
  readonly LRUCache: new (options: { max: number }) => LruCache
}

export interface LruCache {
  get(key: string): unknown
  set(key: string, value: unknown): void
}

interface CopyStreamsModule {
  readonly from: (sql: string) => Submittable & Writable
}

/** A literal in `import()` would be resolved by the compiler. */
const load = async (name: string): Promise<unknown> => import(name)

export async function loadLmdb(): Promise<LmdbModule> {
  return (await load('lmdb')) as LmdbModule
}

export async function loadLruCache(): Promise<LruCacheModule> {
  return (await load('lru-cache')) as LruCacheModule
}

export async function loadCopyStreams(): Promise<CopyStreamsModule> {
  const module = (await load('pg-copy-streams')) as { default: CopyStreamsModule }
  return module.default
}
