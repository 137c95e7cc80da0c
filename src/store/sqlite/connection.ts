/**
 * A connection whose settings are what the guarantees rest on: checked after they are set, since SQLite ignores in
 * silence what it cannot do.
 */

import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { DaybookError } from '../../base/errors.ts'

/** SQLite blocks the whole process while it waits for a lock: longer waits are done by the event loop. */
const waitBriefly = 'PRAGMA busy_timeout = 20'

export const memoryPath = ':memory:'

const ownTables = `
  CREATE TABLE IF NOT EXISTS daybook_checkpoints (
    journal TEXT NOT NULL, lane INTEGER NOT NULL, epoch INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (journal, lane)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS daybook_values (
    cache TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (cache, key)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS daybook_expiries (
    cache TEXT NOT NULL, key TEXT NOT NULL, expires_at_ms INTEGER NOT NULL, PRIMARY KEY (cache, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS daybook_expiries_by_time ON daybook_expiries (cache, expires_at_ms);
`

/** One connection, with its prepared statements. */
export class Connection {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  /** For the fixed statements of this module's callers: kept for the life of the connection. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      statement.setReadBigInts(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** Leaves the transaction if there is one. Never throws: SQLite may have rolled back by itself. */
  rollback(): void {
    try {
      this.database.exec('ROLLBACK')
    } catch {
      // No transaction is active, which is what was wanted.
    }
  }

  /** Never throws. */
  close(): void {
    try {
      this.database.close()
    } catch {
      // It was not open.
    }
  }
}

/** Throws STORE_MISCONFIGURED where a setting does not hold, or SQLite's own error. */
export function openWriter(path: string): Connection {
  const database = new DatabaseSync(path)
  try {
    database.exec(waitBriefly)
    if (path !== memoryPath) {
      expectSetting(database, 'journal_mode', 'WAL', 'wal')
      // In WAL mode, NORMAL would let a power cut take back what was committed.
      expectSetting(database, 'synchronous', 'FULL', 2)
      // On macOS fsync alone does not reach the disk. Elsewhere this does nothing.
      database.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON')
    }
    expectSetting(database, 'foreign_keys', 'ON', 1)
    return new Connection(database)
  } catch (error) {
    database.close()
    throw error
  }
}

export function openReader(path: string): Connection {
  const database = new DatabaseSync(path)
  database.exec(`${waitBriefly}; PRAGMA query_only = ON`)
  return new Connection(database)
}

/** Does nothing where they are there. */
export function createOwnTables(connection: Connection): void {
  connection.database.exec(ownTables)
}

function expectSetting(
  database: DatabaseSync,
  pragma: string,
  setting: string,
  expected: string | number,
): void {
  database.exec(`PRAGMA ${pragma} = ${setting}`)
  const found = Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]
  if (found === expected) return
  throw new DaybookError(
    'STORE_MISCONFIGURED',
    `SQLite's ${pragma} is ${String(found)} and cannot be set to ${setting}, on which the guarantees rest.`,
    {
      details: { pragma, expected, found },
      hint: 'Put the database on a local disk, and close other programs that hold it in another mode.',
    },
  )
}
