/** A look at the table of a mapped cache, before anything rests on it. */

import { DaybookError, isDaybookError } from '../base/errors.ts'
import type { CacheOptions } from '../book/options.ts'
import type { TableSchema } from '../store/schema.ts'
import type { Store, StoreCall } from '../store/store.ts'

/** Throws STORE_MISCONFIGURED with what is wrong with the table. */
export function describeTable(
  store: Store,
  cache: string,
  { table, key, columns, rest }: CacheOptions<unknown>,
  call: StoreCall,
): Promise<TableSchema> {
  const keyColumns = typeof key === 'string' ? [key] : (key ?? [])
  return store.describe({ cache, table, key: keyColumns, columns, rest }, call)
}

/** What a driver throws may have the whole connection in it; what the store makes of it has not. */
export function lookError(store: Store, error: unknown): unknown {
  if (isDaybookError(error)) return error
  const { code, message } = store.classify(error)
  return new DaybookError(
    'STORE_UNAVAILABLE',
    `The database cannot be used: ${message} (${code}).`,
    {
      hint: 'Check that it runs, and the URL of the store.',
    },
  )
}
