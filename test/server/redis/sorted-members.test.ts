/** The order of a sorted set's members against a naive model: an array that is sorted anew each time. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyMutation } from '../../../src/mutation/coalesce.ts'
import type { Fields, FieldValue } from '../../../src/mutation/mutation.ts'
import { byHash, byScore, Orders } from '../../../src/server/redis/spaces/orders.ts'
import { fieldOfScore } from '../../../src/server/redis/spaces/scores.ts'
import { SortedMembers, type Scored } from '../../../src/server/redis/spaces/sorted-members.ts'

const member = fc.constantFrom(
  ...['a', 'b', 'B', 'aa', '', '10', '9', '\u00ff', '\u0080\u0000', 'toString', '$type', 'z'],
)
const score = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.constantFrom(Infinity, -Infinity, 0.5, Number.MAX_VALUE, Number.MIN_VALUE),
)
const change = fc.record({
  set: fc.array(fc.tuple(member, score), { maxLength: 9 }),
  remove: fc.array(member, { maxLength: 9 }),
})

type Model = ReadonlyMap<string, number>

function inOrder(model: Model): Scored[] {
  return [...model]
    .map(([name, points]) => ({ member: name, score: points }))
    .sort((a, b) =>
      a.score === b.score
        ? Buffer.compare(Buffer.from(a.member, 'latin1'), Buffer.from(b.member, 'latin1'))
        : a.score < b.score
          ? -1
          : 1,
    )
}

function itemsOf(members: SortedMembers): readonly Scored[] {
  return members.range(0, members.size)
}

function scoredIn(model: Model, names: Iterable<string>): Scored[] {
  return [...names].flatMap((name) => {
    const points = model.get(name)
    return points === undefined ? [] : [{ member: name, score: points }]
  })
}

describe('sorted members', () => {
  test('are in the order of scores and bytes, whatever changes', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        let model: Model = new Map()
        let members = SortedMembers.of([])
        for (const { set, remove } of changes) {
          const after = new Map([...model, ...set])
          for (const name of remove) after.delete(name)
          const touched = new Set([...set.map(([name]) => name), ...remove])
          const before = itemsOf(members)
          const changed = members.changed(scoredIn(model, touched), scoredIn(after, touched))
          expect(itemsOf(members)).toEqual(before)
          members = changed
          model = after
          const sorted = inOrder(model)
          expect(itemsOf(members)).toEqual(sorted)
          expect(members.size).toBe(sorted.length)
          for (const [rank, item] of sorted.entries()) expect(members.rankOf(item)).toBe(rank)
        }
      }),
    )
  })

  /** Enough for several chunks, which are cut where much comes at one place, and joined where much goes. */
  const manyChange = fc.oneof(
    fc.record({ addedAt: score, count: fc.nat(1500), salt: fc.nat(5) }),
    fc.record({
      removedFrom: fc.nat(3000),
      count: fc.nat(1500),
      each: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ moved: fc.array(fc.tuple(fc.nat(3000), score), { maxLength: 20 }) }),
  )

  test('are the same where they are many, and so are those before a change', () => {
    let most = 0
    fc.assert(
      fc.property(
        fc.array(manyChange, { maxLength: 12, size: 'max' }),
        fc.array(fc.nat(4000), { minLength: 8, maxLength: 8 }),
        (changes, places) => {
          let sorted: readonly Scored[] = []
          let members = SortedMembers.of([])
          for (const given of changes) {
            let removed: readonly Scored[] = []
            let added: readonly Scored[] = []
            if ('addedAt' in given) {
              const { addedAt, count, salt } = given
              const there = new Set(sorted.map((item) => item.member))
              added = Array.from({ length: count }, (_, at) => ({
                member: `${at * 7919} ${salt}`,
                score: addedAt,
              })).filter((item) => !there.has(item.member))
            } else if ('removedFrom' in given) {
              const { removedFrom: from, count, each } = given
              removed = sorted.slice(from, from + count).filter((_, at) => at % each === 0)
            } else {
              const ranks = new Map(given.moved)
              removed = [...ranks.keys()].flatMap((rank) => sorted[rank] ?? [])
              added = [...ranks].flatMap(([rank, points]) => {
                const item = sorted[rank]
                return item === undefined ? [] : [{ member: item.member, score: points }]
              })
            }
            const gone = new Set(removed.map((item) => item.member))
            const [before, was] = [members, sorted]
            members = before.changed(removed, added)
            const left = sorted.filter((item) => !gone.has(item.member))
            sorted = inOrder(new Map([...left, ...added].map((item) => [item.member, item.score])))
            most = Math.max(most, sorted.length)
            expect(members.size).toBe(sorted.length)
            expect(itemsOf(members)).toEqual(sorted)
            expect(itemsOf(before)).toEqual(was)
            for (const [at, place] of places.entries()) {
              const item = sorted[place]
              expect(members.at(place)).toEqual(item)
              if (item !== undefined) expect(members.rankOf(item)).toBe(place)
              const to = place + (places[(at + 1) % places.length] ?? 0) / 3
              expect(members.range(place, Math.floor(to))).toEqual(
                sorted.slice(place, Math.floor(to)),
              )
              const bound = (item?.score ?? 0) + (at % 3) - 1
              expect(members.countWhile((other) => other.score < bound)).toBe(
                sorted.filter((other) => other.score < bound).length,
              )
            }
          }
        },
      ),
      { numRuns: 100, seed: 20261127 },
    )
    expect(most).toBeGreaterThan(2000)
  })

  test('are counted and taken by bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(member, score)), score, (pairs, bound) => {
        const sorted = inOrder(new Map(pairs))
        const members = SortedMembers.of(sorted.toReversed())
        const count = members.countWhile((item) => item.score < bound)
        expect(members.range(0, count)).toEqual(sorted.filter((item) => item.score < bound))
        expect(members.range(count, members.size)).toEqual(
          sorted.filter((item) => item.score >= bound),
        )
        expect(members.rankOf({ member: 'not there', score: bound })).toBeUndefined()
      }),
    )
  })

  test('cannot lose what they do not have', () => {
    const members = SortedMembers.of([{ member: 'a', score: 1 }])
    for (const other of [0, 2]) {
      expect(members.rankOf({ member: 'a', score: other })).toBeUndefined()
      expect(() => members.changed([{ member: 'a', score: other }], [])).toThrow('Only a member')
    }
  })
})

