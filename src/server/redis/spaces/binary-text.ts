/**
 * Between what clients send, which is bytes, and what databases store, which is text.
 *
 * Inside the server bytes are *binary strings*: one character for each byte. Stored is the text that the bytes are in
 * UTF-8, so that people can read it in the database. Bytes that no database can store as text (not UTF-8, or with a NUL)
 * are stored as `base64:` and their base64, and so is text that itself begins like that: every byte string has exactly one
 * stored form, and comes back as it was.
 */

import { isUtf8 } from 'node:buffer'
import { latin1Of } from '../latin1.ts'

const escape = 'base64:'

/** `plain`: the caller knows that the bytes are ASCII without NUL, which spares looking at them. */
export function textOf(binary: string, plain: boolean): string {
  if (plain || isPlainText(binary)) {
    return binary.charCodeAt(0) === 98 && binary.startsWith(escape) ? escaped(binary) : binary
  }
  const bytes = Buffer.from(binary, 'latin1')
  if (!isUtf8(bytes) || bytes.includes(0)) return escaped(binary)
  return bytes.toString()
}

export function binaryOf(text: string): string {
  if (text.charCodeAt(0) === 98 && text.startsWith(escape)) {
    return latin1Of(Buffer.from(text.slice(escape.length), 'base64'))
  }
  return isAscii(text) ? text : latin1Of(Buffer.from(text))
}

/**
 * The name of a field of a document. Besides, an empty one and `__proto__` are no names there, and `$` begins the names
 * that are not the client's: a client's own has one more.
 */
export function nameOf(binary: string, plain: boolean): string {
  if (binary === '' || binary === '__proto__') return escaped(binary)
  const text = textOf(binary, plain)
  return text.charCodeAt(0) === 36 ? `$${text}` : text
}

export function binaryOfName(name: string): string {
  return binaryOf(name.startsWith('$$') ? name.slice(1) : name)
}

/** Of the client, and not one of ours. */
export function isOwnName(name: string): boolean {
  return name.charCodeAt(0) !== 36 || name.charCodeAt(1) === 36
}

/** A key, which must not be empty either. */
export function keyTextOf(binary: string, plain: boolean): string {
  return binary === '' ? escape : textOf(binary, plain)
}

/** The text of bytes that must be UTF-8; undefined where they are not. */
export function utf8Of(binary: string): string | undefined {
  if (isAscii(binary)) return binary
  const bytes = Buffer.from(binary, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : undefined
}

/** Text as its bytes in UTF-8, whatever it begins with. */
export function binaryOfUtf8(text: string): string {
  return isAscii(text) ? text : latin1Of(Buffer.from(text))
}

function escaped(binary: string): string {
  return escape + Buffer.from(binary, 'latin1').toString('base64')
}

function isPlainText(binary: string): boolean {
  // eslint-disable-next-line no-control-regex -- NUL is what is looked for
  return !/[\u0000\u0080-\u00ff]/.test(binary)
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}
