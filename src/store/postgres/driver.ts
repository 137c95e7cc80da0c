/**
 * The part of the `pg` package that Daybook uses. Its own types are not used, so that Daybook's do not depend on them;
 * the package is loaded when a store is first opened.
 */

import { DaybookError, reasonOf } from '../../base/errors.ts'

export interface DriverResult {
  readonly command: string | null
  readonly rowCount: number | null
  readonly rows: readonly unknown[]
}

export interface DriverClient {
  connect(): Promise<unknown>
  /** An object with a `submit` method speaks the protocol itself: see `copy-query.ts`. */
  query(query: {
    readonly submit: (wire: never) => null
    readonly [handler: string]: unknown
  }): void
  query(query: {
    readonly text: string
    readonly name?: string | undefined
    readonly values?: readonly (string | null)[]
    readonly rowMode: 'array'
  }): Promise<DriverResult | DriverResult[]>
  end(): Promise<void>
  on(event: 'error' | 'end', listener: () => void): unknown
}

export interface PostgresDriver {
  readonly Client: new (options: object) => DriverClient
}

/** Throws STORE_MISCONFIGURED where the package is not installed. */
export async function loadDriver(
  importPg: () => Promise<unknown> = () => import('pg'),
): Promise<PostgresDriver> {
  let loaded: unknown
  try {
    loaded = await importPg()
  } catch (cause) {
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      `The PostgreSQL store needs the package pg, and it cannot be loaded: ${reasonOf(cause)}.`,
      { cause, hint: 'Install it: npm install pg' },
    )
  }
  return loaded as PostgresDriver
}
