/**
 * One cycle: a fresh directory and a fresh database, writers that a fault strikes, and then a writer that nothing
 * strikes, which has to bring everything home. The oracle has the last word.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DaybookOptions } from '../src/index.ts'
import type { PostgresOptions } from '../src/store/postgres/index.ts'
import { between, seeded } from '../test/recovery/seeded.ts'
import { OrderError } from '../test/support/ordered-process.ts'
import type { PostgresServer } from '../test/support/postgres-server.ts'
import { startProxy, type TcpProxy } from '../test/support/tcp-proxy.ts'
import { PostgresDatabase, SqliteDatabase, type Database, type StoreName } from './database.ts'
import type { Fault } from './fault.ts'
import { History } from './history.ts'
import { Oracle, type Violation, type ViolationKind } from './oracle.ts'
import { WriterProcess, within } from './writer-process.ts'
import type { WriterOptions } from './writer.ts'
import { pick } from './workload.ts'

export interface CycleResult {
  readonly fired: boolean
  readonly point: string
  readonly acknowledged: number
  readonly indeterminate: number
  readonly violations: readonly Violation[]
  /** How long each opening of a directory with something in it has taken. */
  readonly recoveriesMs: readonly number[]
  readonly tookMs: number
  /** Kept where there is a violation. */
  readonly directory: string | undefined
}

/** More than any writer comes to before it is killed. */
const endless = 100_000

