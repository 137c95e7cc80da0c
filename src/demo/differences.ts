/** Compares every row of every table with the oracle's. */

import { type Row, type Rows, tableKeys, type TableName, tableNames } from './tables.ts'

export interface Difference {
  readonly table: TableName
  readonly key: string
  /** undefined: there should be no such row. */
  readonly expected: Row | undefined
  /** undefined: the row is missing. */
  readonly actual: Row | undefined
}

export interface Verdict {
  readonly rows: number
  readonly differences: readonly Difference[]
}

export function compareRows(expected: Rows, actual: Rows): Verdict {
  const differences: Difference[] = []
  let rows = 0
  for (const table of tableNames) {
    const wanted = byKey(table, expected[table])
    const found = byKey(table, actual[table])
    for (const key of new Set([...wanted.keys(), ...found.keys()])) {
      rows++
      const difference = { table, key, expected: wanted.get(key), actual: found.get(key) }
      if (canonical(difference.expected) !== canonical(difference.actual))
        differences.push(difference)
    }
  }
  return { rows, differences }
}

/** Two rows of one key, which a primary key forbids, would show as a difference of the number of rows. */
function byKey(table: TableName, rows: readonly Row[]): Map<string, Row> {
  const result = new Map<string, Row>()
  for (const row of rows) {
    const key = tableKeys[table].map((column) => row[column]).join(' ')
    result.set(result.has(key) ? `${key} (again)` : key, row)
  }
  return result
}

function canonical(row: Row | undefined): string | undefined {
  return row === undefined ? undefined : JSON.stringify(Object.entries(row).sort())
}
