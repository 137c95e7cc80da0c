/** The table of the rows, as a user would have made it, in both databases. */

import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'

/** With defaults, so that an increment can make a row. */
const columns = `name text not null default '', email text not null default '',
  visits integer not null default 0, bio text not null default ''`

/** `bigint primary key` would be a second index in SQLite. */
export function createUsersInSqlite(path: string): void {
  const database = new DatabaseSync(path)
  database.exec('pragma journal_mode = wal')
  database.exec(`create table users (id integer primary key, ${columns})`)
  database.close()
}

export function countUsersInSqlite(path: string): number {
  const database = new DatabaseSync(path)
  const row = database.prepare('select count(*) as count from users').get()
  database.close()
  return Number(row?.['count'])
}

/** An empty table, and nothing left for the server to do in the background for what was measured before. */
export async function emptyUsers(url: string): Promise<void> {
  await query(
    url,
    `drop table if exists users; create table users (id bigint primary key, ${columns})`,
  )
  await query(url, 'checkpoint')
}

export async function countUsers(url: string): Promise<number> {
  const [row] = await query<{ count: string }>(url, 'select count(*) from users')
  return Number(row?.count)
}

export async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<Row>(sql)
    return rows
  } finally {
    await client.end()
  }
}
