/**
 * Walks over the keys of a database: KEYS, SCAN, DBSIZE, RANDOMKEY, FLUSHDB.
 *
 * A cursor of SCAN stands for a walk that goes on where the page before it ended. Its number is good for the next page, and
 * once more for the same page, should a reply get lost. A walk holds the keys that were pending when it began, so walks are
 * bounded in number and in the time that nobody goes on with them: then they are forgotten, and their cursors refused.
 */

import type { Random } from '../../base/random.ts'
import type { Databases } from './databases.ts'
import { RedisError } from './redis-error.ts'

export interface Page {
  readonly names: readonly string[]
  /** 0 where this was the last. */
  readonly next: number
}

interface Walk {
  readonly database: number
  readonly names: AsyncGenerator<string>
  /** What `cursor` gave the last time. */
  last: { readonly cursor: number; readonly page: Page } | undefined
  /** Monotonic ms. */
  usedAt: number
}

const maxWalks = 256
const maxIdleMs = 300_000
/** RANDOMKEY chooses among this many. */
const maxSample = 1000

export class KeyWalks {
  readonly #databases: Databases
  readonly #random: Random
  /** By the cursor that goes on with it, the least lately used first. */
  readonly #walks = new Map<number, Walk>()
  #nextCursor = 1
  #now = 0

  constructor(databases: Databases, random: Random) {
    this.#databases = databases
    this.#random = random
  }

  /** Names of all keys that have a value. What is written meanwhile may or may not be among them. */
  async *walk(database: number): AsyncGenerator<string> {
    for (const { space, cache } of this.#databases.parts(database)) {
      for await (const key of cache.keys()) {
        if (!space.isOver(key)) yield space.nameOf(key)
      }
    }
  }

  async count(database: number): Promise<number> {
    let count = 0
    for (const { space, cache } of this.#databases.parts(database)) {
      for await (const key of cache.keys()) if (!space.isOver(key)) count++
    }
    return count
  }

  async random(database: number): Promise<string | undefined> {
    const names: string[] = []
    for await (const name of this.walk(database)) if (names.push(name) === maxSample) break
    return names[Math.floor(this.#random.next() * names.length)]
  }

  /** Walks of databases that are others now. */
  forget(databases: readonly number[]): void {
    for (const [cursor, { database }] of this.#walks) {
      if (databases.includes(database)) this.#walks.delete(cursor)
    }
  }

  /** Forgets what nobody went on with. Called about once a second. */
  sweep(now: number): void {
    this.#now = now
    for (const [cursor, { usedAt }] of this.#walks) {
      if (now - usedAt > maxIdleMs) this.#walks.delete(cursor)
    }
  }

  async page(database: number, cursor: number, count: number): Promise<Page> {
    const walk = cursor === 0 ? this.#begin(database) : this.#walks.get(cursor)
    if (walk === undefined || walk.database !== database) throw new RedisError('ERR invalid cursor')
    if (cursor !== 0 && walk.last?.cursor === cursor) return walk.last.page
    const names: string[] = []
    let ended = false
    while (names.length < count) {
      const step = await this.#step(walk, cursor)
      if (step.done === true) {
        ended = true
        break
      }
      names.push(step.value)
    }
    return this.#turned(walk, cursor, names, ended)
  }

  /** A walk that failed is over, and its generator would say that it has come to the end: no cursor may lead there. */
  async #step(walk: Walk, cursor: number): Promise<IteratorResult<string>> {
    try {
      return await walk.names.next()
    } catch (error) {
      this.#walks.delete(cursor)
      if (walk.last !== undefined) this.#walks.delete(walk.last.cursor)
      throw error
    }
  }

  #begin(database: number): Walk {
    return { database, names: this.walk(database), last: undefined, usedAt: this.#now }
  }

  /** The page that was asked for with `cursor` is kept until the next one is asked for. */
  #turned(walk: Walk, cursor: number, names: readonly string[], ended: boolean): Page {
    const next = ended ? 0 : this.#nextCursor++
    const page = { names, next }
    const before = walk.last?.cursor
    if (before !== undefined && before !== cursor) this.#walks.delete(before)
    this.#walks.delete(cursor)
    walk.last = { cursor, page }
    walk.usedAt = this.#now
    if (cursor !== 0) this.#keep(cursor, walk)
    if (next !== 0) this.#keep(next, walk)
    return page
  }

  #keep(cursor: number, walk: Walk): void {
    this.#walks.set(cursor, walk)
    if (this.#walks.size <= maxWalks) return
    const [oldest] = this.#walks.keys()
    if (oldest !== undefined) this.#walks.delete(oldest)
  }
}
