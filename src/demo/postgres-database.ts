/** The demonstration's database as a schema of its own in PostgreSQL. */

import type * as Pg from 'pg'
import type { Pool, PoolClient } from 'pg'
import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Counts, DemoDatabase, Target } from './database.ts'
import {
  createTables,
  type Row,
  type Rows,
  rowsOfEach,
  type Statement,
  type TableName,
} from './tables.ts'

const connections = 16

export class PostgresDemoDatabase implements DemoDatabase {
  readonly version: string
  readonly concurrency = connections
  readonly #pool: Pool
  readonly #schema: string
  /** A statement's text is prepared once for each connection, under this name. */
  readonly #names = new Map<string, string>()
  #counts: Counts = { transactions: 0, rows: 0 }

  static async open({ url, schema = 'public' }: Target): Promise<PostgresDemoDatabase> {
    const pg = await loadDriver()
    const pool = new pg.Pool({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: 10_000,
    })
    // A connection that breaks while nobody uses it is replaced by the pool.
    pool.on('error', () => undefined)
    try {
      const { rows } = await pool.query<{ server_version: string }>('show server_version')
      const version = rows[0]?.server_version.split(' ')[0] ?? 'of an unknown version'
      return new PostgresDemoDatabase(pool, schema, `PostgreSQL ${version}`)
    } catch (error) {
      await pool.end()
      const { code } = error as { readonly code?: string }
      throw new DaybookError(
        'STORE_UNAVAILABLE',
        `PostgreSQL cannot be used: ${code ?? reasonOf(error)}.`,
        {
          cause: error,
          hint: 'Check that it runs, and the address, user and password given with --store.',
        },
      )
    }
  }

  constructor(pool: Pool, schema: string, version: string) {
    this.#pool = pool
    this.#schema = schema
    this.version = version
  }

  get counts(): Counts {
    return this.#counts
  }

  qualify(table: TableName): string {
    return `${this.#schema}.${table}`
  }

  async createTables(): Promise<void> {
    await this.#pool.query(`create schema ${this.#schema}`)
    for (const sql of createTables((table) => this.qualify(table))) await this.#pool.query(sql)
  }

  async apply(statements: readonly Statement[]): Promise<void> {
    const client = await this.#pool.connect()
    let failed = true
    try {
      const rows = await this.#transaction(client, statements)
      failed = false
      this.#counts = {
        transactions: this.#counts.transactions + 1,
        rows: this.#counts.rows + rows,
      }
    } finally {
      client.release(failed)
    }
  }

  async #transaction(client: PoolClient, statements: readonly Statement[]): Promise<number> {
    let rows = 0
    await client.query('begin')
    for (const { sql, values } of statements) {
      const result = await client.query({ name: this.#nameOf(sql), text: sql, values: [...values] })
      rows += result.rowCount ?? 0
    }
    await client.query('commit')
    return rows
  }

  #nameOf(sql: string): string {
    let name = this.#names.get(sql)
    if (name === undefined) {
      name = `demo_${this.#names.size}`
      this.#names.set(sql, name)
    }
    return name
  }

  async read(): Promise<Rows> {
    return rowsOfEach(async (table) => {
      const { rows } = await this.#pool.query<{ row: Record<string, string | number | null> }>(
        `select to_json(t) as row from ${this.qualify(table)} t`,
      )
      return rows.map(({ row }) => normalised(row))
    })
  }

  async drop(): Promise<void> {
    await this.#pool.query(`drop schema if exists ${this.#schema} cascade`)
    await this.close()
  }

  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end()
  }
}

async function loadDriver(): Promise<(typeof Pg)['default']> {
  try {
    return (await import('pg')).default
  } catch (error) {
    throw new DaybookError(
      'INVALID_OPTION',
      'The demonstration on PostgreSQL needs the package pg.',
      {
        cause: error,
        hint: 'Run `npm install pg` in this folder, then the demonstration again.',
      },
    )
  }
}

/** `to_json` writes a timestamp as `2001-01-01T00:47:00`. */
function normalised(row: Record<string, string | number | null>): Row {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(value)
        ? `${value}.000`
        : value,
    ]),
  )
}
