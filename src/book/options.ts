/**
 * Options of a book and of a cache: what users may say, the defaults, the bounds, and the rules between them.
 *
 * Nothing is unbounded by default, and no part of the engine fills in a default of its own.
 */

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { DaybookError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { invalidOption, looked, readOptions, type OptionTable } from '../base/options.ts'
import type { FlusherOptions } from '../flush/flusher.ts'
import type { Store } from '../store/store.ts'

/** How far a write has come when its promise resolves. */
export type Durability =
  /** In memory. A crash within the next milliseconds may lose it. */
  | 'memory'
  /** On disk, by fdatasync. The default. */
  | 'journal'
  /** In the database: write-through. */
  | 'store'

/** What a write does when a budget is used up. */
export type PressurePolicy =
  /** Waits for room, up to its deadline. The default. */
  | 'wait'
  /** Fails at once with OVERLOADED or JOURNAL_FULL. */
  | 'reject'
  /** Waits for room, and then until it is in the store: the writer goes at the store's pace. */
  | 'through'

export interface DaybookOptions {
  /** Where the journal and the dead letters live. Created if missing; one process at a time has it open. */
  readonly directory: string
  /** The database: `sqlite(…)`, `postgres(…)`, `memoryStore()` or `customStore(…)`. The book closes it. */
  readonly store: Store
  /**
   * Ordered streams that are flushed side by side. Fixed when the journal is created.
   * Default: what the store can use (1 for SQLite, 4 for PostgreSQL).
   */
  readonly lanes?: number
  readonly flush?: FlushOptions
  readonly journal?: JournalOptions
  readonly pressure?: PressureOptions
  /** How long opening may wait for the store. Default 30,000. */
  readonly openTimeoutMs?: number
  /** How long closing drains. What is left stays in the journal. Default 10,000. */
  readonly drainTimeoutMs?: number
  /** Deadline of one load from the store. Default 10,000. */
  readonly loadTimeoutMs?: number
  /** A warning comes when something has been due for this long and nothing moves. Default 30,000. */
  readonly stallMs?: number
  /** Dead letters on disk, in bytes; beyond it flushing waits. Default 256 MiB. */
  readonly deadLetterBytes?: number
  /** Listen on a socket in the directory, for the `daybook` command. Default true. */
  readonly control?: boolean
  /** Default: silent. */
  readonly logger?: Logger
  /** Stops the opening, which throws `ABORTED` then and leaves nothing open. Does nothing to a book that is open. */
  readonly signal?: AbortSignal | undefined
}

export interface FlushOptions {
  /** How long a mutation may wait for others to be coalesced with. Default 500. */
  readonly delayMs?: number
  /** A batch is sealed at this many keys. Default 5,000. */
  readonly maxKeys?: number
  /** … or at this many bytes. Default 4 MiB. */
  readonly maxBytes?: number
  /** Upper bound on rows sent to the store. Default: none. */
  readonly maxRowsPerSecond?: number
  /** First and longest pause between attempts, with full jitter. Defaults 50 and 5,000. */
  readonly retryBaseMs?: number
  readonly retryMaxMs?: number
}

export interface JournalOptions {
  /** Size of one file. Default 64 MiB. */
  readonly segmentBytes?: number
  /** Disk for the journal; beyond it `pressure.policy` decides. Default 4 GiB. */
  readonly maxBytes?: number
  /** Flushed mutations that are kept, for a database that goes back in time. Default 256 MiB. */
  readonly retainBytes?: number
}

export interface PressureOptions {
  /** Pending batches in memory; beyond it they are only in the journal. Default 16 MiB. */
  readonly memoryBytes?: number
  readonly policy?: PressurePolicy
  /** Deadline of a write that waits. Default 10,000. */
  readonly waitMs?: number
}

/** What happens to later writes of a key that has a dead letter. */
export type AfterRejection =
  /** They are applied: the newer value supersedes. Default for set and delete. */
  | 'continue'
  /** They become dead letters behind it, to be retried in order. Default for merge and increment. */
  | 'park'

export interface CacheOptions<T> {
  /** An existing table, optionally with its schema: `users`, `sales.orders`. Default: Daybook's own generic table. */
  readonly table?: string
  /** Key column or columns: a primary key, or unique and NOT NULL. Required with `table`. */
  readonly key?: string | readonly string[]
  /** Restrict the cache to these columns, or add ones that the database fills by itself, such as a now() default. */
  readonly columns?: readonly string[]
  /** A JSON column that takes the fields that no column takes. */
  readonly rest?: string
  /** Checks and may transform whole values (set, setMany, setIfAbsent, update, getOrSet). Any Standard Schema. */
  readonly schema?: StandardSchemaV1<unknown, T>
  /** Forget a cached value after this. The row stays, unless `expire` is 'delete'. Default: never. */
  readonly ttlMs?: number
  /** How long "there is no row" is remembered. Default 5,000; 0 turns it off. */
  readonly negativeTtlMs?: number
  /** What the end of the TTL means: forget the value, or delete the row too. Default 'evict'. */
  readonly expire?: 'evict' | 'delete'
  /** A read this long before the TTL's end loads the value anew in the background. Default 0: off. */
  readonly refreshAheadMs?: number
  /** `through` is short for durability 'store'. Default 'behind'. */
  readonly mode?: 'behind' | 'through'
  /** Of every write that does not say otherwise. Default 'journal'. */
  readonly durability?: Durability
  /** By kind of mutation, or for all of them. */
  readonly onRejected?:
    | AfterRejection
    | {
        readonly set?: AfterRejection
        readonly delete?: AfterRejection
        readonly merge?: AfterRejection
        readonly increment?: AfterRejection
      }
  /** Default: the book's. */
  readonly pressure?: PressurePolicy
  /** Cached values, in bytes. Default 32 MiB. */
  readonly maxBytes?: number
  /**
   * Keys with equal routing keys share a lane, across caches: a batch over them is one transaction.
   * Must depend on the key alone and never change. Default: the key.
   */
  readonly routeBy?: (key: string) => string
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
const gibibyte = 1024 * mebibyte
const dayMs = 86_400_000

export const bookTable = {
  directory: {
    type: 'string',
    required: true,
    doc: 'Where the journal and the dead letters live.',
  },
  store: { type: 'object', required: true, doc: 'The database.' },
  lanes: {
    type: 'number',
    default: undefined,
    min: 1,
    max: 256,
    doc: 'Ordered streams that are flushed side by side.',
  },
  flush: { type: 'object', default: undefined, doc: 'How pending mutations go to the store.' },
  journal: { type: 'object', default: undefined, doc: 'Files and their budgets.' },
  pressure: { type: 'object', default: undefined, doc: 'Bounds on what is pending.' },
  openTimeoutMs: {
    type: 'number',
    default: 30_000,
    min: 1,
    max: dayMs,
    unit: 'ms',
    doc: 'How long opening may wait.',
  },
  drainTimeoutMs: {
    type: 'number',
    default: 10_000,
    min: 0,
    max: dayMs,
    unit: 'ms',
    doc: 'How long closing drains.',
  },
  loadTimeoutMs: {
    type: 'number',
    default: 10_000,
    min: 1,
    max: dayMs,
    unit: 'ms',
    doc: 'Deadline of one load.',
  },
  stallMs: {
    type: 'number',
    default: 30_000,
    min: 100,
    max: dayMs,
    unit: 'ms',
    doc: 'When the watchdog speaks up.',
  },
  deadLetterBytes: {
    type: 'number',
    default: 256 * mebibyte,
    min: 64 * kibibyte,
    max: 64 * gibibyte,
    unit: 'bytes',
    doc: 'Dead letters on disk.',
  },
  control: { type: 'boolean', default: true, doc: 'Listen on a socket in the directory.' },
  logger: { type: 'object', default: undefined, doc: 'Where messages go.' },
  signal: { type: 'object', default: undefined, doc: 'Stops the opening.' },
} as const satisfies OptionTable

export const flushTable = {
  delayMs: {
    type: 'number',
    default: 500,
    min: 0,
    max: dayMs,
    unit: 'ms',
    doc: 'How long a mutation may wait for others.',
  },
  maxKeys: { type: 'number', default: 5_000, min: 1, max: 100_000, doc: 'Keys in a batch.' },
  maxBytes: {
    type: 'number',
    default: 4 * mebibyte,
    min: 1,
    max: gibibyte,
    unit: 'bytes',
    doc: 'Bytes in a batch.',
  },
  maxRowsPerSecond: {
    type: 'number',
    default: undefined,
    min: 1,
    max: 1e9,
    doc: 'Rows sent to the store.',
  },
  retryBaseMs: {
    type: 'number',
    default: 50,
    min: 1,
    max: dayMs,
    unit: 'ms',
    doc: 'First pause between attempts.',
  },
  retryMaxMs: {
    type: 'number',
    default: 5_000,
    min: 1,
    max: dayMs,
    unit: 'ms',
    doc: 'Longest pause between attempts.',
  },
} as const satisfies OptionTable

export const journalTable = {
  segmentBytes: {
    type: 'number',
    default: 64 * mebibyte,
    min: 64 * kibibyte,
    max: gibibyte,
    unit: 'bytes',
    doc: 'Size of one file.',
  },
  maxBytes: {
    type: 'number',
    default: 4 * gibibyte,
    min: 128 * kibibyte,
    max: 1024 * gibibyte,
    unit: 'bytes',
    doc: 'Disk for the journal.',
  },
  retainBytes: {
    type: 'number',
    default: 256 * mebibyte,
    min: 0,
    max: 1024 * gibibyte,
    unit: 'bytes',
    doc: 'Flushed mutations that are kept.',
  },
} as const satisfies OptionTable

export const pressureTable = {
  memoryBytes: {
    type: 'number',
    default: 16 * mebibyte,
    min: 0,
    max: 64 * gibibyte,
    unit: 'bytes',
    doc: 'Pending batches in memory.',
  },
  policy: {
    type: ['wait', 'reject', 'through'],
    default: 'wait',
    doc: 'What a write does at a limit.',
  },
  waitMs: {
    type: 'number',
    default: 10_000,
    min: 0,
    max: dayMs,
    unit: 'ms',
    doc: 'Deadline of a write that waits.',
  },
} as const satisfies OptionTable

export const cacheTable = {
  table: { type: 'string', default: undefined, doc: 'An existing table.' },
  key: { type: 'strings', default: undefined, doc: 'Key columns.' },
  columns: { type: 'strings', default: undefined, doc: 'Columns of the cache.' },
  rest: { type: 'string', default: undefined, doc: 'JSON column for all other fields.' },
  schema: { type: 'object', default: undefined, doc: 'A Standard Schema.' },
  ttlMs: {
    type: 'number',
    default: undefined,
    min: 1,
    max: 3650 * dayMs,
    unit: 'ms',
    doc: 'Time to live.',
  },
  negativeTtlMs: {
    type: 'number',
    default: 5_000,
    min: 0,
    max: 3650 * dayMs,
    unit: 'ms',
    doc: 'How long an absence is remembered.',
  },
  expire: { type: ['evict', 'delete'], default: 'evict', doc: 'What the end of the TTL means.' },
  refreshAheadMs: {
    type: 'number',
    default: 0,
    min: 0,
    max: 3650 * dayMs,
    unit: 'ms',
    doc: 'Load anew before the end.',
  },
  mode: { type: ['behind', 'through'], default: 'behind', doc: 'Write-behind or write-through.' },
  durability: { type: ['memory', 'journal', 'store'], default: undefined, doc: 'Of every write.' },
  onRejected: {
    type: 'object',
    default: undefined,
    doc: 'Later writes of a key with a dead letter.',
  },
  pressure: { type: ['wait', 'reject', 'through'], default: undefined, doc: 'At a limit.' },
  maxBytes: {
    type: 'number',
    default: 32 * mebibyte,
    min: kibibyte,
    max: 64 * gibibyte,
    unit: 'bytes',
    doc: 'Cached values.',
  },
  routeBy: { type: 'function', default: undefined, doc: 'Routing key of a key.' },
} as const satisfies OptionTable

const afterRejection = { type: ['continue', 'park'] } as const
export const rejectionTable = {
  set: { ...afterRejection, default: 'continue', doc: 'After a set.' },
  delete: { ...afterRejection, default: 'continue', doc: 'After a delete.' },
  merge: { ...afterRejection, default: 'park', doc: 'After a merge.' },
  increment: { ...afterRejection, default: 'park', doc: 'After an increment.' },
} as const satisfies OptionTable

export function readBookOptions(given: DaybookOptions) {
  const { flush, journal, pressure, ...top } = readOptions('', given, bookTable)
  const { signal } = top
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidOption('signal', 'an AbortSignal', signal)
  }
  return { ...top, ...readOptionGroups({ flush, journal, pressure }) }
}

/** `flush`, `journal` and `pressure`, and what contradicts itself in them. */
export function readOptionGroups(given: {
  readonly flush: FlushOptions | undefined
  readonly journal: JournalOptions | undefined
  readonly pressure: PressureOptions | undefined
}) {
  const options = {
    flush: readOptions('flush', given.flush, flushTable),
    journal: readOptions('journal', given.journal, journalTable),
    pressure: readOptions('pressure', given.pressure, pressureTable),
  }
  refuseRetryLimits(options.flush)
  contradiction(
    options.journal.segmentBytes * 2 > options.journal.maxBytes,
    'journal.segmentBytes (twice)',
    options.journal.segmentBytes * 2,
    'journal.maxBytes',
    options.journal.maxBytes,
  )
  contradiction(
    options.journal.retainBytes > options.journal.maxBytes / 2,
    'journal.retainBytes',
    options.journal.retainBytes,
    'half of journal.maxBytes',
    options.journal.maxBytes / 2,
  )
  return options
}

function refuseRetryLimits({ retryBaseMs, retryMaxMs }: RetryBounds): void {
  const is = retryBaseMs > retryMaxMs
  contradiction(is, 'flush.retryBaseMs', retryBaseMs, 'flush.retryMaxMs', retryMaxMs)
}

interface RetryBounds {
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

export type ResolvedBookOptions = ReturnType<typeof readBookOptions>

/** What can change while a book is open. What is left out stays as it is. */
export interface LiveOptions {
  readonly flush?: Omit<FlushOptions, 'maxRowsPerSecond'> & {
    /** null: no limit. */
    readonly maxRowsPerSecond?: number | null
  }
  readonly pressure?: PressureOptions
  readonly stallMs?: number
  readonly drainTimeoutMs?: number
}

export function flusherOptions({ flush, pressure, stallMs }: ResolvedBookOptions): FlusherOptions {
  return { ...flush, memoryBytes: pressure.memoryBytes, stallMs }
}

const liveTable = {
  flush: bookTable.flush,
  pressure: bookTable.pressure,
  stallMs: bookTable.stallMs,
  drainTimeoutMs: bookTable.drainTimeoutMs,
} as const satisfies OptionTable

/** `current` with `changes`. Throws INVALID_OPTION, also for what cannot change while the book is open. */
export function changedOptions(
  current: ResolvedBookOptions,
  changes: LiveOptions,
): ResolvedBookOptions {
  const { flush, pressure, stallMs, drainTimeoutMs } = current
  const live = readOptions('', laidOver({ stallMs, drainTimeoutMs }, changes), liveTable)
  const changed = {
    ...current,
    ...live,
    flush: readOptions('flush', laidOver(flush, live.flush), flushTable),
    pressure: readOptions('pressure', laidOver(pressure, live.pressure), pressureTable),
  }
  refuseRetryLimits(changed.flush)
  return changed
}

/** undefined leaves a value as it is, null gives it its default. */
function laidOver(values: object, changes: object | undefined): object {
  const given = Object.entries(changes ?? {}).filter(([, value]) => value !== undefined)
  return {
    ...values,
    ...Object.fromEntries(given.map(([name, value]) => [name, value ?? undefined])),
  }
}

/** A cache's options with every default filled in, without the parts that only the types know. */
export interface ResolvedCacheOptions {
  readonly table: string | undefined
  readonly key: readonly string[]
  readonly columns: readonly string[] | undefined
  readonly rest: string | undefined
  readonly schema: StandardSchemaV1 | undefined
  readonly ttlMs: number | undefined
  readonly negativeTtlMs: number
  readonly expire: 'evict' | 'delete'
  readonly refreshAheadMs: number
  readonly durability: Durability
  readonly rejection: Readonly<Record<'set' | 'delete' | 'merge' | 'increment', AfterRejection>>
  readonly pressure: PressurePolicy | undefined
  readonly maxBytes: number
  readonly routeBy: ((key: string) => string) | undefined
}

export function readCacheOptions<T>(name: string, given: CacheOptions<T>): ResolvedCacheOptions {
  const path = `caches.${name}`
  const { mode, onRejected, ...options } = readOptions(path, withAllRejections(given), cacheTable)
  const refuse = (message: string, hint: string): never => {
    throw new DaybookError('INVALID_OPTION', `${path}: ${message}`, { details: { path }, hint })
  }
  if (options.table === undefined) {
    if (options.key !== undefined || options.columns !== undefined || options.rest !== undefined) {
      refuse(
        '`key`, `columns` and `rest` need a `table`.',
        'Name the table, or leave all of them out.',
      )
    }
  } else if (options.key === undefined) {
    refuse(`table "${options.table}" needs a \`key\`.`, "Name its key column: { key: 'id' }.")
  }
  if (mode === 'through' && options.durability !== undefined && options.durability !== 'store') {
    refuse(
      `mode 'through' contradicts durability '${options.durability}'.`,
      'Leave one of them out.',
    )
  }
  if (options.expire === 'delete' && options.ttlMs === undefined) {
    refuse("expire 'delete' needs `ttlMs`.", 'Say when rows are to be deleted.')
  }
  if (options.refreshAheadMs > 0 && (options.ttlMs ?? 0) <= options.refreshAheadMs) {
    refuse('`refreshAheadMs` must be less than `ttlMs`.', 'Set a longer `ttlMs`.')
  }
  return {
    ...options,
    key: options.key ?? [],
    schema: options.schema,
    routeBy: options.routeBy,
    durability: options.durability ?? (mode === 'through' ? 'store' : 'journal'),
    rejection: readOptions(`${path}.onRejected`, onRejected as object | undefined, rejectionTable),
  }
}

/** One word for all kinds is short for each of them. */
function withAllRejections<T>(given: CacheOptions<T>): CacheOptions<T> {
  return (
    looked(() => {
      const { onRejected, ...rest } = given
      if (typeof onRejected !== 'string') return given
      const all = { set: onRejected, delete: onRejected, merge: onRejected, increment: onRejected }
      return { ...rest, onRejected: all }
    }) ?? given
  )
}

function contradiction(
  is: boolean,
  left: string,
  leftValue: number,
  right: string,
  rightValue: number,
): void {
  if (!is) return
  throw new DaybookError(
    'INVALID_OPTION',
    `${left} (${leftValue}) must not be more than ${right} (${rightValue}).`,
    { details: { path: left } },
  )
}
