/** What a file of dead letters says, read by a decoder of its own. */

import { crc32 } from 'node:zlib'

export interface LetterLine {
  readonly letters?: readonly Letter[]
  readonly settled?: readonly string[]
  readonly outcome?: 'retried' | 'discarded' | 'withdrawn'
  readonly superseded?: readonly string[]
}

export interface Letter {
  readonly id: string
  readonly cache: string
  readonly key: string
  readonly lane: number
  readonly position: number
  readonly reason: 'rejected' | 'parked'
  readonly behind?: string
  readonly group?: string
  readonly retryOf?: string
  readonly superseded?: boolean
}

/** Where reading stopped: the next line begins there, and its checksum continues the one of the line before. */
export interface LettersEnd {
  readonly offset: number
  readonly link: number
}

export const lettersStart: LettersEnd = { offset: 0, link: 0 }

/**
 * Valid lines from `start` on, without the first line of the file. A seal is no line: the next one takes its place, and
 * may leave some of it behind itself.
 */
export function letterLinesFrom(
  bytes: Uint8Array,
  start: LettersEnd,
): { readonly lines: readonly LetterLine[]; readonly end: LettersEnd } {
  const image = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lines: LetterLine[] = []
  let { offset, link } = start
  for (;;) {
    const lineEnd = image.indexOf(10, offset)
    if (lineEnd === -1) break
    const checked = image.subarray(offset + 8, lineEnd)
    const checksum = crc32(checked, link)
    const digits = checksum.toString(16).padStart(8, '0')
    if (image.toString('latin1', offset, offset + 8) !== digits) break
    const text = checked.toString('utf8', checked.indexOf(32, 1) + 1)
    if (text.startsWith('{"sealed"')) break
    if (offset > 0) lines.push(JSON.parse(text) as LetterLine)
    offset = lineEnd + 1
    link = checksum
  }
  return { lines, end: { offset, link } }
}
