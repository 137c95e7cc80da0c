/** What is brought near is asked for together. */

import { expect, test } from 'vitest'

import type { Keyspace } from '../../../src/book/keyspace.ts'
import { maxNear, Near } from '../../../src/server/redis/near.ts'
import type { Fields } from '../../../src/mutation/mutation.ts'

function keyspace(values: ReadonlyMap<string, Fields> = new Map()): {
  readonly keyspace: Keyspace
  readonly asked: string[][]
} {
  const asked: string[][] = []
  const bringNear: Keyspace['bringNear'] = (keys, looks) => {
    asked.push([...keys])
    let sum = 0
    for (const [key, value] of values) {
      if (looks !== undefined && keys.includes(key)) sum += looks.atValue(value) + looks.into(value)
    }
    return sum
  }
  return { keyspace: { bringNear } as unknown as Keyspace, asked }
}

test('the keys of several requests are asked for in one go', () => {
  const near = new Near()
  const one = keyspace()
  for (const key of ['a', 'b', 'c']) near.add(one.keyspace, key, true)
  expect(near.keys).toBe(3)
  near.bring()
  expect(one.asked).toEqual([['a', 'b', 'c']])
  expect(near.keys).toBe(0)
  near.bring()
  expect(one.asked).toHaveLength(1)
})

test('one key alone is not worth a look', () => {
  const near = new Near()
  const one = keyspace()
  near.add(one.keyspace, 'a', true)
  near.bring()
  expect(one.asked).toEqual([])
  expect(near.keys).toBe(0)
})

test('another database is asked by itself, and no more at a time than stay in the cache', () => {
  const near = new Near()
  const [zero, one] = [keyspace(), keyspace()]
  near.add(zero.keyspace, 'a', true)
  near.add(zero.keyspace, 'b', true)
  for (let at = 0; at <= maxNear; at++) near.add(one.keyspace, `key-${at}`, true)
  near.bring()
  expect(zero.asked).toEqual([['a', 'b']])
  expect(one.asked.map((keys) => keys.length)).toEqual([maxNear])
})

test('texts are looked at where a request may read them', () => {
  const near = new Near()
  const values = new Map<string, Fields>([
    ['text', { '': 'x'.repeat(100) }],
    ['long', { '': 'y'.repeat(10_000) }],
    ['hash', { name: 'Ada' }],
    ['number', { '': 7 }],
  ])
  const one = keyspace(values)
  for (const key of [...values.keys(), 'nobody']) near.add(one.keyspace, key, false)
  expect(near.bring()).toBe(0)
  for (const key of [...values.keys(), 'nobody']) near.add(one.keyspace, key, true)
  // Three have one; of a text the first unit of each 64, at most four.
  expect(near.bring()).toBe(3 + 2 * 'x'.charCodeAt(0) + 4 * 'y'.charCodeAt(0))
})
