import { describe, test } from 'vitest'
import { MemoryDatabase, memoryStore } from '../../src/store/memory-store.ts'
import { storeSuite } from '../../src/testing/store-suite.ts'
import { suiteTables } from '../../src/testing/suite-tables.ts'

storeSuite(
  'memory',
  { describe, test },
  {
    create: async () => {
      const database = new MemoryDatabase()
      return {
        store: () => memoryStore({ tables: suiteTables, database }),
        close: async () => undefined,
      }
    },
    transactions: true,
    patches: true,
    constraints: true,
    types: Object.values(suiteTables['suite_types']?.columns ?? {}).map(
      (column) => column.type.kind,
    ),
  },
)