describe('the order of a document', () => {
  const name = fc.constantFrom<string>(
    ...['a', 'b', 'toString', '$$type', '$expiresAtMs', '10', 'base64:', '9'],
  )
  const patch = fc.dictionary(
    name,
    fc.oneof(score.map(fieldOfScore), fc.constantFrom<FieldValue>(null, 'nope', 10n)),
  )

  test.for([
    ['scores', byScore],
    ['hashes', byHash],
  ] as const)('by %s is carried over to what a change makes of it', ([, by]) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(patch, fc.array(name))), (steps) => {
        const orders = new Orders(by)
        let fields: Fields = { $type: 'zset' }
        orders.of(fields)
        for (const [changes, gone] of steps) {
          const patched =
            applyMutation(fields, { kind: 'patch', fields: changes, amounts: {} }, {}) ?? {}
          orders.carry({
            before: fields,
            was: fields,
            names: Object.keys(changes),
            after: patched,
          })
          const kept = Object.entries(patched).filter(([field]) => !gone.includes(field))
          fields = Object.fromEntries(kept)
          orders.carry({
            before: patched,
            was: patched,
            names: [...new Set(gone)],
            after: fields,
          })
          expect(itemsOf(orders.of(fields))).toEqual(itemsOf(new Orders(by).of({ ...fields })))
        }
      }),
    )
  })

  test('is carried over where the document itself is changed', () => {
    const orders = new Orders(byScore)
    const document: Record<string, FieldValue> = { $type: 'zset', a: 1, b: 2 }
    orders.of(document)
    document.a = 3
    document.c = 0
    orders.carry({ before: document, was: { a: 1 }, names: ['a', 'c'], after: document })
    expect(itemsOf(orders.of(document)).map(({ member }) => member)).toEqual(['c', 'b', 'a'])
  })

  test('is not made by a change where nobody has asked for it', () => {
    const orders = new Orders(byScore)
    const [before, after] = [{ a: 1 }, { a: 2 }]
    orders.carry({ before, was: before, names: ['a'], after })
    expect(itemsOf(orders.of(after))).toEqual([{ member: 'a', score: 2 }])
  })
})
