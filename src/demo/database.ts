/**
 * The demonstration's database, used directly: to make the tables, to read every row in the end, and by the contenders
 * that do without Daybook. Each run has a place of its own (a SQLite file, a PostgreSQL schema), so what else is in the
 * database is never touched.
 */

import { withSchema } from '../store/store-url.ts'
import type { Rows, Statement, TableName } from './tables.ts'

export interface Target {
  /** `sqlite:<path>` or `postgres://…`. */
  readonly url: string
  /** The schema of the tables, in PostgreSQL. */
  readonly schema: string | undefined
}

export interface Counts {
  readonly transactions: number
  /** Rows that statements wrote or deleted. */
  readonly rows: number
}

export interface DemoDatabase {
  /** `PostgreSQL 17.2` */
  readonly version: string
  /** Transactions that it can have in flight. */
  readonly concurrency: number
  readonly counts: Counts
  qualify(table: TableName): string
  createTables(): Promise<void>
  /** In one durable transaction. */
  apply(statements: readonly Statement[]): Promise<void>
  /** Every row of every table. */
  read(): Promise<Rows>
  /** Removes what `createTables` made, and Daybook's own tables of this place. */
  drop(): Promise<void>
  close(): Promise<void>
}

export async function openDemoDatabase(target: Target): Promise<DemoDatabase> {
  if (target.url.startsWith('sqlite:')) {
    const { SqliteDemoDatabase } = await import('./sqlite-database.ts')
    return new SqliteDemoDatabase(target.url.slice('sqlite:'.length))
  }
  const { PostgresDemoDatabase } = await import('./postgres-database.ts')
  return PostgresDemoDatabase.open(target)
}

/** Daybook's own tables go where the demonstration's are, and are dropped with them. */
export function storeUrlOf({ url, schema }: Target): string {
  return schema === undefined ? url : withSchema(url, schema)
}

/** The name that a cache gives as its table. */
export function qualifiedName(target: Target, table: TableName): string {
  return target.schema === undefined ? table : `${target.schema}.${table}`
}
