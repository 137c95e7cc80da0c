/** What a request is answered with when it fails: a status, and the error in the form of the control socket. */

import { DaybookError, type ErrorCode } from '../../base/errors.ts'
import { errorToWire, type WireError } from '../../control/wire.ts'

/** Errors of HTTP itself. Those of the book have the codes of `base/errors.ts`. */
export const requestErrorCodes = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFIRMATION_NEEDED: 409,
  CURSOR_UNKNOWN: 410,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_ATTEMPTS: 429,
  TOO_MANY_CLIENTS: 503,
} as const

export type RequestErrorCode = keyof typeof requestErrorCodes

export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly code: RequestErrorCode
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(
    code: RequestErrorCode,
    message: string,
    details?: Readonly<Record<string, unknown>>,
  ) {
    super(message)
    this.code = code
    this.details = details
  }
}

const statusByCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  INVALID_OPTION: 400,
  INVALID_KEY: 400,
  INVALID_VALUE: 400,
  VALUE_TOO_LARGE: 400,
  DEAD_LETTER_UNKNOWN: 404,
  INVALID_STATE: 409,
  FENCED: 409,
  STORE_REJECTED: 422,
  OVERLOADED: 503,
  JOURNAL_FULL: 503,
  JOURNAL_FAILED: 503,
  STORE_UNAVAILABLE: 503,
  STORE_CONFLICT: 503,
  STORE_MISCONFIGURED: 503,
  CLOSED: 503,
  TIMEOUT: 504,
}

export interface Refusal {
  readonly status: number
  readonly error: WireError
}

/** Total. What nobody foresaw is told apart by code INTERNAL, and its message stays here: it may say too much. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof RequestError) {
    const { code, message, details } = error
    const wire = details === undefined ? { code, message } : { code, message, details }
    return { status: requestErrorCodes[code], error: wire }
  }
  if (error instanceof DaybookError) {
    return { status: statusByCode[error.code] ?? 500, error: errorToWire(error) }
  }
  const message = 'Something went wrong that should not have. The log says what.'
  return { status: 500, error: { code: 'INTERNAL', message } }
}
