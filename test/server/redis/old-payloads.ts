/**
 * Payloads as older versions of Redis have written them, without what stands behind the value: those of the files that Redis's
 * own tests load (tests/assets), byte for byte, and what they hold.
 */

import type { RdbValue } from '../../../src/server/redis/rdb/value.ts'

const listItems = ['1', '2', '3', 'a', 'b', 'c', '100000', '6000000000']

export const oldPayloads: readonly (readonly [name: string, hex: string, value: RdbValue])[] = [
  ['a string', '000b48656c6c6f20576f726c64', { type: 'string', text: 'Hello World' }],
  ['an integer', '00c00a', { type: 'string', text: '10' }],
  [
    'a string packed with LZF',
    '00c3094089016161e07c00016161',
    { type: 'string', text: 'a'.repeat(137) },
  ],
  [
    'a linked list',
    `0118${'c001c002c003016101620163c2a08601000a36303030303030303030'.repeat(3)}`,
    { type: 'list', items: [...listItems, ...listItems, ...listItems] },
  ],
  [
    'a list that is a ziplist',
    '0a303000000025000000080000c0010004c0020004c0030004016103016203016303d0a086010006e000bca06501000000ff',
    { type: 'list', items: listItems },
  ],
  ['a quicklist of ziplists', '0e010d0d0000000a000000010000f8ff', { type: 'list', items: ['7'] }],
  [
    'a set',
    '02080a36303030303030303030c2a08601000161c0010162c0020163c003',
    {
      type: 'set',
      members: new Set(['6000000000', '100000', 'a', '1', 'b', '2', 'c', '3']),
    },
  ],
  [
    'an intset of 16 bits',
    '0b1002000000040000000100020003000400',
    { type: 'set', members: new Set(['1', '2', '3', '4']) },
  ],
  [
    'an intset of 32 bits',
    '0b180400000004000000a0860100400d0300e0930400801a0600',
    { type: 'set', members: new Set(['100000', '200000', '300000', '400000']) },
  ],
  [
    'an intset of 64 bits',
    '0b38080000000600000000ca9a3b000000000094357700000000005ed0b20000000000286bee0000000000f2052a0100000000bca06501000000',
    {
      type: 'set',
      members: new Set([1, 2, 3, 4, 5, 6].map((billions) => `${billions}000000000`)),
    },
  ],
  [
    'a sorted set with decimal scores',
    '030c026262023230026363023330036262620332303004626262620a353030303030303030300363636303333030046363636309313233343536373839016101310261610231300162013203616161033130300163013304616161610431303030',
    {
      type: 'zset',
      scores: new Map([
        ...([
          ['bb', 20],
          ['cc', 30],
          ['bbb', 200],
          ['bbbb', 5_000_000_000],
          ['ccc', 300],
          ['cccc', 123_456_789],
        ] as const),
        ...([
          ['a', 1],
          ['aa', 10],
          ['b', 2],
          ['aaa', 100],
          ['c', 3],
          ['aaaa', 1000],
        ] as const),
      ]),
    },
  ],
  [
    'a sorted set with infinite scores',
    '03020161ff0162fe',
    {
      type: 'zset',
      scores: new Map([
        ['a', -Infinity],
        ['b', Infinity],
      ]),
    },
  ],
  [
    'a sorted set that is a ziplist',
    '0c20200000001b000000060000016103c0010004016203c0020004016303c00300ff',
    {
      type: 'zset',
      scores: new Map([
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ]),
    },
  ],
  [
    'a sorted set that is a ziplist of Redis 6',
    '0c191900000016000000040000036f6e6505f2020374776f05f3ff',
    {
      type: 'zset',
      scores: new Map([
        ['one', 1],
        ['two', 2],
      ]),
    },
  ],
  [
    'a hash',
    '040b0162c002026161c00a0163c00303616161c064026262c014026363c01e03626262c1c80003636363c12c0103646464c19001036565650a353030303030303030300161c001',
    {
      type: 'hash',
      fields: new Map([
        ...([
          ['b', '2'],
          ['aa', '10'],
          ['c', '3'],
          ['aaa', '100'],
          ['bb', '20'],
          ['cc', '30'],
        ] as const),
        ...([
          ['bbb', '200'],
          ['ccc', '300'],
          ['ddd', '400'],
          ['eee', '5000000000'],
          ['a', '1'],
        ] as const),
      ]),
    },
  ],
  [
    'a hash that is a zipmap',
    '0910020266310200763102663202007632ff',
    {
      type: 'hash',
      fields: new Map([
        ['f1', 'v1'],
        ['f2', 'v2'],
      ]),
    },
  ],
  [
    'a hash that is a ziplist',
    '0d1b1b00000016000000040000026631040276310402663204027632ff',
    {
      type: 'hash',
      fields: new Map([
        ['f1', 'v1'],
        ['f2', 'v2'],
      ]),
    },
  ],
  // Of Redis 7.2: no file of Redis 7.0 has one.
  [
    'a set that is a listpack',
    '140d0d0000000200010182616203ff',
    { type: 'set', members: new Set(['1', 'ab']) },
  ],
]

/** What Redis's own tests of corrupt payloads must have refused (integration/corrupt-dump), without what stands behind it. */
export const corruptPayloads: readonly (readonly [name: string, hex: string])[] = [
  [
    'an entry of a ziplist that is longer than the ziplist',
    '0d1b1b00000016000000040000026100040262000414630004026400ff',
  ],
  [
    'a ziplist that says another length',
    '0d1b2500000016000000040000026100040262000402630004026400ff',
  ],
  [
    'a field of a ziplist that is there twice',
    '0d1b1b00000016000000040000026100040262000402610004026400ff',
  ],
  [
    'an entry before that is said to be longer than it is',
    '0e0113130000000e0000000200000261000e026200ff',
  ],
  ['a ziplist that says another number of entries', '0e0113130000000e00000003000002610004026200ff'],
  ['a list of an empty ziplist', '0e010b0b0000000a0000000000ff'],
  ['an item without a byte', '12010100'],
  ['a listpack with bytes behind its end', '1201020b0b0000000100816102ffff'],
  ['a ziplist longer than all there is', '0a800000001041414141414141410200008041414141'],
  [
    'a field of a listpack that is there twice',
    '101717000000040082610003826200038261000382640003ff',
  ],
  ['a field of a hash that is there twice', '04020161016201610164'],
  ['a zipmap without a field', '090200ff'],
  ['a string that ends before it is packed', '0203025f31c002c300'],
  [
    'a member of a set that is there twice',
    '020a025f39c006025f31c000c004025f35c002c008025f31025f33',
  ],
  ['a decimal score that is none', '030111110000000a000000010000d0071ae902ff'],
  ['a string of 2^63 bytes', '0a817fffffffffffffff130000000e00000002000002610004026200ff'],
  ['a set of more members than any memory has', '0281025f31c000c002'],
  ['a last entry that begins elsewhere', '0c191900000002000000060000f102f102025f3104f202f302f3ff'],
  ['a string of more bytes than there are', '008101'],
  ['no member at all', '0500'],
  ['no value at all', ''],
  ['a type that there is not', '16017f'],
  ['a module', '0701'],
]
