/** Target: requests of the Redis protocol, as bytes in chunks. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  ProtocolError,
  RequestParser,
  splitWords,
  strangerLimits,
  type ParserLimits,
} from '../../src/server/redis/request-parser.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'

const mebibyte = 1024 * 1024

const limits: fc.Arbitrary<ParserLimits> = fc.constantFrom(
  { maxBulkBytes: 32, maxArguments: 5, maxRequestBytes: 64 },
  // What is declared may be enormous, and what arrives is not.
  { maxBulkBytes: 512 * mebibyte, maxArguments: mebibyte, maxRequestBytes: 1024 * mebibyte },
  strangerLimits,
)

const word = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))

function arrayOf(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((text) => `$${text.length}\r\n${text}\r\n`).join('')}`
}

const piece: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.array(word, { minLength: 1, maxLength: 6 }).map(arrayOf) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('PING\r\n', 'GET "a\\x41" \'b\'\n', '\r\n', '\n', ' \0\t\r\n'),
  },
  word,
  fc.constantFrom(
    ...['*', '$', '\r', '\n', '\r\n', '*-1\r\n', '*0\r\n', '*1\r\n$-1\r\n', '*1\r\n$0\r\n\r\n'],
    ...[
      '*1048577\r\n',
      '*1048576\r\n$536870912\r\n',
      '*2\r\n$3\r\nGET\r\n:1\r\n',
      '*01\r\n',
      '*-0\r\n',
    ],
    ...['*1\r$', '"', "'", '\\x', '\u0016\u0003\u0001', '\u0016', '*99999999999999999999\r\n'],
  ),
  fc.integer({ min: -2, max: 70 }).map((count) => `*${count}\r\n`),
  fc.integer({ min: -2, max: 70 }).map((length) => `$${length}\r\n`),
)

const stream = fc.record({
  limits,
  pieces: fc.array(piece, { maxLength: 8 }),
  damages: fc.array(anyDamage, { maxLength: 2 }),
  cuts: fc.array(fc.nat(400), { maxLength: 20 }),
})

export const redisRequestsTarget = fuzzTarget(stream, {
  name: 'redis-requests',
  doc: 'Requests come out as a slow reader of the grammar reads them, wherever the stream is cut, and nothing is allocated for what is only declared.',
  cases: 20_000,
  outcomes: ['complete', 'waiting', 'protocol error'],
  check: ({ limits, pieces, damages, cuts }) => {
    const intact = Buffer.from(pieces.join(''), 'latin1')
    const bytes = Buffer.from(damages.reduce<Uint8Array>(damaged, intact))
    const expected = read(bytes.toString('latin1'), limits)
    const before = process.memoryUsage().arrayBuffers
    const found = parse(chunksOf(bytes, cuts), limits)
    const allocated = process.memoryUsage().arrayBuffers - before
    assert.ok(allocated < mebibyte, `${bytes.length} bytes made it allocate ${allocated}`)
    assert.deepEqual(found, expected)
    return expected.outcome
  },
})

interface Read {
  readonly requests: readonly (readonly string[])[]
  readonly outcome: 'complete' | 'waiting' | 'protocol error'
}

function chunksOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...at, bytes.length].map((end, index) => bytes.subarray(at[index - 1] ?? 0, end))
}

function parse(chunks: readonly Buffer[], limits: ParserLimits): Read {
  const parser = new RequestParser(limits)
  parser.authenticated = limits !== strangerLimits
  const requests: string[][] = []
  try {
    for (const chunk of chunks) {
      parser.push(chunk)
      for (let words = parser.next(); words !== undefined; words = parser.next()) {
        requests.push(words)
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { requests, outcome: 'protocol error' }
  }
  return { requests, outcome: parser.isWithinRequest ? 'waiting' : 'complete' }
}

/** The grammar, without a thought of speed: all the bytes are there, and each rule is a line. */
function read(text: string, limits: ParserLimits): Read {
  const requests: string[][] = []
  let at = 0
  const end = (outcome: Read['outcome']): Read => ({ requests, outcome })
  const line = (): string | undefined => {
    const feed = text.indexOf('\n', at)
    if (feed < 0) return undefined
    const found = text.slice(at, feed)
    at = feed + 1
    return found.endsWith('\r') ? found.slice(0, -1) : found
  }
  const numberIn = (digits: string): number =>
    /^(0|-?[1-9]\d{0,14})$/.test(digits) ? Number(digits) : NaN
  while (at < text.length) {
    if (text[at] !== '*') {
      if (text.startsWith('\u0016\u0003', at)) return end('protocol error')
      const inline = line()
      if (inline === undefined) return end('waiting')
      const words = splitWords(inline)
      if (words === undefined || words.length > limits.maxArguments) return end('protocol error')
      if (words.length > 0) requests.push(words)
      continue
    }
    const header = line()
    if (header === undefined) return end('waiting')
    const count = numberIn(header.slice(1))
    if (!(count <= limits.maxArguments)) return end('protocol error')
    const words: string[] = []
    let requestBytes = 0
    while (words.length < count) {
      const declared = line()
      if (declared === undefined) return end('waiting')
      const length = numberIn(declared.slice(1))
      if (declared[0] !== '$' || !(length >= 0)) return end('protocol error')
      requestBytes += length
      if (length > limits.maxBulkBytes || requestBytes > limits.maxRequestBytes) {
        return end('protocol error')
      }
      if (at + length + 2 > text.length) return end('waiting')
      words.push(text.slice(at, at + length))
      at += length + 2
    }
    if (words.length > 0) requests.push(words)
  }
  return end('complete')
}