/** `phase` is told what is being done. */
export async function runCycle(
  seed: number,
  fault: Fault,
  store: StoreName,
  server: PostgresServer | undefined,
  phase: (name: string) => void,
): Promise<CycleResult> {
  const startedAt = performance.now()
  const directory = mkdtempSync(join(tmpdir(), 'daybook-torture-'))
  const database = await databaseOf(store, directory, server)
  const cycle = new Cycle(seed, directory, database, phase)
  let strike = { fired: false, point: 'none' }
  try {
    strike = await fault.run(cycle)
    await cycle.settle()
  } catch (error) {
    // What took too long, or ended otherwise than it should, is as bad as a lost write.
    cycle.blame('stuck', error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    await cycle.cleanUp()
  }
  const violated = cycle.violations.length > 0
  if (violated) {
    for (const [name, text] of cycle.oracle.texts) {
      writeFileSync(join(directory, `${name}.log`), text)
    }
  } else rmSync(directory, { recursive: true, force: true })
  const { acknowledged, indeterminate } = cycle.oracle
  return {
    ...strike,
    acknowledged,
    indeterminate,
    violations: cycle.violations,
    recoveriesMs: cycle.recoveriesMs,
    tookMs: performance.now() - startedAt,
    directory: violated ? directory : undefined,
  }
}

async function databaseOf(
  store: StoreName,
  directory: string,
  server: PostgresServer | undefined,
): Promise<Database> {
  if (store === 'sqlite') return new SqliteDatabase(directory)
  if (server === undefined) throw new Error('there is no PostgreSQL server')
  return PostgresDatabase.create(server)
}

export class Cycle {
  readonly random: () => number
  readonly oracle: Oracle
  readonly violations: Violation[] = []
  readonly recoveriesMs: number[] = []
  /** Of everything that the cycle leaves behind. */
  readonly directory: string
  readonly database: Database
  readonly phase: (name: string) => void
  readonly #seed: number
  readonly #options: WriterOptions
  readonly #writers: WriterProcess[] = []
  readonly #cleanUp: (() => unknown)[] = []
  #next = 0

  constructor(seed: number, directory: string, database: Database, phase: (name: string) => void) {
    this.#seed = seed
    this.random = seeded(seed)
    this.directory = directory
    this.database = database
    this.phase = phase
    this.oracle = new Oracle(seed)
    this.#options = this.#drawOptions()
  }

  /** The book's directory, unless an option says otherwise. */
  get book(): string {
    return join(this.directory, 'book')
  }

  between(least: number, most: number): number {
    return between(this.random, least, most)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  pick<const Item>(items: readonly [Item, ...Item[]]): Item {
    return pick(this.random, items)
  }

  blame(kind: ViolationKind, text: string): void {
    this.violations.push({ kind, text })
  }

  expect(holds: boolean, what: string): void {
    if (!holds) this.blame('stuck', `expected: ${what}`)
  }

  /** The database of a cycle on SQLite. */
  get sqlite(): SqliteDatabase {
    if (this.database instanceof SqliteDatabase) return this.database
    throw new Error('this cycle is not on SQLite')
  }

  get postgres(): PostgresDatabase {
    if (this.database instanceof PostgresDatabase) return this.database
    throw new Error('this cycle is not on PostgreSQL')
  }

  /** A proxy before the server, and the URL by it. */
  async proxy(): Promise<{ proxy: TcpProxy; url: string }> {
    const { server } = this.postgres
    const proxy = await startProxy(server.port)
    this.#cleanUp.push(() => proxy.close())
    return { proxy, url: server.urlOf({ port: proxy.port }) }
  }

  /** Runs at the end of the cycle, whatever becomes of it. */
  onCleanUp(work: () => unknown): void {
    this.#cleanUp.push(work)
  }

  /** Without waiting for it to open. */
  start(options: Partial<WriterOptions> = {}, command?: readonly string[]): WriterProcess {
    const history = new History()
    const writer = new WriterProcess({ ...this.#options, ...options }, history, command)
    this.oracle.follow(history)
    this.#writers.push(writer)
    return writer
  }

  async open(
    options: Partial<WriterOptions> = {},
    command?: readonly string[],
  ): Promise<WriterProcess> {
    const writer = this.start(options, command)
    await this.opened(writer)
    return writer
  }

  /** Rejects where it does not open. */
  async opened(writer: WriterProcess): Promise<void> {
    await within('Opening', writer.opened())
    if (writer.openMs !== undefined && this.#writers[0] !== writer) {
      this.recoveriesMs.push(writer.openMs)
    }
  }

  /** True where it opened; false where it was killed before; rejects where it was refused. */
  async openedOrKilled(writer: WriterProcess): Promise<boolean> {
    try {
      await this.opened(writer)
      return true
    } catch (error) {
      if (error instanceof OrderError && error.code === 'GONE') return false
      throw error
    }
  }

  /** Resolves once all are settled, or the process has ended. */
  write(writer: WriterProcess, count = endless): Promise<void> {
    const first = this.#next
    this.#next += count
    return writer.write(first, count)
  }

  /** From now on, what the process says is no longer part of what the others build on. */
  stray(writer: WriterProcess): History {
    const history = new History()
    this.oracle.followStrayed(history)
    writer.heardBy(history)
    return history
  }

  /** No process is there: sometimes the oracle looks at what the database has. Looking can change it: SQLite recovers. */
  async look(): Promise<void> {
    if (this.chance(0.5)) this.oracle.keep(await this.database.contents())
  }

  /** A process that nothing strikes recovers, reads, goes on, and drains. */
  async settle(): Promise<void> {
    this.phase('recover and drain')
    const history = new History()
    this.oracle.follow(history)
    const options = { ...this.#options, loadTimeoutMs: 10_000, ...this.#last }
    const writer = new WriterProcess(options, history, this.#lastCommand)
    this.#writers.push(writer)
    await this.opened(writer)
    if (this.chance(0.5)) await within('Reading', writer.order({ do: 'read' }))
    await within('Writing', this.write(writer, 40))
    await within('Draining', writer.order({ do: 'flush' }))
    await within('Reading', writer.order({ do: 'read' }))
    const closed = (await within('Closing', writer.order({ do: 'close' }))) as { pending: number }
    this.expect(closed.pending === 0, `nothing pending, not ${closed.pending}`)
    this.expect(
      !writer.events.includes('deadLettered') && writer.deadLetters === 0,
      'no dead letters',
    )
    // By itself, so that the compiler's cache is written.
    const { code } = await within('The end', writer.terminate())
    this.expect(code === 0, `a process that is asked to end ends with 0, not with ${code}`)
    this.phase('judge')
    for (const code of new Set(history.failedReads)) this.blame('wrong error', `reading: ${code}`)
    for (const { number, outcome } of history.called) {
      if (outcome.kind === 'acknowledged') continue
      this.blame('wrong error', `writing ${number}: ${outcome.code ?? 'no answer'}`)
    }
    this.violations.push(...this.oracle.judge(await this.database.contents()))
  }

  #last: Partial<WriterOptions> = {}
  #lastCommand: readonly string[] | undefined

  /** Where the process that settles finds the book, if not in the usual place. */
  settleAt(options: Partial<WriterOptions>, command?: readonly string[]): void {
    this.#last = options
    this.#lastCommand = command
  }

  async cleanUp(): Promise<void> {
    for (const writer of this.#writers) {
      const { errors } = writer
      await within('The end', writer.end())
      if (errors !== '') this.blame('wrong error', errors)
    }
    for (const work of this.#cleanUp.reverse()) await work()
  }

  /** Small segments, batches and budgets, so that much happens in little time. */
  #drawOptions(): WriterOptions {
    const lanes = this.database instanceof SqliteDatabase ? this.between(1, 2) : this.between(1, 4)
    const flush: DaybookOptions['flush'] = {
      delayMs: this.pick([0, 2, 5, 20]),
      maxKeys: this.between(5, 60),
      retryBaseMs: 2,
      retryMaxMs: 20,
    }
    const postgres: PostgresOptions = {
      concurrency: lanes,
      connectTimeoutMs: 2_000,
      statementTimeoutMs: 2_000,
      lockTimeoutMs: 1_000,
      idleInTransactionTimeoutMs: 300,
    }
    return {
      seed: this.#seed,
      directory: this.book,
      url: this.database.url,
      lanes,
      flush,
      journal: {
        segmentBytes: 64 << 10,
        maxBytes: 64 << 20,
        retainBytes: this.pick([0, 0, 256 << 10]),
      },
      pressure: { memoryBytes: this.pick([2 << 10, 8 << 10, 64 << 10, 16 << 20]) },
      loadTimeoutMs: 2_500,
      openTimeoutMs: 20_000,
      drainTimeoutMs: 10_000,
      postgres,
    }
  }
}
