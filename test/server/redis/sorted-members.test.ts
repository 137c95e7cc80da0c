/** The order of a sorted set's members against a naive model: an array that is sorted anew each time. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyMutation } from '../../../src/mutation/coalesce.ts'
import type { Fields, FieldValue } from '../../../src/mutation/mutation.ts'
import { Orders } from '../../../src/server/redis/orders.ts'
import { fieldOfScore } from '../../../src/server/redis/scores.ts'
import { SortedMembers, type Scored } from '../../../src/server/redis/sorted-members.ts'

const member = fc.constantFrom(
  ...['a', 'b', 'B', 'aa', '', '10', '9', '\u00ff', '\u0080\u0000', 'toString', '$type', 'z'],
)
const score = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.constantFrom(Infinity, -Infinity, 0.5, Number.MAX_VALUE, Number.MIN_VALUE),
)
/** A few, or more than are shifted one by one. */
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
    expect(() => members.changed([{ member: 'a', score: 2 }], [])).toThrow('Only a member')
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

  test('is carried over to what a change makes of it, as if it were sorted anew', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(patch, fc.array(name))), (steps) => {
        const orders = new Orders()
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
          expect(itemsOf(orders.of(fields))).toEqual(itemsOf(new Orders().of({ ...fields })))
        }
      }),
    )
  })

  test('is carried over where the document itself is changed', () => {
    const orders = new Orders()
    const document: Record<string, FieldValue> = { $type: 'zset', a: 1, b: 2 }
    orders.of(document)
    document.a = 3
    document.c = 0
    orders.carry({ before: document, was: { a: 1 }, names: ['a', 'c'], after: document })
    expect(itemsOf(orders.of(document)).map(({ member }) => member)).toEqual(['c', 'b', 'a'])
  })

  test('is not made by a change where nobody has asked for it', () => {
    const orders = new Orders()
    const [before, after] = [{ a: 1 }, { a: 2 }]
    orders.carry({ before, was: before, names: ['a'], after })
    expect(itemsOf(orders.of(after))).toEqual([{ member: 'a', score: 2 }])
  })
})
