/**
 * The order of the members of each sorted set, beside the document that holds them.
 *
 * It is made when someone first asks for it, lives as long as the document, and is carried over to the document that a change
 * makes of it: nothing is sorted anew for a command. What was evicted and loaded again is.
 */

import type { Patched } from '../../book/keyspace.ts'
import type { Fields } from '../../mutation/mutation.ts'
import { binaryOfName, isOwnName } from './binary-text.ts'
import { scoreOfField } from './scores.ts'
import { SortedMembers, type Scored } from './sorted-members.ts'

export class Orders {
  readonly #known = new WeakMap<Fields, SortedMembers>()

  of(fields: Fields): SortedMembers {
    let order = this.#known.get(fields)
    if (order === undefined) {
      order = SortedMembers.of(scoredIn(fields, Object.keys(fields)))
      this.#known.set(fields, order)
    }
    return order
  }

  /** `after` is `before` but for the fields with these names, which are in `was` as they were. */
  carry({ before, was, names, after }: Patched): void {
    const order = this.#known.get(before)
    if (order === undefined) return
    this.#known.set(after, order.changed(scoredIn(was, names), scoredIn(after, names)))
  }
}

/** The members among these names that are there. */
function scoredIn(fields: Fields, names: readonly string[]): Scored[] {
  const found: Scored[] = []
  for (const name of names) {
    if (!isOwnName(name) || !Object.hasOwn(fields, name)) continue
    const field = fields[name]
    if (field === null) continue
    found.push({ member: binaryOfName(name), score: scoreOfField(field) })
  }
  return found
}
