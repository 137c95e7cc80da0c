/**
 * One process after another on one disk and one database, in virtual time. Each call of either that has changed
 * something is told as a moment: a crash there leaves another state than a moment before.
 */

import { isDaybookError } from '../../src/base/errors.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Cache } from '../../src/book/cache.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import { openBook } from '../../src/book/open.ts'
import type { DaybookOptions } from '../../src/book/options.ts'
import { openFileJournal } from '../../src/journal/file-journal.ts'
import type { Store, StoreTransaction } from '../../src/store/store.ts'
import type { CrashFates } from '../../src/testing/memory-crash-fates.ts'
import type { FileStep, MemoryFiles } from '../../src/testing/memory-files.ts'
import { Chance } from '../chance.ts'
import type { MemoryGrade } from '../database.ts'
import { EventLoop, type Life } from '../event-loop.ts'
import { batchesFrom, firstBatchOffset, segmentBase } from '../oracle/journal-image.ts'
import type { Letter } from '../oracle/letter-image.ts'
import { Violation } from '../oracle/violation.ts'
import { blanks, poison, type CacheName, type Row } from '../tables.ts'
import { identityOf, mustEqual, type DatabaseImage, type DiskImage, type Ledger } from './ledger.ts'

export type RunOptions = Omit<Partial<DaybookOptions>, 'directory' | 'store'>

export const lanes = 2
/** Smaller than a book's options allow: a header, three pages of batches, and one for a seal. */
const segmentBytes = 20 << 10
const directory = '/book'
const journalDirectory = `${directory}/journal`
const lettersPath = `${directory}/dead-letters.log`
export const cacheNames = ['users', 'notes'] as const

/** No history takes longer: what does, hangs. */
const limits = { virtualMs: 3_600_000, events: 50_000 } as const

export interface WriteOf {
  readonly cache?: CacheName
  readonly key: string
  readonly kind: 'set' | 'merge' | 'increment' | 'delete'
  readonly poison?: boolean
  /** Makes the value of a note larger. */
  readonly bytes?: number
}

export class Run {
  files: MemoryFiles
  readonly ledger: Ledger
  readonly #database: MemoryGrade
  readonly #options: RunOptions
  readonly #chance: Chance
  readonly #loop: EventLoop
  #life: Life
  #book: Daybook | undefined
  #caches = new Map<CacheName, Cache<Row>>()
  #journalId = ''
  #unsynced = 0
  /** Where the batches end that the ledger knows, by segment. */
  readonly #ends = new Map<string, number>()
  /** Calls of the disk and of the database. */
  operations = 0
  /** What the last call was. */
  lastOperation = 'nothing'
  onMoment: () => void = () => undefined

  constructor(
    files: MemoryFiles,
    database: MemoryGrade,
    ledger: Ledger,
    options: RunOptions,
    seed: number,
  ) {
    this.#database = database
    this.ledger = ledger
    this.#options = options
    this.#chance = new Chance(seed)
    this.#loop = new EventLoop(this.#chance.stream('events'))
    this.#life = this.#loop.life('process')
    this.files = this.#watched(files)
  }

