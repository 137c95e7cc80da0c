/**
 * What is pending, mutation by mutation, as the journal has it: for people who want to see what is not in the store.
 *
 * Read from the journal, not from the lanes' coalesced batches, so that nothing that was acknowledged is missing from it.
 */

import { DaybookError, isDaybookError } from '../base/errors.ts'
import type { Lane } from '../flush/lane.ts'
import type { Entry, Mutation, Position } from '../mutation/mutation.ts'
import type { Engine } from './engine.ts'

export interface PendingFilter {
  readonly cache?: string | undefined
  readonly key?: string | undefined
  readonly keyPrefix?: string | undefined
  readonly lane?: number | undefined
}

export interface PendingMutation {
  readonly lane: number
  readonly position: Position
  readonly cache: string
  readonly key: string
  readonly mutation: Mutation
  /** Of its record in the journal. */
  readonly bytes: number
}

export interface PendingPage {
  readonly mutations: PendingMutation[]
  /** Give it as `after` to get the next page; undefined on the last one. */
  readonly next?: string
}

const maxPageMutations = 1_000
/** A page ends beyond either of these, full or not: neither a filter nor large values make a call of it that hangs. */
const maxLookedAt = 50_000
const maxPageBytes = 4 * 1024 * 1024

export async function pendingPage(
  engine: Engine,
  filter: PendingFilter,
  page: { readonly after: string | undefined; readonly limit: number },
): Promise<PendingPage> {
  if (!(page.limit >= 1 && page.limit <= maxPageMutations)) {
    throw invalid('limit', `an integer from 1 to ${maxPageMutations}`)
  }
  const begin = page.after === undefined ? { lane: 0, position: 0 } : cursorOf(page.after)
  const mutations: PendingMutation[] = []
  let lookedAt = 0
  let bytes = 0
  for (const lane of engine.flusher.lanes) {
    if (lane.index < begin.lane) continue
    if (filter.lane !== undefined && lane.index !== filter.lane) continue
    const after = lane.index === begin.lane ? begin.position : 0
    for await (const entry of entriesOf(engine, lane, after)) {
      lookedAt++
      if (passes(entry, filter)) {
        const { position, cache, key, mutation } = entry
        mutations.push({ lane: lane.index, position, cache, key, mutation, bytes: entry.bytes })
        bytes += entry.bytes
      }
      const isFull =
        mutations.length >= page.limit || lookedAt >= maxLookedAt || bytes >= maxPageBytes
      if (isFull) return { mutations, next: `${lane.index}-${entry.position}` }
    }
  }
  return { mutations }
}

async function* entriesOf(engine: Engine, lane: Lane, after: Position): AsyncGenerator<Entry> {
  await lane.rebuilding
  let from = Math.max(after, lane.checkpoint)
  for (;;) {
    try {
      for await (const entries of engine.journal.read(lane.index, from, lane.lastPosition)) {
        for (const entry of entries) {
          from = entry.position
          // What was flushed since is pending no more.
          if (entry.position > lane.checkpoint) yield entry
        }
      }
      return
    } catch (error) {
      // It was flushed and trimmed before it was read: go on where the lane is now.
      if (!isDaybookError(error, 'JOURNAL_GAP') || lane.checkpoint <= from) throw error
      from = lane.checkpoint
    }
  }
}

function passes(entry: Entry, { cache, key, keyPrefix }: PendingFilter): boolean {
  return (
    (cache === undefined || entry.cache === cache) &&
    (key === undefined || entry.key === key) &&
    (keyPrefix === undefined || entry.key.startsWith(keyPrefix))
  )
}

function cursorOf(after: string): { lane: number; position: Position } {
  const parts = /^(\d{1,3})-(\d{1,16})$/.exec(after)
  if (parts === null) throw invalid('after', '`next` of the page before')
  return { lane: Number(parts[1]), position: Number(parts[2]) }
}

function invalid(path: string, expected: string): DaybookError {
  return new DaybookError('INVALID_OPTION', `${path} must be ${expected}.`, {
    details: { path, expected },
  })
}
