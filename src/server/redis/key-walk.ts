/**
 * Walks over the keys of a database: KEYS, SCAN, DBSIZE, RANDOMKEY, FLUSHDB. A cursor of SCAN is the number of a walk and
 * that of its page, see `key-pages.ts`.
 */

import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import { KeyPages } from '../key-pages.ts'
import type { Databases } from './databases.ts'
import { RedisError } from './redis-error.ts'

export interface ScannedKeys {
  readonly names: readonly string[]
  /** 0 where this was the last. */
  readonly next: number
}

const maxWalks = 256
/** Pages of one walk. A cursor is `walk * maxPages + page`, which a double holds. */
const maxPages = 2 ** 31
const maxIds = 2 ** 21
/** RANDOMKEY chooses among this many. */
const maxSample = 1000

export class KeyWalks {
  readonly #databases: Databases
  readonly #random: Random
  readonly #pages: KeyPages
  #lastId = 0

  constructor(databases: Databases, clock: Clock, random: Random) {
    this.#databases = databases
    this.#random = random
    this.#pages = new KeyPages(clock, maxWalks)
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

  /** Of databases that are others now, and when the server closes. */
  forget(databases: readonly number[]): void {
    for (const database of databases) this.#pages.forget(String(database))
  }

  close(): void {
    this.#pages.close()
  }

  /** 0 begins. Throws what reading the keys throws: those that were found before that come first. */
  async page(database: number, cursor: number, count: number): Promise<ScannedKeys> {
    const scope = String(database)
    const id = cursor === 0 ? this.#nextId() : Math.floor(cursor / maxPages)
    const page =
      cursor === 0
        ? this.#pages.begin(String(id), { scope, keys: this.walk(database) }, count)
        : this.#pages.page({ id: String(id), number: cursor % maxPages }, scope, count)
    if (page === undefined) throw new RedisError('ERR invalid cursor')
    const { keys, next } = await page
    return { names: keys, next: next === undefined ? 0 : id * maxPages + next }
  }

  #nextId(): number {
    this.#lastId = (this.#lastId % (maxIds - 1)) + 1
    return this.#lastId
  }
}
