/**
 * The items of a list in its document, in one of two forms:
 *
 *     array       {"$type": "list", "$items": ["a", "b"]}                       small, and people can read it
 *     numbered    {"$type": "list", "5000000000": "a", "5000000001": "b"}       a field for each item, in the order of the names
 *
 * A change of an array writes all of it. A change of a numbered list writes what changed, and what moves by it: a push or a
 * pop one field, at any length; one in the middle the items of the shorter side. Numbers go down in front and up behind, and
 * have no gaps. Where a number would have another digit, and where the list is small again, it is written anew.
 *
 * Pure, but for what `Lists` remembers. Items go in as they are stored, and come out as bytes.
 */

import type { Patched } from '../../../book/keyspace.ts'
import type { Fields, FieldValue } from '../../../mutation/mutation.ts'
import { binaryOf } from './binary-text.ts'
import { isOwnField } from './own-field.ts'

const type = '$type'
const array = '$items'

/** Of an array. A list that shrinks becomes one at half of it, so that a push and a pop in turns do not write all each time. */
const maxArrayItems = 64
const maxArrayUnits = 4096

/** All numbers have ten digits: then they have one order as numbers and as text. */
const least = 1_000_000_000
const most = 9_999_999_999
const middle = 5_000_000_000

export interface Items {
  readonly length: number
  /** From 0. */
  at(index: number): string | undefined
  /** Those from `from` on, before `to`. */
  slice(from: number, to: number): string[]
}

export interface Splice {
  readonly from: number
  /** How many go. */
  readonly count: number
  /** What comes in their place. */
  readonly inserted: readonly string[]
}

export type ListChange =
  /** The last item goes, and the list with it. */
  | 'gone'
  /** All fields, but for the deadline. */
  | { readonly whole: Fields }
  | { readonly fields: Fields; readonly removed?: Readonly<Record<string, true>> }

/** A list that can be changed. */
export interface List extends Items {
  spliced(splice: Splice): ListChange
  /** Only those from `from` on, before `to`, stay. */
  kept(from: number, to: number): ListChange
}

export class Lists {
  readonly #removesFields: boolean
  /** The numbers of the first and last item, beside each numbered list; carried over from change to change. */
  readonly #ends = new WeakMap<Fields, Ends>()

  constructor(removesFields: boolean) {
    this.#removesFields = removesFields
  }

  /** undefined: it is no list. */
  of(fields: Fields): List | undefined {
    if (fields[type] !== 'list') return undefined
    const items = fields[array]
    if (items !== undefined && items !== null) {
      return Array.isArray(items) ? new ArrayList(items as readonly FieldValue[]) : undefined
    }
    const ends = this.#ends.get(fields) ?? endsOf(fields)
    if (ends === undefined) return foreign(fields)
    this.#ends.set(fields, ends)
    return new NumberedList(fields, ends, this.#removesFields)
  }

  carry(change: Patched): void {
    const ends = this.#ends.get(change.before)
    if (ends === undefined) return
    const moved = movedEnds(ends, change)
    if (moved === undefined) this.#ends.delete(change.after)
    else this.#ends.set(change.after, moved)
  }
}

/** All fields of a list of these items, which are at least one. */
export function listFields(items: readonly FieldValue[]): Fields {
  if (isSmall(items, maxArrayItems)) return { [type]: 'list', [array]: items }
  const first = middle - (items.length >>> 1)
  return numbered(first, items, { [type]: 'list' })
}

class ArrayList implements List {
  readonly #items: readonly FieldValue[]
  readonly #isField: boolean

  constructor(items: readonly FieldValue[], isField = true) {
    this.#items = items
    this.#isField = isField
  }

  get length(): number {
    return this.#items.length
  }

  at(index: number): string | undefined {
    const item = this.#items[index]
    return item === undefined ? undefined : shown(item)
  }

  slice(from: number, to: number): string[] {
    return this.#items.slice(from, to).map(shown)
  }

  spliced(splice: Splice): ListChange {
    return this.#changed(splicedValues(this.#items, splice))
  }

  kept(from: number, to: number): ListChange {
    return this.#changed(this.#items.slice(from, to))
  }

  #changed(items: readonly FieldValue[]): ListChange {
    if (items.length === 0) return 'gone'
    const whole = listFields(items)
    return this.#isField && whole[array] !== undefined ? { fields: { [array]: items } } : { whole }
  }
}

interface Ends {
  readonly first: number
  readonly last: number
}

class NumberedList implements List {
  readonly length: number
  readonly #fields: Fields
  readonly #first: number
  readonly #removesFields: boolean

  constructor(fields: Fields, { first, last }: Ends, removesFields: boolean) {
    this.#fields = fields
    this.#first = first
    this.length = last - first + 1
    this.#removesFields = removesFields
  }

