/**
 * Between a process and the database: a network that takes time and loses answers, and a server that goes away, refuses
 * and is slow. What is asked of the server goes on when the process that asked has died.
 *
 * A commit has four outcomes, and the process cannot tell the last three apart: applied and acknowledged, applied and
 * not acknowledged, not applied, and applied later.
 */

import type { FailureKind, Store, StoreCall, StoreTransaction } from '../src/store/store.ts'
import { StoreFailureError } from '../src/store/failure.ts'
import type { Chance } from './chance.ts'
import type { EventLoop, Life } from './event-loop.ts'

/** How often each thing goes wrong, from 0 to 1, and how long things take. */
export interface DatabaseFaultRates {
  readonly outage: number
  readonly conflict: number
  /** Rolls back the statement, and not the transaction. */
  readonly lockTimeout: number
  readonly diskFull: number
  readonly commitLost: number
  readonly commitNotApplied: number
  readonly commitLate: number
  readonly answerLost: number
  readonly slow: number
  readonly misconfigured: number
  readonly latencyMs: number
  readonly slowMs: number
  /** A transaction that was given up holds its locks until the server notices. */
  readonly lingerMs: number
}

export interface CommitNotice {
  readonly lane: number
  readonly epoch: number
  readonly position: number
  /** Writes of this transaction that the database refused: the keys in each, as `cache/key`. */
  readonly refused: readonly ReadonlySet<string>[]
  readonly late: boolean
  /** The process that asked for it, which may have died since. */
  readonly owner: Life
}

export interface DatabaseObserver {
  fired(fault: string): void
  claimed(epoch: number): void
  committed(notice: CommitNotice): void
  called(text: string): void
}

/** The server: its transactions end when it goes down or back in time, whoever holds them. */
export class Server {
  readonly life: Life
  readonly chance: Chance
  rates: DatabaseFaultRates
  readonly observer: DatabaseObserver
  down = false
  readonly #open = new Set<ServerTransaction>()
  /** Applied late: not yet. */
  #undecided = 0

  constructor(
    loop: EventLoop,
    chance: Chance,
    rates: DatabaseFaultRates,
    observer: DatabaseObserver,
  ) {
    this.life = loop.life('database')
    this.chance = chance
    this.rates = rates
    this.observer = observer
  }

  get undecided(): number {
    return this.#undecided
  }

  register(transaction: ServerTransaction): void {
    this.#open.add(transaction)
  }

  forget(transaction: ServerTransaction): void {
    this.#open.delete(transaction)
  }

  latency(): Promise<void> {
    const { latencyMs } = this.rates
    return latencyMs === 0 ? Promise.resolve() : this.life.after(this.chance.between(0, latencyMs))
  }

  /** One who holds the lock until the commit is applied. */
  async later(work: () => Promise<void>): Promise<void> {
    this.#undecided++
    try {
      await this.life.after(this.chance.between(0, this.rates.lingerMs))
      await work()
    } finally {
      this.#undecided--
    }
  }

