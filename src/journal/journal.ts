/**
 * The journal port: an ordered, durable log of mutations. What reads it must not know which one it is.
 *
 * Local files are one implementation (`file-journal.ts`); an engine such as Kafka can be another. Positions grow over
 * all lanes together; gaps are allowed.
 */

import type { Entry, Position } from '../mutation/mutation.ts'

/** Writes that become durable together. One promise for all of them: nothing is allocated per write. */
export interface Commit {
  /**
   * Resolves once every entry is durable. Rejects with JOURNAL_FULL where none of them is and none will be, or
   * JOURNAL_FAILED where that is unknown.
   */
  readonly done: Promise<void>
}

/** What the owner of a journal is told. Calls come in the order of positions, and never from within `append`. */
export interface JournalListener {
  /** These entries are durable, in order. Called before `Commit.done` resolves. */
  durable(entries: readonly Entry[]): void
  /** These entries, and all that were appended since, are not durable and never will be. Called before `done` rejects. */
  undone(entries: readonly Entry[], error: unknown): void
  /** The state has become this one, for this reason: who waits for space can try again when it is `open`. */
  changed?(state: JournalState, failure: Error | undefined): void
}

export type JournalState =
  /** Appends are accepted. */
  | 'open'
  /** The disk is full: appends are refused, and space is looked for. */
  | 'full'
  /** A sync failed: nothing is accepted any more, and what was in flight is indeterminate. */
  | 'failed'
  | 'closed'

export interface JournalStats {
  readonly state: JournalState
  /** See `Journal`. */
  readonly budgetUsedUp: boolean
  readonly segments: number
  /** Disk in use, preallocated space included. */
  readonly bytes: number
  /** Appended, not yet durable. */
  readonly undurableBytes: number
  readonly commits: number
  /** What one commit's write and sync took, in ms: of the last ones, and the sum of all. */
  readonly syncMs: {
    readonly p50: number
    readonly p99: number
    readonly max: number
    readonly sum: number
  }
}

export type EntryVisitor = (
  position: Position,
  lane: number,
  hash: number,
  bytes: number,
  retryOf?: string,
) => void

export interface Journal {
  /** Names this journal in the store's checkpoints. Fixed when it is created. */
  readonly id: string
  /** Fixed when the journal is created. */
  readonly lanes: number
  /** Grows each time the journal is opened. */
  readonly epoch: number
  /** All entries up to here are durable. */
  readonly durablePosition: Position
  /** The newest position given out. */
  readonly lastPosition: Position
  /** The oldest position that can still be read, or `lastPosition + 1` where there is none. */
  readonly oldestPosition: Position
  readonly state: JournalState
  /** New appends are refused, or the larger ones are, until a trim has made room within the budget on disk. */
  readonly budgetUsedUp: boolean

  /**
   * Takes the next positions, sets `position` and `bytes` of each entry, and encodes all of them into the commit that
   * is being gathered: synchronous, and all or none. Throws JOURNAL_FULL, JOURNAL_FAILED, CLOSED or VALUE_TOO_LARGE;
   * then nothing was taken.
   */
  append(entries: readonly Entry[]): Commit

  /** Resolves once everything up to `position` is durable; rejects as `Commit.done` does. */
  whenDurable(position: Position): Promise<void>

  /**
   * The durable entries of one lane beyond `after`, oldest first, in chunks of bounded size, up to and including
   * `to`. A damaged record throws JOURNAL_CORRUPT; a range that was trimmed throws JOURNAL_GAP.
   */
  read(lane: number, after: Position, to: Position): AsyncIterable<readonly Entry[]>

  /** The entries at these positions, in order. All must be durable and not trimmed. */
  find(positions: readonly Position[]): Promise<Entry[]>

  /**
   * Visits every durable entry beyond `after` without decoding it: what recovery needs to index what is pending.
   * `retryOf` is told of those that have one.
   */
  scan(after: Position, visit: EntryVisitor): Promise<void>

  /** Lets go of what is at or below `position`, in whole segments. Keeps what the retention asks for. */
  trim(position: Position): Promise<void>

  stats(): JournalStats

  /** Makes everything durable, seals, and releases the lock. Later calls do nothing. */
  close(): Promise<void>
}
