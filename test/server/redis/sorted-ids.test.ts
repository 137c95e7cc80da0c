/** Ids of streams: how they are read and compared, and their order against a naive model. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SortedIds } from '../../../src/server/redis/streams/sorted-ids.ts'
import {
  boundOf,
  compareIds,
  firstId,
  givenIdOf,
  idAfter,
  idBefore,
  isCanonical,
  lastId,
  partsOf,
  strictIdOf,
} from '../../../src/server/redis/streams/stream-ids.ts'

const part = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 30n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
)
const id = fc.tuple(part, part).map(([ms, seq]) => `${ms}-${seq}`)

function byNumbers(a: string, b: string): number {
  const [x, y] = [partsOf(a), partsOf(b)]
  const [p, q] = x.ms === y.ms ? [x.seq, y.seq] : [x.ms, y.ms]
  return p === q ? 0 : p < q ? -1 : 1
}

describe('an id', () => {
  test.each([
    ['1-2', '1-2'],
    ['7', '7-0'],
    ['007-01', '7-1'],
    [' 7-+1', '7-1'],
    [lastId, lastId],
  ])('%j is read as %s', (text, expected) => {
    expect(strictIdOf(text)).toBe(expected)
  })

  test.each([
    '',
    '-',
    '+',
    'x',
    '1-x',
    '1-',
    '-1',
    '1--1',
    '1-2-3',
    '18446744073709551616-0',
    '1-*',
  ])('%j is none', (text) => {
    expect(strictIdOf(text)).toBeUndefined()
    expect(isCanonical(text)).toBe(false)
  })

  test('is bounded before it is read', () => {
    expect(strictIdOf('0'.repeat(128))).toBeUndefined()
    expect(isCanonical(`${'9'.repeat(20)}-0`)).toBe(false)
    expect(isCanonical('01-0')).toBe(false)
    expect(givenIdOf('5-*')).toEqual({ ms: 5n, seq: 'any' })
    expect([boundOf('-'), boundOf('+'), boundOf('5', 'highest')]).toEqual([
      ...[firstId, lastId, '5-18446744073709551615'],
    ])
  })

  test('is compared as its numbers are, and has neighbours', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(Math.sign(compareIds(a, b))).toBe(byNumbers(a, b))
        expect(isCanonical(a)).toBe(true)
        const next = idAfter(a)
        expect(next === undefined ? a : idBefore(next)).toBe(a)
      }),
    )
    expect(idAfter(lastId)).toBeUndefined()
    expect(idBefore(firstId)).toBeUndefined()
  })
})

describe('sorted ids', () => {
  const change = fc.record({
    add: fc.array(id, { maxLength: 20 }),
    remove: fc.array(fc.nat({ max: 1000 }), { maxLength: 12 }),
    front: fc.nat({ max: 10 }),
  })

  test('are in order, whatever is added and removed, and what was before stays as it was', () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 15 }),
        fc.integer({ min: 0, max: 5 }),
        id,
        id,
        (changes, perChunk, from, to) => {
          let model: readonly string[] = []
          let ids = SortedIds.none
          for (const { add, remove, front } of changes) {
            const gone = new Set([
              ...model.slice(0, front),
              ...remove.flatMap((at) => model[at % Math.max(1, model.length)] ?? []),
            ])
            const added = [...new Set(add)].filter((one) => !model.includes(one))
            const [before, was] = [ids, model]
            model = [...model.filter((one) => !gone.has(one)), ...added].sort(byNumbers)
            ids = ids.changed([...gone], added, perChunk)
            expect(before.range(firstId, lastId)).toEqual(was)
            expect(ids.range(firstId, lastId)).toEqual(model)
            expect([ids.size, ids.first, ids.last]).toEqual([
              ...[model.length, model[0], model.at(-1)],
            ])
            const within = model.filter(
              (one) => byNumbers(one, from) >= 0 && byNumbers(one, to) <= 0,
            )
            expect(ids.range(from, to)).toEqual(within)
            expect(ids.range(from, to, 2)).toEqual(within.slice(0, 2))
            expect(ids.rangeBack(from, to)).toEqual(within.toReversed())
            expect(ids.has(from)).toBe(model.includes(from))
          }
          expect(SortedIds.of(model.toReversed(), perChunk).range(firstId, lastId)).toEqual(model)
        },
      ),
    )
  })

  test('go in whole chunks, as many as were put into each', () => {
    let ids = SortedIds.of([], 3)
    for (let n = 1; n <= 8; n++) ids = ids.changed([], [`${n}-0`], 3)
    expect(ids.chunks).toBe(3)
    expect(ids.leadingChunks((chunk, left) => left - chunk.length >= 2)).toEqual([
      ...['1-0', '2-0', '3-0', '4-0', '5-0', '6-0'],
    ])
    // What was taken out of a chunk makes no room at its end.
    ids = ids.changed(['7-0'], ['9-0', '10-0'], 3)
    expect(ids.leadingChunks((chunk) => !chunk.includes('10-0')).at(-1)).toBe('9-0')
    expect(() => ids.changed(['7-0'], [], 3)).toThrow('Only an id that is there')
  })
})
