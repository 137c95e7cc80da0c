/** A Daybook with default options over the users table. */

import { join } from 'node:path'

import { openDaybook, postgres, sqlite } from './daybook.ts'
import type { User } from './rows.ts'
import { createUsersInSqlite, emptyUsers } from './users-table.ts'

export async function openOnSqlite(directory: string) {
  createUsersInSqlite(sqlitePath(directory))
  return reopenOnSqlite(directory)
}

/** On what another process has left. */
export async function reopenOnSqlite(directory: string) {
  const path = sqlitePath(directory)
  const book = await openDaybook({ directory: join(directory, 'data'), store: sqlite({ path }) })
  return { book, users: book.cache<User>('users', { table: 'users', key: 'id' }) }
}

export async function openOnPostgres(
  directory: string,
  url: string,
  cache: { readonly maxBytes?: number } = {},
) {
  await emptyUsers(url)
  const book = await openDaybook({ directory: join(directory, 'data'), store: postgres({ url }) })
  return { book, users: book.cache<User>('users', { table: 'users', key: 'id', ...cache }) }
}

export function sqlitePath(directory: string): string {
  return join(directory, 'store.db')
}
