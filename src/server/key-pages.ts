/**
 * Walks over keys that are read a page at a time: what the cursors of SCAN and of the HTTP API stand for.
 *
 * A walk has an id, and its pages have numbers. Its next page can be asked for, and until the one after that is, the same
 * page again, should an answer get lost. A walk holds the keys that were pending when it began, so walks are bounded in
 * number and in the time that nobody goes on with them: then they are forgotten.
 *
 * Keys that were found before an error come in a page of their own, and the error instead of the next one. A walk ends with
 * its error, which must not look like the end of the keys.
 */

import type { Clock, Timer } from '../base/clock.ts'

const maxIdleMs = 300_000
/** Keys that one page looks at, should few of them be wanted; more only where so many are asked for. */
const maxLooked = 10_000

export interface KeyPage {
  readonly keys: readonly string[]
  /** The number of the next page, where more may follow. */
  readonly next?: number
}

/** What a walk goes over. */
export interface KeySource {
  /** Only who names the same goes on with the walk. */
  readonly scope: string
  readonly keys: AsyncGenerator<string>
  /** Default: all keys. */
  readonly isWanted?: (key: string) => boolean
}

interface Walk extends KeySource {
  readonly id: string
  /** Of the page that was asked for last; the first is 1. */
  number: number
  page: Promise<KeyPage>
  /** What the page after this one ends with. */
  failure: { readonly error: unknown } | undefined
  idle: Timer | undefined
}

export class KeyPages {
  readonly #clock: Clock
  readonly #maxWalks: number
  /** By id, the least lately used first. */
  readonly #walks = new Map<string, Walk>()

  constructor(clock: Clock, maxWalks: number) {
    this.#clock = clock
    this.#maxWalks = maxWalks
  }

  /** The first page of a new walk. Throws what reading the keys throws. */
  begin(id: string, source: KeySource, limit: number): Promise<KeyPage> {
    const none = Promise.resolve({ keys: [] })
    const walk: Walk = {
      ...{ ...source, id, number: 1, page: none },
      ...{ failure: undefined, idle: undefined },
    }
    this.#keep(walk)
    walk.page = this.#read(walk, limit)
    return walk.page
  }

  /** Another page, or the same again; undefined where there is no such walk, or it is elsewhere. */
  page(
    { id, number }: { readonly id: string; readonly number: number },
    scope: string,
    limit: number,
  ): Promise<KeyPage> | undefined {
    const walk = this.#walks.get(id)
    if (walk?.scope !== scope || number < walk.number || number > walk.number + 1) return undefined
    this.#keep(walk)
    if (number > walk.number) {
      walk.number = number
      walk.page = this.#read(walk, limit)
    }
    return walk.page
  }

  /** Ends the walks that `scope` has. */
  forget(scope: string): void {
    for (const walk of this.#walks.values()) if (walk.scope === scope) this.#forget(walk)
  }

  close(): void {
    for (const walk of this.#walks.values()) this.#forget(walk)
  }

  async #read(walk: Walk, limit: number): Promise<KeyPage> {
    const keys: string[] = []
    const more = { keys, next: walk.number + 1 }
    try {
      if (walk.failure !== undefined) throw walk.failure.error
      const most = Math.max(limit, maxLooked)
      for (let looked = 0; looked < most && keys.length < limit; looked++) {
        const step = await walk.keys.next()
        if (step.done === true) return { keys }
        if (walk.isWanted?.(step.value) !== false) keys.push(step.value)
      }
    } catch (error) {
      // A generator that has thrown is over, and would say that it has come to the end.
      if (keys.length === 0) {
        this.#forget(walk)
        throw error
      }
      walk.failure = { error }
    }
    return more
  }

  #keep(walk: Walk): void {
    this.#forget(walk)
    walk.idle = this.#clock.setTimer(maxIdleMs, () => this.#forget(walk))
    this.#walks.set(walk.id, walk)
    if (this.#walks.size <= this.#maxWalks) return
    const [oldest] = this.#walks.values()
    if (oldest !== undefined) this.#forget(oldest)
  }

  #forget(walk: Walk): void {
    walk.idle?.cancel()
    this.#walks.delete(walk.id)
  }
}
