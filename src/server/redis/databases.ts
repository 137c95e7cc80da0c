/**
 * Which space a key belongs to. Database 0 has the mapped caches, by what stands before the first colon of a key, and all
 * other keys; the databases beyond it are plain. Each plain database is one cache of documents: `redis`, `redis:1`, …
 *
 * SWAPDB lets two of them change places. Which database has which cache is a document of its own, written before anyone sees
 * the change: what runs until that is durable still finds the databases as they were, and so comes before the swap, also
 * after a crash, for all of it is in one journal.
 */

import { DaybookError } from '../../base/errors.ts'
import type { Daybook } from '../../book/daybook.ts'
import type { Cache } from '../../book/cache.ts'
import type { Keyspace } from '../../book/keyspace.ts'
import type { CacheOptions } from '../../book/options.ts'
import type { Place, Turn } from '../../book/turn.ts'
import type { Fields } from '../../mutation/mutation.ts'
import { maxKeyBytes } from '../../store/key.ts'
import { Arrivals } from './arrivals.ts'
import { keyTextOf } from './spaces/binary-text.ts'
import { keyNames, type Command } from './command.ts'
import { DocumentSpace } from './spaces/document-space.ts'
import type { KeyspaceEvents } from './keyspace-events.ts'
import type { Near } from './near.ts'
import { RedisError } from './redis-error.ts'
import type { Around, Space, Target } from './spaces/space.ts'
import { chunkIds } from './streams/sorted-ids.ts'
import type { StreamNodes } from './streams/stream-nodes.ts'
import { TableSpace, type RowExpiry } from './spaces/table-space.ts'

export const databaseCount = 16
const noTargets: readonly Target[] = []

/** What the configuration says of one mapped cache. */
export interface Mapping {
  readonly cache: string
  readonly rowExpiry: RowExpiry
}

export interface DatabasesOptions {
  readonly mappings: readonly Mapping[]
  /** Of the caches that hold keys without a mapping: budget, durability. */
  readonly documents: Pick<CacheOptions<unknown>, 'maxBytes' | 'durability' | 'pressure'>
}

interface Part {
  readonly space: Space
  readonly cache: Cache<unknown>
}

/** Deadlines are given with each write; this one is only there because rows that expire need one. */
export const noDeadlineMs = 3650 * 86_400_000
/** Nobody else writes these rows, so "there is none" stays true. */
const absenceMs = 86_400_000

export class Databases {
  readonly arrivals = new Arrivals()
  readonly streamNodes: StreamNodes = { maxEntries: chunkIds }
  readonly #book: Daybook
  readonly #turn: Turn
  readonly #events: KeyspaceEvents
  readonly #options: DatabasesOptions
  readonly #mapped = new Map<string, Part>()
  readonly #plain: (Part | undefined)[] = []
  /** Caches of the plain databases. */
  #names: readonly string[] = Array.from({ length: databaseCount }, (_, index) => cacheOf(index))
  #placement: Place | undefined
  /** How often keys have come to be elsewhere: what was looked up before must be looked up again. */
  moves = 0
  /** What must not overlap is over. */
  #exclusive: Promise<unknown> = Promise.resolve()

  constructor(book: Daybook, turn: Turn, events: KeyspaceEvents, options: DatabasesOptions) {
    this.#book = book
    this.#turn = turn
    this.#events = events
    this.#options = options
  }

