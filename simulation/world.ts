/**
 * One world: a machine with a disk, processes on it one after the other, a database, clients, and what goes wrong. It ends
 * with all faults healed and everything drained, or with a violation.
 */

import { isDaybookError } from '../src/base/errors.ts'
import type { Logger } from '../src/base/log.ts'
import type { Daybook } from '../src/book/daybook.ts'
import { openBook, type OpenJournal } from '../src/book/open.ts'
import { openFileJournal } from '../src/journal/file-journal.ts'
import { MemoryFiles } from '../src/testing/memory-files.ts'
import { keepsEverything, randomFates } from '../src/testing/memory-crash-fates.ts'
import { Chance } from './chance.ts'
import {
  declareCaches,
  lookAt,
  perform,
  withoutKey,
  type Caches,
  type ClientContext,
} from './client.ts'
import { corrupt } from './corruption.ts'
import { connect, Server, type CommitNotice, type DatabaseFaultRates } from './database-faults.ts'
import { MemoryGrade, SqliteGrade, type Database } from './database.ts'
import { diskFaults, type DiskFaultRates } from './disk-faults.ts'
import { EventLoop, type Life } from './event-loop.ts'
import { Oracle } from './oracle/oracle.ts'
import { Violation } from './oracle/violation.ts'
import type { Disasters, Swarm } from './swarm.ts'
import { cacheNames, type CacheName, type Row } from './tables.ts'

const directory = '/book'
const journalDirectory = `${directory}/journal`
const letterFile = `${directory}/dead-letters.log`
/** After the faults have healed, everything must be done within this, in virtual time. */
const drainMs = 300_000
/** What one mutation of a world takes in memory at most. */
const mutationBytes = 5_000
/** A world that takes more is in a loop. */
const maxEvents = 60_000

export interface WorldReport {
  readonly seed: number
  readonly events: number
  readonly virtualMs: number
  readonly commits: number
  readonly reads: number
  readonly boots: number
  /** Kinds of faults and states, with how often each came. */
  readonly fired: ReadonlyMap<string, number>
  readonly violation: Violation | undefined
}

export interface WorldOptions {
  /** Every line of what happens; for the same seed always the same. */
  readonly trace?: ((line: string) => void) | undefined
  /** Operations that are left out. */
  readonly skip?: ReadonlySet<number> | undefined
  /** Where the SQLite grade keeps its files. */
  readonly sqliteDirectory?: string | undefined
}

/** One process, from its start to its end. */
interface Process {
  readonly number: number
  readonly life: Life
  readonly files: MemoryFiles
  book: Daybook | undefined
  caches: Caches | undefined
}

export async function runWorld(swarm: Swarm, options: WorldOptions = {}): Promise<WorldReport> {
  const world = new World(swarm, options)
  return world.run()
}

class World {
  readonly #swarm: Swarm
  readonly #chance: Chance
  readonly #loop: EventLoop
  readonly #nature: Life
  readonly #database: Database
  readonly #server: Server
  readonly #oracle: Oracle
  readonly #trace: (line: string) => void
  readonly #fired = new Map<string, number>()
  readonly #queue: Swarm['operations'][number][]
  readonly #dueAt = new Map<keyof Disasters, number>()
  readonly #strikes = new Map<keyof Disasters, number>()
  readonly #snapshots: { readonly back: () => void; readonly lowest: number }[] = []
  #disk = new MemoryFiles()
  #process: Process | undefined
  #processes = 0
  #diskRates: DiskFaultRates
  #violation: Violation | undefined
  #journalId = ''
  #busyClients = 0
  #booting = false
  /** It tries to open a directory that is in use; it is gone before that is no longer so. */
  #second: Life | undefined
  /** Frozen, and about to be replaced. */
  #stale: Life | undefined
  /** Openings that failed in a row: a supervisor waits ever longer. */
  #refused = 0
  /** The journal of now has not been read by the oracle since it was opened. */
  #unread = true
  #unreadLetters = true
  #healed = false
  #done = false
  /** The database has gone back in time, and no lane has found out. */
  #unnoticed = false
  #looks = 0
  /** The disk before something on it was changed behind the engine's back. */
  #intact: MemoryFiles | undefined

