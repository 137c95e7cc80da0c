/**
 * Replies in the Redis protocol, version 2 or 3, as binary strings (one character for each byte).
 *
 *     +OK\r\n   -ERR …\r\n   :42\r\n   $3\r\nAda\r\n   *2\r\n…   and of version 3   _\r\n  #t\r\n  ,1.5\r\n  %1\r\n…  ~1\r\n…  >2\r\n…
 */

/** How one version of the protocol says what the other one has no word for. */
export interface Protocol {
  readonly version: 2 | 3
  readonly nil: string
  readonly nilArray: string
  /** What introduces `pairs` names and values. */
  map(pairs: number): string
  set(members: number): string
  push(items: number): string
  double(text: string): string
  boolean(value: boolean): string
  /** Text for people; `format` is txt or mkd. */
  verbatim(format: string, text: string): string
}

export const resp2: Protocol = {
  version: 2,
  nil: '$-1\r\n',
  nilArray: '*-1\r\n',
  map: (pairs) => `*${2 * pairs}\r\n`,
  set: (members) => `*${members}\r\n`,
  push: (items) => `*${items}\r\n`,
  double: (text) => bulk(text),
  boolean: (value) => (value ? ':1\r\n' : ':0\r\n'),
  verbatim: (_format, text) => bulk(text),
}

export const resp3: Protocol = {
  version: 3,
  nil: '_\r\n',
  nilArray: '_\r\n',
  map: (pairs) => `%${pairs}\r\n`,
  set: (members) => `~${members}\r\n`,
  push: (items) => `>${items}\r\n`,
  double: (text) => `,${text}\r\n`,
  boolean: (value) => (value ? '#t\r\n' : '#f\r\n'),
  verbatim: (format, text) => `=${text.length + 4}\r\n${format}:${text}\r\n`,
}

export const ok = '+OK\r\n'
export const queued = '+QUEUED\r\n'
export const zero = ':0\r\n'
export const one = ':1\r\n'
export const emptyArray = '*0\r\n'

/** What introduces strings of the usual lengths: to make it anew for each takes a twentieth of a GET in a pipeline. */
const heads = Array.from({ length: 1024 }, (_, length) => `$${length}\r\n`)

export function bulk(binary: string): string {
  const head = heads[binary.length] ?? `$${binary.length}\r\n`
  return `${head}${binary}\r\n`
}

export function simple(text: string): string {
  return `+${text}\r\n`
}

export function integer(value: number | bigint): string {
  return `:${value}\r\n`
}

export function failure(line: string): string {
  return `-${line}\r\n`
}

export function arrayOf(replies: readonly string[]): string {
  return `*${replies.length}\r\n${replies.join('')}`
}

export function bulks(values: readonly string[]): string {
  let reply = `*${values.length}\r\n`
  for (const value of values) reply += bulk(value)
  return reply
}
