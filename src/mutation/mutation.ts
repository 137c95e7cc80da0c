/**
 * What one write does to the value of one key.
 *
 * A value is a flat set of fields (columns), each in the one canonical form of its column: see `store/columns.ts`.
 * `undefined` stands for "no value": the row does not exist.
 */

/** A canonical field: JSON, plus bigint (integers beyond 2^53) and Uint8Array (bytes). Decimals are strings. */
export type FieldValue =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | readonly FieldValue[]
  | { readonly [name: string]: FieldValue }

/** Own, enumerable string properties only. `__proto__` is refused before a field gets here. */
export type Fields = Readonly<Record<string, FieldValue>>

/** An increment's amount: number or bigint adds as an integer, a string adds as an exact decimal. */
export type Amount = number | bigint | string
export type Amounts = Readonly<Record<string, Amount>>

/** Names of fields that go. */
export type Removed = Readonly<Record<string, true>>

/**
 * - `set`: the value becomes exactly these fields.
 * - `delete`: no value.
 * - `patch`: a merge has `fields` only, an increment has `amounts` only; coalescing makes mixed ones. No name is in two of
 *   its parts. On no value a patch inserts: its fields over the table's blank row, amounts added to that. It takes away
 *   `removed` fields of documents, where the store can (`StoreCapabilities.removals`): a column cannot go.
 */
export type Mutation =
  | { readonly kind: 'set'; readonly fields: Fields }
  | { readonly kind: 'delete' }
  | {
      readonly kind: 'patch'
      readonly fields: Fields
      readonly amounts: Amounts
      readonly removed?: Removed | undefined
    }

export type Patch = Extract<Mutation, { kind: 'patch' }>

/** The four names that users know. */
export function mutationName(mutation: Mutation): 'set' | 'delete' | 'merge' | 'increment' {
  if (mutation.kind !== 'patch') return mutation.kind
  return isEmpty(mutation.amounts) ? 'merge' : 'increment'
}

/** No name is in it. */
export function isEmpty(part: Readonly<Record<string, unknown>>): boolean {
  for (const _ in part) return false
  return true
}

/** A place in the journal: grows with every mutation, over all lanes together. The first is 1; 0 is before all. */
export type Position = number

/** One mutation as the journal has it. */
export interface Entry {
  /** Taken when it is appended; 0 before. */
  position: Position
  readonly lane: number
  readonly cache: string
  /** The canonical key: `42` and `042` of an integer column are the same key, written `42`. */
  readonly key: string
  /** Hash of cache and key: see `entryHash`. */
  readonly hash: number
  readonly mutation: Mutation
  /**
   * Entries of one atomic batch that share a lane are adjacent there, and all but the last say so: they go to the
   * store in one transaction, or to the dead letters, together.
   */
  continues: boolean
  /** When the row is to be deleted (wall clock, ms), for caches with `expire: 'delete'`. */
  readonly expiresAtMs?: number | undefined
  /** The dead letter that this entry retries. Once the entry is in the store, that letter is settled. */
  readonly retryOf?: string | undefined
  /** Bytes of the record in the journal; what budgets count. 0 before it is appended. */
  bytes: number
}