  /** All transactions are rolled back: it stopped, or is another server now. */
  async loseTransactions(): Promise<void> {
    const open = [...this.#open]
    this.#open.clear()
    for (const transaction of open) await transaction.abandon()
  }

  /** Those of one process, which died. They hold their locks until the server notices. */
  async loseProcess(life: Life, atOnce: boolean): Promise<void> {
    for (const transaction of [...this.#open].filter((one) => one.owner === life)) {
      if (!atOnce) await this.life.after(this.chance.between(0, this.rates.lingerMs))
      await transaction.abandon()
    }
  }
}

/** What the server has of a transaction. */
class ServerTransaction {
  readonly owner: Life
  readonly inner: StoreTransaction
  readonly #server: Server
  #over = false

  constructor(server: Server, owner: Life, inner: StoreTransaction) {
    this.#server = server
    this.owner = owner
    this.inner = inner
    server.register(this)
  }

  get over(): boolean {
    return this.#over
  }

  async abandon(): Promise<void> {
    if (this.#over) return
    this.#end()
    await this.inner.rollback()
  }

  async commit(position: number): Promise<void> {
    this.#end()
    await this.inner.commit(position)
  }

  #end(): void {
    this.#over = true
    this.#server.forget(this)
  }
}

/** The process's side. */
export function connect(inner: Store, server: Server, life: Life): Store {
  return new Connection(inner, server, life)
}

class Connection implements Store {
  readonly name: string
  readonly capabilities
  readonly #inner: Store
  readonly #server: Server
  readonly #life: Life
  #epoch = 0

  constructor(inner: Store, server: Server, life: Life) {
    this.name = inner.name
    this.capabilities = inner.capabilities
    this.#inner = inner
    this.#server = server
    this.#life = life
  }

  async open(...[claim, call]: Parameters<Store['open']>): ReturnType<Store['open']> {
    const claimed = await this.#call('open', call, () => this.#inner.open(claim, unlimited))
    this.#epoch = claimed.epoch
    return claimed
  }

  describe(...[request, call]: Parameters<Store['describe']>): ReturnType<Store['describe']> {
    return this.#call('describe', call, () => this.#inner.describe(request, unlimited))
  }

  load(...[schema, cache, keys, call]: Parameters<Store['load']>): ReturnType<Store['load']> {
    return this.#call('load', call, () => this.#inner.load(schema, cache, keys, unlimited))
  }

  keys(...[schema, cache, after, limit, call]: Parameters<Store['keys']>): Promise<string[]> {
    return this.#call('keys', call, () => this.#inner.keys(schema, cache, after, limit, unlimited))
  }

  expired(...[cache, nowMs, limit, call]: Parameters<Store['expired']>): Promise<string[]> {
    return this.#call('expired', call, () => this.#inner.expired(cache, nowMs, limit, unlimited))
  }

  classify(error: unknown): ReturnType<Store['classify']> {
    return this.#inner.classify(error)
  }

  async begin(...[lane, mode, call]: Parameters<Store['begin']>): ReturnType<Store['begin']> {
    const abort = new AbortController()
    const transaction = await this.#call('begin', call, async () => {
      call.signal.addEventListener('abort', () => abort.abort(call.signal.reason))
      const held = await this.#inner.begin(lane, mode, { signal: abort.signal })
      const opened = new ServerTransaction(this.#server, this.#life, held)
      // The client has gone meanwhile, or the server has stopped.
      if (this.#life.ended || call.signal.aborted || this.#server.down) await opened.abandon()
      if (this.#server.down) throw failed('outage', 'CONNECTION_RESET')
      return opened
    })
    return this.#transaction(lane, transaction, call)
  }

  async close(): Promise<void> {
    await this.#server.loseProcess(this.#life, true)
    await this.#inner.close()
  }

  #transaction(lane: number, held: ServerTransaction, call: StoreCall): StoreTransaction {
    const server = this.#server
    const refused: Set<string>[] = []
    /** The connection was lost: what the server still has of the transaction ends by itself. */
    let lost = false
    const lose = (): void => {
      lost = true
      void server.life
        .after(server.chance.between(0, server.rates.lingerMs))
        .then(() => held.abandon())
    }
    /** The same for a commit that is on its way: no rollback reaches it. */
    const leave = (): void => {
      lost = true
    }
    const use = (): void => {
      if (lost || held.over) throw failed('outage', 'CONNECTION_LOST')
    }
    return {
      checkpoint: held.inner.checkpoint,
      write: async (tables) => {
        use()
        if (server.chance.hits(server.rates.lockTimeout)) {
          server.observer.fired('database: lock timeout')
          await server.latency()
          throw failed('conflict', 'LOCK_TIMEOUT')
        }
        if (server.chance.hits(server.rates.diskFull)) {
          server.observer.fired('database: disk full')
          lose()
          throw failed('outage', 'DISK_FULL')
        }
        try {
          await this.#call('write', call, async () => {
            use()
            await held.inner.write(tables)
          })
        } catch (error) {
          const { kind } = this.classify(error)
          if (kind === 'rejected') {
            server.observer.fired('database: row refused')
            refused.push(
              new Set(
                tables.flatMap(({ cache, rows }) => rows.map(({ key }) => `${cache}/${key}`)),
              ),
            )
          } else lose()
          throw error
        }
      },
      commit: async (position) => {
        use()
        const apply = async (late: boolean): Promise<void> => {
          if (held.over) throw failed('outage', 'CONNECTION_LOST')
          await held.commit(position)
          server.observer.committed({
            lane,
            epoch: this.#epoch,
            position,
            refused,
            late,
            owner: this.#life,
          })
        }
        await this.#commit(apply, held, { lose, leave })
      },
      rollback: async () => {
        if (held.over) return
        // Never throws. A connection that was lost is rolled back when the server notices.
        if (lost) return
        await held.abandon()
      },
    }
  }

