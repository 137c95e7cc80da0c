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

interface CopyStreamsModule {
  readonly from: (sql: string) => Submittable & Writable
}

/** A literal in `import()` would be resolved by the compiler. */
const load = async (name: string): Promise<unknown> => import(name)

export async function loadLmdb(): Promise<LmdbModule> {
  return (await load('lmdb')) as LmdbModule
}

export async function loadCopyStreams(): Promise<CopyStreamsModule> {
  const module = (await load('pg-copy-streams')) as { default: CopyStreamsModule }
  return module.default
}
