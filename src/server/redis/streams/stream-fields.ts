/**
 * How a stream is a document. The name of a field is the id of an entry, or begins with `$`:
 *
 *     {"$type": "stream", "$last": "1764100000000-3", "$added": 4, "$deleted": "1764100000000-1",
 *      "1764100000000-0": ["field", "value", …], …,
 *      "$group mail": {"last": "1764100000000-0", "read": 1},           where a group has read to, and how many entries that are
 *      "$consumer [\"mail\",\"ada\"]": 1764100000000,                   when a consumer was last seen
 *      "$pending 1764100000000-0 mail": ["ada", 1764100000000, 1]}      who has an entry, since when, delivered how often
 *
 * `$added` counts the entries that there ever were, and `$deleted` is the largest id that XDEL has taken away. A number that a
 * double does not hold is text. What another program has written is read as far as it makes sense.
 *
 * Pure.
 */

import type { Fields, FieldValue } from '../../../mutation/mutation.ts'
import { binaryOf, textOf } from '../spaces/binary-text.ts'
import { isThere } from '../spaces/own-field.ts'
import { isCanonical } from './stream-ids.ts'

export const lastField = '$last'
export const addedField = '$added'
export const deletedField = '$deleted'
const groupPrefix = '$group '
const consumerPrefix = '$consumer '
const pendingPrefix = '$pending '

export interface GroupState {
  readonly last: string
  /** undefined: it cannot be told. */
  readonly read: bigint | undefined
}

export interface Pending {
  readonly consumer: string
  readonly deliveredMs: number
  readonly deliveries: bigint
}

/** What a field is of; undefined where it is none of those. */
export type FieldName =
  | { readonly kind: 'entry'; readonly id: string }
  | { readonly kind: 'group'; readonly group: string }
  | { readonly kind: 'consumer'; readonly group: string; readonly consumer: string }
  | { readonly kind: 'pending'; readonly group: string; readonly id: string }

export function groupField(group: string): string {
  return groupPrefix + textOf(group, false)
}

export function consumerField(group: string, consumer: string): string {
  return consumerPrefix + JSON.stringify([textOf(group, false), textOf(consumer, false)])
}

export function pendingField(group: string, id: string): string {
  return `${pendingPrefix}${id} ${textOf(group, false)}`
}

export function fieldNameOf(name: string): FieldName | undefined {
  if (name.charCodeAt(0) !== 36) return isCanonical(name) ? { kind: 'entry', id: name } : undefined
  if (name.startsWith(pendingPrefix)) {
    const end = name.indexOf(' ', pendingPrefix.length)
    const id = name.slice(pendingPrefix.length, end)
    if (end < 0 || !isCanonical(id)) return undefined
    return { kind: 'pending', id, group: binaryOf(name.slice(end + 1)) }
  }
  if (name.startsWith(groupPrefix)) {
    return { kind: 'group', group: binaryOf(name.slice(groupPrefix.length)) }
  }
  return name.startsWith(consumerPrefix) ? consumerOf(name.slice(consumerPrefix.length)) : undefined
}

function consumerOf(text: string): FieldName | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (!Array.isArray(parsed)) return undefined
    const [group, consumer] = parsed as readonly unknown[]
    if (typeof group !== 'string' || typeof consumer !== 'string') return undefined
    return { kind: 'consumer', group: binaryOf(group), consumer: binaryOf(consumer) }
  } catch {
    return undefined
  }
}

export function entryField(words: readonly string[]): FieldValue {
  return words.map((word) => textOf(word, false))
}

/** Names and values; undefined where there is no entry. */
export function entryOf(fields: Fields, id: string): readonly string[] | undefined {
  if (!isThere(fields, id)) return undefined
  const held = fields[id]
  const items: readonly unknown[] = Array.isArray(held) ? held : ['value', held]
  return items.map((item) => binaryOf(typeof item === 'string' ? item : JSON.stringify(item)))
}

export function groupStateField({ last, read }: GroupState): FieldValue {
  return { last, read: read === undefined ? null : countField(read) }
}

export function groupStateOf(field: FieldValue | undefined): GroupState {
  const given = partsOfObject(field)
  return { last: idIn(given.last), read: countIn(given.read) }
}

export function pendingValue({ consumer, deliveredMs, deliveries }: Pending): FieldValue {
  return [textOf(consumer, false), deliveredMs, countField(deliveries)]
}

export function pendingOf(field: FieldValue | undefined): Pending | undefined {
  if (!Array.isArray(field)) return undefined
  const [consumer, deliveredMs, deliveries] = field as readonly unknown[]
  if (typeof consumer !== 'string') return undefined
  return {
    consumer: binaryOf(consumer),
    deliveredMs: typeof deliveredMs === 'number' ? deliveredMs : 0,
    deliveries: countIn(deliveries) ?? 0n,
  }
}

export function countField(count: bigint): FieldValue {
  const number = Number(count)
  return Number.isSafeInteger(number) ? number : String(count)
}

export function countIn(field: unknown): bigint | undefined {
  if (typeof field === 'bigint') return field
  if (typeof field === 'number') return Number.isSafeInteger(field) ? BigInt(field) : undefined
  return typeof field === 'string' && /^\d{1,20}$/.test(field) ? BigInt(field) : undefined
}

/** An id that a field has; the lowest where it has none. */
export function idIn(field: unknown): string {
  return typeof field === 'string' && isCanonical(field) ? field : '0-0'
}

function partsOfObject(field: FieldValue | undefined): Readonly<Record<string, unknown>> {
  return typeof field === 'object' && field !== null && !Array.isArray(field)
    ? (field as Readonly<Record<string, unknown>>)
    : {}
}
