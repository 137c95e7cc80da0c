/** The items of a list in its document, against an array of them. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyMutation } from '../../../src/mutation/coalesce.ts'
import type { Fields, Mutation } from '../../../src/mutation/mutation.ts'
import {
  listFields,
  Lists,
  type List,
  type ListChange,
} from '../../../src/server/redis/spaces/list-items.ts'

type Change =
  | { readonly from: number; readonly count: number; readonly inserted: readonly string[] }
  | { readonly from: number; readonly left: number }

const end = fc.constantFrom(0, 0.5, 1)
const place = fc.oneof(end, fc.double({ min: 0, max: 1, noNaN: true }))
const few = fc.array(fc.string({ maxLength: 3 }), { maxLength: 4 })
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ from: place, count: fc.constant(0), inserted: few }),
  fc.record({ from: place, count: fc.nat(4), inserted: few }),
  fc.record({
    from: place,
    count: fc.constantFrom(0, 50),
    inserted: fc.array(fc.string(), { minLength: 50 }),
  }),
  fc.record({ from: fc.constantFrom(0, 0.01), left: fc.constantFrom(0.95, 1) }),
  fc.record({ from: place, left: place }),
)

function listOf(lists: Lists, fields: Fields): List {
  const list = lists.of(fields)
  if (list === undefined) throw new Error('It is no list.')
  return list
}

function mutationOf(written: Exclude<ListChange, 'gone'>): Mutation {
  if ('whole' in written) return { kind: 'set', fields: written.whole }
  const { fields, removed } = written
  return removed === undefined
    ? { kind: 'patch', fields, amounts: {} }
    : { kind: 'patch', fields, amounts: {}, removed }
}

/** Returns the document that the change makes, and what was written for it. */
function changed(
  lists: Lists,
  before: Fields,
  change: (list: List) => ListChange,
): { readonly fields: Fields; readonly written: Mutation } | undefined {
  const found = change(listOf(lists, before))
  if (found === 'gone') return undefined
  const written = mutationOf(found)
  const fields = applyMutation(before, written, {}) as Fields
  if (written.kind === 'patch') {
    const names = [...Object.keys(written.fields), ...Object.keys(written.removed ?? {})]
    lists.carry({ before, was: before, names, after: fields })
  }
  return { fields, written }
}

function items(list: List): string[] {
  return list.slice(0, list.length)
}

