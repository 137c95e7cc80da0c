/**
 * Requests of the Redis protocol out of a stream of bytes: arrays of bulk strings, and inline commands.
 *
 *     *2\r\n$3\r\nGET\r\n$3\r\nkey\r\n          PING\r\n          SET greeting "Hello\x21"\r\n
 *
 * Bytes come in chunks with any boundaries. Nothing is allocated because of a length that a client declares: the buffer
 * grows with what has arrived, and a request that goes beyond a limit is an error, after which the stream means nothing
 * any more. Arguments are binary strings (one character for each byte).
 *
 * States: between requests (`#missing` is 0); within an array of which `#missing` arguments are still to come, the next
 * one's length being known (`#length` ≥ 0) or not (-1).
 */

import { isAscii } from 'node:buffer'
import { latin1Of } from './latin1.ts'

export interface ParserLimits {
  /** Of one argument. */
  readonly maxBulkBytes: number
  /** Arguments of one request. */
  readonly maxArguments: number
  /** Of one request, as it has arrived. */
  readonly maxRequestBytes: number
}

/** The stream cannot be read any further: answer with the message, and close. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** Redis's own limits for those who have not authenticated: more than AUTH and HELLO need. */
export const strangerLimits: ParserLimits = {
  maxBulkBytes: 16_384,
  maxArguments: 10,
  maxRequestBytes: 1024 * 1024,
}

/** Of a line: an inline command, or a declared length. */
const maxLineBytes = 64 * 1024
/** Longer ones are not kept: none is the name of a command. */
const maxNameBytes = 32
const lineFeed = 10
const carriageReturn = 13
const asterisk = 42
const dollar = 36
const none = Buffer.alloc(0)

export class RequestParser {
  limits: ParserLimits
  /** Of a stranger: then Redis words two errors in another way. */
  authenticated = true
  #buffer: Buffer = none
  #at = 0
  #end = 0
  /** The buffer is one that this parser made, and may be written to. */
  #own = false
  #plain = true
  #arguments: string[] = []
  /** Those that are there. */
  #count = 0
  /** Of the last request. */
  #name = ''
  #missing = 0
  #length = -1
  #requestBytes = 0

  constructor(limits: ParserLimits) {
    this.limits = limits
  }

  /** True where all that is in the buffer is ASCII without NUL, so that no argument need be looked at for that. */
  get plain(): boolean {
    return this.#plain
  }

