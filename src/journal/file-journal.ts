/**
 * The journal on local files: `openFileJournal` gives a Journal whose appends are durable by fdatasync.
 */

import { DaybookError } from '../base/errors.ts'
import type { Ports } from '../base/ports.ts'
import type { Journal, JournalListener } from './journal.ts'

export interface FileJournalOptions {
  /** Holds the segments and the lock, and nothing else. Made where it is missing. */
  readonly directory: string
  /** Of a new journal, 1 to 65,535. An existing one keeps its own. */
  readonly lanes: number
  /** Size of a full-grown segment; the first ones are smaller. Default 64 MiB. */
  readonly segmentBytes?: number | undefined
  /** Most disk that the segments may take. Default 4 GiB. */
  readonly maxBytes?: number | undefined
  /** `trim` keeps at least this much of what is flushed. Default 256 MiB. */
  readonly retainBytes?: number | undefined
  readonly listener: JournalListener
}

/** An unacknowledged tail that was cut at open. */
export interface CutTail {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /** Where the bytes were copied. */
  readonly copy: string
}

export interface FileJournal extends Journal {
  readonly directory: string
  /** True where this open made the journal. */
  readonly created: boolean
  readonly cut: CutTail | undefined
}

/**
 * Opens or creates the journal. Throws JOURNAL_LOCKED, JOURNAL_CORRUPT, JOURNAL_FOREIGN, JOURNAL_VERSION,
 * JOURNAL_FULL or DIRECTORY_UNUSABLE; then nothing was changed but what a repeated open finds again.
 */
export async function openFileJournal(
  options: FileJournalOptions,
  ports: Ports,
): Promise<FileJournal> {
  throw new DaybookError('CLOSED', `not built yet: ${options.directory} ${typeof ports}`)
}