describe('the items of a list', () => {
  test.for([[true], [false]] as const)(
    'are those of an array, whatever is done to both (fields can be removed: %s)',
    ([removesFields]) => {
      fc.assert(
        fc.property(
          fc.array(fc.string(), { minLength: 1, maxLength: 200, size: 'max' }),
          fc.array(change, { size: 'max', maxLength: 30 }),
          (first, changes) => {
            const lists = new Lists(removesFields)
            let array = first
            let fields = listFields(first)
            for (const step of changes) {
              const from = Math.floor(step.from * array.length)
              let next
              if ('left' in step) {
                const to = from + Math.ceil(step.left * (array.length - from))
                array = array.slice(from, to)
                next = changed(lists, fields, (list) => list.kept(from, to))
              } else {
                const { inserted } = step
                const count = Math.min(step.count, array.length - from)
                array = array.toSpliced(from, count, ...inserted)
                next = changed(lists, fields, (list) => list.spliced({ from, count, inserted }))
              }
              if (next === undefined) expect(array).toEqual([])
              if (next === undefined) return
              ;({ fields } = next)
              expect(items(listOf(lists, fields))).toEqual(array)
              expect(listOf(lists, fields).at(array.length - 1)).toBe(array.at(-1))
              // What was remembered of it is what a look at all of it tells.
              expect(items(listOf(new Lists(removesFields), fields))).toEqual(array)
              if (!removesFields && next.written.kind === 'patch') {
                expect(next.written.removed).toBeUndefined()
              }
            }
          },
        ),
        { seed: 20261126, numRuns: 500 },
      )
    },
  )

  const many = Array.from({ length: 1000 }, (_, index) => `item ${index}`)

  test('are an array while they are few, and again when they are few', () => {
    const lists = new Lists(true)
    expect(listFields(many.slice(0, 64))).toHaveProperty('$items')
    expect(listFields(many.slice(0, 65))).not.toHaveProperty('$items')
    expect(listFields(['x'.repeat(5000)])).not.toHaveProperty('$items')
    const long = listFields(many)
    expect(changed(lists, long, (list) => list.kept(500, 1000))?.written.kind).toBe('patch')
    const forty = listFields(many.slice(0, 70))
    expect(changed(lists, forty, (list) => list.kept(30, 70))?.fields).not.toHaveProperty('$items')
    expect(changed(lists, forty, (list) => list.kept(35, 67))?.fields).toEqual({
      $type: 'list',
      $items: many.slice(35, 67),
    })
  })

  test('are written one by one where one comes or goes at an end, or changes', () => {
    const lists = new Lists(true)
    const long = listFields(many)
    const written = (change: (list: List) => ListChange): Mutation | undefined =>
      changed(lists, long, change)?.written
    const only = { kind: 'patch', amounts: {} }
    expect(written((list) => list.spliced({ from: 0, count: 0, inserted: ['a'] }))).toEqual({
      ...only,
      fields: { '4999999499': 'a' },
    })
    expect(written((list) => list.spliced({ from: 1000, count: 0, inserted: ['a', 'b'] }))).toEqual(
      {
        ...only,
        fields: { '5000000500': 'a', '5000000501': 'b' },
      },
    )
    expect(written((list) => list.spliced({ from: 998, count: 1, inserted: ['a'] }))).toEqual({
      ...only,
      fields: { '5000000498': 'a' },
    })
    // The two behind it move, and not the 997 in front.
    expect(written((list) => list.spliced({ from: 997, count: 1, inserted: [] }))).toEqual({
      ...only,
      fields: { '5000000497': 'item 998', '5000000498': 'item 999' },
      removed: { '5000000499': true },
    })
    expect(written((list) => list.spliced({ from: 1, count: 1, inserted: [] }))).toEqual({
      ...only,
      fields: { '4999999501': 'item 0' },
      removed: { '4999999500': true },
    })
    expect(written((list) => list.kept(1, 999))).toEqual({
      ...only,
      fields: {},
      removed: { '4999999500': true, '5000000499': true },
    })
    // For those who watch it.
    expect(written((list) => list.kept(0, 1000))).toEqual({ ...only, fields: { $type: 'list' } })
  })

  test('get numbers from the middle again where they have come to an end', () => {
    const lists = new Lists(true)
    const atEnds = [
      { from: 0, fields: { $type: 'list', '1000000000': 'b', '1000000001': 'c' } },
      { from: 2, fields: { $type: 'list', '9999999998': 'b', '9999999999': 'c' } },
    ]
    for (const { from, fields } of atEnds) {
      expect(items(listOf(lists, fields))).toEqual(['b', 'c'])
      const after = changed(lists, fields, (list) =>
        list.spliced({ from, count: 0, inserted: ['a'] }),
      )
      expect(after?.fields).toEqual({
        $type: 'list',
        $items: from === 0 ? ['a', 'b', 'c'] : ['b', 'c', 'a'],
      })
    }
  })

  test('that another program has written are read in the order of their names', () => {
    const lists = new Lists(true)
    const gap = { $type: 'list', '5000000003': 'c', '5000000001': 7, '5000000002': null, x: 'd' }
    expect(items(listOf(lists, gap))).toEqual(['7', 'c', 'd'])
    const after = changed(lists, gap, (list) => list.spliced({ from: 0, count: 1, inserted: [] }))
    expect(after?.fields).toEqual({ $type: 'list', $items: ['c', 'd'] })
    expect(lists.of({ $type: 'list', $items: 'a' })).toBeUndefined()
    expect(lists.of({ $type: 'set', a: 1 })).toBeUndefined()
    expect(listOf(lists, { $type: 'list' }).length).toBe(0)
  })
})
