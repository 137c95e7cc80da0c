import { describe, expect, test } from 'vitest'

import { keyHash } from '../../src/tier/key-hash.ts'
import { KeyIndex } from '../../src/tier/key-index.ts'
import { seededRandom } from '../../src/demo/seeded-random.ts'

interface Item {
  readonly key: string
  readonly serial: number
}

const hashes: Readonly<Record<string, (key: string) => number>> = {
  'the hash of keys': keyHash,
  'a hash that is the same for all keys': () => 7,
  'a hash of two values at the end of the table': (key) => 0xffff_fffe + (key.length % 2),
}

describe.each(Object.entries(hashes))('with %s', (_, hashOf) => {
  test('it knows what a Map knows, whatever is added and removed', () => {
    const random = seededRandom(20261126)
    const below = (bound: number): number => Math.floor(random() * bound)
    const index = new KeyIndex<Item, number>(hashOf)
    const model = new Map<string, Item>()
    const numbers = new Map<string, number>()
    for (let serial = 0; serial < 6000; serial++) {
      const key = `k${'x'.repeat(below(4))}${below(400)}`
      if (model.has(key) && below(2) === 0) {
        index.remove(key)
        model.delete(key)
      } else if (!model.has(key)) {
        const item = { key, serial }
        const number = index.add(item)
        expect(index.valueAt(number)).toBeUndefined()
        index.setValue(number, serial)
        numbers.set(key, number)
        model.set(key, item)
      }
      // What was found together is asked for next, in whatever order, and may be gone or another one by then.
      if (below(8) === 0) index.bringNear([...model.keys()].slice(0, below(8)), () => 0)
      for (const known of [...model.keys()].slice(0, below(4))) {
        expect(index.get(known)).toBe(model.get(known))
      }
      expect(index.get(key)).toBe(model.get(key))
      expect(index.size).toBe(model.size)
      if (serial % 500 === 0) {
        for (const [known, item] of model) {
          expect(index.get(known)).toBe(item)
          expect(index.valueAt(numbers.get(known) ?? 0)).toBe(item.serial)
        }
      }
    }
    for (const key of model.keys()) index.remove(key)
    expect(index.size).toBe(0)
  })

  test('removing what is not there changes nothing', () => {
    const index = new KeyIndex<Item, number>(hashOf)
    index.remove('a')
    index.add({ key: 'a', serial: 1 })
    index.remove('b')
    expect(index.size).toBe(1)
    expect(index.get('a')?.serial).toBe(1)
    expect(index.get('b')).toBeUndefined()
  })
})

test('it grows, and what was cleared is gone', () => {
  const index = new KeyIndex<Item, number>()
  for (let serial = 0; serial < 10_000; serial++) index.add({ key: `key:${serial}`, serial })
  for (let serial = 0; serial < 10_000; serial++) {
    expect(index.get(`key:${serial}`)?.serial).toBe(serial)
  }
  index.clear()
  expect(index.size).toBe(0)
  expect(index.get('key:1')).toBeUndefined()
  index.add({ key: 'key:1', serial: 2 })
  expect(index.get('key:1')?.serial).toBe(2)
})

test('many keys are looked at step by step: their items, then their values', () => {
  const index = new KeyIndex<Item, number>()
  for (let serial = 0; serial < 1000; serial++) {
    const number = index.add({ key: `key:${serial}`, serial })
    if (serial !== 999) index.setValue(number, -serial)
  }
  const seen: number[] = []
  const see = (number: number): number => {
    seen.push(number)
    return number
  }
  const keys = ['key:7', 'nobody', 'key:999', 'key:31', 'key:7']
  const sum = index.bringNear(keys, (item) => see(item.serial), {
    atValue: see,
    into: (value) => see(10 * value),
  })
  expect(seen).toEqual([7, 999, 31, 7, -7, -31, -7, -70, -310, -70])
  // With the lengths of the keys that there are.
  expect(sum).toBe(seen.reduce((a, b) => a + b) + 5 + 7 + 6 + 5)
  expect(index.bringNear(['nobody else'], (item) => item.serial)).toBe(0)
  for (const key of keys) expect(index.get(key)?.key).toBe(key === 'nobody' ? undefined : key)
})

test('the hash tells keys apart by every unit, its place, and the length', () => {
  const keys = [
    ...['', 'a', 'b', 'aa', 'ab', 'ba', '\0', '\0\0', 'á', '\u0161', '\u0061', '\u6101'],
    // Beyond one block: equal blocks in another order.
    ...[`${'a'.repeat(16)}${'b'.repeat(16)}`, `${'b'.repeat(16)}${'a'.repeat(16)}`],
    ...['a'.repeat(16), 'a'.repeat(17), 'a'.repeat(32), 'a'.repeat(33)],
  ]
  expect(new Set(keys.map(keyHash)).size).toBe(new Set(keys).size)
  for (const key of keys) {
    expect(keyHash(key)).toBe(keyHash(`${key} `.slice(0, -1)))
    expect(Number.isInteger(keyHash(key)) && keyHash(key) >= 0 && keyHash(key) < 2 ** 32).toBe(true)
  }
})

test('the hash spreads keys that are alike over the low bits, which choose the slot', () => {
  const buckets = new Uint32Array(1024)
  for (let serial = 0; serial < 102_400; serial++) {
    const bucket = keyHash(`key:${String(serial).padStart(12, '0')}`) % 1024
    buckets[bucket] = (buckets[bucket] as number) + 1
  }
  // 100 in each, on average; the spread of a random hash is 10.
  expect(Math.max(...buckets)).toBeLessThan(180)
  expect(Math.min(...buckets)).toBeGreaterThan(40)
})
