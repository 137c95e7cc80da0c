/** Failures that a store raises by itself, so that its `classify` finds them again. */

import { type ErrorCode, isDaybookError } from '../base/errors.ts'
import type { FailureKind, LaneCheckpoint, StoreFailure } from './store.ts'

/** Thrown by stores; `failure` is what `classify` answers. */
export class StoreFailureError extends Error {
  override readonly name = 'StoreFailureError'
  readonly failure: StoreFailure

  constructor(failure: StoreFailure, cause?: unknown) {
    super(failure.message, cause === undefined ? undefined : { cause })
    this.failure = failure
  }
}

/** Another process claimed the lane with a newer epoch. */
export function fencedError(lane: number, mine: number, found: LaneCheckpoint): StoreFailureError {
  return new StoreFailureError({
    kind: 'fenced',
    code: 'FENCED',
    message: `Lane ${lane} is held by epoch ${found.epoch}; this is epoch ${mine}.`,
    known: true,
  })
}

/** A row that the store refuses on its own account. */
export function rejectedError(code: string, message: string): StoreFailureError {
  return new StoreFailureError({ kind: 'rejected', code, message, known: true })
}

const kinds: Partial<Record<ErrorCode, FailureKind>> = {
  FENCED: 'fenced',
  STORE_CONFLICT: 'conflict',
  STORE_REJECTED: 'rejected',
  INVALID_VALUE: 'rejected',
  INVALID_KEY: 'rejected',
  VALUE_TOO_LARGE: 'rejected',
  STORE_MISCONFIGURED: 'misconfigured',
  CLOSED: 'misconfigured',
}

/** The failure of an error that Daybook raised itself; undefined for a driver's, which the store's table knows. */
export function ownFailure(error: unknown): StoreFailure | undefined {
  if (error instanceof StoreFailureError) return error.failure
  if (error instanceof Error && error.name === 'AbortError') {
    return { kind: 'outage', code: 'ABORTED', message: 'The call was aborted.', known: true }
  }
  if (!isDaybookError(error)) return undefined
  return {
    kind: kinds[error.code] ?? 'outage',
    code: error.code,
    message: error.message,
    known: true,
  }
}

/** For an error in no table: waited out like an outage, and reported as unknown. */
export function unknownFailure(error: unknown): StoreFailure {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN'
  const message =
    error instanceof Error
      ? `${error.name} in no table of this store.`
      : 'Something else than an Error.'
  return { kind: 'outage', code, message, known: false }
}
