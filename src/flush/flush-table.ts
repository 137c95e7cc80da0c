/** What flushing needs to know of a cache. */

import type { Mutation } from '../mutation/mutation.ts'
import type { TableSchema } from '../store/schema.ts'

export interface FlushTable {
  readonly schema: TableSchema
  /** Whether this mutation queues behind a dead letter of its key, or supersedes it. */
  parks(mutation: Mutation): boolean
}

/** By the cache's name. A cache that is missing has not been declared since the restart. */
export type FlushTables = ReadonlyMap<string, FlushTable>
