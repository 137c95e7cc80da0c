/**
 * Keys of a cache, a page at a time.
 *
 * A cursor stands for a list that goes on where the page before it ended. It is good for the next page, and until that one's
 * own cursor is used, for the same page again, should an answer get lost. A list holds the keys that were pending when it
 * began, so lists are bounded in number and in the time that nobody goes on with them: then they are forgotten, and their
 * cursors refused.
 *
 * The store lists by its own order and not by prefix, so a page looks at a bounded number of keys: it may have few keys or
 * none, and others after it all the same.
 */

import type { Clock, Timer } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { RequestError } from './request-error.ts'

const maxLists = 16
const maxIdleMs = 300_000
/** Keys that one page looks at. */
const maxLooked = 10_000

export interface KeyPage {
  readonly keys: readonly string[]
  /** Where more may follow. */
  readonly next?: string
}

/** What a list is of. */
export interface KeySource {
  readonly cache: string
  /** Keys that begin so. */
  readonly prefix: string
  readonly keys: () => AsyncGenerator<string>
}

interface KeyList {
  readonly id: string
  readonly cache: string
  readonly prefix: string
  readonly keys: AsyncGenerator<string>
  /** The number of the page that was asked for last; the first is 1. */
  number: number
  page: Promise<KeyPage> | undefined
  /** What the page after this one ends with. */
  failure: { readonly error: unknown } | undefined
  idle: Timer | undefined
}

export class KeyLists {
  readonly #clock: Clock
  readonly #random: Random
  /** The least lately used first. */
  readonly #lists = new Map<string, KeyList>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /**
   * The first page, or the one that `after` is the cursor of. Throws CURSOR_UNKNOWN, and what reading the keys throws: keys
   * that were found before that come first, in a page of their own. A list ends with its error.
   */
  page(source: KeySource, after: string | undefined, limit: number): Promise<KeyPage> {
    if (after === undefined) return this.#turn(this.#begin(source), 1, limit)
    const [, id = '', digits = ''] = /^([0-9a-f-]+)\.(\d{1,15})$/.exec(after) ?? []
    const list = this.#lists.get(id)
    const number = Number(digits)
    if (list !== undefined && list.cache === source.cache && list.prefix === source.prefix) {
      if (number === list.number + 1) return this.#turn(list, number, limit)
      if (number === list.number && list.page !== undefined) {
        this.#keep(list)
        return list.page
      }
    }
    throw new RequestError(
      'CURSOR_UNKNOWN',
      'This cursor is of another list, or was not used for too long. Begin again without `after`.',
    )
  }

  close(): void {
    for (const list of this.#lists.values()) this.#forget(list)
  }

  #begin({ cache, prefix, keys }: KeySource): KeyList {
    const id = this.#random.uuid()
    const blank = { page: undefined, failure: undefined, idle: undefined }
    return { id, cache, prefix, keys: keys(), number: 0, ...blank }
  }

  #turn(list: KeyList, number: number, limit: number): Promise<KeyPage> {
    this.#keep(list)
    list.number = number
    list.page = this.#read(list, number, limit)
    return list.page
  }

  async #read(list: KeyList, number: number, limit: number): Promise<KeyPage> {
    const keys: string[] = []
    const more = { keys, next: `${list.id}.${number + 1}` }
    try {
      if (list.failure !== undefined) throw list.failure.error
      for (let looked = 0; looked < maxLooked && keys.length < limit; looked++) {
        const step = await list.keys.next()
        if (step.done === true) return { keys }
        if (step.value.startsWith(list.prefix)) keys.push(step.value)
      }
    } catch (error) {
      // A generator that has thrown is over. That must not look like the end of the keys.
      if (keys.length === 0) {
        this.#forget(list)
        throw error
      }
      list.failure = { error }
    }
    return more
  }

  #keep(list: KeyList): void {
    this.#forget(list)
    list.idle = this.#clock.setTimer(maxIdleMs, () => this.#forget(list))
    this.#lists.set(list.id, list)
    if (this.#lists.size <= maxLists) return
    const [oldest] = this.#lists.values()
    if (oldest !== undefined) this.#forget(oldest)
  }

  #forget(list: KeyList): void {
    list.idle?.cancel()
    this.#lists.delete(list.id)
  }
}
