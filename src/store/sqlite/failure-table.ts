/** What SQLite's result codes mean for a flush. Total: what is in no table is waited out, and said to be unknown. */

import { ownFailure, unknownFailure } from '../failure.ts'
import type { FailureKind, StoreFailure } from '../store.ts'

/** By primary result code, the low byte of the extended one. */
const primary: Readonly<Record<number, readonly [name: string, kind: FailureKind]>> = {
  4: ['SQLITE_ABORT', 'conflict'],
  5: ['SQLITE_BUSY', 'conflict'],
  6: ['SQLITE_LOCKED', 'conflict'],
  7: ['SQLITE_NOMEM', 'outage'],
  8: ['SQLITE_READONLY', 'outage'],
  9: ['SQLITE_INTERRUPT', 'outage'],
  10: ['SQLITE_IOERR', 'outage'],
  11: ['SQLITE_CORRUPT', 'misconfigured'],
  13: ['SQLITE_FULL', 'outage'],
  14: ['SQLITE_CANTOPEN', 'outage'],
  15: ['SQLITE_PROTOCOL', 'conflict'],
  17: ['SQLITE_SCHEMA', 'conflict'],
  18: ['SQLITE_TOOBIG', 'rejected'],
  19: ['SQLITE_CONSTRAINT', 'rejected'],
  20: ['SQLITE_MISMATCH', 'rejected'],
  23: ['SQLITE_AUTH', 'misconfigured'],
  25: ['SQLITE_RANGE', 'rejected'],
  26: ['SQLITE_NOTADB', 'misconfigured'],
}

const constraints: Readonly<Record<number, string>> = {
  275: 'SQLITE_CONSTRAINT_CHECK',
  787: 'SQLITE_CONSTRAINT_FOREIGNKEY',
  1299: 'SQLITE_CONSTRAINT_NOTNULL',
  1555: 'SQLITE_CONSTRAINT_PRIMARYKEY',
  1811: 'SQLITE_CONSTRAINT_TRIGGER',
  2067: 'SQLITE_CONSTRAINT_UNIQUE',
  2579: 'SQLITE_CONSTRAINT_ROWID',
  3091: 'SQLITE_CONSTRAINT_DATATYPE',
}

const foreignKey = 787

/** SQLite's general code says in words only what is wrong. None of these messages holds a value. */
const general: readonly (readonly [pattern: RegExp, kind: FailureKind])[] = [
  [/no such (table|column)|has no column|no such (index|collation|function)/, 'misconfigured'],
  [
    /ON CONFLICT clause does not match|foreign key mismatch|cannot (modify|UPDATE|INSERT)/,
    'misconfigured',
  ],
  [/integer overflow|malformed JSON|string or blob too big/, 'rejected'],
]

/** Raised by Node itself while it binds a value. */
const bindings = new Set(['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE'])

export function classifySqlite(error: unknown): StoreFailure {
  const own = ownFailure(error)
  if (own !== undefined) return own
  if (!(error instanceof Error)) return unknownFailure(error)
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string' && bindings.has(code)) {
    return {
      kind: 'rejected',
      code,
      message: 'A value cannot be bound to a parameter.',
      known: true,
    }
  }
  if (code === 'ERR_INVALID_STATE') {
    return {
      kind: 'outage',
      code: 'CLOSED',
      message: 'The connection was closed meanwhile.',
      known: true,
    }
  }
  const resultCode = resultCodeOf(error)
  return resultCode === undefined ? unknownFailure(error) : byResultCode(resultCode, error.message)
}

/** SQLite's extended result code; undefined for an error of something else. */
export function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}

function byResultCode(resultCode: number, message: string): StoreFailure {
  if (resultCode === 1) return byMessage(message)
  const found = primary[resultCode & 0xff]
  if (found === undefined) {
    return { kind: 'outage', code: `SQLITE_${resultCode}`, message, known: false }
  }
  const [name, kind] = found
  const code = constraints[resultCode] ?? name
  return {
    kind,
    code,
    message,
    known: true,
    ...(resultCode === foreignKey ? { missingParent: true } : {}),
  }
}

function byMessage(message: string): StoreFailure {
  const kind = general.find(([pattern]) => pattern.test(message))?.[1]
  return { kind: kind ?? 'outage', code: 'SQLITE_ERROR', message, known: kind !== undefined }
}
