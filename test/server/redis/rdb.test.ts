/** The format of payloads: what is read of it, what is refused, and what is written. */

import { describe, expect, test } from 'vitest'
import { crc64 } from '../../../src/server/redis/rdb/crc64.ts'
import { withFooter, withoutFooter } from '../../../src/server/redis/rdb/footer.ts'
import { unpackLzf } from '../../../src/server/redis/rdb/lzf.ts'
import { readValue } from '../../../src/server/redis/rdb/read-value.ts'
import type { RdbValue } from '../../../src/server/redis/rdb/value.ts'
import { payloadOf } from '../../../src/server/redis/rdb/write-value.ts'
import { corruptPayloads, oldPayloads } from './old-payloads.ts'

const limits = {
  maxBulkBytes: 1024 * 1024,
  maxRequestBytes: 2 * 1024 * 1024,
  maxArguments: 100_000,
}

function read(hex: string, of: Partial<typeof limits> = {}): RdbValue {
  return readValue(Buffer.from(hex, 'hex'), { ...limits, ...of })
}

describe('what is read', () => {
  test.each(oldPayloads)('%s', (_name, hex, value) => {
    expect(read(hex)).toEqual(value)
  })

  test('every encoding of an integer and a string in a listpack', () => {
    // 127, -1, 4095, -4096, -32768, 2^23 - 1, -2^31, 2^63 - 1, 70 and 5000 bytes
    const entries = [
      ...['7f01', 'dfff02', 'cfff02', 'd00002', 'f1008003', 'f2ffff7f04', 'f30000008005'],
      ...[
        'f4ffffffffffffff7f09',
        `e046${'61'.repeat(70)}48`,
        `f088130000${'62'.repeat(5000)}278d`,
        '8001',
      ],
    ].join('')
    const length = entries.length / 2 + 7
    const size = Buffer.alloc(4)
    size.writeUInt32LE(length)
    const listpack = `${size.toString('hex')}0b00${entries}ff`
    size.writeUInt32BE(length)
    expect(read(`12010280${size.toString('hex')}${listpack}`)).toEqual({
      type: 'list',
      items: [
        ...['127', '-1', '4095', '-4096', '-32768', '8388607', '-2147483648'],
        ...['9223372036854775807', 'a'.repeat(70), 'b'.repeat(5000), ''],
      ],
    })
  })

  test('every encoding of an integer and a string in a ziplist', () => {
    const all = [
      ...[
        '00fe80',
        '03c0ff7f',
        '04f0000080',
        '05d000000080',
        '06e00000000000000080',
        '0af1',
        '02fd',
      ],
      ...[`024046${'61'.repeat(70)}`, `498000001388${'62'.repeat(5000)}`, 'fe8e13000000', '0600'],
    ]
    const before = all.slice(0, -1).reduce((sum, entry) => sum + entry.length / 2, 10)
    const body = all.join('')
    const head = Buffer.alloc(10)
    head.writeUInt32LE(body.length / 2 + 11, 0)
    head.writeUInt32LE(before, 4)
    head.writeUInt16LE(all.length, 8)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length / 2 + 11)
    expect(read(`0a80${length.toString('hex')}${head.toString('hex')}${body}ff`)).toEqual({
      type: 'list',
      items: [
        ...['-128', '32767', '-8388608', '-2147483648', '-9223372036854775808', '0', '12'],
        ...['a'.repeat(70), 'b'.repeat(5000), '', ''],
      ],
    })
  })

  test('what is left behind the value is not looked at, as in Redis', () => {
    expect(read('00016100')).toEqual({ type: 'string', text: 'a' })
  })
})

