/**
 * Canonical JSON values: what JSON.parse(JSON.stringify(value)) would give, as a deep copy, or a refusal where that would
 * lose something. Pure.
 */

import type { FieldValue } from '../mutation/mutation.ts'

export const maxJsonDepth = 100

export const expectedJson = `a JSON value (no undefined, functions, bigint, NaN, cycles, "__proto__" members, NUL or lone surrogates; at most ${maxJsonDepth} levels)`

/** undefined where the value cannot be JSON without loss. */
export function canonicalJson(value: unknown): FieldValue | undefined {
  return copy(value, '', maxJsonDepth)
}

/** Text that every database can store. */
export function isStorableText(text: string): boolean {
  // indexOf has a fast path for one character that includes lacks.
  return text.indexOf('\0') < 0 && text.isWellFormed()
}

function copy(value: unknown, name: string, depth: number): FieldValue | undefined {
  if (typeof value === 'string') return isStorableText(value) ? value : undefined
  // Adding 0 makes 0 of -0.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : undefined
  if (typeof value === 'boolean' || value === null) return value
  return typeof value === 'object' ? copyObject(value, name, depth) : undefined
}

/** Depth bounds a cycle too. */
function copyObject(value: object, name: string, depth: number): FieldValue | undefined {
  if (depth === 0) return undefined
  if (Array.isArray(value)) return copyArray(value, depth)
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return copy((value.toJSON as (name: string) => unknown)(name), name, depth - 1)
  }
  // A Map, Set, Promise, typed array … would become {} or worse.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && tagOf(value) !== '[object Object]')
    return undefined
  const result: Record<string, FieldValue> = {}
  for (const member of Object.keys(value)) {
    if (member === '__proto__' || !isStorableText(member)) return undefined
    const copied = copy((value as Record<string, unknown>)[member], member, depth - 1)
    if (copied === undefined) return undefined
    result[member] = copied
  }
  return result
}

function copyArray(values: readonly unknown[], depth: number): FieldValue | undefined {
  const result: FieldValue[] = []
  // An index loop, for holes: they read as undefined and are refused.
  for (let index = 0; index < values.length; index++) {
    const copied = copy(values[index], String(index), depth - 1)
    if (copied === undefined) return undefined
    result.push(copied)
  }
  return result
}

function tagOf(value: object): string {
  return ArrayBuffer.isView(value) ? 'view' : Object.prototype.toString.call(value)
}