  at(index: number): string | undefined {
    return index >= 0 && index < this.length ? shown(this.#value(index)) : undefined
  }

  slice(from: number, to: number): string[] {
    return this.#values(from, to).map(shown)
  }

  spliced(splice: Splice): ListChange {
    const { from, count, inserted } = splice
    const growth = inserted.length - count
    const length = this.length + growth
    if (length === 0) return 'gone'
    const behind = this.length - from - count
    // The side with fewer items moves.
    const movesFront = from < behind
    const first = movesFront ? this.#first - growth : this.#first
    const isWrittenAnew = growth < 0 && !this.#removesFields
    if (isWrittenAnew || first < least || first + length - 1 > most) {
      return { whole: listFields(splicedValues(this.#values(0, this.length), splice)) }
    }
    const before = movesFront && growth !== 0 ? this.#values(0, from) : []
    const after = movesFront || growth === 0 ? [] : this.#values(from + count, this.length)
    const fields = numbered(first + from - before.length, [...before, ...inserted, ...after])
    if (growth >= 0) return { fields }
    const removed = named(movesFront ? this.#first : this.#first + length, -growth)
    return this.#withSmall(length, { fields, removed }, () =>
      splicedValues(this.#values(0, this.length), splice),
    )
  }

  kept(from: number, to: number): ListChange {
    const length = Math.max(0, Math.min(to, this.length) - from)
    if (length === 0) return 'gone'
    const goes = this.length - length
    if (goes === 0) return { fields: { [type]: 'list' } }
    if (!this.#removesFields || goes > length) {
      return { whole: listFields(this.#values(from, from + length)) }
    }
    const removed = named(this.#first, from)
    named(this.#first + from + length, goes - from, removed)
    return this.#withSmall(length, { fields: {}, removed }, () => this.#values(from, from + length))
  }

  /** An array again where that is enough for what is left. */
  #withSmall(length: number, change: ListChange, left: () => readonly FieldValue[]): ListChange {
    if (length > maxArrayItems / 2) return change
    const items = left()
    return isSmall(items, maxArrayItems / 2) ? { whole: listFields(items) } : change
  }

  #value(index: number): FieldValue {
    return this.#fields[String(this.#first + index)] as FieldValue
  }

  #values(from: number, to: number): FieldValue[] {
    const values: FieldValue[] = []
    for (let index = Math.max(0, from); index < to && index < this.length; index++) {
      values.push(this.#value(index))
    }
    return values
  }
}

function numbered(
  first: number,
  items: readonly FieldValue[],
  into: Record<string, FieldValue> = {},
): Record<string, FieldValue> {
  for (const [index, item] of items.entries()) into[String(first + index)] = item
  return into
}

function named(
  first: number,
  count: number,
  into: Record<string, true> = {},
): Record<string, true> {
  for (let number = first; number < first + count; number++) into[String(number)] = true
  return into
}

function splicedValues(
  items: readonly FieldValue[],
  { from, count, inserted }: Splice,
): FieldValue[] {
  return [...items.slice(0, from), ...inserted, ...items.slice(from + count)]
}

function isSmall(items: readonly FieldValue[], maxItems: number): boolean {
  if (items.length > maxItems) return false
  let units = 0
  for (const item of items) units += typeof item === 'string' ? item.length : 0
  return units <= maxArrayUnits
}

/** undefined: what is there is not numbered without gaps, as another program may have written it. */
function endsOf(fields: Fields): Ends | undefined {
  let first = Infinity
  let last = -Infinity
  let count = 0
  for (const name in fields) {
    if (!isOwnField(fields, name)) continue
    const number = Number(name)
    // Also of what is no number.
    if (!(number >= least && number <= most) || String(number) !== name) return undefined
    if (number < first) first = number
    if (number > last) last = number
    count++
  }
  return count > 0 && last - first + 1 === count ? { first, last } : undefined
}

/** undefined: only a look at all of them can tell. */
function movedEnds({ first, last }: Ends, { was, names, after }: Patched): Ends | undefined {
  let count = last - first + 1
  for (const name of names) {
    if (isOwnField(was, name)) count--
    if (!isOwnField(after, name)) continue
    count++
    first = Math.min(first, Number(name))
    last = Math.max(last, Number(name))
  }
  // What was taken away is at an end, and is one of the names.
  for (let looks = names.length; looks > 0 && !isOwnField(after, String(first)); looks--) first++
  for (let looks = names.length; looks > 0 && !isOwnField(after, String(last)); looks--) last--
  return last - first + 1 === count ? { first, last } : undefined
}

/** In the order of their names. */
function foreign(fields: Fields): List {
  const names = Object.keys(fields).filter((name) => isOwnField(fields, name))
  const items = names.sort().map((name) => fields[name] as FieldValue)
  return new ArrayList(items, false)
}

function shown(item: FieldValue): string {
  return binaryOf(typeof item === 'string' ? item : JSON.stringify(item))
}
