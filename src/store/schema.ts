/**
 * What a store's catalogue says of one table, in terms that do not depend on the database.
 */

import type { Fields, FieldValue } from '../mutation/mutation.ts'

/** Each type has one canonical JavaScript form, the same from the cache, the journal and the database. */
export type ColumnType =
  /** string */
  | { readonly kind: 'text'; readonly maxLength?: number | undefined }
  /** number where it is safe, else bigint. `bits` is 16, 32 or 64. */
  | { readonly kind: 'integer'; readonly bits: 16 | 32 | 64 }
  /** string of decimal digits; with a scale, exactly that many fraction digits. */
  | {
      readonly kind: 'numeric'
      readonly precision?: number | undefined
      readonly scale?: number | undefined
    }
  /** number; 32 bits are rounded as the database does. `nonFinite`: NaN and the infinities can be stored. */
  | { readonly kind: 'float'; readonly bits: 32 | 64; readonly nonFinite: boolean }
  | { readonly kind: 'boolean' }
  /**
   * string '2026-11-23T08:30:00.000Z' (3 fraction digits, or 6 where microseconds are not zero); Date is taken too.
   * `precision` is the fraction digits that the column keeps (default 6): a value is rounded as the database does.
   */
  | { readonly kind: 'timestamptz'; readonly precision?: number | undefined }
  /** The same without a zone: '2026-11-23T08:30:00.000'. */
  | { readonly kind: 'timestamp'; readonly precision?: number | undefined }
  /** 'YYYY-MM-DD' */
  | { readonly kind: 'date' }
  /** 'HH:MM:SS' with 3 or 6 fraction digits where they are not zero. */
  | { readonly kind: 'time' }
  /** string, lower case. */
  | { readonly kind: 'uuid' }
  /** Any JSON value. */
  | { readonly kind: 'json' }
  /** Uint8Array */
  | { readonly kind: 'bytes' }
  /** string, one of these. */
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  /** Array of canonical elements or nulls; nested arrays where the column has them. */
  | { readonly kind: 'array'; readonly element: ColumnType }
  /** Anything else the database has (interval, inet, ranges …): its own text form, unchecked before it is written. */
  | { readonly kind: 'opaque' }

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** The canonical value of a constant default; null where the column has none. */
  readonly defaultValue: FieldValue
  /** NOT NULL without a default: a `set` must give it. */
  readonly required: boolean
  /** The database's own name of the type, for messages and casts. */
  readonly databaseType: string
}

/**
 * A table as a cache sees it. Columns that the database fills by itself (generated, identity, or with a default that
 * is not constant such as now()) are not part of it unless the cache lists them in `columns`: they are neither
 * read nor written, so a value is the same wherever it is read from.
 */
export interface TableSchema {
  /** As configured, for messages: `users` or `sales.orders`. */
  readonly table: string
  /** Unique within the store, for the order of tables: parents sort before children. */
  readonly rank: number
  /** In the order of the cache's `key` option. */
  readonly key: readonly Column[]
  /** The other columns of the cache, without `rest`. */
  readonly columns: readonly Column[]
  /** A JSON column that takes the fields that no column takes. In a generic table it is the whole value. */
  readonly rest: Column | undefined
  /** True for the generic table of zero-configuration caches: there are no columns, only `rest`. */
  readonly document: boolean
  /** Every column at its default: what a patch is laid over where there is no row. */
  readonly blank: Fields
  /**
   * The store lists the keys in the order of their bytes, so those that begin alike stand together, behind the key that is
   * the beginning itself. Default: false; the order may be a language's, or that of numbers.
   */
  readonly keysByBytes?: boolean
  /** The table's other columns, where the store knows them: for people. */
  readonly leftOut?: readonly LeftOutColumn[]
}

/** Neither read nor written. */
export interface LeftOutColumn extends Pick<Column, 'name' | 'databaseType'> {
  readonly why:
    /** The database computes it, and takes nothing else. */
    | 'generated'
    /** The database fills it by itself, and the cache does not list it. */
    | 'filled'
    /** The cache lists others. */
    | 'unlisted'
}

/** What a cache asks of its table. Identifiers come from configuration only, never from keys or values. */
export interface TableRequest {
  readonly cache: string
  /** undefined: the store's generic table. */
  readonly table: string | undefined
  /** Key column names; one or more. Empty for the generic table. */
  readonly key: readonly string[]
  /** Restrict the cache to these columns, or add ones that the database fills by itself. */
  readonly columns: readonly string[] | undefined
  /** Name of the JSON column for all other fields. */
  readonly rest: string | undefined
}
