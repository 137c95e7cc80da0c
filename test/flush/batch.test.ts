import { expect, test } from 'vitest'

import { Batch } from '../../src/flush/batch.ts'
import { unitsOf } from '../../src/flush/careful.ts'
import type { Mutation } from '../../src/mutation/mutation.ts'
import { entryOf, increment, merge, schema, set, table } from '../support/flush-fixtures.ts'

test('rows go to the store by rank of their table, then by cache, then by key', () => {
  const batch = new Batch(0, 0, 0)
  let position = 0
  const add = (cache: string, key: string): void => {
    batch.add({ ...entryOf(key, set('x')), cache, position: ++position }, schema.blank)
  }
  // Two caches of one table, one of which comes again after the other, and a parent that came last.
  for (const key of ['b', 'a']) add('second', key)
  add('first', 'c')
  add('second', 'd')
  add('parent', 'p')
  const tables = new Map([
    ['first', { ...table, schema: { ...schema, rank: 1 } }],
    ['second', { ...table, schema: { ...schema, rank: 1 } }],
    ['parent', { ...table, schema: { ...schema, rank: 0 } }],
  ])
  const written = batch.tables(tables).map(({ cache, rows }) => [cache, rows.map(({ key }) => key)])
  expect(written).toEqual([
    ['parent', ['p']],
    ['first', ['c']],
    ['second', ['a', 'b', 'd']],
  ])
  expect(batch.keys).toBe(5)
})

test.each([
  ['a value', set('x')],
  ['a patch', increment(1)],
])('what was read of a row stays as it is, over %s, while more is folded', (_, first) => {
  const batch = new Batch(0, 0, 0)
  let position = 0
  const add = (mutation: Mutation): void => {
    batch.add(entryOf('a', mutation, { position: ++position }), schema.blank)
  }
  const read = (): Mutation | undefined => batch.get('t', 'a')?.mutation
  const seen: { readonly mutation: Mutation | undefined; readonly then: unknown }[] = []
  add(first)
  for (const mutation of [increment(2), merge('y'), increment(3), merge('z'), increment(4)]) {
    add(mutation)
    // Some are folded unseen.
    if (position % 2 === 0) seen.push({ mutation: read(), then: structuredClone(read()) })
  }
  for (const { mutation, then } of seen) expect(mutation).toEqual(then)
  expect(read()).toEqual(
    first.kind === 'set'
      ? { kind: 'set', fields: { text: 'z', count: 9 } }
      : { kind: 'patch', fields: { text: 'z' }, amounts: { count: 10 } },
  )
  expect(first).toEqual(first.kind === 'set' ? set('x') : increment(1))
})

test('a range that ends inside an atomic group has what there is of it as one unit', () => {
  const member = { ...entryOf('a', increment(1)), continues: true }
  const single = entryOf('b', set('x'))
  expect(unitsOf([single, member, { ...member, key: 'c' }])).toEqual([
    [single],
    [member, { ...member, key: 'c' }],
  ])
})
