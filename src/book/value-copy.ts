/** Copies of canonical values: what goes in or comes out may be changed by the caller without changing the cache. */

import type { Fields, FieldValue } from '../mutation/mutation.ts'

export function copyFields(fields: Fields, flat: boolean): Record<string, FieldValue> {
  if (flat) return { ...fields }
  const copy: Record<string, FieldValue> = {}
  for (const name of Object.keys(fields)) copy[name] = copyField(fields[name] as FieldValue)
  return copy
}

function copyField(value: FieldValue): FieldValue {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Uint8Array.from(value)
  if (Array.isArray(value)) return value.map((item) => copyField(item as FieldValue))
  return copyFields(value as Fields, false)
}

/** What a text takes beside its characters. */
const textOverheadBytes = 24

/** Names of columns are the same texts for all rows and take nothing; those of a document's fields are its own. */
export type FieldNames = 'columns' | 'own'

/** What the fields take in memory, roughly: text by its length, everything else by its slot. */
export function estimateBytes(fields: Fields, names: FieldNames): number {
  let bytes = 32
  for (const name of Object.keys(fields)) bytes += bytesOf(fields, name, names)
  return bytes
}

/** By how much `after` takes more than `before`, which has the same fields but for those with these names, if they are there. */
export function estimateGrowth(
  before: Fields,
  after: Fields,
  changed: readonly string[],
  names: FieldNames,
): number {
  let bytes = 0
  for (const name of changed) {
    if (Object.hasOwn(after, name)) bytes += bytesOf(after, name, names)
    if (Object.hasOwn(before, name)) bytes -= bytesOf(before, name, names)
  }
  return bytes
}

function bytesOf(fields: Fields, name: string, names: FieldNames): number {
  const own = names === 'own' ? name.length + textOverheadBytes : 0
  return 8 + own + estimateField(fields[name] as FieldValue)
}

function estimateField(value: FieldValue): number {
  if (typeof value === 'string') return value.length + textOverheadBytes
  if (typeof value !== 'object' || value === null) return 8
  if (value instanceof Uint8Array) return value.byteLength + 64
  if (Array.isArray(value)) {
    return value.reduce((sum: number, item) => sum + estimateField(item as FieldValue), 32)
  }
  return estimateBytes(value as Fields, 'own')
}
