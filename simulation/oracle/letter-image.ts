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

/** Where reading stopped: the next line begins there, and links to the one before it. */
export interface LettersEnd {
  readonly offset: number
  readonly link: number
}

export const lettersStart: LettersEnd = { offset: 0, link: 0 }

/** Whole lines from `start` on, without the first line of the file, and where they end. */
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
    if (image.toString('latin1', offset, offset + 8) !== checksum.toString(16).padStart(8, '0'))
      break
    const text = checked.toString('utf8', checked.indexOf(32, 1) + 1)
    if (offset > 0) lines.push(JSON.parse(text) as LetterLine)
    offset = lineEnd + 1
    link = checksum
  }
  return { lines, end: { offset, link } }
}
