/**
 * Keys of a cache, a page at a time: `key-pages.ts` with cursors that nobody can guess.
 *
 * Where the store's order is not that of bytes, keys that begin alike are anywhere. So a page looks at a bounded number of
 * keys: it may have few or none, and others after it all the same.
 */

import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { KeyPages } from '../key-pages.ts'
import { RequestError } from './request-error.ts'

const maxLists = 16

export interface ListedKeys {
  readonly keys: readonly string[]
  /** A cursor, where more may follow. */
  readonly next?: string
}

/** What a list is of. */
export interface ListSource {
  readonly cache: string
  /** Keys that begin so. */
  readonly prefix: string
  readonly keys: () => AsyncGenerator<string>
}

export class KeyLists {
  readonly #random: Random
  readonly #pages: KeyPages

  constructor(clock: Clock, random: Random) {
    this.#random = random
    this.#pages = new KeyPages(clock, maxLists)
  }

  /**
   * The first page, or the one that `after` is the cursor of. Throws CURSOR_UNKNOWN, and what reading the keys throws: keys
   * that were found before that come first, in a page of their own. A list ends with its error.
   */
  async page(
    { cache, prefix, keys }: ListSource,
    after: string | undefined,
    limit: number,
  ): Promise<ListedKeys> {
    const scope = JSON.stringify([cache, prefix])
    const [, given, digits] = /^([0-9a-f-]+)\.(\d{1,15})$/.exec(after ?? '') ?? []
    const id = given ?? this.#random.uuid()
    const page =
      after === undefined
        ? this.#pages.begin(
            id,
            { scope, keys: keys(), isWanted: (key) => key.startsWith(prefix) },
            limit,
          )
        : this.#pages.page({ id, number: Number(digits) }, scope, limit)
    if (page === undefined) {
      throw new RequestError(
        'CURSOR_UNKNOWN',
        'This cursor is of another list, or was not used for too long. Begin again without `after`.',
      )
    }
    const { keys: found, next } = await page
    return next === undefined ? { keys: found } : { keys: found, next: `${id}.${next}` }
  }

  close(): void {
    this.#pages.close()
  }
}
