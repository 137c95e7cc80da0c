/** The tables of every simulated database, for the memory store and for SQLite, and how their rows are compared. */

import type { TableDeclarations } from '../src/store/declared-table.ts'

export type Row = Readonly<Record<string, unknown>>

/** A row of these is refused: a CHECK in SQLite, a predicate in the memory store. */
export const poison = 'poison'

export const tables = {
  users: {
    key: { id: { kind: 'text' } },
    columns: {
      name: { type: { kind: 'text' } },
      visits: { type: { kind: 'integer', bits: 64 }, default: 0 },
      email: { type: { kind: 'text' }, unique: true },
    },
  },
  orders: {
    key: { id: { kind: 'integer', bits: 64 } },
    columns: {
      name: { type: { kind: 'text' } },
      user: { type: { kind: 'text' }, references: 'users' },
      visits: { type: { kind: 'integer', bits: 64 }, default: 0 },
    },
  },
  sessions: {
    key: { id: { kind: 'text' } },
    columns: {
      name: { type: { kind: 'text' } },
      visits: { type: { kind: 'integer', bits: 64 }, default: 0 },
    },
  },
} as const satisfies TableDeclarations

/** `notes` has no table: its values are documents. */
export const cacheNames = ['users', 'orders', 'sessions', 'notes'] as const
export type CacheName = (typeof cacheNames)[number]

/** What a patch of no row begins with. */
export const blanks: Readonly<Record<CacheName, Row>> = {
  users: { name: null, visits: 0, email: null },
  orders: { name: null, user: null, visits: 0 },
  sessions: { name: null, visits: 0 },
  notes: {},
}

export const sqliteTables = `
  CREATE TABLE users (
    id TEXT PRIMARY KEY, name TEXT CHECK (name NOT LIKE '${poison}%'),
    visits INTEGER DEFAULT 0, email TEXT UNIQUE
  );
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY, name TEXT CHECK (name NOT LIKE '${poison}%'),
    user TEXT REFERENCES users (id), visits INTEGER DEFAULT 0
  );
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, name TEXT CHECK (name NOT LIKE '${poison}%'), visits INTEGER DEFAULT 0
  );
`

/** The same text for the same row, in whatever order its columns come. */
export function rowText(row: Row | undefined): string {
  if (row === undefined) return 'none'
  const names = Object.keys(row).sort()
  return JSON.stringify(names.map((name) => [name, row[name] ?? null]))
}
