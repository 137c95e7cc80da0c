/** Target: payloads of RESTORE, whose checksum is always right. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { withFooter, withoutFooter } from '../../src/server/redis/rdb/footer.ts'
import { readValue } from '../../src/server/redis/rdb/read-value.ts'
import type { RdbValue } from '../../src/server/redis/rdb/value.ts'
import { payloadOf } from '../../src/server/redis/rdb/write-value.ts'
import { RedisError } from '../../src/server/redis/redis-error.ts'
import { anyDamage, damaged } from '../damage.ts'
import { fuzzTarget } from '../fuzz-target.ts'

const limits = { maxBulkBytes: 4096, maxRequestBytes: 8192, maxArguments: 500 }

/** One of each encoding, as Redis 2.6 to 7.2 write them, without what stands behind the value. */
const bodies = [
  ...['000b48656c6c6f20576f726c64', '00c00a', '00c186ff', '00c3094089016161e07c00016161'],
  '0108c001c002c003016101620163c2a08601000a36303030303030303030',
  '02080a36303030303030303030c2a08601000161c0010162c0020163c003',
  '03040262620232300263630233300161ff0162fe',
  '040201780179c0020178',
  '05020161000000000000f03f0162000000000000f0ff',
  '0910020266310200763102663202007632ff',
  '0a303000000025000000080000c0010004c0020004c0030004016103016203016303d0a086010006e000bca06501000000ff',
  '0b1002000000040000000100020003000400',
  '0b38080000000600000000ca9a3b000000000094357700000000005ed0b20000000000286bee0000000000f2052a0100000000bca06501000000',
  '0c20200000001b000000060000016103c0010004016203c0020004016303c00300ff',
  '0d1b1b00000016000000040000026631040276310402663204027632ff',
  '0e010d0d0000000a000000010000f8ff',
  '1013130000000400817802817902dfff02810002ff',
  '11121200000004008161020101817a02cfff02ff',
  '12020103616263020d0d0000000200010182616203ff',
  '120102c30e0d0c0d0000000200010182616203ff',
  '140d0d0000000200010182616203ff',
  // 5,000 times an `a`, which is beyond the limits.
  `00c33b53880061${'e0ff00'.repeat(18)}e0ee00`,
].map((hex) => Buffer.from(hex, 'hex'))

const given = fc.record({
  body: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...bodies) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(fc.integer({ min: 0, max: 21 }), fc.uint8Array({ maxLength: 60 }))
        .map(([type, bytes]) => Buffer.from([type, ...bytes])),
    },
  ),
  damages: fc.array(anyDamage, { maxLength: 2 }),
})

export const redisPayloadsTarget = fuzzTarget(given, {
  name: 'redis-payloads',
  doc: 'A payload of RESTORE is a value of bounded size, which DUMP and RESTORE keep, or is refused with an error of Redis.',
  cases: 20_000,
  outcomes: ['string', 'list', 'set', 'hash', 'zset', 'bad', 'stream', 'beyond'],
  check({ body, damages }) {
    let bytes: Uint8Array = body
    for (const damage of damages) bytes = damaged(bytes, damage)
    const payload = Buffer.from(withFooter(Buffer.from(bytes).toString('latin1'), 10), 'latin1')
    const checked = withoutFooter(payload)
    assert.ok(checked !== undefined && checked.equals(bytes))
    const value = valueOrRefusal(checked)
    if (typeof value === 'string') return value
    assert.ok(elementsOf(value) <= limits.maxArguments)
    const again = withoutFooter(Buffer.from(payloadOf(value), 'latin1'))
    assert.deepEqual(readValue(again ?? Buffer.alloc(0), limits), value)
    return value.type
  },
})

function valueOrRefusal(body: Buffer): RdbValue | string {
  try {
    return readValue(body, limits)
  } catch (error) {
    assert.ok(error instanceof RedisError, 'Anything but an error of Redis is a mistake.')
    if (error.message.includes('beyond redis.')) return 'beyond'
    if (error.message.includes('stream')) return 'stream'
    assert.equal(error.message, 'ERR Bad data format')
    return 'bad'
  }
}

function elementsOf(value: RdbValue): number {
  switch (value.type) {
    case 'string':
      return 1
    case 'list':
      return value.items.length
    case 'set':
      return value.members.size
    case 'hash':
      return value.fields.size * 2
    case 'zset':
      return value.scores.size
  }
}
