/**
 * A store on your own Kysely instance, exactly once: rows and checkpoint commit in Kysely's transaction.
 *
 * Here Kysely runs on Node's SQLite; with its PostgresDialect, say 'postgres' to `sqlCheckpoints`.
 */

import { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, Kysely, SqliteDialect, type SqliteDatabase } from 'kysely'
import { sqlCheckpoints } from '../src/store/checkpoints.ts'
import { customStore, type CustomMutation } from '../src/store/custom-store.ts'
import type { Store } from '../src/store/store.ts'

export interface Tables {
  players: { id: string; name: string | null; score: number }
}

/** The dozen lines that are yours. */
export function kyselyStore(db: Kysely<Tables>): Store {
  return customStore<Kysely<Tables>>({
    name: 'kysely',
    tables: {
      players: {
        key: { id: { kind: 'text' } },
        columns: {
          name: { type: { kind: 'text' } },
          score: { type: { kind: 'integer', bits: 64 }, nullable: false, default: 0 },
        },
      },
    },
    load: async (keys) => {
      const rows = await db.selectFrom('players').selectAll().where('id', 'in', keys).execute()
      return new Map(rows.map((row) => [row.id, row]))
    },
    write: async (mutations, transaction) => {
      for (const mutation of mutations) await writePlayer(transaction, mutation)
    },
    transaction: (work) => db.transaction().execute(work),
    checkpoints: sqlCheckpoints(async (sql, parameters, transaction) => {
      return (
        await (transaction ?? db).executeQuery<object>(CompiledQuery.raw(sql, [...parameters]))
      ).rows
    }, 'sqlite'),
    classify: (error) => (isConstraint(error) ? { kind: 'rejected' } : undefined),
  })
}

async function writePlayer(db: Kysely<Tables>, mutation: CustomMutation): Promise<void> {
  if (mutation.kind === 'delete') {
    await db.deleteFrom('players').where('id', '=', mutation.key).execute()
    return
  }
  const fields = mutation.fields as Omit<Tables['players'], 'id'>
  await db
    .insertInto('players')
    .values({ id: mutation.key, ...fields })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(fields))
    .execute()
}

function isConstraint(error: unknown): boolean {
  return error instanceof Error && error.message.includes('constraint failed')
}

/** Kysely's SQLite dialect expects better-sqlite3's shape; Node's own module has nearly the same. */
export function openKysely(path: string): Kysely<Tables> {
  const database = new DatabaseSync(path)
  database.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS players (id TEXT PRIMARY KEY, name TEXT, score INTEGER NOT NULL CHECK (score >= 0));
  `)
  return new Kysely({ dialect: new SqliteDialect({ database: asBetterSqlite(database) }) })
}

function asBetterSqlite(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare: (sql) => {
      const statement = database.prepare(sql)
      const bound = (parameters: readonly unknown[]): (string | number | null)[] =>
        parameters as (string | number | null)[]
      return {
        reader: /^\s*(select|with|pragma)|\breturning\b/i.test(sql),
        all: (parameters) => statement.all(...bound(parameters)),
        iterate: (parameters) => statement.iterate(...bound(parameters)),
        run: (parameters) => {
          const { changes, lastInsertRowid } = statement.run(...bound(parameters))
          return { changes: BigInt(changes), lastInsertRowid: BigInt(lastInsertRowid) }
        },
      }
    },
  }
}
