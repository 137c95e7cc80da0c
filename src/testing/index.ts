/** For authors of stores and journals: the contracts as tests, and a store and files with faults to test against. */

export { storeSuite } from './store-suite.ts'
export type { StoreSuiteOptions, SuiteDatabase, SuiteRunner } from './store-suite.ts'
export { tierSuite } from './tier-suite.ts'
export { journalSuite } from './journal-suite.ts'
export type { JournalSuiteOptions, SuiteJournalHome } from './journal-suite.ts'
export { MemoryFiles } from './memory-files.ts'
export type { FaultPlan, FileStep } from './memory-files.ts'
export { keepsEverything, keepsNothing, randomFates } from './memory-crash-fates.ts'
export type { CrashFates, UnsyncedOperation, WriteFate } from './memory-crash-fates.ts'
export type { SyncFailureProfile } from './memory-disk.ts'
export { suiteTables } from './suite-tables.ts'
export { MemoryDatabase, memoryStore } from '../store/memory-store.ts'
export type {
  Fault,
  FaultPoint,
  MemoryCommit,
  MemoryStore,
  MemoryStoreOptions,
} from '../store/memory-store.ts'
