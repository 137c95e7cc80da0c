/** For authors of stores: the contract as tests, and a store with faults to test an application against. */

export { storeSuite } from './store-suite.ts'
export type { StoreSuiteOptions, SuiteDatabase, SuiteRunner } from './store-suite.ts'
export { tierSuite } from './tier-suite.ts'
export { suiteTables } from './suite-tables.ts'
export { MemoryDatabase, memoryStore } from '../store/memory-store.ts'
export type {
  Fault,
  FaultPoint,
  MemoryCommit,
  MemoryStore,
  MemoryStoreOptions,
} from '../store/memory-store.ts'
