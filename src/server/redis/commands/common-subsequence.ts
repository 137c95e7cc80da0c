/** LCS: the longest common subsequence of two strings, by the usual table of lengths. */

import { argumentOf, type Call } from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError } from '../redis-error.ts'
import { bulk, integer } from '../reply.ts'

/** Cells of the table: the command holds up everyone while it fills them, for a tenth of a second at most. */
const maxCells = 16 * 1024 * 1024

interface Match {
  readonly first: readonly [number, number]
  readonly second: readonly [number, number]
}

export function commonSubsequence(call: Call, first: string, second: string): string {
  let onlyLength = false
  let asIndexes = false
  let withLengths = false
  let least = 0
  for (let at = 3; at < call.args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (option === 'len') onlyLength = true
    else if (option === 'idx') asIndexes = true
    else if (option === 'withmatchlen') withLengths = true
    else if (option === 'minmatchlen' && at + 1 < call.args.length) {
      const value = safeIntegerOf(argumentOf(call, ++at))
      if (value === undefined) throw notAnInteger()
      least = Math.max(0, value)
    } else throw syntaxError()
  }
  if (onlyLength && asIndexes) {
    throw new RedisError('ERR If you want both the length and indexes, please just use IDX.')
  }
  const width = second.length + 1
  if ((first.length + 1) * width > maxCells) {
    throw new RedisError(
      'ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len',
    )
  }
  const lengths = new Uint32Array((first.length + 1) * width)
  for (let i = 1; i <= first.length; i++) {
    for (let j = 1; j <= second.length; j++) {
      lengths[i * width + j] =
        first[i - 1] === second[j - 1]
          ? (lengths[(i - 1) * width + j - 1] ?? 0) + 1
          : Math.max(lengths[(i - 1) * width + j] ?? 0, lengths[i * width + j - 1] ?? 0)
    }
  }
  const length = lengths[first.length * width + second.length] ?? 0
  if (onlyLength) return integer(length)
  const { text, matches } = walkBack(first, second, lengths, width)
  if (!asIndexes) return bulk(text)
  const shown = matches.filter((match) => match.first[1] - match.first[0] + 1 >= least)
  const range = ([from, to]: readonly [number, number]): string =>
    `*2\r\n${integer(from)}${integer(to)}`
  const items = shown.map((match) => {
    const ranges = range(match.first) + range(match.second)
    const size = match.first[1] - match.first[0] + 1
    return withLengths ? `*3\r\n${ranges}${integer(size)}` : `*2\r\n${ranges}`
  })
  return `${call.protocol.map(2)}${bulk('matches')}*${items.length}\r\n${items.join('')}${bulk('len')}${integer(length)}`
}

/** From the end to the beginning: the text, and the ranges of adjacent matches as Redis cuts them. */
function walkBack(
  first: string,
  second: string,
  lengths: Uint32Array,
  width: number,
): { text: string; matches: Match[] } {
  const characters: string[] = []
  const matches: Match[] = []
  let open: { a: [number, number]; b: [number, number] } | undefined
  const close = (): void => {
    if (open !== undefined) matches.push({ first: open.a, second: open.b })
    open = undefined
  }
  let i = first.length
  let j = second.length
  while (i > 0 && j > 0) {
    if (first[i - 1] === second[j - 1]) {
      characters.push(first[i - 1] ?? '')
      if (open !== undefined && open.a[0] === i && open.b[0] === j) {
        open.a[0]--
        open.b[0]--
      } else {
        close()
        open = { a: [i - 1, i - 1], b: [j - 1, j - 1] }
      }
      i--
      j--
    } else {
      const up = lengths[(i - 1) * width + j] ?? 0
      const left = lengths[i * width + j - 1] ?? 0
      if (up > left) i--
      else j--
      close()
    }
  }
  close()
  return { text: characters.reverse().join(''), matches }
}