  /** Bytes that have arrived and are part of no request yet that was given out. */
  get bufferedBytes(): number {
    const declared = Math.max(this.#length, 0)
    return this.#end - this.#at + this.#requestBytes - declared
  }

  /** A request has begun and is not complete: perhaps with bytes that are buffered, perhaps with its header alone. */
  get isWithinRequest(): boolean {
    return this.#missing > 0 || this.#end > this.#at
  }

  push(chunk: Buffer): void {
    const plain = isPlain(chunk)
    if (this.#at === this.#end) {
      this.#buffer = chunk
      this.#own = false
      this.#at = 0
      this.#end = chunk.length
      // Arguments of a request that is under way may be otherwise.
      this.#plain = plain && (this.#missing === 0 || this.#plain)
      return
    }
    this.#plain &&= plain
    const kept = this.#end - this.#at
    const needed = kept + chunk.length
    if (!this.#own || this.#end + chunk.length > this.#buffer.length) {
      // Grows by doubling what has really arrived, so that a large argument is copied a few times only.
      const grown =
        this.#own && needed <= this.#buffer.length / 2
          ? this.#buffer
          : Buffer.allocUnsafe(2 * needed)
      this.#buffer.copy(grown, 0, this.#at, this.#end)
      this.#buffer = grown
      this.#own = true
      this.#at = 0
      this.#end = kept
    }
    chunk.copy(this.#buffer, this.#end)
    this.#end += chunk.length
  }

  /** The next request's arguments, never empty; undefined where more bytes are needed. Throws ProtocolError. */
  next(): string[] | undefined {
    for (;;) {
      if (this.#missing === 0) {
        if (this.#at === this.#end) return undefined
        if (this.#buffer[this.#at] !== asterisk) {
          const words = this.#inline()
          if (words === undefined) return undefined
          if (words.length > 0) return words
          continue
        }
        if (!this.#header()) return undefined
        if (this.#missing === 0) continue
      }
      while (this.#missing > 0) if (!this.#argument()) return undefined
      this.#requestBytes = 0
      return this.#arguments
    }
  }

  #header(): boolean {
    const line = this.#line('too big mbulk count string')
    if (line < 0) return false
    const count = integerIn(this.#buffer, this.#at + 1, line)
    if (count === undefined || count > 1024 * 1024) this.#fail('invalid multibulk length')
    if (count > this.limits.maxArguments) {
      this.#fail(this.#beyond('multibulk length', 'maxArguments'))
    }
    this.#advance(line)
    this.#missing = Math.max(count, 0)
    this.#arguments = roomFor(count)
    this.#count = 0
    this.#length = -1
    this.#requestBytes = 0
    return true
  }

  /** False where it has not arrived as a whole. */
  #argument(): boolean {
    if (this.#length < 0) {
      if (this.#at === this.#end) return false
      const line = this.#line('too big bulk count string')
      if (line < 0) return false
      const first = this.#buffer[this.#at] ?? 0
      if (first !== dollar) this.#fail(`expected '$', got '${String.fromCharCode(first)}'`)
      const length = integerIn(this.#buffer, this.#at + 1, line)
      if (length === undefined || length < 0) this.#fail('invalid bulk length')
      if (length > this.limits.maxBulkBytes) {
        this.#fail(this.#beyond('bulk length', 'maxBulkBytes'))
      }
      this.#advance(line)
      this.#requestBytes += length
      const { maxRequestBytes } = this.limits
      if (this.#requestBytes > maxRequestBytes) {
        this.#fail(`too big request, more than redis.maxRequestBytes (${maxRequestBytes})`)
      }
      this.#length = length
    }
    const end = this.#at + this.#length
    if (end + 2 > this.#end) return false
    const text = this.#text(end)
    this.#arguments[this.#count++] = text
    // Like Redis, without a look at the two bytes behind it.
    this.#at = end + 2
    this.#length = -1
    this.#missing--
    return true
  }

  /**
   * Most requests have the name of the one before. Then it is the same string, which costs less to compare than to make, and
   * whose hash is known where the command is looked up.
   */
  #text(end: number): string {
    const first = this.#count === 0
    if (first && this.#isName(end)) return this.#name
    const text = latin1Of(this.#buffer, this.#at, end)
    if (first && text.length <= maxNameBytes) this.#name = text
    return text
  }

  #isName(end: number): boolean {
    const name = this.#name
    if (end - this.#at !== name.length) return false
    for (let at = 0; at < name.length; at++) {
      if (this.#buffer[this.#at + at] !== name.charCodeAt(at)) return false
    }
    return true
  }

  /** Where the next line ends (its CR, or LF), or -1 where it has not arrived. */
  #line(tooLong: string): number {
    const buffer = this.#buffer
    for (let at = this.#at, last = Math.min(this.#end, at + 32); at < last; at++) {
      if (buffer[at] !== lineFeed) continue
      return at > this.#at && buffer[at - 1] === carriageReturn ? at - 1 : at
    }
    const found = buffer.indexOf(lineFeed, this.#at)
    if (found >= 0 && found < this.#end) {
      if (found - this.#at > maxLineBytes) this.#fail(tooLong)
      return buffer[found - 1] === carriageReturn && found > this.#at ? found - 1 : found
    }
    if (this.#end - this.#at > maxLineBytes) this.#fail(tooLong)
    return -1
  }

  /** Behind the line that ends at `line`. */
  #advance(line: number): void {
    this.#at = this.#buffer[line] === carriageReturn ? line + 2 : line + 1
  }

  #inline(): string[] | undefined {
    // The start of a handshake may have no end of line, and then both sides would wait.
    if (this.#startsHandshake()) this.#fail('TLS, on a port that speaks plain text')
    const line = this.#line('too big inline request')
    if (line < 0) return undefined
    const words = splitWords(latin1Of(this.#buffer, this.#at, line))
    if (words === undefined) this.#fail('unbalanced quotes in request')
    if (words.length > this.limits.maxArguments) this.#fail('too big inline request')
    this.#advance(line)
    return words
  }

  /** A record of TLS: type 22, version 3.x. No command begins like that. */
  #startsHandshake(): boolean {
    return (
      this.#end - this.#at >= 2 && this.#buffer[this.#at] === 22 && this.#buffer[this.#at + 1] === 3
    )
  }

  /** Redis's words, and which option it is that those who are known have come up against. */
  #beyond(what: string, limit: 'maxArguments' | 'maxBulkBytes'): string {
    if (!this.authenticated) return `unauthenticated ${what}`
    return `invalid ${what}, more than redis.${limit} (${this.limits[limit]})`
  }

  #fail(reason: string): never {
    throw new ProtocolError(`ERR Protocol error: ${reason}`)
  }
}

/** As long as it will be, for requests of the usual length: an array that grows begins with room for seventeen. */
function roomFor(count: number): string[] {
  switch (count) {
    case 2:
      return ['', '']
    case 3:
      return ['', '', '']
    case 4:
      return ['', '', '', '']
    default:
      return []
  }
}

function isPlain(chunk: Buffer): boolean {
  return isAscii(chunk) && !chunk.includes(0)
}

/** In canonical form, as Redis reads it: no plus sign, no leading zeros, nothing around it. */
function integerIn(buffer: Buffer, start: number, end: number): number | undefined {
  let at = start
  const negative = buffer[at] === 45
  if (negative) at++
  const digits = end - at
  if (digits < 1 || digits > 15) return undefined
  if (buffer[at] === 48 && (digits > 1 || negative)) return undefined
  let value = 0
  for (; at < end; at++) {
    const digit = (buffer[at] ?? 0) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return negative ? -value : value
}

const isSpace = (character: string | undefined): boolean =>
  character !== undefined && /[\s\0]/.test(character)
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  a: '\u0007',
}

/** As redis-cli splits a line: words, "double quotes" with escapes, 'single quotes'. undefined where they do not match. */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = []
  let at = 0
  for (;;) {
    while (at < line.length && isSpace(line[at])) at++
    if (at >= line.length) return words
    let word = ''
    let quote = ''
    for (; ; at++) {
      const character = line[at]
      if (character === undefined) {
        if (quote !== '') return undefined
        break
      }
      if (quote === '') {
        if (isSpace(character)) break
        if (character === '"' || character === "'") quote = character
        else word += character
      } else if (character === quote) {
        // A closing quote must be followed by a space, or by nothing.
        if (at + 1 < line.length && !isSpace(line[at + 1])) return undefined
        at++
        break
      } else if (character === '\\' && quote === '"') {
        const hex = /^x([0-9a-fA-F]{2})/.exec(line.slice(at + 1, at + 4))
        if (hex === null) {
          const escaped = line[++at]
          if (escaped === undefined) return undefined
          word += escapes[escaped] ?? escaped
        } else {
          word += String.fromCharCode(Number.parseInt(hex[1] ?? '', 16))
          at += 3
        }
      } else if (character === '\\' && quote === "'" && line[at + 1] === "'") {
        word += "'"
        at++
      } else word += character
    }
    words.push(word)
  }
}
