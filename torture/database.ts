/** The databases behind a cycle, read by connections that the engine knows nothing of. */

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { administer, type PostgresServer } from '../test/support/postgres-server.ts'
import type { Contents } from './oracle.ts'
import { accountTables, type Account } from './workload.ts'

export type StoreName = 'sqlite' | 'postgres'

const lockPatienceMs = 20_000

export interface Database {
  /** What a writer's options say. */
  readonly url: string
  contents(): Promise<Contents>
}

export class SqliteDatabase implements Database {
  readonly path: string

  constructor(directory: string) {
    this.path = join(directory, 'app.db')
    this.run((database) => database.exec(accountTables))
  }

  get url(): string {
    return `sqlite:${this.path}`
  }

  async contents(): Promise<Contents> {
    return this.run((database) =>
      contentsOf(
        database.prepare('select * from accounts').all(),
        database.prepare('select * from audits').all(),
      ),
    )
  }

  /** Whether someone writes just now, or has been stopped while it did. */
  isLocked(): boolean {
    return this.run((database) => {
      try {
        database.exec('begin immediate; rollback')
        return false
      } catch {
        return true
      }
    }, 0)
  }

  /**
   * Keeps everybody from writing until the result is called. A process that flushes one transaction after the other leaves
   * a millisecond between them. SQLite's own waiting looks ten times a second after a while, and was found to miss all of
   * them for five seconds: so this looks each millisecond.
   */
  async lock(): Promise<() => void> {
    const database = new DatabaseSync(this.path, { timeout: 0 })
    const until = performance.now() + lockPatienceMs
    for (;;) {
      try {
        database.exec('begin immediate')
        break
      } catch (error) {
        if (performance.now() < until) await delay(1)
        else {
          database.close()
          throw error
        }
      }
    }
    return () => {
      database.exec('rollback')
      database.close()
    }
  }

  run<T>(work: (database: DatabaseSync) => T, timeout = 5_000): T {
    const database = new DatabaseSync(this.path, { timeout })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
}

export class PostgresDatabase implements Database {
  readonly server: PostgresServer

  private constructor(server: PostgresServer) {
    this.server = server
  }

  /** Empty tables; who is left of the cycle before loses its connection. */
  static async create(server: PostgresServer): Promise<PostgresDatabase> {
    const leftOver = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'daybook'`
    while ((await administer(server.url, leftOver)).length > 0);
    await administer(
      server.url,
      `drop table if exists accounts, audits, daybook_checkpoints, daybook_values, daybook_expiries;
       ${accountTables}`,
    )
    return new PostgresDatabase(server)
  }

  get url(): string {
    return this.server.url
  }

  async contents(): Promise<Contents> {
    // One statement sees one moment. The server may still commit what a process that was killed has sent.
    const [row] = await administer(
      this.url,
      `select (select coalesce(json_agg(a), '[]') from accounts a) as accounts,
         (select coalesce(json_agg(u), '[]') from audits u) as audits`,
    )
    return contentsOf(row?.['accounts'] as readonly Row[], row?.['audits'] as readonly Row[])
  }

  /** Resolves once a transaction of a writer waits for a row that another one has locked. */
  async whenSomeoneWaits(): Promise<void> {
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'daybook'`
    while ((await administer(this.url, waiting)).length === 0);
  }
}

type Row = Readonly<Record<string, unknown>>

function contentsOf(accounts: readonly Row[], audits: readonly Row[]): Contents {
  return {
    accounts: new Map(accounts.map((row) => [String(row['id']), accountOf(row)])),
    audits: new Map(audits.map(({ id, times }) => [String(id), Number(times)])),
  }
}

function accountOf({ balance, hits, tag, pad }: Row): Account {
  return {
    balance: Number(balance),
    hits: Number(hits),
    tag: tag as string | null,
    pad: pad as string | null,
  }
}
