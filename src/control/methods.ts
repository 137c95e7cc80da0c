/**
 * What a control socket can be asked, and what each method does with the book. The command line calls the same methods on a
 * book that it opened itself.
 */

import { DaybookError } from '../base/errors.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterGroup,
  DeadLetterPage,
} from '../flush/dead-letter.ts'
import { isRecord } from './wire.ts'

/** The part of a book that is controlled. */
export interface ControlBook {
  stats(): object
  flush(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<unknown>
  pause(): void
  resume(): void
  readonly deadLetters: ControlDeadLetters
}

export interface ControlDeadLetters {
  list(
    filter: DeadLetterFilter,
    page: { readonly after?: string | undefined; readonly limit?: number | undefined },
  ): Promise<DeadLetterPage>
  groups(): readonly DeadLetterGroup[]
  show(id: string): Promise<DeadLetter>
  /** What a read of its key would give now. Throws where the store cannot be read. */
  current(id: string, options: { readonly signal: AbortSignal }): Promise<unknown>
  retry(selection: LetterSelection, options: RetryOptions): Promise<object>
  edit(id: string, edit: LetterEdit, options: RetryOptions): Promise<object>
  discard(selection: LetterSelection): Promise<number>
}

/** By id, or the first so many that fit. */
export type LetterSelection =
  readonly string[] | { readonly filter: DeadLetterFilter; readonly first: number | undefined }

export function areIds(selection: LetterSelection): selection is readonly string[] {
  return Array.isArray(selection)
}

export interface RetryOptions {
  /** Also letters whose key has a newer value by now. */
  readonly force?: boolean
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** What a letter is to become: exactly one of these. */
export type LetterEdit =
  | { readonly set: unknown }
  | { readonly merge: object }
  | { readonly increment: object }
  | { readonly delete: true }

export type Params = Readonly<Record<string, unknown>>

export interface ControlCall {
  /** Ends with the caller's connection or its deadline. */
  readonly signal: AbortSignal
  readonly deadlineMs: number
}

type Method = (book: ControlBook, params: Params, call: ControlCall) => unknown

const maxIds = 10_000
const maxPageLetters = 1_000

/** Methods throw INVALID_OPTION for params that they cannot use, and what the book throws. */
export const controlMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['status', (book) => book.stats()],
  [
    'flush',
    async (book, _params, { signal, deadlineMs }) => {
      await book.flush({ timeoutMs: deadlineMs, signal })
      return book.stats()
    },
  ],
  ['pause', (book) => book.pause()],
  ['resume', (book) => book.resume()],
  [
    'deadLetters.list',
    (book, params) =>
      book.deadLetters.list(filterOf(params), {
        after: optional(params, 'after', isText),
        limit: Math.min(optional(params, 'limit', isCount) ?? 100, maxPageLetters),
      }),
  ],
  ['deadLetters.groups', (book) => book.deadLetters.groups()],
  ['deadLetters.show', (book, params) => book.deadLetters.show(needed(params, 'id', isText))],
  [
    'deadLetters.retry',
    (book, params, { signal, deadlineMs }) =>
      book.deadLetters.retry(selectionOf(params), {
        force: params.force === true,
        timeoutMs: deadlineMs,
        signal,
      }),
  ],
  [
    'deadLetters.edit',
    (book, params, { signal, deadlineMs }) =>
      book.deadLetters.edit(needed(params, 'id', isText), needed(params, 'edit', isEdit), {
        timeoutMs: deadlineMs,
        signal,
      }),
  ],
  ['deadLetters.discard', (book, params) => book.deadLetters.discard(selectionOf(params))],
  [
    'deadLetters.current',
    async (book, params, { signal }) => ({
      value: await book.deadLetters.current(needed(params, 'id', isText), { signal }),
    }),
  ],
])

function filterOf(params: Params): DeadLetterFilter {
  return {
    cache: optional(params, 'cache', isText),
    key: optional(params, 'key', isText),
    keyPrefix: optional(params, 'keyPrefix', isText),
    code: optional(params, 'code', isText),
    message: optional(params, 'message', isText),
    text: optional(params, 'text', isText),
    reason: optional(params, 'reason', isReason),
    sinceMs: optional(params, 'sinceMs', isTime),
    untilMs: optional(params, 'untilMs', isTime),
  }
}

/** `ids`, or `filter` with `first`: forgetting both must not mean all. */
function selectionOf(params: Params): LetterSelection {
  const ids = optional(params, 'ids', isIds)
  if (ids !== undefined) return ids
  return {
    filter: filterOf(needed(params, 'filter', isRecord)),
    first: optional(params, 'first', isCount),
  }
}

type Check<T> = (value: unknown) => value is T

function optional<T>(params: Params, name: string, check: Check<T>): T | undefined {
  return params[name] === undefined ? undefined : needed(params, name, check)
}

function needed<T>(params: Params, name: string, check: Check<T>): T {
  const value = params[name]
  if (check(value)) return value
  throw new DaybookError('INVALID_OPTION', `The parameter ${name} is missing or not usable.`, {
    details: { parameter: name },
  })
}

const isText: Check<string> = (value) => typeof value === 'string'
const isTime: Check<number> = (value) => typeof value === 'number'
const isCount: Check<number> = (value): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0
const isReason: Check<'rejected' | 'parked'> = (value) => value === 'rejected' || value === 'parked'
const isIds: Check<readonly string[]> = (value): value is readonly string[] =>
  Array.isArray(value) && value.length <= maxIds && value.every((id) => typeof id === 'string')
const isEdit: Check<LetterEdit> = (value): value is LetterEdit => {
  if (!isRecord(value) || Object.keys(value).length !== 1) return false
  return (
    isRecord(value.set) ||
    isRecord(value.merge) ||
    isRecord(value.increment) ||
    value.delete === true
  )
}
