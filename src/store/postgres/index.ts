/**
 * `daybook/postgres`: the store for PostgreSQL 12 and later, over the package `pg`, which the application installs.
 *
 * Connections are sessions: prepared statements and settings belong to them, so a pooler in transaction mode (PgBouncer's)
 * cannot stand in between.
 */

import { invalidOption, readOptions, type OptionTable } from '../../base/options.ts'
import type { Store } from '../store.ts'
import { loadDriver } from './driver.ts'
import { PostgresStore } from './postgres-store.ts'
import type { VouchedSetting } from './server-settings.ts'

export type { VouchedSetting } from './server-settings.ts'

/** Where the server is, and who asks. What is left out comes from PGHOST, PGUSER and so on, as for `psql`. */
export type PostgresConnection =
  | {
      /** `postgres://user:password@host:5432/database`, with `?sslmode=` and others as `pg` takes them. */
      readonly url: string | undefined
      readonly ssl?: boolean | object | undefined
    }
  | {
      readonly url?: undefined
      /** A name, an address, or the directory of a Unix socket. */
      readonly host?: string | undefined
      readonly port?: number | undefined
      readonly user?: string | undefined
      /** A function is called for each new connection: for tokens that expire. */
      readonly password?: string | (() => string | Promise<string>) | undefined
      readonly database?: string | undefined
      readonly ssl?: boolean | object | undefined
    }

export interface PostgresOptions {
  /** Lanes that are written at the same time, each over a connection of its own. Default 4. */
  readonly concurrency?: number | undefined
  /** Connections for reading. Default 2. */
  readonly loadConnections?: number | undefined
  /** Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** A statement that takes longer is aborted, and tried again. Default 30,000. */
  readonly statementTimeoutMs?: number | undefined
  /** A wait for a row that someone else has locked. Default 10,000. */
  readonly lockTimeoutMs?: number | undefined
  /** After this the server ends a transaction whose process is gone without a word. Default 15,000. */
  readonly idleInTransactionTimeoutMs?: number | undefined
  /** Where Daybook's own tables are. Default: the first schema of the search path. */
  readonly schema?: string | undefined
  /** Settings that are not safe on this server, but that its storage makes up for. */
  readonly vouchedSettings?: readonly VouchedSetting[] | undefined
}

const optionTable = {
  concurrency: {
    type: 'number',
    default: 4,
    min: 1,
    max: 64,
    doc: 'Lanes written at the same time; each takes a connection.',
  },
  loadConnections: {
    type: 'number',
    default: 2,
    min: 1,
    max: 64,
    doc: 'Connections for reading.',
  },
  connectTimeoutMs: {
    type: 'number',
    default: 10_000,
    min: 1,
    max: 600_000,
    unit: 'ms',
    doc: 'How long connecting may take.',
  },
  statementTimeoutMs: {
    type: 'number',
    default: 30_000,
    min: 1,
    max: 3_600_000,
    unit: 'ms',
    doc: 'A statement that takes longer is aborted, and its batch tried again.',
  },
  lockTimeoutMs: {
    type: 'number',
    default: 10_000,
    min: 1,
    max: 3_600_000,
    unit: 'ms',
    doc: 'How long to wait for a row that someone else has locked.',
  },
  idleInTransactionTimeoutMs: {
    type: 'number',
    default: 15_000,
    min: 1,
    max: 3_600_000,
    unit: 'ms',
    doc: 'When the server ends a transaction whose process is gone; a take-over may wait that long.',
  },
  schema: { type: 'string', default: undefined, doc: 'Where Daybook’s own tables are.' },
  vouchedSettings: {
    type: 'strings',
    default: [],
    doc: 'Unsafe settings that the storage makes up for.',
  },
} as const satisfies OptionTable

const connectionTable = {
  url: { type: 'string', default: undefined, doc: 'A connection string.' },
  host: { type: 'string', default: undefined, doc: 'A name, an address or a socket directory.' },
  port: { type: 'number', default: undefined, min: 1, max: 65_535, doc: 'The port.' },
  user: { type: 'string', default: undefined, doc: 'The role.' },
  password: { type: 'string', default: undefined, doc: 'Its password.' },
  database: { type: 'string', default: undefined, doc: 'The database.' },
} as const satisfies OptionTable

const settingNames: readonly string[] = ['fsync', 'full_page_writes', 'synchronous_commit']

/** Connects when the daybook opens. Throws INVALID_OPTION. */
export function postgres(connection: PostgresConnection, options: PostgresOptions = {}): Store {
  const read = readOptions('postgres', options, optionTable)
  for (const name of read.vouchedSettings) {
    if (!settingNames.includes(name)) {
      throw invalidOption('postgres.vouchedSettings', `some of ${settingNames.join(', ')}`, name)
    }
  }
  return new PostgresStore(
    {
      ...read,
      vouchedSettings: read.vouchedSettings as readonly VouchedSetting[],
      client: clientOptions(connection),
    },
    () => loadDriver(),
  )
}

function clientOptions(connection: PostgresConnection): object {
  // A variable of the environment that is not set must not silently mean the local server.
  if ('url' in connection && connection.url === undefined && Object.keys(connection).length === 1) {
    throw invalidOption('postgres.url', 'a connection string', undefined)
  }
  const { ssl, ...others } = connection
  const password = 'password' in others ? others.password : undefined
  const { url, ...parts } = readOptions(
    'postgres',
    typeof password === 'function' ? { ...others, password: undefined } : others,
    connectionTable,
  )
  const given = {
    ...parts,
    connectionString: url,
    ssl,
    ...(typeof password === 'function' ? { password } : {}),
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
