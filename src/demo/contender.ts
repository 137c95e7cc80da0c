/**
 * A way of getting the application's writes into the database. The demonstration replays the same flights through
 * each, and treats all alike: the same child process, the same acknowledgements, the same kill.
 */

import type { Counts, Target } from './database.ts'
import type { FlightWork } from './workload.ts'

export type ContenderName = 'write-behind' | 'write-through' | 'memory-buffer'

export interface ContenderOptions {
  readonly target: Target
  /** Daybook's directory; the others need none. */
  readonly directory: string
  /** Told after each flush. */
  readonly flushed?: () => void
}

/** What a contender has done since it was opened. */
export interface ContenderFigures extends Counts {
  /** Acknowledged writes of single rows. */
  readonly mutations: number
  /** Those that have reached the database, what was recovered from an earlier process included. */
  readonly flushed: number
  /** Those that have not. */
  readonly pending: number
  /** Age of the oldest pending one, in ms. */
  readonly lagMs: number
}

/** Percentiles in ms. */
export interface Spread {
  readonly p50: number
  readonly p99: number
}

export interface Contender {
  /** How many flights of the replay have been applied before, by processes that are gone. */
  readonly recovered: number
  /**
   * Applies a flight wholly or not at all. Resolves once the application would tell its own caller that all is well.
   * Calls may overlap; flights that touch the same row take effect in the order of the calls.
   */
  apply(work: FlightWork): Promise<void>
  figures(): ContenderFigures
  /** How old acknowledged flights were when they reached the database: of a sample. */
  staleness(): Spread
  /** Resolves once everything acknowledged is in the database. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** The age of every so many-th flight is measured. */
export const sampleEvery = 20

export async function openContender(
  name: ContenderName,
  options: ContenderOptions,
): Promise<Contender> {
  switch (name) {
    case 'write-behind': {
      const { WriteBehind } = await import('./write-behind.ts')
      return WriteBehind.open(options)
    }
    case 'write-through': {
      const { WriteThrough } = await import('./write-through.ts')
      return WriteThrough.open(options)
    }
    case 'memory-buffer': {
      const { MemoryBuffer } = await import('./memory-buffer.ts')
      return MemoryBuffer.open(options)
    }
  }
}

/** Percentiles of the samples; 0 where there are none. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = Float64Array.from(samples).sort()
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
