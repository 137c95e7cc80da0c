/**
 * Daybook's own tables: the lanes' checkpoints, the values of caches without a table, and when rows expire.
 */

import { DaybookError } from '../../base/errors.ts'
import { quoteIdentifier, quoteLiteral } from '../sql.ts'
import type { Claim, Claimed } from '../store.ts'
import type { Connection } from './connection.ts'
import { textOf } from './failures.ts'

/** Quoted, with their schema. */
export interface OwnTables {
  readonly checkpoints: string
  readonly values: string
  readonly expiries: string
}

const names = ['daybook_checkpoints', 'daybook_values', 'daybook_expiries'] as const

/** Any number, as long as every Daybook takes the same: two that start together must not both create. */
const creationLock = 0x6461_7962

/** Finds the tables in `schema` (default: the first of the search path that has them), or creates them. */
export async function ensureOwnTables(
  connection: Connection,
  schema: string | undefined,
  signal: AbortSignal,
): Promise<OwnTables> {
  const home = await homeOf(connection, schema, signal)
  const tables = ownTablesIn(home)
  const missing = await unusableTables(connection, tables, signal)
  if (missing.length > 0) await create(connection, home, signal)
  return tables
}

async function homeOf(
  connection: Connection,
  schema: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (schema !== undefined) return schema
  const [result] = await connection.query(
    `SELECT coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = to_regclass('daybook_checkpoints')), current_schema())`,
    signal,
  )
  const home = result?.rows[0]?.[0]
  if (typeof home === 'string') return home
  throw new DaybookError(
    'STORE_MISCONFIGURED',
    'No schema of the search path exists, so there is no place for Daybook’s own tables.',
    { hint: 'Name one in the option schema.' },
  )
}

function ownTablesIn(schema: string): OwnTables {
  const [checkpoints, values, expiries] = names.map(
    (name) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`,
  )
  return { checkpoints: checkpoints ?? '', values: values ?? '', expiries: expiries ?? '' }
}

/** Those that are missing. Throws for one that a crash of the server would empty. */
async function unusableTables(
  connection: Connection,
  tables: OwnTables,
  signal: AbortSignal,
): Promise<string[]> {
  const list = Object.values(tables).map((table: string) => `(${quoteLiteral(table)})`)
  const [result] = await connection.query(
    `SELECT t.name, c.relpersistence FROM (VALUES ${list.join(', ')}) t(name)
       LEFT JOIN pg_class c ON c.oid = to_regclass(t.name)`,
    signal,
  )
  const missing: string[] = []
  for (const [name, persistence] of result?.rows ?? []) {
    if (persistence === null) missing.push(name ?? '')
    else if (persistence !== 'p') {
      throw new DaybookError(
        'STORE_MISCONFIGURED',
        `Table ${name} is not a permanent one: a crash of the server empties it.`,
        { hint: `Run: ALTER TABLE ${name} SET LOGGED` },
      )
    }
  }
  return missing
}

/**
 * What an administrator runs where the role of the application may not create tables. Keys are compared by their bytes: that
 * is quicker than by the rules of a language, and an update of the system's library cannot put an index out of order.
 */
export function ownTablesSql(schema: string): string {
  const { checkpoints, values, expiries } = ownTablesIn(schema)
  return `CREATE TABLE IF NOT EXISTS ${checkpoints} (journal text COLLATE "C" NOT NULL, lane integer NOT NULL, epoch bigint NOT NULL, position bigint NOT NULL, PRIMARY KEY (journal, lane));
CREATE TABLE IF NOT EXISTS ${values} (cache text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, value jsonb NOT NULL, PRIMARY KEY (cache, key));
CREATE TABLE IF NOT EXISTS ${expiries} (cache text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, expires_at_ms bigint NOT NULL, PRIMARY KEY (cache, key));
CREATE INDEX IF NOT EXISTS daybook_expiries_by_time ON ${expiries} (cache, expires_at_ms);`
}

async function create(connection: Connection, schema: string, signal: AbortSignal): Promise<void> {
  const sql = ownTablesSql(schema)
  try {
    await connection.query(
      `BEGIN; SELECT pg_advisory_xact_lock(${creationLock}); ${sql} COMMIT`,
      signal,
    )
  } catch (cause) {
    if (textOf(cause, 'code') !== '42501') throw cause
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      `The database role may not create Daybook’s own tables in schema "${schema}".`,
      {
        cause,
        details: { schema, sql },
        hint: `Have an administrator run:\n${sql}\nGRANT SELECT, INSERT, UPDATE, DELETE ON ${Object.values(ownTablesIn(schema)).join(', ')} TO the role.`,
      },
    )
  }
}

/**
 * Takes the next epoch for every lane, in one transaction. Whoever claims at the same time waits for this one, and comes
 * after it.
 */
export async function claimLanes(
  connection: Connection,
  tables: OwnTables,
  claim: Claim,
  signal: AbortSignal,
): Promise<Claimed> {
  const journal = quoteLiteral(claim.journal)
  for (;;) {
    const [, stored] = await connection.query(
      `BEGIN; SELECT epoch FROM ${tables.checkpoints} WHERE journal = ${journal} ORDER BY lane FOR UPDATE`,
      signal,
    )
    const epochs = (stored?.rows ?? []).map(([epoch]) => Number(epoch))
    const epoch = Math.max(claim.epoch - 1, ...epochs) + 1
    const [taken] = await connection.query(
      `INSERT INTO ${tables.checkpoints} AS c (journal, lane, epoch, position)
         SELECT ${journal}, lane, ${epoch}, 0 FROM generate_series(0, ${claim.lanes - 1}) lane
       ON CONFLICT (journal, lane) DO UPDATE SET epoch = excluded.epoch WHERE c.epoch < excluded.epoch
       RETURNING lane, position`,
      signal,
    )
    const positions = new Array<number>(claim.lanes).fill(0)
    for (const [lane, position] of taken?.rows ?? []) positions[Number(lane)] = Number(position)
    if (taken?.rowCount === claim.lanes) {
      await connection.query('COMMIT', signal)
      return { epoch, positions }
    }
    // The rows did not exist a moment ago, and another claim made them with this very epoch: now they do.
    await connection.query('ROLLBACK', signal)
  }
}
