/** Steps that write, read, take back and fail, over large and small values: against a model that copies for each write. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Patched } from '../../src/book/keyspace.ts'
import type { Place } from '../../src/book/turn.ts'
import { applyMutation } from '../../src/mutation/coalesce.ts'
import type { Fields, FieldValue, Mutation } from '../../src/mutation/mutation.ts'
import { openIn, world } from '../support/book-fixture.ts'

const large: Fields = Object.fromEntries(
  Array.from({ length: 100 }, (_, at) => [`field ${'x'.repeat(50)} ${at}`, at]),
)

/** What is known of a value, carried from change to change: here all of its fields. */
class Carried {
  readonly #known = new WeakMap<Fields, Map<string, FieldValue>>()

  of(fields: Fields): Map<string, FieldValue> {
    const known = this.#known.get(fields) ?? new Map(Object.entries(fields))
    this.#known.set(fields, known)
    return known
  }

  carry({ before, was, names, after }: Patched): void {
    const known = this.#known.get(before)
    if (known === undefined) return
    const next = new Map(known)
    for (const name of names) {
      expect(known.get(name)).toEqual(Object.hasOwn(was, name) ? was[name] : undefined)
      next.delete(name)
      if (Object.hasOwn(after, name)) next.set(name, after[name] as FieldValue)
    }
    this.#known.set(after, next)
  }
}

const key = fc.constantFrom('own', 'loaded', 'small', 'absent')
const name = fc.constantFrom('f', 'g', '7', 'toString', Object.keys(large)[3] ?? '')
const patch = fc
  .record({
    fields: fc.dictionary(name, fc.oneof(fc.integer(), fc.constantFrom(null, 'x', 'y'.repeat(90)))),
    gone: fc.array(name, { maxLength: 3 }),
    amount: fc.constantFrom(0, 0, 5),
  })
  .map(({ fields, gone, amount }): Mutation => {
    const removed = Object.fromEntries(
      gone.filter((each) => !Object.hasOwn(fields, each)).map((each) => [each, true as const]),
    )
    return { kind: 'patch', fields, amounts: amount === 0 ? {} : { n: amount }, removed }
  })
const mutation = fc.oneof(
  { weight: 12, arbitrary: patch },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Mutation>(
      { kind: 'delete' },
      { kind: 'set', fields: { ...large } },
      { kind: 'set', fields: { f: 1 } },
    ),
  },
)

type Move =
  | { readonly key: string; readonly mutation: Mutation }
  | { readonly key: string; readonly reads: true }
  | { readonly key: string; readonly copiedTo: string }

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ key, mutation }) },
  { weight: 4, arbitrary: fc.record({ key, reads: fc.constant(true as const) }) },
  { weight: 1, arbitrary: fc.record({ key, copiedTo: key }) },
)
const part = fc.record({
  moves: fc.array(move, { maxLength: 6 }),
  isTakenBack: fc.boolean(),
})
const ending = fc.constantFrom('succeeds', 'succeeds', 'throws', 'lacks a key', 'has no room')
const step = fc.record({ parts: fc.array(part, { maxLength: 5 }), ending })

type Model = Map<string, Fields | undefined>

describe('the values of a step', () => {
  test('are those of its writes one by one, and as before where it does not happen', async () => {
    let seen = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const place = world()
        const { book } = await openIn(place)
        const docs = await book.cache<Record<string, unknown>>('docs').ready()
        const turn = book.turn()
        const keyspace = turn.keyspace('docs')
        if (keyspace === undefined) throw new Error('It was declared.')
        const at = (of: string): Place => ({ keyspace, key: of, blind: false })
        const places = ['own', 'loaded', 'small', 'absent'].map(at)
        for (const of of ['own', 'loaded']) await docs.set(of, large)
        await docs.set('small', { f: 1, g: 2 })
        await docs.delete('absent')
        // Of what is loaded the tier knows by itself how large it is.
        await book.flush()
        for (const of of ['own', 'loaded']) {
          await docs.invalidate(of)
          await docs.get(of)
        }
        await docs.merge('own', { f: 0 })
        const carried = new Carried()
        keyspace.onPatched = (change) => carried.carry(change)
        const model: Model = new Map(places.map((each) => [each.key, valueOf(each)]))

        function valueOf({ key: of }: Place): Fields | undefined {
          const value = keyspace?.fresh(of)?.value
          return value === undefined ? undefined : { ...value }
        }

        const run = (own: Model, moves: readonly Move[]): void => {
          for (const each of moves) {
            if ('mutation' in each) {
              turn.write(at(each.key), each.mutation)
              own.set(each.key, applyMutation(own.get(each.key), each.mutation, {}))
              continue
            }
            const value = turn.read(at(each.key))
            expect(value).toEqual(own.get(each.key))
            if (value === undefined) continue
            seen++
            expect(carried.of(value)).toEqual(new Map(Object.entries(value)))
            if (!('copiedTo' in each)) continue
            turn.write(at(each.copiedTo), { kind: 'set', fields: value })
            own.set(each.copiedTo, own.get(each.key))
          }
        }

        for (const { parts, ending: end } of steps) {
          let own: Model = new Map(model)
          place.journal.refusing = end === 'has no room'
          const attempt = (): void => {
            own = new Map(model)
            for (const { moves, isTakenBack } of parts) {
              const [before, writes] = [new Map(own), turn.writes]
              run(own, moves)
              if (!isTakenBack) continue
              turn.undoTo(writes)
              own = before
            }
            if (end === 'throws') throw new Error('no')
            if (end === 'lacks a key') turn.name(at('nowhere'))
          }
          if (end === 'throws') expect(() => turn.tryNow(places, attempt)).toThrow('no')
          else {
            const outcome = turn.tryNow(places, attempt)
            if (outcome === 'done') {
              await turn.done
              model.clear()
              for (const [of, value] of own) model.set(of, value)
            }
            expect(outcome === 'done').toBe(
              end === 'succeeds' || (end === 'has no room' && !turn.wrote && turn.writes === 0),
            )
          }
          place.journal.refusing = false
          for (const each of places) {
            const value = keyspace.fresh(each.key)?.value
            expect(value).toEqual(model.get(each.key))
            if (value !== undefined) {
              expect(carried.of(value)).toEqual(new Map(Object.entries(value)))
            }
          }
        }
        await book.flush()
        for (const each of places) {
          await docs.invalidate(each.key)
          expect(await docs.get(each.key)).toEqual(model.get(each.key))
        }
        await book.close()
      }),
      { numRuns: 120, seed: 20261127 },
    )
    expect(seen).toBeGreaterThan(500)
  })

  test('are put back where a write of it cannot be applied', async () => {
    const { book } = await openIn(world())
    const docs = await book.cache<Record<string, unknown>>('docs').ready()
    const turn = book.turn()
    const keyspace = turn.keyspace('docs')
    if (keyspace === undefined) throw new Error('It was declared.')
    const doc: Place = { keyspace, key: 'a', blind: false }
    await docs.set('a', large)
    await book.flush()
    await docs.invalidate('a')
    await docs.get('a')
    await docs.merge('a', { text: 'x' })
    const failing = (): void => {
      turn.write(doc, { kind: 'patch', fields: { f: 1 }, amounts: { text: 1 } })
      turn.read(doc)
    }
    expect(() => turn.tryNow([doc], failing)).toThrow('BigInt')
    expect(await docs.get('a')).toEqual({ ...large, text: 'x' })
    await book.close()
  })
})
