/** Databases with the ledger's tables, read by a connection that the engine knows nothing of. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { administer, type PostgresServer } from '../support/postgres-server.ts'
import { ledgerTables, type ReadRows } from './ledger.ts'

export interface LedgerDatabase {
  readonly url: string
  readonly rows: ReadRows
}

export interface SqliteFile extends LedgerDatabase {
  readonly path: string
  /** On a connection of its own, for as long as `work` takes. */
  run<T>(work: (database: DatabaseSync) => T): T
}

/** Removed when the test has ended. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-recovery-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function sqliteFile(path = join(temporaryDirectory(), 'app.db')): SqliteFile {
  const run = <T>(work: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(path, { timeout: 5000 })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  run((database) => database.exec(ledgerTables))
  return {
    path,
    url: `sqlite:${path}`,
    run,
    rows: async (table) => run((database) => database.prepare(`select * from ${table}`).all()),
  }
}

/** Empty tables on the server. */
export async function postgresTables(
  server: PostgresServer,
  url = server.url,
): Promise<LedgerDatabase> {
  await administer(
    server.url,
    `drop table if exists counters, notes, daybook_checkpoints; ${ledgerTables}`,
  )
  return { url, rows: (table) => administer(server.url, `select * from ${table}`) }
}