  get book(): Daybook {
    if (this.#book === undefined) throw new Error('the book is not open')
    return this.#book
  }

  /** Runs the event loop until the work is done. */
  async drive(work: Promise<void>, what: string): Promise<void> {
    let isOver = false
    const over = (): boolean => isOver
    work.then(
      () => (isOver = true),
      () => (isOver = true),
    )
    const end = await this.#loop.run({
      over,
      before: () => false,
      untilMs: limits.virtualMs,
      maxEvents: limits.events,
    })
    if (end === 'over') return work
    throw new Violation('recovery succeeds', `${what} did not come to an end: ${end}`)
  }

  // ── What a history does ──

  async open(): Promise<void> {
    const { files } = this
    this.#book = await openBook(
      {
        lanes,
        ...this.#options,
        flush: { delayMs: 20, retryBaseMs: 1, retryMaxMs: 10, ...this.#options.flush },
        journal: { segmentBytes: 64 << 10, maxBytes: 1 << 20, retainBytes: 0 },
        directory,
        store: this.#watchedStore(this.#database.connect()),
      },
      { clock: this.#life, random: this.#chance, files, logger: silentLogger },
      (options, ports) => openFileJournal({ ...options, segmentBytes }, ports),
    )
    const { book } = this
    this.#caches = new Map<CacheName, Cache<Row>>([
      ['users', book.cache<Row>('users', { table: 'users', key: 'id' })],
      ['notes', book.cache<Row>('notes')],
    ])
    for (const cache of this.#caches.values()) await cache.ready()
    this.ledger.recovered(this.disk, this.database)
  }

  /** Writes, and notes what it was told. Resolves however it ends. */
  async write(given: WriteOf): Promise<void> {
    const { cache, key, kind, mark, fields, by } = this.#begin(given, undefined)
    const to = this.#cache(cache)
    const options = { timeoutMs: 200 }
    const calls = {
      set: () => to.set(key, fields, options),
      merge: () => to.merge(key, fields, options),
      increment: () => to.increment(key, { visits: by }, { ...options, returning: false }),
      delete: () => to.delete(key, options),
    }
    await this.#told([mark], calls[kind]())
  }

  /** One atomic batch. */
  async batch(given: readonly WriteOf[]): Promise<void> {
    const batch = this.ledger.nextMark
    const writes = given.map((write) => this.#begin(write, batch))
    const done = this.book.batch((to) => {
      for (const { cache: name, key, kind, fields, by } of writes) {
        const cache = this.#cache(name)
        if (kind === 'set') to.set(cache, key, fields)
        else if (kind === 'merge') to.merge(cache, key, fields)
        else if (kind === 'increment') to.increment(cache, key, { visits: by })
        else to.delete(cache, key)
      }
    })
    await this.#told(
      writes.map(({ mark }) => mark),
      done,
    )
  }

  flush(): Promise<void> {
    return this.book.flush()
  }

  /** Retries all dead letters of the key, the oldest with another name where `edited`. */
  async retry(key: string, edited: boolean): Promise<void> {
    const letters = await this.#lettersOf(key)
    const marks = letters.map((letter, at) => {
      const record = this.ledger.recordOf(letter)
      if (record === undefined) throw new Error(`the mutation of ${letter.id} was never seen`)
      const name = `w${this.ledger.nextMark}`
      const fields = edited && at === 0 ? { ...record.fields, name } : record.fields
      const identity = identityOf({ ...record, fields, retryOf: letter.id })
      const cache = letter.cache as CacheName
      return this.ledger.begin({ cache, key, identity, batch: undefined })
    })
    const [first] = letters
    const record = first && this.ledger.recordOf(first)
    if (first === undefined || record === undefined) throw new Error(`${key} has no dead letter`)
    const { id } = first
    const edit = { set: { ...record.fields, name: `w${marks[0] ?? 0}` } }
    const options = { timeoutMs: 1_000 }
    const { deadLetters } = this.book
    await this.#told(
      marks,
      edited ? deadLetters.edit(id, edit, options) : deadLetters.retry([id], options),
    )
  }

  async discard(key: string): Promise<void> {
    const [letter] = await this.#lettersOf(key)
    if (letter === undefined) throw new Error(`${key} has no dead letter`)
    this.ledger.mayDiscard(letter.id)
    await this.book.deadLetters.discard([letter.id])
  }

  async close(options: { readonly drain: boolean }): Promise<void> {
    await this.book.close({ drainTimeoutMs: options.drain ? 10_000 : 0 })
  }

  /** Time goes by. */
  pass(ms: number): Promise<void> {
    return this.#life.after(ms)
  }

  kill(): void {
    this.#end()
    this.files = this.#watched(this.files.kill())
  }

  losePower(fates: CrashFates): void {
    this.#end()
    this.files = this.#watched(this.files.powerLoss(fates))
  }

  // ── What must be true ──

  /** Opens, finds all that must be there, and flushes it. */
  async recover(): Promise<void> {
    await this.open()
    await this.#mustRead()
    await this.flush()
    this.ledger.drained(this.disk, this.database, cacheNames)
  }

  /** What was recovered can be gone on with. */
  async goOn(): Promise<void> {
    await this.write({ key: 'after', kind: 'increment' })
    await this.flush()
    this.ledger.recovered(this.disk, this.database)
    this.ledger.drained(this.disk, this.database, cacheNames)
  }

  get database(): DatabaseImage {
    return {
      rows: (cache) => this.#database.rows(cache),
      checkpoint: (lane) => this.#database.checkpoint(this.#journalId, lane),
    }
  }

  get disk(): DiskImage {
    return {
      segments: this.#segmentPaths().flatMap((path) => this.files.view(path) ?? []),
      letters: this.files.view(lettersPath),
    }
  }

  /** No call of it returns any more. */
  end(): void {
    this.#end()
    this.files.kill()
  }

  #end(): void {
    this.#life.end()
    this.#life = this.#loop.life('process')
    this.#book = undefined
  }

  async #mustRead(): Promise<void> {
    const rows = this.ledger.rows()
    const places = [...this.ledger.readablePlaces()]
    for (const cache of cacheNames) {
      const prefix = `${cache}/`
      const keys = places.flatMap((place) =>
        place.startsWith(prefix) ? [place.slice(prefix.length)] : [],
      )
      const found = await this.#cache(cache).getMany(keys)
      for (const key of keys) {
        const row = found.get(key)
        mustEqual(prefix + key, row && withoutKey(row), rows.get(prefix + key), 'a read')
      }
    }
  }

  #begin(given: WriteOf, batch: number | undefined) {
    const { cache = 'users', key, kind } = given
    const mark = this.ledger.nextMark
    const by = 1_000 + mark
    const name = `${given.poison === true ? poison : 'w'}${mark}`
    const whole = cache === 'notes' ? { text: 'x'.repeat(given.bytes ?? 10) } : blanks[cache]
    const fields: Row = kind === 'set' ? { ...whole, name } : kind === 'merge' ? { name } : {}
    const identity = identityOf({
      kind: kind === 'merge' || kind === 'increment' ? 'patch' : kind,
      cache,
      key,
      fields,
      amounts: kind === 'increment' ? { visits: by } : {},
      retryOf: undefined,
    })
    this.ledger.begin({ cache, key, identity, batch })
    return { cache, key, kind, mark, fields, by }
  }

  async #told(marks: readonly number[], done: Promise<unknown>): Promise<void> {
    const tell = (told: 'acknowledged' | 'failed'): void => {
      for (const mark of marks) this.ledger.tell(mark, told)
    }
    try {
      await done
      tell('acknowledged')
    } catch (error) {
      if (!isDaybookError(error)) throw error
      if (error.code === 'JOURNAL_FULL' || error.code === 'OVERLOADED') tell('failed')
      else if (error.code !== 'JOURNAL_FAILED' && error.code !== 'TIMEOUT') throw error
    }
  }

  /** Oldest first. */
  async #lettersOf(key: string): Promise<Letter[]> {
    const { letters } = await this.book.deadLetters.list({ key })
    return letters.flatMap(({ id }) => this.ledger.letter(id) ?? [])
  }

  #cache(name: CacheName): Cache<Row> {
    const cache = this.#caches.get(name)
    if (cache === undefined) throw new Error(`${name} is not declared`)
    return cache
  }

  // ── Moments ──

  #watched(files: MemoryFiles): MemoryFiles {
    this.#unsynced = files.unsynced().length
    this.#ends.clear()
    files.done = (step) => this.#stepDone(files, step)
    return files
  }

  #stepDone(files: MemoryFiles, step: FileStep): void {
    this.operations++
    this.lastOperation = `${step.kind} ${step.path}`
    if (step.kind === 'sync') this.#noteDurable(files, step.path)
    // Whatever changes a disk adds to what is unsynced, or takes from it.
    const unsynced = files.unsynced().length
    if (unsynced === this.#unsynced) return
    this.#unsynced = unsynced
    this.onMoment()
  }

  #noteDurable(files: MemoryFiles, path: string): void {
    const bytes = files.view(path)
    if (bytes === undefined) return
    if (path === lettersPath) this.ledger.lettersDurable(bytes)
    if (!path.endsWith('.wal') || segmentBase(bytes) === undefined) return
    const from = this.#ends.get(path) ?? firstBatchOffset
    const batches = batchesFrom(bytes, from)
    for (const { records } of batches) this.ledger.durable(records)
    this.#ends.set(path, batches.at(-1)?.end ?? from)
  }

  #segmentPaths(): string[] {
    return this.files.paths(journalDirectory).filter((path) => path.endsWith('.wal'))
  }

  #watchedStore(store: Store): Store {
    const called = (what: string, changes: boolean): void => {
      this.operations++
      this.lastOperation = `${what} of the database`
      if (changes) this.onMoment()
    }
    const watchedTransaction = (transaction: StoreTransaction, lane: number): StoreTransaction => ({
      checkpoint: transaction.checkpoint,
      write: async (tables) => {
        await transaction.write(tables)
        called(`write of lane ${lane}`, false)
      },
      commit: async (position) => {
        await transaction.commit(position)
        called(`commit of lane ${lane}`, true)
      },
      rollback: async () => {
        await transaction.rollback()
        called(`rollback of lane ${lane}`, false)
      },
    })
    return {
      name: store.name,
      capabilities: store.capabilities,
      open: async (claim, call) => {
        this.#journalId = claim.journal
        const claimed = await store.open(claim, call)
        called('claim', true)
        return claimed
      },
      describe: (request, call) => store.describe(request, call),
      load: async (schema, cache, keys, call) => {
        const loaded = await store.load(schema, cache, keys, call)
        called('load', false)
        return loaded
      },
      keys: (schema, cache, after, limit, call) => store.keys(schema, cache, after, limit, call),
      begin: async (lane, mode, call) => {
        const transaction = await store.begin(lane, mode, call)
        called(`begin of lane ${lane}`, false)
        return watchedTransaction(transaction, lane)
      },
      expired: (cache, nowMs, limit, call) => store.expired(cache, nowMs, limit, call),
      classify: (error) => store.classify(error),
      close: () => store.close(),
    }
  }
}

/** A cache gives the key with the other columns. */
function withoutKey(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'id'))
}
