/**
 * One dead letter: a mutation that the store refused, or that queues behind one, with what is known of its failure.
 */

import type { Mutation, Position } from '../mutation/mutation.ts'
import { toTaggedJson } from '../mutation/tagged-json.ts'
import type { FailureKind } from '../store/store.ts'

export interface DeadLetter {
  /** See `letter-id.ts`. */
  readonly id: string
  readonly cache: string
  readonly key: string
  readonly lane: number
  readonly position: Position
  readonly mutation: Mutation
  /** Refused by the store, or queued behind a letter of its key or of its atomic batch's keys. */
  readonly reason: 'rejected' | 'parked'
  /** Id of the letter that it is parked behind. */
  readonly behind?: string | undefined
  readonly failure: {
    readonly kind: FailureKind
    readonly code: string
    readonly message: string
  }
  /** How often the store has refused it, its retries included. */
  readonly attempts: number
  /** When it was written, wall clock in ms, where that is known. */
  readonly writtenAtMs?: number | undefined
  /** When it became a dead letter, wall clock in ms. */
  readonly deadAtMs: number
  /** Id of the letter that it was a retry of. */
  readonly retryOf?: string | undefined
  /** Id of the first letter of its atomic batch. */
  readonly group?: string | undefined
  /** A newer set or delete of its key is in the store: a retry would overwrite it. */
  readonly superseded?: boolean | undefined
}

export type DeadLetterOutcome =
  /** Its retry has been dealt with: it is in the store, or a dead letter of its own. */
  | 'retried'
  /** Someone gave it up. */
  | 'discarded'
  /** The store had not passed it: it is decided again. */
  | 'withdrawn'

export interface DeadLetterFilter {
  readonly cache?: string | undefined
  readonly key?: string | undefined
  readonly keyPrefix?: string | undefined
  /** The failure's code. */
  readonly code?: string | undefined
  /** The failure's message, whole: with `cache` and `code` one group of letters that failed alike. */
  readonly message?: string | undefined
  /** Occurs in the key or in the failure's message; upper and lower case are the same. */
  readonly text?: string | undefined
  readonly reason?: 'rejected' | 'parked' | undefined
  /** By `deadAtMs`, both ends included. */
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface DeadLetterPage {
  readonly letters: DeadLetter[]
  /** Give it as `after` to get the next page; undefined on the last one. */
  readonly next?: string
}

export interface DeadLetterGroup {
  readonly cache: string
  readonly code: string
  readonly message: string
  readonly count: number
  /** The earliest `deadAtMs`. */
  readonly oldestMs: number
}

export interface EncodedLetter {
  readonly letter: DeadLetter
  readonly text: string
  /** With the comma. */
  readonly bytes: number
}

export function encodeLetter(letter: DeadLetter): EncodedLetter {
  const text = toTaggedJson(letter)
  return { letter, text, bytes: Buffer.byteLength(text) + 1 }
}

export function lettersLine(letters: readonly EncodedLetter[]): string {
  return `{"letters":[${letters.map((letter) => letter.text).join(',')}]}`
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

export function isDeadLetter(value: unknown): value is DeadLetter {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    typeof value.cache === 'string' &&
    typeof value.key === 'string' &&
    Number.isSafeInteger(value.lane) &&
    Number.isSafeInteger(value.position) &&
    typeof value.deadAtMs === 'number' &&
    (value.reason === 'rejected' || value.reason === 'parked') &&
    isRecord(value.mutation) &&
    isRecord(value.failure) &&
    typeof value.failure.code === 'string' &&
    typeof value.failure.message === 'string'
  )
}
