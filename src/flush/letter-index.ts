/**
 * What memory holds of the dead letters: enough to find, filter and count them; their mutations stay in the file.
 */

import { firstWhere } from '../base/binary-search.ts'
import { DaybookError } from '../base/errors.ts'
import type { Position } from '../mutation/mutation.ts'
import type { DeadLetter, DeadLetterFilter, DeadLetterGroup } from './dead-letter.ts'
import { letterOrigin } from './letter-id.ts'
import type { Line } from './line-log.ts'

/** What memory knows of one letter. */
export interface Slot {
  readonly id: string
  readonly cache: string
  readonly key: string
  readonly lane: number
  readonly position: Position
  /** Its place among the letters of its key. */
  readonly origin: Position
  readonly reason: DeadLetter['reason']
  readonly code: string
  readonly message: string
  readonly deadAtMs: number
  /** Its share of its line. */
  readonly bytes: number
  line: Line
  /** Its place in the line. */
  index: number
  superseded: boolean
  settled: boolean
}

/** A page ends early beyond this. */
const pageBytes = 16 * 1024 * 1024
const maxPageLetters = 10_000
const none: readonly string[] = []

export class LetterIndex {
  readonly #slots = new Map<string, Slot>()
  /** By cache and key, those not superseded, oldest first. */
  readonly #keys = new Map<string, Map<string, string[]>>()
  /** By position; settled ones stay until they are half of it. */
  #order: Slot[] = []
  #ordered = true
  #bytes = 0
  /** Codes, messages and names of caches recur: one copy of each. */
  readonly #texts = new Map<string, string>()

  get count(): number {
    return this.#slots.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(id: string): Slot | undefined {
    return this.#slots.get(id)
  }

  all(): Iterable<Slot> {
    return this.#slots.values()
  }

  /** See `DeadLetters.ofKey`. */
  ofKey(cache: string, key: string): readonly string[] {
    return this.#keys.get(cache)?.get(key) ?? none
  }

  /** Letters that failed alike, the most frequent first. */
  groups(): DeadLetterGroup[] {
    const groups = new Map<string, DeadLetterGroup>()
    for (const { cache, code, message, deadAtMs } of this.#slots.values()) {
      const name = JSON.stringify([cache, code, message])
      const { count, oldestMs } = groups.get(name) ?? { count: 0, oldestMs: deadAtMs }
      const oldest = Math.min(oldestMs, deadAtMs)
      groups.set(name, { cache, code, message, count: count + 1, oldestMs: oldest })
    }
    return [...groups.values()].sort((a, b) => b.count - a.count)
  }

  /** How many pass. */
  matching(filter: DeadLetterFilter): number {
    let count = 0
    for (const slot of this.#slots.values()) if (passes(slot, filter)) count++
    return count
  }

  /** Those of the ids that are there, each once. */
  known(ids: readonly string[]): Slot[] {
    const slots = new Set<Slot>()
    for (const id of ids) {
      const slot = this.#slots.get(id)
      if (slot !== undefined) slots.add(slot)
    }
    return [...slots]
  }

  /** `bytes` is its share of its line, `index` its place in there. */
  insert(letter: DeadLetter, bytes: number, line: Line, index: number): void {
    const slot: Slot = {
      id: letter.id,
      cache: this.#text(letter.cache),
      key: letter.key,
      lane: letter.lane,
      position: letter.position,
      origin: letterOrigin(letter.id),
      reason: letter.reason,
      code: this.#text(letter.failure.code),
      message: this.#text(letter.failure.message),
      deadAtMs: letter.deadAtMs,
      bytes,
      line,
      index,
      superseded: letter.superseded === true,
      settled: false,
    }
    this.#slots.set(slot.id, slot)
    this.#bytes += bytes
    const last = this.#order.at(-1)
    if (last !== undefined && last.position > slot.position) this.#ordered = false
    this.#order.push(slot)
    if (!slot.superseded) this.#indexKey(slot)
  }

  #indexKey(slot: Slot): void {
    let keys = this.#keys.get(slot.cache)
    if (keys === undefined) this.#keys.set(slot.cache, (keys = new Map<string, string[]>()))
    const ids = keys.get(slot.key)
    if (ids === undefined) {
      keys.set(slot.key, [slot.id])
      return
    }
    let at = ids.length
    while (at > 0 && letterOrigin(ids[at - 1] ?? '') > slot.origin) at--
    ids.splice(at, 0, slot.id)
  }