describe('what is refused', () => {
  test.each(corruptPayloads)('%s', (_name, hex) => {
    expect(() => read(hex)).toThrow('ERR Bad data format')
  })

  test.each([
    ['an intset that is not in order', '0b0e0200000003000000010003000200'],
    ['an intset of 3 bytes each', '0b0b0300000001000000010000'],
    ['NaN as a double', '05010161000000000000f87f'],
    ['NaN as a decimal', '03010161fd'],
    ['a score of a listpack that is none', '110d0d0000000200816102817802ff'],
    ['a sorted set whose member is there twice', '05020161000000000000f03f0161000000000000f03f'],
    [
      'a listpack whose entry is not as long as its end says',
      '14080800000001000103ff'.replace('08', '09'),
    ],
    ['a field without a value', '100a0a0000000100816102ff'],
    ['packed bytes that reach back before their beginning', '00c30320032000'],
    ['packed bytes of another length than declared', '00c30305026162'],
    ['an unknown kind of string', '00c4'],
    ['an unknown kind of length', '0082'],
    ['a node of an unknown kind', '1201030161'],
  ])('%s', (_name, hex) => {
    expect(() => read(hex)).toThrow('ERR Bad data format')
  })

  test.each(['0f00', '1300', '1500'])('a stream (%s), by name', (hex) => {
    expect(() => read(hex)).toThrow('ERR Bad data format: it is a stream')
  })

  test('what grows beyond the limits of a request while it is unpacked', () => {
    const packed = 'c3094089016161e07c00016161'
    expect(() => read(`00${packed}`, { maxBulkBytes: 136 })).toThrow(
      'ERR the value of the payload is beyond redis.maxBulkBytes',
    )
    expect(() => read(`0102${packed}${packed}`, { maxRequestBytes: 273 })).toThrow(
      'ERR the value of the payload is beyond redis.maxRequestBytes',
    )
    expect(() => read('0103016101620163', { maxArguments: 2 })).toThrow(
      'ERR the value of the payload is beyond redis.maxArguments',
    )
    expect(read(`0102${packed}${packed}`, { maxRequestBytes: 274, maxBulkBytes: 137 })).toEqual({
      type: 'list',
      items: ['a'.repeat(137), 'a'.repeat(137)],
    })
  })

  test('a length that the packed bytes could not make, before memory is taken for it', () => {
    expect(() => unpackLzf(Buffer.from('00ff', 'hex'), 2 ** 33)).toThrow('ERR Bad data format')
  })
})

describe('the checksum', () => {
  test('is the one of Redis', () => {
    expect(crc64(Buffer.from('123456789')).readBigUInt64LE()).toBe(0xe9c6d914c4b8d9can)
  })

  test('and the version must be right', () => {
    const body = Buffer.from('000161', 'hex')
    const payload = (version: number): Buffer =>
      Buffer.from(withFooter(body.toString('latin1'), version), 'latin1')
    expect(withoutFooter(payload(1))).toEqual(body)
    expect(withoutFooter(payload(11))).toEqual(body)
    expect(withoutFooter(payload(12))).toBeUndefined()
    for (const at of payload(6).keys()) {
      const flipped = payload(6)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      expect(withoutFooter(flipped)).toBeUndefined()
    }
    expect(withoutFooter(Buffer.alloc(9))).toBeUndefined()
  })
})

test('what is written is read back', () => {
  const long = 'x'.repeat(20_000)
  const values: RdbValue[] = [
    { type: 'string', text: '' },
    { type: 'string', text: long },
    { type: 'list', items: ['', '1', long, '1'] },
    { type: 'set', members: new Set(['', '1', '\xff\x00']) },
    {
      type: 'hash',
      fields: new Map([
        ['', ''],
        ['a', long],
      ]),
    },
    {
      type: 'zset',
      scores: new Map([
        ['', 0.1],
        ['a', Infinity],
        ['b', -1e300],
      ]),
    },
    { type: 'list', items: Array.from({ length: 20_000 }, (_, index) => String(index)) },
  ]
  for (const value of values) {
    const body = withoutFooter(Buffer.from(payloadOf(value), 'latin1'))
    expect(readValue(body ?? Buffer.alloc(0), limits)).toEqual(value)
  }
})