  constructor(swarm: Swarm, options: WorldOptions) {
    this.#swarm = swarm
    this.#chance = new Chance(swarm.seed)
    this.#loop = new EventLoop(this.#chance.stream('order'))
    this.#nature = this.#loop.life('nature')
    this.#trace =
      options.trace === undefined
        ? () => undefined
        : (line) => options.trace?.(`${this.#loop.nowMs.toFixed(3)} ${line}`)
    const { lanes } = swarm.engine
    this.#database =
      swarm.grade === 'memory' ? new MemoryGrade(lanes) : new SqliteGrade(options.sqliteDirectory)
    this.#server = new Server(this.#loop, this.#chance.stream('database'), swarm.database, {
      fired: (fault) => this.#count(fault),
      claimed: (epoch) => this.#oracle.claimed(epoch),
      committed: (notice) => this.#check(() => this.#committed(notice)),
      called: (at) => this.#trace(`database ${at}`),
    })
    this.#oracle = new Oracle(
      {
        segments: () => this.#segments(),
        letterFile: () => this.#disk.view(letterFile),
        view: (path) => this.#disk.view(path),
        row: (cache, key) => this.#database.row(cache, key),
        rows: (cache) => this.#database.rows(cache),
        checkpoint: (lane) => this.#database.checkpoint(this.#journalId, lane),
      },
      lanes,
    )
    this.#diskRates = swarm.disk
    this.#queue = swarm.operations.filter(({ id }) => options.skip?.has(id) !== true)
    for (const kind of Object.keys(swarm.disasters) as (keyof Disasters)[]) this.#plan(kind)
  }

  async run(): Promise<WorldReport> {
    const onRejection = (error: unknown): void => this.#failed(error)
    process.on('unhandledRejection', onRejection)
    try {
      this.#boot()
      const end = await this.#loop.run({
        over: () => this.#done || this.#violation !== undefined,
        before: () => this.#beforeEvent(),
        untilMs: Infinity,
        maxEvents,
      })
      if (end !== 'over' && this.#violation === undefined) {
        const doing = this.#describe()
        this.#violation = new Violation(
          'everything drains after the faults',
          end === 'idle' ? `nothing is left to happen, and ${doing}` : `it never ends: ${doing}`,
        )
      }
    } finally {
      process.off('unhandledRejection', onRejection)
      this.#process?.life.end()
      this.#server.life.end()
      this.#database.close()
    }
    return {
      seed: this.#swarm.seed,
      events: this.#loop.events,
      virtualMs: this.#loop.nowMs,
      commits: this.#oracle.commits,
      reads: this.#oracle.readsChecked,
      boots: this.#processes,
      fired: this.#fired,
      violation: this.#violation,
    }
  }

  #describe(): string {
    const stats = this.#process?.book?.stats()
    const lanes = stats?.lanes.map(({ state, pending }) => `${state} with ${pending} pending`)
    return `${this.#queue.length} operations are left, ${this.#busyClients} clients are busy, lanes: ${lanes?.join(', ') ?? 'no book'}, journal ${stats?.journal.state ?? ''}`
  }

  // ── Processes ──

  #boot(): void {
    this.#booting = true
    const life = this.#loop.life(`process ${++this.#processes}`)
    const files = this.#disk
    const process: Process = {
      number: this.#processes,
      life,
      files,
      book: undefined,
      caches: undefined,
    }
    this.#process = process
    this.#unread = true
    this.#unreadLetters = true
    files.plan = diskFaults(
      life,
      this.#chance.stream(`disk ${this.#processes}`),
      () => this.#diskRates,
      (fault) => this.#count(fault),
    )
    files.done = ({ kind, path, offset }, code) => {
      this.#trace(`disk ${kind} ${path.slice(directory.length)} ${offset ?? ''} ${code ?? ''}`)
      if (this.#process === process && code === undefined)
        this.#check(() => this.#diskDid(kind, path))
    }
    this.#trace(`process ${process.number} starts`)
    this.#open(process).then(
      () => undefined,
      (error: unknown) => this.#notOpened(process, error),
    )
  }

  async #open(process: Process): Promise<void> {
    const { life, files } = process
    const { engine } = this.#swarm
    const chance = this.#chance.stream(`engine ${process.number}`)
    const store = connect(this.#database.connect(), this.#server, life)
    const book = await openBook(
      {
        directory,
        store,
        lanes: engine.lanes,
        control: false,
        openTimeoutMs: 5000,
        loadTimeoutMs: 1000,
        stallMs: 5000,
        flush: {
          delayMs: engine.delayMs,
          maxKeys: engine.maxKeys,
          maxBytes: engine.maxBytes,
          retryBaseMs: 5,
          retryMaxMs: engine.retryMaxMs,
          ...(engine.maxRowsPerSecond === undefined
            ? {}
            : { maxRowsPerSecond: engine.maxRowsPerSecond }),
        },
        pressure: {
          memoryBytes: engine.memoryBytes,
          policy: engine.policy,
          waitMs: engine.waitMs,
        },
      },
      { clock: life, random: chance, files, logger: this.#logger() },
      this.#openJournal(),
    )
    if (this.#process !== process) return
    this.#check(() => this.#read())
    if (this.#intact !== undefined) {
      // What was damaged is not needed, or means nothing. It is mended before it is.
      this.#count('corruption harmless')
      this.#kill('kill')
      return
    }
    process.book = book
    // An opening compares all lanes.
    this.#unnoticed = false
    this.#wakeStale()
    this.#booting = false
    this.#refused = 0
    this.#trace(`process ${process.number} is open`)
    this.#watch(book, process)
    process.caches = declareCaches(
      book,
      {
        ...(engine.usersTtlMs === undefined ? {} : { users: engine.usersTtlMs }),
        sessions: engine.sessionsTtlMs,
      },
      engine.cacheBytes,
    )
    if (this.#healed) {
      this.#finishWith(process)
      return
    }
    this.#busyClients = this.#swarm.clients
    for (let client = 0; client < this.#swarm.clients; client++) {
      this.#client(process).then(
        () => {
          if (this.#process === process) this.#busyClients--
        },
        (error: unknown) => this.#failed(error),
      )
    }
  }

  /** Segments smaller than the options of a book allow: worlds are small, and must see many. */
  #openJournal(): OpenJournal {
    const { segmentBytes, journalMaxBytes, retainBytes, batchBytes } = this.#swarm.engine
    return async (options, ports) => {
      const journal = await openFileJournal(
        { ...options, segmentBytes, maxBytes: journalMaxBytes, retainBytes, batchBytes },
        ports,
      )
      this.#journalId = journal.id
      return journal
    }
  }

  /** Whatever a restart could find is reported by the engine with a code. */
  #notOpened(process: Process, error: unknown): void {
    if (this.#process !== process) return
    const code = isDaybookError(error) ? error.code : undefined
    this.#trace(`process ${process.number} did not open: ${code ?? String(error)}`)
    if (code === undefined) return this.#failed(error)
    if (this.#intact !== undefined && refusals.has(code)) {
      this.#count('corruption refused')
      this.#disk = this.#intact
      this.#intact = undefined
    } else if (!passing.has(code)) {
      this.#violation ??= new Violation(
        'recovery succeeds',
        `process ${process.number} was refused with ${code}: ${(error as Error).message}`,
      )
      return
    } else {
      this.#count(`opening failed with ${code}`)
      this.#disk = process.files.kill()
    }
    process.life.end()
    void this.#server.loseProcess(process.life, this.#database.grade === 'sqlite')
    this.#refused++
    this.#nature.setTimer(Math.min(50 * 2 ** this.#refused, 3_600_000), () => {
      if (this.#process === process) this.#boot()
    })
  }

  async #client(process: Process): Promise<void> {
    const context = this.#contextOf(process)
    for (;;) {
      const operation = this.#queue.shift()
      if (operation === undefined || this.#process !== process) return
      if (operation.thinkMs > 0) await process.life.after(operation.thinkMs)
      this.#trace(`operation ${operation.id} ${operation.kind}`)
      const outcome = await perform(operation, context)
      if (this.#process === process) lookAt(context)
      this.#trace(`operation ${operation.id}: ${outcome}`)
      this.#count(`operation ${operation.kind}`)
    }
  }

  #contextOf(process: Process): ClientContext {
    const { book, caches } = process
    if (book === undefined || caches === undefined) throw new Error('the process is not open')
    const { engine } = this.#swarm
    // Each lane has a batch in flight, and may keep some more for readers of before; one mutation is beyond any budget.
    const batchBytes = Math.min(engine.maxBytes, engine.maxKeys * mutationBytes) + mutationBytes
    return {
      book,
      caches,
      oracle: this.#oracle,
      current: () => this.#process === process,
      receipts: [],
      fired: (state) => this.#count(state),
      memoryBudgetBytes: engine.memoryBytes + engine.lanes * batchBytes,
    }
  }

  #watch(book: Daybook, process: Process): void {
    book.on('deadLettered', ({ letters }) => {
      if (this.#process === process) this.#oracle.buried(letters)
      this.#count('dead letter')
    })
    book.on('rolledForward', () => {
      this.#unnoticed = false
      this.#count('rolled forward')
    })
    book.on('fenced', () => this.#count('fenced'))
    book.on('storeDown', () => this.#count('breaker opened'))
    book.on('stalled', () => this.#count('stalled'))
    book.on('journalFull', () => this.#count('journal full'))
    book.on('journalRecovered', () => this.#count('journal has space again'))
    book.on('pressure', ({ state }) => this.#count(`pressure: ${state}`))
    // What a supervisor does with a process that says it cannot go on.
    const restart = (): void => {
      this.#nature.setTimer(20, () => {
        if (this.#process === process) this.#kill('kill')
      })
    }
    book.on('journalFailed', () => {
      this.#count('journal failed')
      restart()
    })
    book.on('halted', ({ failure }) => {
      this.#count('halted')
      if (failure.code === 'ASSERTION') {
        this.#failed(new Violation('no unexpected error', `a lane halted: ${failure.message}`))
      } else if (failure.code === 'NO_SUCH_TABLE') {
        this.#nature.setTimer(100, () => book.resume())
      } else restart()
    })
  }

  // ── Disasters ──

  #plan(kind: keyof Disasters): void {
    // Ever rarer, so that what they interrupt comes to its end some time.
    const strikes = this.#strikes.get(kind) ?? 0
    this.#strikes.set(kind, strikes + 1)
    const mean = this.#swarm.disasters[kind] * 1.4 ** strikes
    if (mean === Infinity || kind === 'corruption') return
    const chance = this.#chance.stream(`${kind} ${this.#loop.events}`)
    this.#dueAt.set(kind, this.#loop.events + 1 + Math.floor(chance.between(0, 2 * mean)))
  }

  /** True where it did anything. */
  #beforeEvent(): boolean {
    if (this.#healed) return false
    if (this.#queue.length === 0 && this.#busyClients === 0 && !this.#booting) {
      this.#heal()
      return true
    }
    let struck = false
    for (const [kind, at] of this.#dueAt) {
      if (this.#loop.events < at || kind === 'corruption') continue
      this.#dueAt.delete(kind)
      if (!this.#booting || kind === 'kill' || kind === 'powerLoss') this.#strike(kind)
      this.#plan(kind)
      struck = true
    }
    return struck
  }

  #strike(kind: Exclude<keyof Disasters, 'corruption'>): void {
    this.#trace(`disaster: ${kind}`)
    switch (kind) {
      case 'kill':
      case 'powerLoss':
        return this.#kill(kind)
      case 'restart':
        return this.#restart()
      case 'databaseDown':
        return this.#databaseDown()
      case 'databaseGoesBack':
        return this.#databaseGoesBack()
      case 'diskFull':
        return this.#diskFull()
      case 'clockJump': {
        const years = this.#chance.stream(`jump ${this.#loop.events}`).between(-10, 10)
        this.#loop.wallOffsetMs += years * 31_557_600_000
        return this.#count('clock: jump')
      }
      case 'freeze':
        return this.#freeze()
      case 'takeOver':
        return this.#takeOver()
      case 'secondProcess':
        return this.#secondProcess()
    }
  }

  #kill(kind: 'kill' | 'powerLoss'): void {
    const process = this.#process
    // Between two processes there is nobody to kill.
    if (process === undefined || process.life.ended) return
    this.#count(kind === 'kill' ? 'process: kill' : 'process: power loss')
    if (this.#booting) this.#count('process: ends during recovery')
    this.#trace(`process ${process.number} ends: ${kind}`)
    process.life.end()
    this.#second?.end()
    const fates = randomFates(this.#chance.stream(`fates ${process.number}`))
    this.#disk = kind === 'kill' ? process.files.kill() : process.files.powerLoss(fates)
    this.#disk = this.#intact?.fork() ?? this.#disk
    const wasDamaged = this.#intact !== undefined
    this.#intact = undefined
    void this.#server.loseProcess(process.life, this.#database.grade === 'sqlite')
    if (!wasDamaged) this.#corruptPerhaps(process)
    this.#boot()
  }

  /** While nobody looks, something happens to the journal's files. The engine must find out, or be right all the same. */
  #corruptPerhaps(process: Process): void {
    const mean = this.#swarm.disasters.corruption
    const chance = this.#chance.stream(`corruption ${process.number}`)
    if (!chance.hits(1 / mean)) return
    // Everything was written back first: what is repaired later has what a recovery meanwhile has shown.
    this.#disk = this.#disk.powerLoss(keepsEverything)
    const before = this.#disk.fork()
    const what = corrupt(this.#disk, this.#segments(), chance)
    if (what === undefined) return
    this.#trace(`corruption: ${what}`)
    this.#count(`corruption: ${what}`)
    this.#count('corruption: any')
    this.#intact = before
  }

  #restart(): void {
    const process = this.#process
    const book = process?.book
    if (process === undefined || book === undefined) return
    this.#count('process: restart')
    this.#second?.end()
    this.#booting = true
    const chance = this.#chance.stream(`restart ${process.number}`)
    book.close({ drainTimeoutMs: chance.pick([0, 10, 1000]) }).then(
      () => this.#closed(process),
      (error: unknown) => {
        // A journal that cannot be sealed says so when it is closed.
        if (isDaybookError(error)) this.#closed(process)
        else this.#failed(error)
      },
    )
  }

  #closed(process: Process): void {
    if (this.#process !== process) return
    process.life.end()
    this.#disk = process.files.kill()
    this.#boot()
  }

  #databaseDown(): void {
    if (this.#server.down) return
    this.#count('database: down')
    this.#server.down = true
    void this.#server.loseTransactions()
    const chance = this.#chance.stream(`down ${this.#loop.events}`)
    this.#nature.setTimer(chance.between(0, this.#swarm.downMs), () => {
      this.#server.down = false
    })
  }

  /** A failover to a replica that lags, or a backup that is restored; within what the journal has kept. */
  #databaseGoesBack(): void {
    const chance = this.#chance.stream(`back ${this.#loop.events}`)
    if (chance.hits(0.6) && this.#goBack(chance)) return
    const snapshot = this.#database.snapshot()
    const model = this.#oracle.snapshot()
    this.#snapshots.push({
      lowest: this.#oracle.lowestCheckpoint,
      back: () => {
        snapshot.restore()
        model()
      },
    })
  }

  /** False where there is nothing to go back to. */
  #goBack(chance: Chance): boolean {
    const oldest = Math.min(...this.#segments().map(baseOf))
    const possible = this.#snapshots.filter(({ lowest }) => lowest + 1 >= oldest)
    if (possible.length === 0 || this.#server.undecided > 0) return false
    this.#count('database: goes back')
    void this.#server.loseTransactions()
    chance.pick(possible).back()
    this.#unnoticed = true
    // What came after it in the old time never happened.
    this.#snapshots.length = 0
    return true
  }

  /** In the silence after all faults only the comparison of the lanes can tell. */
  #goBackOnceMore(): boolean {
    if (this.#swarm.disasters.databaseGoesBack === Infinity) return false
    this.#trace('the database goes back once more')
    return this.#goBack(this.#chance.stream('back once more'))
  }

  #diskFull(): void {
    const files = this.#process?.files
    if (files === undefined) return
    this.#count('disk: full')
    const chance = this.#chance.stream(`full ${this.#loop.events}`)
    files.capacityBytes = files.usedBytes + chance.below(20_000)
    this.#nature.setTimer(chance.between(0, 2000), () => {
      files.capacityBytes = Infinity
    })
  }

  /** Longer than any lease or timeout of the others. */
  #freeze(): void {
    const process = this.#process
    if (process === undefined || process.life.frozen) return
    this.#count('process: freeze')
    process.life.freeze()
    const chance = this.#chance.stream(`freeze ${this.#loop.events}`)
    this.#nature.setTimer(chance.between(0, 60_000), () => process.life.thaw())
  }

  /** Another machine goes on with a copy of the disk, while the old process stands still; then that one wakes up. */
  #takeOver(): void {
    const stale = this.#process
    if (stale === undefined || stale.life.frozen || this.#booting || this.#stale) return
    this.#count('process: take-over')
    stale.life.freeze()
    this.#disk = stale.files.fork()
    this.#boot()
    this.#stale = stale.life
  }

  /** Once another process has the lanes, the old one may do what it likes. */
  #wakeStale(): void {
    const life = this.#stale
    if (life === undefined) return
    this.#stale = undefined
    const chance = this.#chance.stream(`wake ${this.#loop.events}`)
    this.#nature.setTimer(chance.between(0, 2000), () => life.thaw())
    // It finds out as soon as it has something to flush, and is stopped by someone in the end.
    this.#nature.setTimer(20_000, () => {
      life.end()
      void this.#server.loseProcess(life, false)
    })
  }

  /** On the same disk: it must be refused, and must not disturb. */
  #secondProcess(): void {
    const process = this.#process
    if (process?.book === undefined || process.life.frozen) return
    this.#count('process: second one')
    const life = this.#loop.life('second process')
    this.#second = life
    const store = connect(this.#database.connect(), this.#server, life)
    openBook(
      { directory, store, control: false },
      {
        clock: life,
        random: this.#chance.stream('second'),
        files: process.files,
        logger: this.#logger(),
      },
      this.#openJournal(),
    ).then(
      () => {
        if (this.#process !== process || process.life.ended) return
        this.#failed(new Violation('one effective writer', 'a second process opened the directory'))
      },
      (error: unknown) => {
        if (isDaybookError(error)) this.#count(`second process: ${error.code}`)
        else this.#failed(error)
      },
    )
  }

  // ── The end ──

  /** All faults end. From here on it is only a matter of time. */
  #heal(): void {
    this.#healed = true
    this.#second?.end()
    this.#trace('all faults end')
    this.#diskRates = harmless.disk
    this.#server.rates = harmless.database
    this.#server.down = false
    const process = this.#process
    if (process === undefined) return
    process.files.capacityBytes = Infinity
    process.life.thaw()
    this.#nature.setTimer(drainMs, () => {
      this.#violation ??= new Violation(
        'everything drains after the faults',
        `after ${drainMs} ms ${this.#describe()}`,
      )
    })
    if (process.book !== undefined && !this.#booting) {
      this.#finishWith(process)
    }
  }

  /** A journal that failed just before takes a restart. */
  #finishWith(process: Process): void {
    this.#finish(process).catch((error: unknown) => {
      const code = isDaybookError(error) ? error.code : undefined
      if (code === 'TIMEOUT')
        this.#failed(new Violation('everything drains after the faults', this.#describe()))
      else if (code === 'JOURNAL_FULL') {
        // It looks for space by itself.
        this.#nature.setTimer(1000, () => this.#finishWith(process))
      } else if (code !== 'JOURNAL_FAILED') this.#failed(error)
      else if (this.#process === process) this.#kill('kill')
    })
  }

  async #finish(process: Process): Promise<void> {
    const { book, caches } = process
    if (book === undefined || caches === undefined) return
    // A journal that failed, or a full one that has not noticed yet, needs a restart or a moment.
    book.resume()
    await this.#drain(process)
    if (this.#process !== process || this.#violation !== undefined) return
    if (this.#goBackOnceMore()) {
      await this.#drain(process)
      if (this.#process !== process) return
    }
    const { pending } = await book.close()
    if (pending > 0) {
      this.#failed(
        new Violation('everything drains after the faults', `${pending} were left at close`),
      )
    }
    // Files that are being closed have a moment for it.
    await this.#nature.after(1000)
    if (process.life.armed > 0) {
      this.#failed(
        new Violation(
          'nothing is left behind',
          `${process.life.armed} timers are left after close`,
        ),
      )
    }
    this.#trace('the end')
    this.#done = true
  }

  /** Until nothing is pending, and everything is where it should be. */
  async #drain(process: Process): Promise<void> {
    const { book, caches } = process
    if (book === undefined || caches === undefined) return
    await book.flush({ timeoutMs: drainMs })
    // What was refused for good stays a dead letter; what waited for something may come through now.
    for (let pass = 0; pass < 3 && book.deadLetters.count > 0; pass++) {
      await this.#retryAll(book, pass > 0)
      await book.flush({ timeoutMs: drainMs })
    }
    // A database that went back in time is noticed by who looks at it: see docs/guarantees.md, G13.
    await this.#lookAtDatabase(caches)
    // The end of a TTL deletes rows at any time.
    do await book.flush({ timeoutMs: drainMs })
    while (book.stats().pending.mutations > 0)
    if (this.#process !== process) return
    this.#check(() => this.#oracle.drained(cacheNames))
    for (const cache of cacheNames) {
      for (const key of this.#oracle.keysOf(cache)) {
        const window = this.#oracle.readBegins(cache, key)
        const value = await this.#lastGet(caches[cache], key)
        this.#check(() =>
          this.#oracle.readEnds(
            window,
            withoutKey(value),
            'the last get',
            'reads show what was acknowledged',
          ),
        )
      }
    }
  }

  /** Reads keys that nobody has cached, until a lane finds out: that is enough for all of them. */
  async #lookAtDatabase(caches: Caches): Promise<void> {
    for (let look = 0; look < 32 && this.#unnoticed; look++) {
      await this.#lastGet(caches.users, `nobody${this.#looks++}`)
    }
  }

  /** A load that was slow before the faults ended is shared by who asks now, and may take too long. */
  async #lastGet(cache: Caches[CacheName], key: string): Promise<Row | undefined> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await cache.get(key)
      } catch (error) {
        if (!isDaybookError(error, 'TIMEOUT') || attempt === 30) throw error
      }
    }
  }

  /** A journal at its limit has room again once it is trimmed. */
  async #retryAll(book: Daybook, force: boolean): Promise<void> {
    try {
      await book.deadLetters.retry({}, { force, timeoutMs: drainMs })
    } catch (error) {
      if (!isDaybookError(error, 'OVERLOADED')) throw error
    }
  }

  // ── What is seen ──

  #diskDid(kind: string, path: string): void {
    if (kind === 'sync' && path.endsWith('.wal')) {
      // A recovery makes what it finds durable: that is read at its end.
      if (!this.#unread || this.#process?.book !== undefined) this.#oracle.segmentSynced(path)
    } else if (kind === 'sync' && path.startsWith(letterFile)) {
      // A file that was put in the place of another one keeps the name that it was opened by.
      this.#oracle.lettersSynced(this.#unreadLetters)
      this.#unreadLetters = false
    } else if (kind === 'rename' && path.startsWith(letterFile)) this.#oracle.lettersSynced(true)
    else if (kind === 'remove' && path.endsWith('.wal')) {
      this.#oracle.trimmed(Math.min(...this.#segments().map(baseOf)))
    }
  }

  #committed(notice: CommitNotice): void {
    this.#trace(`commit of lane ${notice.lane} at ${notice.position}${notice.late ? ', late' : ''}`)
    // A process flushes as soon as its journal is open.
    if (notice.owner === this.#process?.life) this.#read()
    this.#oracle.committed(notice)
  }

  /** What the journal has once it is open is what counts from here on. */
  #read(): void {
    if (!this.#unread) return
    this.#unread = false
    this.#oracle.reopened(this.#intact !== undefined)
  }

  #segments(): string[] {
    return this.#disk.paths(journalDirectory).filter((path) => path.endsWith('.wal'))
  }

  #logger(): Logger {
    const note = (_: object, message: string): void => {
      this.#trace(`log: ${message}`)
      if (message.startsWith('cut ')) this.#count('torn tail cut')
      if (message.startsWith('the database went back')) this.#count('lane rebuilt')
    }
    return { debug: note, info: note, warn: note, error: note }
  }

  #count(what: string): void {
    this.#fired.set(what, (this.#fired.get(what) ?? 0) + 1)
  }

  #check(work: () => void): void {
    if (this.#violation !== undefined) return
    try {
      work()
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (this.#violation !== undefined) return
    if (error instanceof Violation) this.#violation = error
    else {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#violation = new Violation('no unexpected error', text)
    }
    this.#trace(`violation: ${this.#violation.message}`)
  }
}

/** What an opening may be refused with when files were changed behind its back. */
const refusals = new Set(['JOURNAL_CORRUPT', 'JOURNAL_GAP', 'JOURNAL_FOREIGN', 'JOURNAL_VERSION'])

/** What an opening may fail with, to be tried again. */
const passing = new Set([
  'STORE_UNAVAILABLE',
  'STORE_CONFLICT',
  'STORE_MISCONFIGURED',
  'DIRECTORY_UNUSABLE',
  'JOURNAL_FULL',
  'JOURNAL_FAILED',
  'TIMEOUT',
])

function baseOf(path: string): number {
  return Number(path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('/') + 21))
}

const harmless: { readonly disk: DiskFaultRates; readonly database: DatabaseFaultRates } = {
  disk: {
    writeEio: 0,
    readEio: 0,
    shortWrite: 0,
    full: 0,
    syncFails: 0,
    profile: 'xfs',
    tooManyFiles: 0,
    nameFails: 0,
    turns: 0,
    stepMs: 1,
    slow: 0,
    slowMs: 0,
  },
  database: {
    outage: 0,
    conflict: 0,
    lockTimeout: 0,
    diskFull: 0,
    commitLost: 0,
    commitNotApplied: 0,
    commitLate: 0,
    answerLost: 0,
    slow: 0,
    misconfigured: 0,
    latencyMs: 0,
    slowMs: 0,
    lingerMs: 0,
  },
}
