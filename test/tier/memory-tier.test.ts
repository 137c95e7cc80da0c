import { describe, expect, test } from 'vitest'

import { tierSuite } from '../../src/testing/tier-suite.ts'
import { MemoryTier } from '../../src/tier/memory-tier.ts'

tierSuite('memory', { describe, test }, (maxBytes) => new MemoryTier(maxBytes))

function entryOf(bytes: number, position = 1) {
  return { value: undefined, position, expiresAt: Infinity, flat: true, bytes }
}

test('what was read last is evicted last', () => {
  const tier = new MemoryTier(30)
  for (const key of ['a', 'b', 'c']) tier.put(key, entryOf(10))
  tier.get('a')
  tier.put('d', entryOf(10))
  expect([...tier.keys()]).toEqual(['d', 'a', 'c'])
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
