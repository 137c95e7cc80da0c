/**
 * Caches that an earlier run declared and this one has not yet: what is pending for them is flushed without waiting for
 * the application.
 */

import { refuseAborted, withSignal } from '../base/deadline.ts'
import { reasonOf } from '../base/errors.ts'
import type { Declarations } from './declarations.ts'
import type { Engine } from './engine.ts'
import { readCacheOptions } from './options.ts'

export class EarlierCaches {
  readonly #engine: Engine
  readonly #declarations: Declarations
  readonly #describing = new Set<string>()

  constructor(engine: Engine, declarations: Declarations) {
    this.#engine = engine
    this.#declarations = declarations
  }

  /** Throws ABORTED, and nothing else. */
  async describeAll(signal: AbortSignal | undefined): Promise<void> {
    for (const [cache] of this.#declarations.entries()) await this.#describe(cache, signal)
  }

  /** A lane has something pending for a cache whose table could not be looked at so far. Never throws. */
  async describeAgain(cache: string): Promise<void> {
    const { tables, flusher } = this.#engine
    if (this.#describing.has(cache)) return
    this.#describing.add(cache)
    try {
      await this.#describe(cache)
    } finally {
      this.#describing.delete(cache)
    }
    if (tables.has(cache)) flusher.declared()
  }

  async #describe(cache: string, signal?: AbortSignal): Promise<void> {
    const { store, tables, ports, options } = this.#engine
    const declaration = this.#declarations.get(cache)
    if (declaration === undefined || tables.has(cache)) return
    const { table, key, columns, rest } = declaration
    try {
      const what = 'Looking at the table of an earlier cache'
      const schema = await withSignal(
        { clock: ports.clock, timeoutMs: options.loadTimeoutMs, signal, what },
        (signal) => store.describe({ cache, table, key, columns, rest }, { signal }),
      )
      // The application was faster: its own declaration is the one that counts.
      if (tables.has(cache)) return
      const { rejection } = readCacheOptions(cache, { onRejected: declaration.rejection })
      tables.set(cache, {
        schema,
        parks: (mutation) =>
          mutation.kind === 'patch'
            ? rejection[Object.keys(mutation.amounts).length > 0 ? 'increment' : 'merge'] === 'park'
            : rejection[mutation.kind] === 'park',
      })
    } catch (error) {
      refuseAborted(signal, 'Opening the book')
      // If anything is pending for it, its lane waits, says so, and asks again.
      ports.logger.warn(
        { cache, reason: reasonOf(error) },
        'the table of an earlier cache cannot be read',
      )
    }
  }
}
