/**
 * What goes over the control socket: one JSON object a line, a request `{id, method, params}` answered by
 * `{id, result}` or `{id, error}`. A line is at most `maxRequestBytes` one way and `maxResponseBytes` the other.
 * What JSON cannot say is tagged: see `tagged-json.ts`.
 */

import { DaybookError, errorCodes, reasonOf, type ErrorCode } from '../base/errors.ts'

export const maxRequestBytes = 1024 * 1024
export const maxResponseBytes = 64 * 1024 * 1024

export interface WireError {
  /** One of `errorCodes`, or INTERNAL. */
  readonly code: string
  /** Without the hint. */
  readonly message: string
  readonly details?: unknown
  readonly hint?: string
}

export interface ControlRequest {
  readonly id: number
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Any error as the other side may see it: no stack, no cause, no driver's object. */
export function errorToWire(error: unknown): WireError {
  if (!(error instanceof DaybookError)) return { code: 'INTERNAL', message: reasonOf(error) }
  const { code, details, hint } = error
  const message =
    hint !== undefined && error.message.endsWith(` ${hint}`)
      ? error.message.slice(0, -hint.length - 1)
      : error.message
  return { code, message, details, ...(hint === undefined ? {} : { hint }) }
}

/** The error that the other side had, to be thrown here. */
export function errorFromWire(wire: unknown): Error {
  if (!isRecord(wire))
    return new Error('The running application answered without saying what failed.')
  const message = typeof wire.message === 'string' ? wire.message : 'It failed without a message.'
  if (!isErrorCode(wire.code)) return new Error(`The running application failed: ${message}`)
  return new DaybookError(wire.code, message, {
    ...(isRecord(wire.details) ? { details: wire.details } : {}),
    ...(typeof wire.hint === 'string' ? { hint: wire.hint } : {}),
  })
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCodes, code)
}
