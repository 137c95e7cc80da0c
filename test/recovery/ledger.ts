/**
 * The oracle of the recovery tests, outside of the engine: which operations were made, and what was said of each.
 *
 * An operation adds one to a counter and notes its own number, in one atomic batch on one lane. So the notes say which
 * operations a database has, and each counter must be exactly the count of its notes: one applied twice, by half or
 * never shows.
 */

import { expect } from 'vitest'
import { counterOf, type Said } from './operation.ts'

export const ledgerTables = `
  create table counters (id text primary key, n integer not null default 0);
  create table notes (id text primary key, counter text not null);
`

export type ReadRows = (table: 'counters' | 'notes') => Promise<Record<string, unknown>[]>

export class Ledger {
  readonly asked = new Set<number>()
  readonly acknowledged = new Set<number>()
  /** Certainly never accepted. */
  readonly refused = new Set<number>()
  readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>()

  /** From here on the database may have these operations, whether or not anybody is told so. */
  ask(first: number, count: number): void {
    for (let operation = first; operation < first + count; operation++) this.asked.add(operation)
  }

  say(operation: number, said: Said): void {
    this.asked.add(operation)
    if (said === 'unknown') return
    this[said].add(operation)
    for (const waiting of this.#waiting) {
      if (this.acknowledged.size < waiting.count) continue
      this.#waiting.delete(waiting)
      waiting.resolve()
    }
  }

  /** Asked for, and neither acknowledged nor refused. */
  get unknown(): number[] {
    return [...this.asked].filter(
      (operation) => !this.acknowledged.has(operation) && !this.refused.has(operation),
    )
  }

  /** Resolves once so many operations in all are acknowledged. */
  whenAcknowledged(count: number): Promise<void> {
    if (this.acknowledged.size >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.add({ count, resolve }))
  }

  /** What `counter` must be where nothing is unknown. */
  expectedCount(counter: string): number {
    return [...this.acknowledged].filter((operation) => counterOf(operation) === counter).length
  }

  /** Fails where the database is anything but the acknowledged operations, and any of the unknown, each exactly once. */
  async compare(rows: ReadRows): Promise<void> {
    const noted = (await rows('notes')).map(({ id }) => Number(String(id).split(':')[1]))
    const applied = new Set(noted)
    const missing = [...this.acknowledged].filter((operation) => !applied.has(operation))
    const never = noted.filter(
      (operation) => !this.asked.has(operation) || this.refused.has(operation),
    )
    const counted = new Map(
      (await rows('counters')).map(({ id, n }): [unknown, number] => [id, Number(n)]),
    )
    const expected = new Map<unknown, number>()
    for (const operation of noted) {
      expected.set(counterOf(operation), (expected.get(counterOf(operation)) ?? 0) + 1)
    }
    expect({ missing, never }).toEqual({ missing: [], never: [] })
    expect(counted).toEqual(expected)
  }
}
