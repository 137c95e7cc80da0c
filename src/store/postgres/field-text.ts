/**
 * Canonical fields to PostgreSQL's text forms and back, by column type. Pure.
 *
 * The session's settings fix the server's side: UTC, ISO dates, hexadecimal bytea, shortest floats.
 */

import type { FieldValue } from '../../mutation/mutation.ts'
import { canonicalOf } from '../columns.ts'
import type { ColumnType } from '../schema.ts'
import { nestedArrayText, parseArrayText, type ArrayElement } from './array-text.ts'

/** The text of a canonical value as a parameter. */
export function encodeField(type: ColumnType, value: FieldValue): string | null {
  if (value === null) return null
  if (type.kind === 'json') return JSON.stringify(value)
  if (value instanceof Uint8Array) return bytesText(value)
  // Text in place of an array or bytes came from the database in a form of its own.
  return type.kind === 'array' && isElements(value)
    ? nestedArrayText(elementTexts(type.element, value))
    : plainText(value)
}

function isElements(value: FieldValue): value is readonly FieldValue[] {
  return Array.isArray(value)
}

/** False where the text of every value can stand in an array without quotes. */
export function needsQuotes(type: ColumnType): boolean {
  return type.kind !== 'integer' && type.kind !== 'boolean' && type.kind !== 'float'
}

function plainText(value: FieldValue): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function bytesText(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

function elementTexts(element: ColumnType, values: readonly FieldValue[]): ArrayElement[] {
  return values.map((value) =>
    // An array inside an array of JSON is a JSON value; anywhere else it is a further dimension.
    isElements(value) && element.kind !== 'json'
      ? elementTexts(element, value)
      : encodeField(element, value),
  )
}

/**
 * The canonical value of what the server sent. What has no canonical form (an infinite date, a year BC, a NaN of
 * numeric) stays as PostgreSQL writes it: it came from elsewhere, and is not lost.
 */
export function decodeField(type: ColumnType, text: string): FieldValue {
  switch (type.kind) {
    case 'text':
    case 'enum':
    case 'uuid':
    case 'opaque':
    case 'date':
      return text
    case 'integer':
      return type.bits === 64 ? decodeInteger(text) : Number(text)
    case 'boolean':
      return text === 't'
    case 'float':
      return decodeFloat(text, type.bits)
    case 'json':
      return JSON.parse(text) as FieldValue
    case 'bytes':
      return new Uint8Array(Buffer.from(text.slice(2), 'hex'))
    case 'timestamp':
    case 'timestamptz':
    case 'time':
    case 'numeric':
      return canonicalOf(type, text) ?? text
    case 'array':
      return parseArrayText(text).map((element) => decodeElement(type.element, element))
  }
}

function decodeInteger(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

function decodeFloat(text: string, bits: 32 | 64): number {
  // Adding 0 makes 0 of -0.
  return (bits === 32 ? Math.fround(Number(text)) : Number(text)) + 0
}

function decodeElement(type: ColumnType, element: ArrayElement): FieldValue {
  if (element === null) return null
  if (typeof element === 'string') return decodeField(type, element)
  return element.map((inner) => decodeElement(type, inner))
}
