/** `daybook serve --check`: what the configuration means for the real database, without serving anything. */

import type { Clock } from '../base/clock.ts'
import type { Files } from '../base/files.ts'
import { defaultStore, type ServerConfig } from '../server/config.ts'
import { describeTable, lookError } from '../server/mapped-table.ts'
import { secureContext } from '../server/redis/listener.ts'
import type { TableSchema } from '../store/schema.ts'
import { sqlitePathOf, storeFromUrl } from '../store/store-url.ts'
import { table, type Terminal } from './terminal.ts'

/** Throws what would stand in the way of serving. No lane is claimed, and no row is written. */
export async function checkLines(
  config: ServerConfig,
  { clock, files }: { readonly clock: Clock; readonly files: Files },
  terminal: Terminal,
): Promise<string[]> {
  const { enabled, tls } = config.redis
  if (enabled && tls !== undefined) await secureContext(tls, files)
  const store = await storeFromUrl(await urlToLookAt(config, files))
  const abort = new AbortController()
  const timer = clock.setTimer(config.book.openTimeoutMs ?? 30_000, () => abort.abort())
  try {
    // Of no lane: it connects and makes Daybook's own tables where they are missing, and claims nothing.
    await store.open({ journal: 'check', lanes: 0, epoch: 0 }, { signal: abort.signal })
    const lines: string[] = []
    for (const [name, { options, rowExpiry }] of config.caches) {
      const schema = await describeTable(store, name, options, { signal: abort.signal })
      lines.push(...cacheLines(name, schema, rowExpiry, terminal), '')
    }
    if (config.caches.size === 0) {
      lines.push('No cache is configured: every key is a document in table daybook_values.', '')
    } else {
      lines.push('Every other key is a document in table daybook_values, cache "redis".', '')
    }
    lines.push('The configuration is good.')
    return lines
  } catch (error) {
    throw lookError(store, error)
  } finally {
    timer.cancel()
    await store.close()
  }
}

/** The database that a first start makes is looked at in memory: there is nothing in it, and a check leaves nothing. */
async function urlToLookAt({ store, directory }: ServerConfig, files: Files): Promise<string> {
  const path = sqlitePathOf(store)
  if (path === undefined || store !== defaultStore(directory)) return store
  return (await files.size(path)) === undefined ? 'sqlite::memory:' : store
}

const rowExpiries = {
  none: 'EXPIRE is refused',
  evict: 'EXPIRE lets the row leave memory, not the table',
  delete: 'EXPIRE deletes the row at the end of its time',
} as const

function cacheLines(
  name: string,
  schema: TableSchema,
  rowExpiry: 'evict' | 'delete' | undefined,
  terminal: Terminal,
): string[] {
  if (schema.document) return [`${name}:<key> is a document in table ${schema.table}.`]
  const key = schema.key.map((column) => `<${column.name}>`).join(':')
  const columns = [...schema.columns, ...(schema.rest === undefined ? [] : [schema.rest])]
  const rows = columns.map((column) => [
    column.name,
    column.databaseType,
    column === schema.rest ? 'all other fields' : column.nullable ? 'may be NULL' : 'NOT NULL',
  ])
  const leftOut = (schema.leftOut ?? []).map(({ name, databaseType, why }) => [
    name,
    databaseType,
    `left out: ${leftOutReasons[why]}`,
  ])
  const expiry = rowExpiries[rowExpiry ?? 'none']
  return [
    `${terminal.style('bold', `${name}:${key}`)} is a row of table ${schema.table}; ${expiry}.`,
    ...table(
      terminal,
      [{ title: 'field' }, { title: 'type' }, { title: '' }],
      [...rows, ...leftOut],
    ).map((line) => `  ${line}`),
  ]
}

const leftOutReasons = {
  generated: 'the database computes it',
  filled: 'the database fills it; list it in `columns` to have it',
  unlisted: 'not listed in `columns`',
} as const
