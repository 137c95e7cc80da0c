/** Where a custom store keeps its checkpoints: in the user's own database, best in the user's own transaction. */

import type { LaneCheckpoint } from './store.ts'

export interface StoredCheckpoint extends LaneCheckpoint {
  readonly lane: number
}

/** `transaction` is what the store's `transaction` option hands out; undefined outside of one. */
export interface Checkpoints<Transaction> {
  /** Makes the table where it is missing. Called at each open. */
  prepare?(): Promise<void>
  /** Those of all lanes that the journal has, in any order; with `lockedLane` that one only, locked until the transaction ends. */
  read(
    journal: string,
    transaction: Transaction | undefined,
    lockedLane: number | undefined,
  ): Promise<readonly StoredCheckpoint[]>
  /** Inserts the lane's checkpoint, or replaces it. */
  write(
    journal: string,
    checkpoint: StoredCheckpoint,
    transaction: Transaction | undefined,
  ): Promise<void>
}

/** Runs one statement, in the transaction where there is one, and gives its rows as objects. */
export type RunSql<Transaction> = (
  sql: string,
  parameters: readonly (string | number)[],
  transaction: Transaction | undefined,
) => Promise<readonly object[]>

export type SqlDialect = 'postgres' | 'sqlite' | 'mysql'

const upserts: Readonly<Record<SqlDialect, string>> = {
  postgres:
    'ON CONFLICT (journal, lane) DO UPDATE SET epoch = excluded.epoch, position = excluded.position',
  sqlite:
    'ON CONFLICT (journal, lane) DO UPDATE SET epoch = excluded.epoch, position = excluded.position',
  mysql: 'ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), position = VALUES(position)',
}

/**
 * Checkpoints in a table `daybook_checkpoints` of the user's SQL database. With a transaction the lane's row is locked,
 * so a stale process cannot pass: in SQLite the transaction must be BEGIN IMMEDIATE for that.
 */
export function sqlCheckpoints<Transaction>(
  run: RunSql<Transaction>,
  dialect: SqlDialect,
): Checkpoints<Transaction> {
  const parameter = (place: number): string => (dialect === 'postgres' ? `$${place}` : '?')
  const lock = dialect === 'sqlite' ? '' : ' FOR UPDATE'
  const select = `SELECT lane, epoch, position FROM daybook_checkpoints WHERE journal = ${parameter(1)}`
  return {
    prepare: async () => {
      await run(
        'CREATE TABLE IF NOT EXISTS daybook_checkpoints (journal VARCHAR(100) NOT NULL, lane INTEGER NOT NULL, ' +
          'epoch BIGINT NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (journal, lane))',
        [],
        undefined,
      )
    },
    read: async (journal, transaction, lockedLane) => {
      const rows =
        lockedLane === undefined
          ? await run(select, [journal], transaction)
          : await run(
              `${select} AND lane = ${parameter(2)}${lock}`,
              [journal, lockedLane],
              transaction,
            )
      return rows.map(toCheckpoint)
    },
    write: async (journal, { lane, epoch, position }, transaction) => {
      const values = [1, 2, 3, 4].map(parameter).join(', ')
      const sql = `INSERT INTO daybook_checkpoints (journal, lane, epoch, position) VALUES (${values}) ${upserts[dialect]}`
      await run(sql, [journal, lane, epoch, position], transaction)
    },
  }
}

/** Drivers give 64-bit integers as numbers, bigints or text. */
function toCheckpoint(row: object): StoredCheckpoint {
  const { lane, epoch, position } = row as Record<keyof StoredCheckpoint, unknown>
  return { lane: Number(lane), epoch: Number(epoch), position: Number(position) }
}
