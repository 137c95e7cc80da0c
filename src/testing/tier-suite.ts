/**
 * The contract of a tier, as tests: what the engine relies on, whatever the tier is made of.
 *
 *     import { describe, test } from 'vitest' // or node:test
 *     tierSuite('mine', { describe, test }, (maxBytes) => new MyTier(maxBytes))
 */

import assert from 'node:assert/strict'

import type { Tier, TierEntry } from '../tier/tier.ts'
import type { SuiteRunner } from './store-suite.ts'

function entryAt(position: number, bytes = 10): TierEntry {
  return { value: { at: position }, position, expiresAt: Infinity, flat: true, bytes }
}

function put(tier: Tier, key: string, entry: TierEntry): void {
  tier.put(key, entry.value, entry.position, entry.expiresAt, entry.flat, entry.bytes)
}

/** A tier may have more in its entries than the contract says. */
function seen(entry: TierEntry | undefined): TierEntry | undefined {
  if (entry === undefined) return undefined
  const { value, position, expiresAt, flat, bytes } = entry
  return { value, position, expiresAt, flat, bytes }
}

/** `createTier` makes a new, empty tier that keeps at most this many bytes. */
export function tierSuite(
  name: string,
  runner: SuiteRunner,
  createTier: (maxBytes: number) => Tier,
): void {
  runner.describe(`tier: ${name}`, () => {
    const test = (behaviour: string, run: () => void): void => {
      runner.test(behaviour, async () => run())
    }

    test('a key that was never put is a miss', () => {
      const tier = createTier(100)
      assert.equal(tier.get('a'), undefined)
      assert.equal(tier.entries, 0)
      assert.equal(tier.bytes, 0)
    })

    test('an entry comes back as it was put', () => {
      const tier = createTier(100)
      const absent: TierEntry = {
        value: undefined,
        position: 3,
        expiresAt: 7.5,
        flat: true,
        bytes: 1,
      }
      put(tier, 'a', entryAt(1))
      put(tier, 'gone', absent)
      assert.deepEqual(seen(tier.get('a')), entryAt(1))
      assert.deepEqual(seen(tier.get('gone')), absent)
      assert.equal(tier.entries, 2)
      assert.equal(tier.bytes, 11)
    })

    test('an older position never replaces a newer one', () => {
      const tier = createTier(100)
      put(tier, 'a', entryAt(5))
      put(tier, 'a', entryAt(4))
      assert.equal(tier.get('a')?.position, 5)
      put(tier, 'a', entryAt(4, 1000))
      assert.equal(tier.get('a')?.position, 5)
    })

    test('the same position replaces, so that a reload can renew an entry', () => {
      const tier = createTier(100)
      put(tier, 'a', entryAt(5))
      put(tier, 'a', { ...entryAt(5, 20), expiresAt: 9 })
      assert.equal(tier.get('a')?.expiresAt, 9)
      assert.equal(tier.bytes, 20)
    })

    test('the budget of bytes is kept whatever is put', () => {
      const tier = createTier(100)
      for (let position = 1; position <= 1000; position++) {
        put(tier, `key-${position % 37}`, entryAt(position, 1 + (position % 60)))
        assert.ok(tier.bytes <= 100, `${tier.bytes} bytes of 100`)
      }
      assert.ok(tier.entries > 0)
      assert.equal([...tier.keys()].length, tier.entries)
    })

    test('an entry beyond the whole budget is not kept, nor the older one of its key', () => {
      const tier = createTier(100)
      put(tier, 'a', entryAt(1))
      put(tier, 'a', entryAt(2, 101))
      assert.equal(tier.get('a'), undefined)
      assert.equal(tier.bytes, 0)
    })

    test('what was removed or cleared is gone, and may come back at any position', () => {
      const tier = createTier(100)
      put(tier, 'a', entryAt(5))
      put(tier, 'b', entryAt(6))
      tier.remove('a')
      tier.remove('never there')
      assert.equal(tier.get('a'), undefined)
      assert.deepEqual([...tier.keys()], ['b'])
      put(tier, 'a', entryAt(2))
      assert.equal(tier.get('a')?.position, 2)
      tier.clear()
      assert.equal(tier.entries, 0)
      assert.equal(tier.bytes, 0)
      assert.deepEqual([...tier.keys()], [])
    })

    test('names of object properties are keys like any other', () => {
      const tier = createTier(100)
      assert.equal(tier.get('__proto__'), undefined)
      assert.equal(tier.get('constructor'), undefined)
      put(tier, '__proto__', entryAt(1))
      assert.equal(tier.get('__proto__')?.position, 1)
    })
  })
}
