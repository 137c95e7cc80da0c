import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { SpillIndex } from '../../src/flush/spill-index.ts'
import { seededRandom } from '../../src/demo/seeded-random.ts'

const added = fc.array(
  fc.record({ hash: fc.integer({ min: -20, max: 20 }), step: fc.integer({ min: 0, max: 3 }) }),
  { maxLength: 300 },
)

describe('the index of what left memory', () => {
  test('finds exactly the positions of a hash within the range, in order, each once', () => {
    fc.assert(
      fc.property(added, fc.nat(300), fc.nat(600), (items, after, upTo) => {
        const index = new SpillIndex()
        const model: [number, number][] = []
        let position = 1
        for (const { hash, step } of items) {
          position += step
          index.add(hash, position)
          model.push([hash, position])
        }
        for (let hash = -20; hash <= 20; hash++) {
          const expected = [
            ...new Set(
              model.filter(([h, p]) => h === hash && p > after && p <= upTo).map(([, p]) => p),
            ),
          ]
          expect(index.find(hash, after, upTo)).toEqual(expected)
        }
      }),
    )
  })

  test('over many chunks, with some released between, too', () => {
    const random = seededRandom(20261127)
    const below = (bound: number): number => Math.floor(random() * bound)
    const index = new SpillIndex()
    let model: [number, number][] = []
    let position = 0
    let released = 0
    for (let step = 0; step < 40; step++) {
      for (let more = below(1500); more > 0; more--) {
        // Now and then too far for one chunk, which ends before it is full.
        position += below(400) === 0 ? 2 ** 33 : 1 + below(3)
        const hash = below(600) - 300
        index.add(hash, position)
        model.push([hash, position])
      }
      for (let asked = 0; asked < 5; asked++) {
        const hash = below(600) - 300
        const expected = model.filter(([known]) => known === hash).map(([, known]) => known)
        expect(index.find(hash, released, Infinity)).toEqual(expected)
      }
      if (below(3) !== 0) continue
      released = model[below(model.length)]?.[1] ?? position
      index.release(released)
      model = model.filter(([, known]) => known > released)
    }
  })

  test('still finds what lies beyond a released position when chunks are dropped', () => {
    const index = new SpillIndex()
    const entries = 200_000
    for (let position = 1; position <= entries; position++) index.add(position % 1000, position)
    const before = index.bytes
    index.release(150_000)
    expect(index.bytes).toBeLessThan(before)
    expect(index.find(7, 150_000, Infinity)).toEqual(
      Array.from({ length: 50 }, (_, at) => 150_007 + at * 1000),
    )
  })

  test('is empty again once everything is released', () => {
    const index = new SpillIndex()
    for (let position = 1; position <= 70_000; position++) index.add(position, position)
    index.release(70_000)
    expect(index.entries).toBe(0)
    index.add(5, 70_001)
    expect(index.find(5, 0, Infinity)).toEqual([70_001])
  })

  test('takes about 12 bytes for each of a million mutations', () => {
    const index = new SpillIndex()
    for (let position = 1; position <= 1_000_000; position++)
      index.add((position * 2654435761) >>> 0, position)
    expect(index.bytes).toBeLessThan(17_000_000)
  })

  test('holds positions that are far apart', () => {
    const index = new SpillIndex()
    index.add(1, 10)
    index.add(1, 2 ** 45)
    index.add(1, 2 ** 45 + 1)
    expect(index.find(1, 0, Infinity)).toEqual([10, 2 ** 45, 2 ** 45 + 1])
  })
})
