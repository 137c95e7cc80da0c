/**
 * Every error that Daybook raises, in one table.
 *
 * Codes are stable within a major version; messages are not. A code's sentence says what happened to the
 * caller's data and what to do. Values never appear in messages or details: keys and column names do.
 */

export const errorCodes = {
  // The caller's mistake. Nothing was acknowledged.
  INVALID_OPTION: 'An option is unknown, contradictory or out of range.',
  INVALID_KEY: 'A key is empty, too long, not well-formed or not of the key column’s type.',
  INVALID_VALUE: 'A value cannot be stored: wrong type, unknown or missing column, out of range.',
  VALUE_TOO_LARGE: 'A value is larger than the limit.',
  INVALID_STATE:
    'The call does not fit the state: a cache declared twice, a key parked behind a dead letter.',
  CLOSED: 'The daybook is closed or closing.',
  ABORTED: 'The caller’s signal was aborted.',
  TIMEOUT:
    'A deadline passed. details.outcome says whether the write is pending or was never accepted.',

  // Back-pressure. Nothing was acknowledged; try again later.
  OVERLOADED: 'What is pending has reached its limit and the policy is to reject.',
  JOURNAL_FULL:
    'The journal’s disk is full. Nothing was acknowledged; writing resumes when space returns.',

  // The journal.
  JOURNAL_FAILED: 'A sync failed: the outcome of the writes in it is unknown. Restart to find out.',
  JOURNAL_LOCKED: 'Another process has the directory open.',
  JOURNAL_FOREIGN: 'The directory is not a daybook, or belongs to another one.',
  JOURNAL_CORRUPT: 'The journal is damaged where it had been durable. Nothing was changed.',
  JOURNAL_VERSION: 'The journal was written by a newer version of Daybook.',
  JOURNAL_GAP: 'The journal and the store do not meet: one of them lost data or is the wrong one.',
  DIRECTORY_UNUSABLE: 'The directory cannot be created, read or written.',

  // The store.
  STORE_UNAVAILABLE: 'The store cannot be reached. What is pending stays in the journal.',
  STORE_CONFLICT: 'The store aborted a transaction in favour of another one.',
  STORE_REJECTED: 'The store refused a row: a constraint, a type or a range.',
  STORE_MISCONFIGURED:
    'The store answers, but not as configured: missing table, wrong password, unsafe setting.',
  FENCED: 'Another process has taken over this journal. This one may no longer write to the store.',

  // Dead letters.
  DEAD_LETTER_UNKNOWN: 'There is no dead letter with this id.',
  DEAD_LETTERS_FULL:
    'The dead letters have reached their limit; flushing waits until some are handled.',
} as const

export type ErrorCode = keyof typeof errorCodes

export interface ErrorContext {
  /** What went wrong underneath. */
  readonly cause?: unknown
  /** Facts for programs: file, offset, cache, column, position. Never values or secrets. */
  readonly details?: Readonly<Record<string, unknown>>
  /** One imperative sentence: what to do now. Appended to the message. */
  readonly hint?: string
}

/** The one error class of Daybook: branch on `code`. */
export class DaybookError extends Error {
  override readonly name: string = 'DaybookError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(
      context.hint === undefined ? message : `${message} ${context.hint}`,
      context.cause === undefined ? undefined : { cause: context.cause },
    )
    this.code = code
    this.details = context.details ?? {}
    this.hint = context.hint
  }
}

export function isDaybookError(error: unknown, code?: ErrorCode): error is DaybookError {
  return error instanceof DaybookError && (code === undefined || error.code === code)
}

/** What was thrown, as text for a message: never the whole object, which may hold a connection string. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