  async #commit(
    apply: (late: boolean) => Promise<void>,
    held: ServerTransaction,
    { lose, leave }: { readonly lose: () => void; readonly leave: () => void },
  ): Promise<void> {
    const server = this.#server
    const { chance, rates, observer } = server
    await server.latency()
    if (server.down) {
      lose()
      throw failed('outage', 'CONNECTION_REFUSED')
    }
    if (chance.hits(rates.commitNotApplied)) {
      observer.fired('database: commit not applied')
      await held.abandon()
      throw failed('outage', 'COMMIT_IN_DOUBT')
    }
    if (chance.hits(rates.commitLate)) {
      observer.fired('database: commit applied later')
      leave()
      // Its own business from here on. Where the server loses the transaction before, it is never applied.
      void server.later(() => apply(true).catch(() => undefined))
      throw failed('outage', 'COMMIT_IN_DOUBT')
    }
    if (chance.hits(rates.conflict)) {
      observer.fired('database: conflict at commit')
      await held.abandon()
      throw failed('conflict', 'SERIALIZATION')
    }
    // The request is under way: that its sender dies now does not stop it.
    await onServer(server, () => apply(false))
    if (chance.hits(rates.commitLost)) {
      observer.fired('database: commit applied, not acknowledged')
      throw failed('outage', 'COMMIT_IN_DOUBT')
    }
    await this.#heard()
  }

  /** An answer reaches a process that is frozen when it thaws, and one that has died never. */
  async #heard(): Promise<void> {
    if (this.#life.ended || this.#life.frozen) await this.#life.after(0)
  }

  /** A request and its answer. */
  async #call<T>(at: string, call: StoreCall, work: () => Promise<T>): Promise<T> {
    const server = this.#server
    const { chance, rates, observer } = server
    call.signal.throwIfAborted()
    observer.called(at)
    if (chance.hits(rates.slow)) {
      observer.fired('database: slow')
      await unlessAborted(server.life.after(chance.between(0, rates.slowMs)), call.signal)
    }
    await unlessAborted(server.latency(), call.signal)
    await this.#heard()
    if (server.down) {
      await server.life.after(1)
      await this.#heard()
      throw failed('outage', 'CONNECTION_REFUSED')
    }
    if (chance.hits(rates.misconfigured) && at === 'begin') {
      observer.fired('database: misconfigured')
      throw failed('misconfigured', 'NO_SUCH_TABLE')
    }
    if (chance.hits(rates.outage)) {
      observer.fired(`database: outage at ${at}`)
      throw failed('outage', 'CONNECTION_RESET')
    }
    if (chance.hits(rates.conflict) && at !== 'describe') {
      observer.fired(`database: conflict at ${at}`)
      throw failed('conflict', 'DEADLOCK')
    }
    const result = await unlessAborted(work(), call.signal).finally(() => this.#heard())
    if (at === 'open') observer.claimed((result as { epoch: number }).epoch)
    if (chance.hits(rates.answerLost)) {
      observer.fired('database: answer lost')
      await forget(result)
      throw failed('outage', 'CONNECTION_RESET')
    }
    return result
  }
}

const unlimited: StoreCall = { signal: new AbortController().signal }

/** A transaction whose beginning nobody heard of ends. */
async function forget(result: unknown): Promise<void> {
  if (result instanceof ServerTransaction) await result.abandon()
}

async function onServer<T>(server: Server, work: () => Promise<T>): Promise<T> {
  await server.life.after(0)
  return work()
}

/** The caller stops waiting; the work goes on. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    work.then(
      (value) => {
        signal.removeEventListener('abort', onAbort)
        resolve(value)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      },
    )
  })
}

function failed(kind: FailureKind, code: string): StoreFailureError {
  return new StoreFailureError({ kind, code, message: `Simulated: ${code}.`, known: true })
}
