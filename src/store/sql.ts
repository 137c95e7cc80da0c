/**
 * Identifiers in SQL. They come from configuration and from the catalogue, never from keys or values; still each is
 * checked and quoted, always.
 */

import { DaybookError } from '../base/errors.ts'

/** Quoted for PostgreSQL and SQLite, which double a quote inside. */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0') || !name.isWellFormed() || name.length > 255) {
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      'A table or column name is empty, too long or not well-formed.',
    )
  }
  return `"${name.replaceAll('"', '""')}"`
}

/** A constant of our own in SQL text. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new DaybookError('STORE_MISCONFIGURED', 'A name contains a NUL.')
  return `'${text.replaceAll("'", "''")}'`
}

export interface TableName {
  readonly schema: string | undefined
  readonly table: string
}

const tableNamePattern = /^(?:(?:"((?:[^"]|"")+)"|([^".]+))\.)?(?:"((?:[^"]|"")+)"|([^".]+))$/

/** `users`, `sales.orders`, `"My Table"`. Names are taken as they are written: case is kept. */
export function parseTableName(text: string): TableName {
  const match = tableNamePattern.exec(text)
  const table = match?.[3]?.replaceAll('""', '"') ?? match?.[4]
  if (match === null || table === undefined) {
    throw new DaybookError('STORE_MISCONFIGURED', `"${text}" is not a table name.`, {
      details: { table: text },
      hint: 'Write it as users, sales.orders or "My Table".',
    })
  }
  if (table.toLowerCase().startsWith('daybook_')) {
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      `Table "${text}" has a name of Daybook's own tables.`,
      {
        details: { table: text },
      },
    )
  }
  return { schema: match[1]?.replaceAll('""', '"') ?? match[2], table }
}

export function quoteTable(name: TableName): string {
  const table = quoteIdentifier(name.table)
  return name.schema === undefined ? table : `${quoteIdentifier(name.schema)}.${table}`
}
