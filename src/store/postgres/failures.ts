/**
 * What PostgreSQL's errors mean for a batch, in one table: by SQLSTATE, then by its class, then by Node's error code.
 *
 * Messages come without values of the row: `detail` is never used, and quoted input is cut out.
 */

import { reasonOf } from '../../base/errors.ts'
import { ownFailure, unknownFailure } from '../failure.ts'
import type { FailureKind, StoreFailure } from '../store.ts'

/** SQLSTATE, or its first two characters where all of the class means the same. The longer one wins. */
const kindsBySqlState = new Map<string, FailureKind>([
  ['08', 'outage'], // connection exception
  ['0A', 'misconfigured'], // feature not supported
  ['21', 'rejected'], // cardinality violation
  ['22', 'rejected'], // data exception: type, range, length
  ['23', 'rejected'], // integrity constraint violation
  ['25', 'conflict'], // invalid transaction state
  ['25006', 'outage'], // read-only transaction: a standby, fail-over may be under way
  ['25P03', 'outage'], // idle in transaction for too long: the connection is gone
  ['26', 'misconfigured'], // no such prepared statement: a pooler in transaction mode
  ['27', 'rejected'], // triggered data change
  ['28', 'misconfigured'], // wrong password, no pg_hba.conf entry
  ['3D', 'misconfigured'], // no such database
  ['3F', 'misconfigured'], // no such schema
  ['40', 'conflict'], // deadlock, serialization failure
  ['40002', 'rejected'], // integrity constraint violation at commit
  ['40003', 'outage'], // statement completion unknown
  ['42', 'misconfigured'], // no such table or column, no privilege
  ['44', 'rejected'], // WITH CHECK OPTION
  ['53', 'outage'], // disk full, out of memory, too many connections
  ['54', 'rejected'], // a row beyond a limit, such as an index entry's size
  ['54011', 'misconfigured'], // too many columns
  ['54023', 'misconfigured'], // too many arguments
  ['55', 'misconfigured'], // object not in prerequisite state
  ['55006', 'conflict'], // object in use
  ['55P03', 'conflict'], // lock timeout
  ['57', 'outage'], // shutdown, crash, starting up
  ['57014', 'conflict'], // statement timeout
  ['58', 'outage'], // I/O error
  ['72', 'conflict'], // snapshot too old
  ['F0', 'misconfigured'], // configuration file
  ['P0', 'rejected'], // raised by a trigger
  ['XX', 'outage'], // internal error
  ['XX001', 'misconfigured'], // data corrupted
  ['XX002', 'misconfigured'], // index corrupted
])

const kindsByErrno = new Map<string, FailureKind>([
  ['ECONNREFUSED', 'outage'],
  ['ECONNRESET', 'outage'],
  ['ECONNABORTED', 'outage'],
  ['EPIPE', 'outage'],
  ['ETIMEDOUT', 'outage'],
  ['EHOSTUNREACH', 'outage'],
  ['EHOSTDOWN', 'outage'],
  ['ENETUNREACH', 'outage'],
  ['ENETDOWN', 'outage'],
  ['EADDRNOTAVAIL', 'outage'],
  ['ENOTFOUND', 'outage'], // a name server may be away
  ['EAI_AGAIN', 'outage'],
  ['ENOENT', 'outage'], // the socket file of a server that is down
  ['EMFILE', 'outage'],
  ['ENFILE', 'outage'],
  ['EACCES', 'misconfigured'], // the socket file belongs to someone else
  ['CERT_HAS_EXPIRED', 'misconfigured'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'misconfigured'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'misconfigured'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'misconfigured'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'misconfigured'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'misconfigured'],
])

/** What `pg` itself says without a code. */
const kindsByDriverMessage: readonly (readonly [RegExp, FailureKind])[] = [
  [/^Connection terminated/, 'outage'],
  [/^timeout expired$/, 'outage'],
  [/is not queryable$/, 'outage'],
  [/^There was an error establishing an SSL connection/, 'outage'],
  [/^The server does not support SSL connections/, 'misconfigured'],
  [/^SASL/, 'misconfigured'],
  [/^Password must be a string/, 'misconfigured'],
]

/** Total: what is in no table is an outage, and says so. */
export function classifyPostgresError(error: unknown): StoreFailure {
  const own = ownFailure(error)
  if (own !== undefined) return own
  const code = textOf(error, 'code')
  if (code !== undefined && sqlStatePattern.test(code)) return classifySqlState(error, code)
  const message = reasonOf(error)
  const kind =
    (code === undefined ? undefined : kindsByErrno.get(code)) ??
    kindsByDriverMessage.find(([pattern]) => pattern.test(message))?.[1]
  if (kind === undefined) return unknownFailure(error)
  // Node leaves the message empty where every address of a host refused.
  return { kind, code: code ?? 'PG', message: message === '' ? (code ?? '') : message, known: true }
}

const sqlStatePattern = /^[0-9A-Z]{5}$/

function classifySqlState(error: unknown, code: string): StoreFailure {
  // Words of Node's errors have five letters too: EPIPE.
  const kind =
    kindBySense(error, code) ??
    kindsBySqlState.get(code) ??
    kindsBySqlState.get(code.slice(0, 2)) ??
    kindsByErrno.get(code)
  if (kind === undefined) return unknownFailure(error)
  return {
    kind,
    code,
    message: messageOf(error, code),
    ...(code === '23503' ? { missingParent: true } : {}),
    known: true,
  }
}

/** The server's own function tells apart what shares a code. */
function kindBySense(error: unknown, code: string): FailureKind | undefined {
  const routine = textOf(error, 'routine')
  // A row-level security policy refused the row; otherwise 42501 is a missing privilege.
  if (code === '42501' && routine === 'ExecWithCheckOptions') return 'rejected'
  // A table was altered under a prepared statement: a new connection prepares it anew.
  if (code === '0A000' && routine === 'RevalidateCachedQuery') return 'conflict'
  return undefined
}

function messageOf(error: unknown, code: string): string {
  const message = reasonOf(error)
  // Only data exceptions quote what was given; elsewhere, quotes hold identifiers.
  const shown = code.startsWith('22') ? message.replace(/".*"/s, '"…"') : message
  const column = textOf(error, 'column')
  const constraint = textOf(error, 'constraint')
  const named = [
    column === undefined ? '' : ` (column "${column}")`,
    constraint === undefined ? '' : ` (constraint "${constraint}")`,
  ].filter((part) => part !== '' && !shown.includes(part.slice(part.indexOf('"'), -1)))
  return shown + named.join('')
}

/** A text property of what was thrown, such as pg's `code`, `column` and `constraint`. */
export function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const value: unknown = Reflect.get(error, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}
