import { describe, expect, test } from 'vitest'

import { tierSuite } from '../../src/testing/tier-suite.ts'
import { MemoryTier } from '../../src/tier/memory-tier.ts'

tierSuite('memory', { describe, test }, (maxBytes) => new MemoryTier(maxBytes))

function entryOf(bytes: number, position = 1) {
  return { value: undefined, position, expiresAt: Infinity, flat: true, bytes }
}

test('what was read since the last eviction outlives what was not', () => {
  const tier = new MemoryTier(30)
  for (const key of ['a', 'b', 'c']) tier.put(key, entryOf(10))
  tier.get('a')
  tier.put('d', entryOf(10))
  expect([...tier.keys()]).toEqual(['a', 'c', 'd'])
  // The hand is past a, whose bit it has cleared: c goes next, and then, a round later, a.
  tier.get('d')
  tier.put('e', entryOf(10))
  expect([...tier.keys()]).toEqual(['a', 'd', 'e'])
  tier.get('e')
  tier.put('f', entryOf(10))
  expect([...tier.keys()]).toEqual(['d', 'e', 'f'])
})

test('a scan of keys that are read once does not push out those that are read again', () => {
  const tier = new MemoryTier(100)
  for (let key = 0; key < 5; key++) tier.put(`hot-${key}`, entryOf(10))
  for (let round = 0; round < 50; round++) {
    for (let key = 0; key < 5; key++) expect(tier.get(`hot-${key}`)).toBeDefined()
    for (let key = 0; key < 5; key++) tier.put(`once-${round}-${key}`, entryOf(10))
  }
})

test('an entry past its time stays: expiry is for the reader to see', () => {
  const tier = new MemoryTier(30)
  tier.put('a', { ...entryOf(10), expiresAt: 0 })
  expect(tier.get('a')?.expiresAt).toBe(0)
})

test('an entry that claims no bytes takes one, so that the number of entries is bounded too', () => {
  const tier = new MemoryTier(10)
  for (let key = 0; key < 100; key++) tier.put(String(key), entryOf(0))
  expect(tier.entries).toBe(10)
})
