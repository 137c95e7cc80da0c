import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  ProtocolError,
  RequestParser,
  splitWords,
  strangerLimits,
  type ParserLimits,
} from '../../../src/server/redis/request-parser.ts'
import { requestOf } from './redis-fixture.ts'

const limits: ParserLimits = {
  maxBulkBytes: 1024 * 1024,
  maxArguments: 1024,
  maxRequestBytes: 2 * 1024 * 1024,
}

/** All requests in the chunks, and the error that ended them. */
function parsed(
  chunks: readonly (string | Buffer)[],
  given = limits,
): { requests: string[][]; error: string | undefined } {
  const parser = new RequestParser(given)
  parser.authenticated = given !== strangerLimits
  const requests: string[][] = []
  try {
    for (const chunk of chunks) {
      parser.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)
      for (let args = parser.next(); args !== undefined; args = parser.next()) requests.push(args)
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { requests, error: error.message }
  }
  return { requests, error: undefined }
}

function cut(text: string, at: readonly number[]): string[] {
  const places = [...new Set(at.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [...places, text.length].map((place, index) => text.slice(places[index - 1] ?? 0, place))
}

describe('the parser', () => {
  test('reads arrays of bulk strings, inline commands and empty lines', () => {
    const stream = `${requestOf(['SET', 'key', ''])}\r\nPING\r\n*0\r\n  GET   key \n*-1\r\n`
    expect(parsed([stream])).toEqual({
      requests: [['SET', 'key', ''], ['PING'], ['GET', 'key']],
      error: undefined,
    })
  })

  test('gives the same requests wherever the stream is cut, bytes as they are', () => {
    const word = fc
      .uint8Array({ maxLength: 40 })
      .map((bytes) => Buffer.from(bytes).toString('latin1'))
    const request = fc.array(word, { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 8 }),
        fc.array(fc.nat(2000), { maxLength: 30 }),
        (requests, places) => {
          const stream = requests.map(requestOf).join('')
          expect(parsed(cut(stream, places))).toEqual({ requests, error: undefined })
        },
      ),
      { numRuns: 500, seed: 7 },
    )
  })

  test('tells names apart that are nearly alike', () => {
    const names = ['GET', 'GET', 'SET', 'GEX', 'G', '', 'GETS', 'G\u00c5T', 'x'.repeat(40), 'GET']
    const requests = [...names, ...names].map((name) => [name, 'key'])
    expect(parsed([requests.map(requestOf).join('')])).toEqual({ requests, error: undefined })
  })

  test('whatever comes ends in requests, in waiting for more, or in a protocol error', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.constantFrom('*', '$', '\r\n', '*3\r\n', '$3\r\nGET\r\n', '$-1\r\n', '"', "'", '\\x', ' '),
      fc.integer().map((value) => `*${value}\r\n`),
      fc.integer().map((value) => `$${value}\r\n`),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const whole = parsed([pieces.join('')])
        // Where it is cut makes no difference to what is understood.
        expect(parsed([...pieces.join('')])).toEqual(whole)
      }),
      { numRuns: 2000, seed: 11 },
    )
  })

  test('takes no memory for a length that is only declared', () => {
    const parser = new RequestParser({
      ...limits,
      maxBulkBytes: 512 * 1024 * 1024,
      maxRequestBytes: 1e9,
    })
    parser.push(Buffer.from('*1\r\n$536870912\r\n'))
    expect(parser.next()).toBeUndefined()
    const before = process.memoryUsage()
    for (let chunk = 0; chunk < 16; chunk++) {
      parser.push(Buffer.alloc(1024, 'a'))
      expect(parser.next()).toBeUndefined()
    }
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers
    expect(grown).toBeLessThan(1024 * 1024)
  })

  test('knows that a request has begun, and counts what has arrived of it, not what is declared', () => {
    const parser = new RequestParser(limits)
    const seen = ['*2\r\n', '$3\r\n', 'GET', '\r\n$100000\r\n', 'abc'].map((chunk) => {
      parser.push(Buffer.from(chunk))
      expect(parser.next()).toBeUndefined()
      return [parser.isWithinRequest, parser.bufferedBytes]
    })
    expect(seen).toEqual([
      [true, 0],
      [true, 0],
      [true, 3],
      [true, 3],
      [true, 6],
    ])
    parser.push(Buffer.from('x'.repeat(99_997) + '\r\n'))
    expect(parser.next()?.length).toBe(2)
    expect([parser.isWithinRequest, parser.bufferedBytes]).toEqual([false, 0])
  })

  test.each([
    ['*3000000000\r\n', 'invalid multibulk length'],
    ['*1\r\nfoo\r\n', "expected '$', got 'f'"],
    ['*2\r\n$3\r\nGET\r\n:1\r\n', "expected '$', got ':'"],
    ['*1\r\n$-10\r\n', 'invalid bulk length'],
    ['*1\r\n$+3\r\n', 'invalid bulk length'],
    ['*1\r\n$03\r\n', 'invalid bulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*x\r\n', 'invalid multibulk length'],
    ['SET "key\r\n', 'unbalanced quotes in request'],
    ["SET 'a'b\r\n", 'unbalanced quotes in request'],
    [`*${'1'.repeat(70_000)}`, 'too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(70_000)}`, 'too big bulk count string'],
    ['x'.repeat(70_000), 'too big inline request'],
  ])('says of %j as Redis does: %s', (stream, reason) => {
    expect(parsed([stream])).toEqual({ requests: [], error: `ERR Protocol error: ${reason}` })
  })

  test('names the option that a request goes beyond, after the words of Redis', () => {
    expect(parsed(['*1\r\n$2000000000\r\n']).error).toBe(
      `ERR Protocol error: invalid bulk length, more than redis.maxBulkBytes (${limits.maxBulkBytes})`,
    )
    expect(parsed(['*1025\r\n']).error).toBe(
      `ERR Protocol error: invalid multibulk length, more than redis.maxArguments (${limits.maxArguments})`,
    )
  })

  test('lets those who have not authenticated send little', () => {
    expect(parsed(['*11\r\n'], strangerLimits).error).toMatch('unauthenticated multibulk length')
    expect(parsed(['*1\r\n$16385\r\n'], strangerLimits).error).toMatch(
      'unauthenticated bulk length',
    )
    expect(parsed([requestOf(['AUTH', 'x'.repeat(16_384)])], strangerLimits).requests).toHaveLength(
      1,
    )
  })

  test('bounds the request as a whole, too', () => {
    const large = 'x'.repeat(700_000)
    expect(parsed([requestOf(['MSET', large, large, large])]).error).toMatch('too big request')
  })

  test('knows where arguments are plain: ASCII without NUL', () => {
    const parser = new RequestParser(limits)
    parser.push(Buffer.from(requestOf(['GET', 'key']), 'latin1'))
    parser.next()
    expect(parser.plain).toBe(true)
    const [first = '', second = ''] = cut(requestOf(['GET', 'k\u00e9y']), [20])
    parser.push(Buffer.from(first, 'latin1'))
    expect(parser.next()).toBeUndefined()
    parser.push(Buffer.from(second, 'latin1'))
    expect(parser.next()).toEqual(['GET', 'k\u00e9y'])
    expect(parser.plain).toBe(false)
    // What is plain again is known as that, once nothing else is under way.
    parser.push(Buffer.from('PING\r\n'))
    parser.next()
    expect(parser.plain).toBe(true)
  })
})

describe('an inline command', () => {
  test.each([
    ['a b', ['a', 'b']],
    ['  a\tb  ', ['a', 'b']],
    ['"a b" c', ['a b', 'c']],
    ['"\\x41\\n\\"\\\\"', ['A\n"\\']],
    ["'it\\'s' \"\"", ["it's", '']],
    ['', []],
  ])('%j has the words %j', (line, words) => {
    expect(splitWords(line)).toEqual(words)
  })

  test.each(['"a', "'a", '"a"b', '"a\\'])('%j has quotes that do not match', (line) => {
    expect(splitWords(line)).toBeUndefined()
  })
})
