/**
 * When rows expire, beside the rows: for caches with `expire: 'delete'`. Written in the transaction of the rows. A cache that
 * never had a row that expires costs nothing.
 */

import { quoteLiteral } from '../sql.ts'
import type { TableMutations } from '../store.ts'
import { arrayText } from './array-text.ts'
import type { Connection } from './connection.ts'
import type { StatementText } from './table-statements.ts'

export class ExpiryTable {
  readonly #table: string
  /** Caches that have, or had, rows that expire. */
  readonly #caches: Set<string>

  private constructor(table: string, caches: Set<string>) {
    this.#table = table
    this.#caches = caches
  }

  static async open(
    connection: Connection,
    table: string,
    signal: AbortSignal,
  ): Promise<ExpiryTable> {
    // One step in the index for each cache, however many rows it has.
    const [result] = await connection.query(
      `WITH RECURSIVE found(cache) AS (
         (SELECT cache FROM ${table} ORDER BY cache LIMIT 1)
         UNION ALL
         SELECT (SELECT e.cache FROM ${table} e WHERE e.cache > found.cache ORDER BY e.cache LIMIT 1)
           FROM found WHERE found.cache IS NOT NULL)
       SELECT cache FROM found WHERE cache IS NOT NULL`,
      signal,
    )
    return new ExpiryTable(table, new Set((result?.rows ?? []).map(([cache]) => cache ?? '')))
  }

  /** What keeps the table in step with the rows. */
  statements({ cache, rows }: TableMutations): StatementText[] {
    const expiring = rows.filter((row) => row.expiresAtMs !== undefined)
    if (expiring.length > 0) this.#caches.add(cache)
    if (!this.#caches.has(cache)) return []
    const lasting = rows.filter((row) => row.expiresAtMs === undefined)
    const statements: StatementText[] = []
    if (lasting.length > 0) statements.push(this.#forget(cache, keysOf(lasting)))
    if (expiring.length > 0) {
      const times = expiring.map((row) => String(row.expiresAtMs))
      statements.push({
        text: `INSERT INTO ${this.#table} (cache, key, expires_at_ms) SELECT ${quoteLiteral(cache)}, d.k, d.t
          FROM unnest($1::text[], $2::bigint[]) AS d(k, t)
          ON CONFLICT (cache, key) DO UPDATE SET expires_at_ms = excluded.expires_at_ms`,
        values: [keysOf(expiring), arrayText(times, false)],
      })
    }
    return statements
  }

  due(cache: string, nowMs: number, limit: number): StatementText {
    return {
      text: `SELECT key FROM ${this.#table} WHERE cache = $1 AND expires_at_ms <= $2
        ORDER BY expires_at_ms, key LIMIT $3`,
      values: [cache, String(Math.floor(nowMs)), String(limit)],
    }
  }

  #forget(cache: string, keys: string): StatementText {
    return {
      text: `DELETE FROM ${this.#table} AS e USING unnest($1::text[]) AS d(k)
        WHERE e.cache = ${quoteLiteral(cache)} AND e.key = d.k`,
      values: [keys],
    }
  }
}

function keysOf(rows: readonly { readonly key: string }[]): string {
  return arrayText(
    rows.map((row) => row.key),
    true,
  )
}
