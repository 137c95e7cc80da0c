import { describe, expect, test } from 'vitest'

import { tierSuite } from '../../src/testing/tier-suite.ts'
import { MemoryTier } from '../../src/tier/memory-tier.ts'

tierSuite('memory', { describe, test }, (maxBytes) => new MemoryTier(maxBytes))

function put(tier: MemoryTier, key: string, bytes: number, expiresAt = Infinity): void {
  tier.put(key, undefined, 1, expiresAt, true, bytes)
}

test('what was read since the last eviction outlives what was not', () => {
  const tier = new MemoryTier(30)
  for (const key of ['a', 'b', 'c']) put(tier, key, 10)
  tier.get('a')
  put(tier, 'd', 10)
  expect([...tier.keys()]).toEqual(['a', 'c', 'd'])
  // The hand is past a, whose bit it has cleared: c goes next, and then, a round later, a.
  tier.get('d')
  put(tier, 'e', 10)
  expect([...tier.keys()]).toEqual(['a', 'd', 'e'])
  tier.get('e')
  put(tier, 'f', 10)
  expect([...tier.keys()]).toEqual(['d', 'e', 'f'])
})

test('a scan of keys that are read once does not push out those that are read again', () => {
  const tier = new MemoryTier(100)
  for (let key = 0; key < 5; key++) put(tier, `hot-${key}`, 10)
  for (let round = 0; round < 50; round++) {
    for (let key = 0; key < 5; key++) expect(tier.get(`hot-${key}`)).toBeDefined()
    for (let key = 0; key < 5; key++) put(tier, `once-${round}-${key}`, 10)
  }
})

test('an entry past its time stays: expiry is for the reader to see', () => {
  const tier = new MemoryTier(30)
  put(tier, 'a', 10, 0)
  expect(tier.get('a')?.expiresAt).toBe(0)
})

test('an entry that claims no bytes takes one, so that the number of entries is bounded too', () => {
  const tier = new MemoryTier(10)
  for (let key = 0; key < 100; key++) put(tier, String(key), 0)
  expect(tier.entries).toBe(10)
})

test('who looks at an entry that is dropped sees what it had, whatever takes its place', () => {
  const tier = new MemoryTier(100)
  tier.put('a', { n: 1 }, 1, Infinity, true, 10)
  const removed = tier.get('a')
  tier.remove('a')
  tier.put('b', { n: 2 }, 2, Infinity, true, 10)
  expect(removed?.value).toEqual({ n: 1 })
  const cleared = tier.get('b')
  tier.clear()
  tier.put('c', { n: 3 }, 3, Infinity, true, 10)
  expect(cleared?.value).toEqual({ n: 2 })
  expect(tier.get('c')?.value).toEqual({ n: 3 })
})
