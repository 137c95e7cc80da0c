/**
 * Canonical keys: one text for each row, whoever spells it. `42` and `042` of an integer column are the same key.
 *
 * A key of one column is that column's canonical value as text. A composite key is a JSON array of such texts, in the
 * order of the cache's `key` option. Pure.
 */

import { assert } from '../base/assert.ts'
import { DaybookError } from '../base/errors.ts'
import type { FieldValue } from '../mutation/mutation.ts'
import { canonicalOf, expectedOf } from './columns.ts'
import { isStorableText } from './json.ts'
import type { Column, ColumnType, TableSchema } from './schema.ts'

export const maxKeyBytes = 1024

/** Types whose values are equal in the database exactly where their canonical texts are equal. */
export function isKeyType(type: ColumnType): boolean {
  switch (type.kind) {
    case 'text':
    case 'integer':
    case 'uuid':
    case 'boolean':
    case 'date':
    case 'timestamp':
    case 'timestamptz':
    case 'enum':
      return true
    case 'numeric':
      // Without a scale, 1.0 and 1.00 are equal but not alike.
      return type.scale !== undefined
    case 'float':
    case 'time':
    case 'json':
    case 'bytes':
    case 'array':
    case 'opaque':
      return false
  }
}

/**
 * The canonical key of a string, or for a composite key of an array of as many strings (or their canonical text, as
 * `keys()` gives it). Throws INVALID_KEY.
 */
export function canonicalKey(schema: TableSchema, key: unknown): string {
  const column = schema.key[0]
  if (schema.key.length !== 1 || column === undefined) return compositeKey(schema, key)
  if (typeof key !== 'string') throw invalidKey(schema, 'a key is a string')
  if (key === '') throw invalidKey(schema, 'a key is not empty')
  const canonical =
    column.type.kind === 'text' && column.type.maxLength === undefined
      ? checkedText(schema, column, key)
      : keyPart(schema, column, key)
  checkLength(schema, canonical)
  return canonical
}

/** The columns' canonical values, in the order of `schema.key`: parameters for the database. */
export function keyParts(schema: TableSchema, key: string): FieldValue[] {
  const [column] = schema.key
  if (schema.key.length === 1 && column !== undefined) return [partValue(column, key)]
  const texts = JSON.parse(key) as string[]
  return schema.key.map((keyColumn, index) => partValue(keyColumn, texts[index] ?? ''))
}

/** The canonical key of a row of the database; undefined where no key can name it (an empty or NULL one). */
export function keyOf(schema: TableSchema, parts: readonly unknown[]): string | undefined {
  const texts: string[] = []
  for (const [index, column] of schema.key.entries()) {
    const part = parts[index]
    const canonical =
      part === null || part === undefined ? undefined : canonicalOf(column.type, part)
    if (canonical === undefined) return undefined
    texts.push(textOf(canonical))
  }
  const key = schema.key.length === 1 ? (texts[0] ?? '') : JSON.stringify(texts)
  return key === '' || Buffer.byteLength(key) > maxKeyBytes ? undefined : key
}

/** Key columns hold only values with a text of their own. */
export function textOf(value: FieldValue): string {
  assert(value !== null && typeof value !== 'object', 'a key column holds a scalar')
  return typeof value === 'string' ? value : String(value)
}

function compositeKey(schema: TableSchema, key: unknown): string {
  const parts = typeof key === 'string' ? parsedParts(key) : key
  const names = schema.key.map((column) => column.name).join(', ')
  if (!Array.isArray(parts) || parts.length !== schema.key.length) {
    throw invalidKey(schema, `a key is an array of ${schema.key.length} strings: ${names}`)
  }
  const texts = schema.key.map((column, index) => {
    const part: unknown = parts[index]
    if (typeof part !== 'string')
      throw invalidKey(schema, `part "${column.name}" of a key is a string`)
    return keyPart(schema, column, part)
  })
  const canonical = JSON.stringify(texts)
  checkLength(schema, canonical)
  return canonical
}

function parsedParts(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function keyPart(schema: TableSchema, column: Column, text: string): string {
  if (column.type.kind === 'integer' && column.type.bits !== 16 && isPlainInteger(text)) return text
  const canonical = canonicalOf(column.type, text)
  if (canonical === undefined) {
    throw invalidKey(schema, `key column "${column.name}" takes ${expectedOf(column.type)}`)
  }
  return textOf(canonical)
}

/** At most nine digits without a leading zero: canonical as it is, in any integer column but the shortest. */
function isPlainInteger(text: string): boolean {
  if (text.length > 9) return false
  const first = text.charCodeAt(0)
  if (first === 48) return text.length === 1
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at)
    if (digit < 48 || digit > 57) return false
  }
  return text.length > 0
}

/** The canonical value of a part of a canonical key; integers and booleans come back from their text. */
function partValue(column: Column, text: string): FieldValue {
  if (column.type.kind === 'text') return text
  if (column.type.kind === 'integer' && isPlainInteger(text)) return Number(text)
  return canonicalOf(column.type, text) ?? null
}

function checkedText(schema: TableSchema, column: Column, text: string): string {
  if (isStorableText(text)) return text
  throw invalidKey(schema, `key column "${column.name}" takes ${expectedOf(column.type)}`)
}

function checkLength(schema: TableSchema, key: string): void {
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (key.length * 3 <= maxKeyBytes || Buffer.byteLength(key) <= maxKeyBytes) return
  throw invalidKey(schema, `a key takes at most ${maxKeyBytes} bytes of UTF-8`)
}

function invalidKey(schema: TableSchema, expected: string): DaybookError {
  return new DaybookError('INVALID_KEY', `In table "${schema.table}", ${expected}.`, {
    details: { table: schema.table, expected },
  })
}
