/**
 * The database of a world, in two grades: the memory store's model, and a real SQLite. Either outlives processes, can
 * be put back to an older state, and says what it committed.
 */

import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MemoryDatabase, memoryStore } from '../src/store/memory-store.ts'
import { sqlite } from '../src/store/sqlite/sqlite-store.ts'
import type { RowMutation, Store } from '../src/store/store.ts'
import { poison, sqliteTables, tables, type CacheName, type Row } from './tables.ts'

export interface Database {
  readonly grade: 'memory' | 'sqlite'
  /** A store of one process. */
  connect(): Store
  row(cache: CacheName, key: string): Row | undefined
  rows(cache: CacheName): ReadonlyMap<string, Row>
  checkpoint(journal: string, lane: number): number
  /** What `restore` goes back to. */
  snapshot(): Snapshot
  close(): void
}

export interface Snapshot {
  restore(): void
}

export class MemoryGrade implements Database {
  readonly grade = 'memory'
  readonly #database = new MemoryDatabase()
  readonly #lanes: number

  constructor(lanes: number) {
    this.#lanes = lanes
  }

  connect(): Store {
    const store = memoryStore({ tables, database: this.#database, concurrency: this.#lanes })
    store.reject(isPoison)
    return store
  }

  row(cache: CacheName, key: string): Row | undefined {
    return this.#database.rows(cache).get(key)
  }

  rows(cache: CacheName): ReadonlyMap<string, Row> {
    return this.#database.rows(cache)
  }

  checkpoint(journal: string, lane: number): number {
    return this.#database.checkpoint(journal, lane).position
  }

  snapshot(): Snapshot {
    return { restore: this.#database.backup() }
  }

  close(): void {
    // It is memory.
  }
}

function isPoison({ mutation }: RowMutation): boolean {
  if (mutation.kind === 'delete') return false
  const { name } = mutation.fields
  return typeof name === 'string' && name.startsWith(poison)
}

/** Files in a directory of their own: on Linux in memory, where there is such a place. */
export class SqliteGrade implements Database {
  readonly grade = 'sqlite'
  readonly #directory: string
  readonly #path: string
  #snapshots = 0
  #reader: DatabaseSync

  constructor(directory = tmpdir()) {
    this.#directory = mkdtempSync(join(directory, 'daybook-simulation-'))
    this.#path = join(this.#directory, 'store.sqlite')
    const database = new DatabaseSync(this.#path)
    database.exec(`PRAGMA journal_mode = WAL; ${sqliteTables}`)
    database.close()
    this.#reader = new DatabaseSync(this.#path)
  }

  connect(): Store {
    return sqlite({ path: this.#path })
  }

  row(cache: CacheName, key: string): Row | undefined {
    if (cache === 'notes') {
      const found = this.#get('SELECT value FROM daybook_values WHERE cache = ? AND key = ?', [
        cache,
        key,
      ])
      return found === undefined ? undefined : (JSON.parse(String(found['value'])) as Row)
    }
    const found = this.#get(`SELECT * FROM ${cache} WHERE id = ?`, [key])
    return found === undefined ? undefined : comparable(found)
  }

  rows(cache: CacheName): ReadonlyMap<string, Row> {
    const keys =
      cache === 'notes'
        ? this.#all("SELECT key AS id FROM daybook_values WHERE cache = 'notes'")
        : this.#all(`SELECT id FROM ${cache}`)
    return new Map(keys.map(({ id }) => [String(id), this.row(cache, String(id)) as Row] as const))
  }

  checkpoint(journal: string, lane: number): number {
    const found = this.#get(
      'SELECT position FROM daybook_checkpoints WHERE journal = ? AND lane = ?',
      [journal, lane],
    )
    return Number(found?.['position'] ?? 0)
  }

  snapshot(): Snapshot {
    const copy = join(this.#directory, `snapshot-${this.#snapshots++}.sqlite`)
    this.#reader.exec(`VACUUM INTO '${copy}'`)
    return {
      restore: () => {
        this.#reader.close()
        // A copy of the copy: it may be restored again. The rename gives the path another inode.
        copyFileSync(copy, `${copy}.restored`)
        for (const suffix of ['-wal', '-shm']) rmSync(`${this.#path}${suffix}`, { force: true })
        renameSync(`${copy}.restored`, this.#path)
        const database = new DatabaseSync(this.#path)
        database.exec('PRAGMA journal_mode = WAL')
        database.close()
        this.#reader = new DatabaseSync(this.#path)
      },
    }
  }

  close(): void {
    this.#reader.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #get(sql: string, parameters: readonly (string | number)[]): Row | undefined {
    return this.#guarded(() => this.#reader.prepare(sql).get(...parameters) as Row | undefined)
  }

  #all(sql: string): Row[] {
    return this.#guarded(() => this.#reader.prepare(sql).all() as Row[]) ?? []
  }

  /** Daybook makes its own tables when it first opens: before that they are empty. */
  #guarded<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (String(error).includes('no such table')) return undefined
      throw error
    }
  }
}

function comparable(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'id'))
}
