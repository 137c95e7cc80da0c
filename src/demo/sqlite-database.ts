/** The demonstration's database as a SQLite file, as durable as Daybook's own store is: WAL, synchronous FULL. */

import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Counts, DemoDatabase } from './database.ts'
import {
  createTables,
  type Row,
  type Rows,
  rowsOfEach,
  type Statement,
  type TableName,
} from './tables.ts'

const busyTimeoutMs = 10_000

export class SqliteDemoDatabase implements DemoDatabase {
  readonly version: string
  readonly concurrency = 1
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #prepared = new Map<string, StatementSync>()
  #counts: Counts = { transactions: 0, rows: 0 }

  constructor(path: string) {
    this.#path = path
    this.#database = new DatabaseSync(path, { timeout: busyTimeoutMs })
    this.#database.exec('pragma journal_mode = wal; pragma synchronous = full')
    const row = this.#database.prepare('select sqlite_version() as version').get()
    this.version = `SQLite ${String(row?.['version'])}`
  }

  get counts(): Counts {
    return this.#counts
  }

  qualify(table: TableName): string {
    return table
  }

  async createTables(): Promise<void> {
    for (const sql of createTables((table) => this.qualify(table))) this.#database.exec(sql)
  }

  async apply(statements: readonly Statement[]): Promise<void> {
    let rows = 0
    this.#database.exec('begin immediate')
    try {
      for (const { sql, values } of statements)
        rows += Number(this.#prepare(sql).run(...values).changes)
      this.#database.exec('commit')
    } catch (error) {
      this.#database.exec('rollback')
      throw error
    }
    this.#counts = {
      transactions: this.#counts.transactions + 1,
      rows: this.#counts.rows + rows,
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql.replaceAll('$', '?'))
      this.#prepared.set(sql, statement)
    }
    return statement
  }

  async read(): Promise<Rows> {
    return rowsOfEach(async (table) => {
      const rows = this.#database.prepare(`select * from ${table}`).all()
      return rows.map((row) => ({ ...row }) as Row)
    })
  }

  async drop(): Promise<void> {
    await this.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.#path}${suffix}`, { force: true })
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
  }
}
