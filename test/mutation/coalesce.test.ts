import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { applyMutation, coalesce, coalesceInto, patchInto } from '../../src/mutation/coalesce.ts'
import { addAmount, addDecimals } from '../../src/mutation/decimal.ts'
import type { Fields, Mutation } from '../../src/mutation/mutation.ts'

/** Four columns: an integer and a decimal that can be incremented, a text, and one that is null by default. */
const blank: Fields = { count: 0, total: '0.00', name: null, note: 'none' }

const integer = fc.oneof(
  fc.integer(),
  fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).filter((n) => n > 2n ** 53n || n < -(2n ** 53n)),
)
const decimal = fc
  .tuple(fc.boolean(), fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 0, max: 99 }))
  .map(
    ([negative, whole, cents]) =>
      `${negative && whole + cents > 0 ? '-' : ''}${whole}.${String(cents).padStart(2, '0')}`,
  )
const text = fc.option(fc.string(), { nil: null })

const row: fc.Arbitrary<Fields> = fc.record({
  count: fc.option(integer, { nil: null }),
  total: decimal,
  name: text,
  note: text,
})
const partial: fc.Arbitrary<Fields> = fc.record(
  { count: fc.option(integer, { nil: null }), total: decimal, name: text, note: text },
  { requiredKeys: [] },
)
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  row.map((fields): Mutation => ({ kind: 'set', fields })),
  fc.constant<Mutation>({ kind: 'delete' }),
  partial.map((fields): Mutation => ({ kind: 'patch', fields, amounts: {} })),
  fc
    .record({ count: integer, total: decimal }, { requiredKeys: [] })
    .map((amounts): Mutation => ({ kind: 'patch', fields: {}, amounts })),
)
const value = fc.option(row, { nil: undefined })

/** Of documents, whose fields may go. No name is in two parts of a patch. */
const documentMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc
    .dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer())
    .map((fields): Mutation => ({ kind: 'set', fields })),
  fc.constant<Mutation>({ kind: 'delete' }),
  fc
    .record({ a: partOf(), b: partOf(), c: partOf() })
    .map((parts) => patchOf(Object.entries(parts))),
)

function partOf(): fc.Arbitrary<string> {
  return fc.constantFrom('none', 'set', 'add', 'remove')
}

function patchOf(parts: readonly (readonly [name: string, part: string])[]): Mutation {
  const named = (part: string): string[] =>
    parts.filter(([, given]) => given === part).map(([name]) => name)
  return {
    kind: 'patch',
    fields: Object.fromEntries(named('set').map((name) => [name, name.charCodeAt(0)])),
    amounts: Object.fromEntries(named('add').map((name) => [name, 3])),
    removed: Object.fromEntries(named('remove').map((name) => [name, true as const])),
  }
}

