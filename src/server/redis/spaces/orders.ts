/**
 * An order of the members of each collection, beside the document that holds them: of sorted sets by their scores, and of
 * hashes and sets by the hashes of their names, which is how they are scanned and picked from.
 *
 * It is made when someone first asks for it, lives as long as the document, and is carried over to the document that a change
 * makes of it: nothing is sorted anew for a command. What was evicted and loaded again is.
 */

import type { Patched } from '../../../book/keyspace.ts'
import type { Fields, FieldValue } from '../../../mutation/mutation.ts'
import { hashText } from '../../../base/hash.ts'
import { binaryOfName } from './binary-text.ts'
import { isOwnField } from './own-field.ts'
import { scoreOfField } from './scores.ts'
import { SortedMembers, type Scored } from './sorted-members.ts'

type ScoreOf = (member: string, field: FieldValue) => number

export const byScore: ScoreOf = (_, field) => scoreOfField(field)
export const byHash: ScoreOf = (member) => hashText(member)

/** Of names that are not in a document. */
export function namesByHash(names: readonly string[]): SortedMembers {
  return SortedMembers.of(names.map((member) => ({ member, score: hashText(member) })))
}

export class Orders {
  readonly #known = new WeakMap<Fields, SortedMembers>()
  readonly #scoreOf: ScoreOf
  readonly #maxMadeAnew: number

  /** With at most `maxMadeAnew` members the order is made each time, which takes less than to remember it. */
  constructor(scoreOf: ScoreOf, maxMadeAnew = 0) {
    this.#scoreOf = scoreOf
    this.#maxMadeAnew = maxMadeAnew
  }

  of(fields: Fields): SortedMembers {
    const known = this.#known.get(fields)
    if (known !== undefined) return known
    const items: Scored[] = []
    for (const name of Object.keys(fields)) {
      const item = this.#itemOf(fields, name)
      if (item !== undefined) items.push(item)
    }
    const order = SortedMembers.of(items)
    if (order.size > this.#maxMadeAnew) this.#known.set(fields, order)
    return order
  }

  /** `after` is `before` but for the fields with these names, which are in `was` as they were. */
  carry({ before, was, names, after }: Patched): void {
    const order = this.#known.get(before)
    if (order === undefined) return
    const removed: Scored[] = []
    const added: Scored[] = []
    for (const name of names) {
      const old = this.#itemOf(was, name)
      const now = this.#itemOf(after, name)
      if (Object.is(old?.score, now?.score)) continue
      if (old !== undefined) removed.push(old)
      if (now !== undefined) added.push(now)
    }
    this.#known.set(after, order.changed(removed, added))
  }

  /** undefined: no such member is there. */
  #itemOf(fields: Fields, name: string): Scored | undefined {
    if (!isOwnField(fields, name)) return undefined
    const member = binaryOfName(name)
    return { member, score: this.#scoreOf(member, fields[name] as FieldValue) }
  }
}
