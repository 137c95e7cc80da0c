/** Daybook: a write-behind cache that loses nothing. The public surface, and nothing else. */

export { openDaybook } from './open-daybook.ts'
export { Daybook, type CloseReport, type Outcome, type WaitOptions } from './book/daybook.ts'
export type { BatchWrites } from './book/atomic-batch.ts'
export type { PendingFilter, PendingMutation, PendingPage } from './book/pending.ts'
export {
  Cache,
  type CacheStatus,
  type IncrementOptions,
  type Increments,
  type Key,
  type KeyInspection,
  type KeyStatus,
  type KeysOptions,
  type ReadOptions,
  type Receipt,
  type SetOptions,
  type WriteOptions,
} from './book/cache.ts'
export type {
  AfterRejection,
  CacheOptions,
  DaybookOptions,
  Durability,
  FlushOptions,
  JournalOptions,
  LiveOptions,
  PressureOptions,
  PressurePolicy,
  ResolvedBookOptions,
} from './book/options.ts'
export type {
  DeadLetterDesk,
  DeadLetterSelection,
  Edit,
  RetryResult,
} from './book/dead-letter-desk.ts'
export type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterGroup,
  DeadLetterPage,
} from './flush/dead-letter.ts'
export { DaybookError, errorCodes, isDaybookError, type ErrorCode } from './base/errors.ts'
export type { Logger } from './base/log.ts'
export type { BookStats, LaneStats, ReadFailure } from './observe/stats.ts'
export type { EventMap, EventName } from './observe/events.ts'
export type { DiagnosticsMap, DiagnosticsName } from './observe/diagnostics.ts'
export { observeWithOpenTelemetry, type OpenTelemetryMeter } from './observe/otel.ts'
export { memoryStore } from './store/memory-store.ts'
export {
  customStore,
  sqlCheckpoints,
  type CustomLoad,
  type CustomMutation,
  type CustomStoreOptions,
} from './store/custom-store.ts'
export type { Store, StoreFailure } from './store/store.ts'
export type { ColumnType } from './store/schema.ts'
