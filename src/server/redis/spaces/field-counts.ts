/**
 * How many fields of its own each large document has, beside it: counted when someone first asks, and carried over to what a
 * change makes of the document. A small one is counted each time.
 */

import type { Patched } from '../../../book/keyspace.ts'
import type { Fields } from '../../../mutation/mutation.ts'
import { isOwnField } from './own-field.ts'

/** What is counted faster than it is looked up. */
export const maxCounted = 64

export class FieldCounts {
  readonly #known = new WeakMap<Fields, number>()

  of(fields: Fields): number {
    const known = this.#known.get(fields)
    if (known !== undefined) return known
    let count = 0
    for (const name in fields) if (isOwnField(fields, name)) count++
    if (count > maxCounted) this.#known.set(fields, count)
    return count
  }

  carry({ before, was, names, after }: Patched): void {
    let count = this.#known.get(before)
    if (count === undefined) return
    for (const name of names) {
      if (isOwnField(was, name)) count--
      if (isOwnField(after, name)) count++
    }
    this.#known.set(after, count)
  }
}