  #unindexKey(slot: Slot): void {
    const keys = this.#keys.get(slot.cache)
    const ids = keys?.get(slot.key)
    const at = ids?.indexOf(slot.id) ?? -1
    if (keys === undefined || ids === undefined || at === -1) return
    ids.splice(at, 1)
    if (ids.length === 0) keys.delete(slot.key)
    if (keys.size === 0) this.#keys.delete(slot.cache)
  }

  /** Later writes of its key no longer queue behind it. */
  supersede(slot: Slot): void {
    slot.superseded = true
    this.#unindexKey(slot)
  }

  remove(slot: Slot): void {
    slot.settled = true
    this.#slots.delete(slot.id)
    this.#bytes -= slot.bytes
    this.#unindexKey(slot)
    if (this.#order.length > 2 * this.#slots.size) {
      this.#order = this.#order.filter((other) => !other.settled)
    }
  }

  #text(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= 10_000) this.#texts.clear()
    this.#texts.set(text, text)
    return text
  }

  /** One page of the letters that pass, and whether more follow. Throws INVALID_OPTION. */
  select(
    filter: DeadLetterFilter,
    after: string | undefined,
    limit: number,
  ): { slots: Slot[]; more: boolean } {
    if (!(limit >= 1 && limit <= maxPageLetters)) {
      throw new DaybookError('INVALID_OPTION', `limit must be from 1 to ${maxPageLetters}.`, {
        details: { path: 'limit', expected: `an integer from 1 to ${maxPageLetters}` },
      })
    }
    const order = this.inOrder()
    const slots: Slot[] = []
    let bytes = 0
    for (let at = after === undefined ? 0 : firstBeyond(order, cursorPosition(after)); ; at++) {
      const slot = order[at]
      if (slot === undefined) return { slots, more: false }
      if (slot.settled || !passes(slot, filter)) continue
      bytes += slot.bytes
      if (slots.length === limit || (bytes > pageBytes && slots.length > 0))
        return { slots, more: true }
      slots.push(slot)
    }
  }

  /** By position, settled ones among them. */
  inOrder(): readonly Slot[] {
    if (!this.#ordered) {
      this.#order = [...this.#slots.values()].sort((a, b) => a.position - b.position)
      this.#ordered = true
    }
    return this.#order
  }
}

function passes(slot: Slot, filter: DeadLetterFilter): boolean {
  return (
    (filter.cache === undefined || slot.cache === filter.cache) &&
    (filter.key === undefined || slot.key === filter.key) &&
    (filter.keyPrefix === undefined || slot.key.startsWith(filter.keyPrefix)) &&
    (filter.code === undefined || slot.code === filter.code) &&
    (filter.message === undefined || slot.message === filter.message) &&
    (filter.text === undefined || mentions(slot, filter.text)) &&
    (filter.reason === undefined || slot.reason === filter.reason) &&
    (filter.sinceMs === undefined || slot.deadAtMs >= filter.sinceMs) &&
    (filter.untilMs === undefined || slot.deadAtMs <= filter.untilMs)
  )
}

function mentions({ key, message }: Slot, text: string): boolean {
  const wanted = text.toLowerCase()
  return key.toLowerCase().includes(wanted) || message.toLowerCase().includes(wanted)
}

function cursorPosition(after: string): Position {
  const position = Number.parseInt(after.slice(after.indexOf('-') + 1), 10)
  if (Number.isNaN(position)) {
    throw new DaybookError('INVALID_OPTION', 'after is not the id of a dead letter.', {
      details: { path: 'after', expected: 'the id of a dead letter' },
    })
  }
  return position
}

/** Index of the first slot beyond the position. */
function firstBeyond(order: readonly Slot[], position: Position): number {
  return firstWhere(order.length, (at) => (order[at]?.position ?? Infinity) > position)
}