describe('coalescing changes of documents', () => {
  const start = fc.option(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer()), {
    nil: undefined,
  })

  test('equals applying them one after the other, with fields that go', () => {
    fc.assert(
      fc.property(
        start,
        fc.array(documentMutation, { minLength: 1, maxLength: 8 }),
        (before, mutations) => {
          const given = structuredClone(mutations)
          const applied = mutations.reduce<Fields | undefined>(
            (now, next) => applyMutation(now, next, {}),
            before,
          )
          const folded = mutations.reduce((earlier, later) => coalesce(earlier, later, {}))
          expect(applyMutation(before, folded, {})).toEqual(applied)
          expect(mutations).toEqual(given)
        },
      ),
      { numRuns: 3000 },
    )
  })

  test('into what is its own is the same', () => {
    fc.assert(
      fc.property(
        documentMutation,
        documentMutation,
        documentMutation,
        fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer()),
        (first, second, third, before) => {
          fc.pre(second.kind === 'patch' && third.kind === 'patch')
          if (second.kind !== 'patch' || third.kind !== 'patch') return
          const own = coalesce(first, second, {})
          const expected = coalesce(own, third, {})
          if (own.kind !== 'delete') coalesceInto(own, third)
          expect(own).toEqual(expected)
          const after = applyMutation(before, third, {})
          patchInto(before, third)
          expect(before).toEqual(after)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('a field that went, and to which something is added, begins anew', () => {
    const removed = patchOf([['a', 'remove']])
    const added = patchOf([['a', 'add']])
    expect(coalesce(removed, added, {})).toEqual({
      kind: 'patch',
      fields: { a: 3 },
      amounts: {},
      removed: {},
    })
    expect(applyMutation({ a: 5, b: 1 }, coalesce(added, removed, {}), {})).toEqual({ b: 1 })
  })
})

describe('coalescing', () => {
  test('equals applying the mutations one after the other', () => {
    fc.assert(
      fc.property(value, fc.array(mutation, { minLength: 1, maxLength: 8 }), (start, mutations) => {
        const applied = mutations.reduce<Fields | undefined>(
          (now, next) => applyMutation(now, next, blank),
          start,
        )
        const folded = mutations.reduce((earlier, later) => coalesce(earlier, later, blank))
        expect(applyMutation(start, folded, blank)).toEqual(applied)
      }),
      { numRuns: 2000 },
    )
  })

  test('into a mutation of its own is the same, and changes no other', () => {
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 2, maxLength: 8 }), (mutations) => {
        const given = structuredClone(mutations)
        const [first, second, ...others] = mutations as [Mutation, Mutation, ...Mutation[]]
        let folded = coalesce(first, second, blank)
        let own = second.kind === 'patch'
        for (const later of others) {
          const expected = coalesce(folded, later, blank)
          if (own && folded.kind !== 'delete' && later.kind === 'patch') coalesceInto(folded, later)
          else {
            folded = expected
            own = later.kind === 'patch'
          }
          expect(folded).toEqual(expected)
        }
        expect(mutations).toEqual(given)
      }),
      { numRuns: 2000 },
    )
  })

  test('into a value of its own is the same as applying the patch', () => {
    fc.assert(
      fc.property(row, mutation, (start, patch) => {
        fc.pre(patch.kind === 'patch')
        if (patch.kind !== 'patch') return
        const own = { ...start }
        patchInto(own, patch)
        expect(own).toEqual(applyMutation(start, patch, blank))
      }),
    )
  })

  test('is associative in its effect', () => {
    fc.assert(
      fc.property(value, mutation, mutation, mutation, (start, a, b, c) => {
        const left = coalesce(coalesce(a, b, blank), c, blank)
        const right = coalesce(a, coalesce(b, c, blank), blank)
        expect(applyMutation(start, left, blank)).toEqual(applyMutation(start, right, blank))
      }),
      { numRuns: 2000 },
    )
  })

  test('never changes its arguments', () => {
    fc.assert(
      fc.property(mutation, mutation, (a, b) => {
        const before = structuredClone([a, b])
        coalesce(a, b, blank)
        expect([a, b]).toEqual(before)
      }),
    )
  })

  test('keeps a column out of the amounts once a later merge has set it', () => {
    const added: Mutation = { kind: 'patch', fields: {}, amounts: { count: 5 } }
    const merged: Mutation = { kind: 'patch', fields: { count: 1 }, amounts: {} }
    expect(coalesce(added, merged, blank)).toEqual({
      kind: 'patch',
      fields: { count: 1 },
      amounts: {},
    })
    expect(coalesce(merged, added, blank)).toEqual({
      kind: 'patch',
      fields: { count: 6 },
      amounts: {},
    })
  })

  test('turns a merge after a delete into an insert over the defaults', () => {
    const merged: Mutation = { kind: 'patch', fields: { name: 'Ada' }, amounts: { count: 2 } }
    expect(coalesce({ kind: 'delete' }, merged, blank)).toEqual({
      kind: 'set',
      fields: { count: 2, total: '0.00', name: 'Ada', note: 'none' },
    })
  })
})

describe('adding', () => {
  test('is exact for decimals of any length', () => {
    expect(addDecimals('0.1', '0.2')).toBe('0.3')
    expect(addDecimals('99999999999999999999.99', '0.01')).toBe('100000000000000000000.00')
    expect(addDecimals('-0.05', '0.1')).toBe('0.05')
    expect(addDecimals('1', '-1.00')).toBe('0.00')
  })

  test('agrees with bigint arithmetic on cents', () => {
    const cents = (text: string): bigint => BigInt(text.replace('.', ''))
    fc.assert(
      fc.property(decimal, decimal, (a, b) => cents(addDecimals(a, b)) === cents(a) + cents(b)),
    )
  })

  test('grows from number to bigint and back where a sum leaves or enters the safe range', () => {
    expect(addAmount(Number.MAX_SAFE_INTEGER, 1)).toBe(2n ** 53n)
    expect(addAmount(2n ** 53n, -1)).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('counts null as zero', () => {
    expect(addAmount(null, 3)).toBe(3)
    expect(addAmount(null, '1.50')).toBe('1.50')
  })
})