  /** Finds and checks all tables. Throws STORE_MISCONFIGURED with what is wrong. */
  async open(): Promise<void> {
    for (const mapping of this.#options.mappings) await this.map(mapping)
    await this.#readPlacement()
    await this.ready(0)
  }

  /**
   * Keys of database 0 that begin with the cache's name are its rows from now on. What such keys were before stays where it
   * is. Throws STORE_MISCONFIGURED with what is wrong with the table.
   */
  async map({ cache: name, rowExpiry }: Mapping): Promise<void> {
    const ends = rowExpiry === 'delete' ? await this.#documents('redis:deadlines') : undefined
    const cache = await this.#book.cache<unknown>(name).ready()
    const keyspace = this.#turn.keyspace(name)
    if (keyspace === undefined) throw new Error(`Cache ${name} was declared.`)
    if (this.#mapped.has(name)) return
    const around = this.#around(0)
    const prefix = `${name}:`
    const space = keyspace.schema.document
      ? new DocumentSpace(keyspace, around, prefix)
      : new TableSpace(keyspace, around, prefix, rowExpiry, ends?.keyspace)
    this.#mapped.set(name, { space, cache })
    this.moves++
  }

  /** Where two databases have changed places in an earlier run, they still have. */
  async #readPlacement(): Promise<void> {
    const { keyspace } = await this.#documents('redis:databases', { durability: 'journal' })
    const place = { keyspace, key: 'caches', blind: false }
    this.#placement = place
    let fields: Fields | undefined
    await this.#turn.later([place], () => {
      fields = this.#turn.read(place)
    })
    if (fields === undefined) return
    const names = this.#names.map((name, index) => {
      const given = fields?.[index]
      return typeof given === 'string' ? given : name
    })
    if ([...names].sort().join() !== [...this.#names].sort().join()) {
      throw new DaybookError(
        'STORE_MISCONFIGURED',
        'What the database says of SWAPDB names a cache twice, or one that is none.',
        {
          details: { cache: keyspace.name, key: place.key },
          hint: 'Mend that document, or delete it: then every database has its own cache again.',
        },
      )
    }
    this.#names = names
  }

  /** One at a time: SWAPDB, and what walks over a database to change it. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#exclusive.then(work)
    this.#exclusive = result.catch(() => undefined)
    return result
  }

  /** Durable before anyone sees it. Keys of mapped caches stay where they are, so what is beside them does, too. */
  swap(first: number, second: number): Promise<void> {
    return this.exclusively(async () => {
      if (this.#mapped.size > 0 && (first === 0 || second === 0)) {
        throw new RedisError(
          'ERR SWAPDB cannot swap database 0: it has caches of the configuration, whose rows stay where they are',
        )
      }
      await this.ready(first)
      await this.ready(second)
      const place = this.#placement
      if (first === second || place === undefined) return
      const names = [...this.#names]
      swapMembers(names, first, second)
      const fields = Object.fromEntries(names.map((name, index) => [String(index), name]))
      const { done } = await this.#turn.later([place], () =>
        this.#turn.write(place, { kind: 'set', fields }),
      )
      await done
      this.#names = names
      swapMembers(this.#plain, first, second)
      for (const index of [first, second]) {
        const part = this.#plain[index]
        if (part !== undefined) part.space.database = index
      }
      this.moves++
    })
  }

  has(index: number): boolean {
    return this.#plain[index] !== undefined
  }

  /** Makes a database usable, which is once for each. */
  async ready(index: number): Promise<void> {
    if (this.has(index)) return
    const { cache, keyspace } = await this.#documents(this.#names[index] ?? cacheOf(index))
    // Someone else may have come first, and databases may have changed places since.
    if (this.has(index)) return
    const around = this.#around(index)
    this.#plain[index] = { space: new DocumentSpace(keyspace, around, ''), cache }
  }

  #around(database: number): Around {
    const { arrivals, streamNodes } = this
    return { turn: this.#turn, events: this.#events, arrivals, database, streamNodes }
  }

  async #documents(
    name: string,
    options = this.#options.documents,
  ): Promise<{ cache: Cache<unknown>; keyspace: Keyspace }> {
    const cache = await this.#book
      .cache<unknown>(name, {
        ...options,
        expire: 'delete',
        ttlMs: noDeadlineMs,
        negativeTtlMs: absenceMs,
      })
      .ready()
    const keyspace = this.#turn.keyspace(name)
    if (keyspace === undefined) throw new Error(`Cache ${name} was declared.`)
    return { cache, keyspace }
  }

  /** Where a key is. `blind`: the command does not look at what is there, or not where that is a row. */
  target(index: number, name: string, plain: boolean, blind: boolean | 'rows'): Target {
    if (index === 0 && this.#mapped.size > 0) {
      const colon = name.indexOf(':')
      const part = colon > 0 ? this.#mapped.get(name.slice(0, colon)) : undefined
      if (part !== undefined) return mappedTarget(part.space, name, colon + 1, blind)
    }
    const part = this.#plain[index]
    if (part === undefined) throw new RedisError('ERR DB index is out of range')
    const { space } = part
    const key = keyTextOf(name, plain)
    if (key.length * 3 > maxKeyBytes) checkLength(key)
    return { space, keyspace: space.keyspace, key, name, blind: blind === true }
  }

  /** Of a command's keys, in the order of the arguments. */
  targets(
    command: Command,
    args: readonly string[],
    plain: boolean,
    database: number,
  ): readonly Target[] {
    const { keys, optionalKeys } = command
    const blind = ('blind' in command && !this.#events.tellsNew && command.blind?.(args)) || false
    // Most commands have one key.
    if (keys !== undefined && keys[0] === keys[1] && optionalKeys === undefined) {
      return args.length <= keys[0]
        ? noTargets
        : [this.target(database, args[keys[0]] ?? '', plain, blind)]
    }
    const names = keyNames(command, args) ?? []
    return names.map((name) => this.target(database, name, plain, blind))
  }

  /**
   * Tells `near` where a request will probably look: most commands have one key, their first argument, and read its value
   * where there is no other.
   */
  expect(near: Near, index: number, args: readonly string[]): void {
    const name = args[1]
    if (name === undefined) return
    const reads = args.length === 2
    if (index === 0 && this.#mapped.size > 0) {
      const colon = name.indexOf(':')
      const part = colon > 0 ? this.#mapped.get(name.slice(0, colon)) : undefined
      if (part !== undefined) {
        near.add(part.space.keyspace, name.slice(colon + 1), reads)
        return
      }
    }
    const part = this.#plain[index]
    if (part !== undefined) near.add(part.space.keyspace, name, reads)
  }

  /** Of one database: the plain keys, and the mapped ones of database 0. */
  parts(index: number): Part[] {
    const plain = this.#plain[index]
    return [...(plain === undefined ? [] : [plain]), ...(index === 0 ? this.#mapped.values() : [])]
  }

  get caches(): string[] {
    return [...this.#mapped.values(), ...this.#plain]
      .filter((part) => part !== undefined)
      .map(({ cache }) => cache.name)
  }
}

export type DatabasePart = Part

function cacheOf(index: number): string {
  return index === 0 ? 'redis' : `redis:${index}`
}

function swapMembers<T>(list: T[], first: number, second: number): void {
  const [a, b] = [list[first], list[second]]
  if (a === undefined || b === undefined) return
  list[first] = b
  list[second] = a
}

function mappedTarget(space: Space, name: string, at: number, blind: boolean | 'rows'): Target {
  if (space instanceof TableSpace) return space.target(name, at, blind)
  const key = keyTextOf(name.slice(at), false)
  checkLength(key)
  return { space, keyspace: space.keyspace, key, name, blind: blind === true }
}

function checkLength(key: string): void {
  if (Buffer.byteLength(key) <= maxKeyBytes) return
  throw new RedisError(`ERR a key takes at most ${maxKeyBytes} bytes`)
}
