/** Between the bytes that clients know and the canonical values of columns: text, digits, true and false, JSON. */

import type { FieldValue } from '../../../mutation/mutation.ts'
import { canonicalField } from '../../../store/columns.ts'
import type { Column } from '../../../store/schema.ts'
import { binaryOfUtf8, utf8Of } from './binary-text.ts'
import { floatText } from '../numbers.ts'
import { RedisError } from '../redis-error.ts'
import { latin1Of } from '../latin1.ts'

/** undefined for NULL: a hash has no such field. */
export function binaryOfField(value: FieldValue | undefined): string | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'string') return binaryOfUtf8(value)
  if (typeof value === 'number') return floatText(value)
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value instanceof Uint8Array) return latin1Of(Buffer.from(value))
  return binaryOfUtf8(JSON.stringify(value))
}

/** Throws what the column cannot take, without the value. */
export function fieldOfBinary(column: Column, binary: string): FieldValue {
  if (column.type.kind === 'bytes') return new Uint8Array(Buffer.from(binary, 'latin1'))
  const text = utf8Of(binary)
  if (text === undefined) throw new RedisError(`ERR column "${column.name}" takes UTF-8`)
  const isJson = column.type.kind === 'json' || column.type.kind === 'array'
  return canonicalField(column, isJson ? parsed(column, text) : text)
}

/** A field that no column takes, for the column of all others: JSON where it is JSON's object or list, else text. */
export function restOfBinary(name: string, binary: string): FieldValue {
  const text = utf8Of(binary)
  if (text === undefined || text.includes('\0')) {
    throw new RedisError(`ERR field "${name}" takes UTF-8 without NUL`)
  }
  return text
}

function parsed(column: Column, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new RedisError(`ERR column "${column.name}" takes JSON`)
  }
}
