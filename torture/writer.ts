/** A book in a process of its own, which is written to and read as fast as it answers; see `writer-process.ts`. */

import { writeSync } from 'node:fs'
import { nodeFiles } from '../src/base/node-files.ts'
import {
  isDaybookError,
  openDaybook,
  type Cache,
  type Daybook,
  type DaybookOptions,
  type Receipt,
} from '../src/index.ts'
import { postgres, type PostgresOptions } from '../src/store/postgres/index.ts'
import { sqlite } from '../src/store/sqlite/index.ts'
import { mortalFiles, type Death } from '../test/recovery/mortal-files.ts'
import { leave, say, takeOrders } from '../test/support/ordered-program.ts'
import { lineOf, type Report } from './reports.ts'
import {
  accountAfter,
  auditOf,
  everyKey,
  keyOfAudit,
  operationOf,
  type Account,
  type Operation,
} from './workload.ts'

export interface WriterOptions extends Omit<DaybookOptions, 'store' | 'logger'> {
  /** Of the workload. */
  readonly seed: number
  /** `sqlite:<path>` or `postgres://…`. */
  readonly url: string
  readonly postgres?: PostgresOptions
  /** The process kills itself at this call of the Files port. */
  readonly death?: Death
}

export type WriterOrder =
  /** Resolves when all are settled, or when the book takes no more. */
  | { readonly do: 'write'; readonly first: number; readonly count: number }
  /** Reads every key. */
  | { readonly do: 'read' }
  | { readonly do: 'flush' | 'close' }

export type WriterSaid =
  | { readonly openMs: number; readonly pending: number; readonly deadLetters: number }
  | { readonly event: string }
  | { readonly closed: { readonly pending: number } }

/** What a method resolves with. */
interface Written {
  readonly receipts?: readonly Receipt[]
  /** As good as a read, for nothing else of this key is in flight. */
  readonly value?: { readonly account: Account | undefined }
}

const inFlight = 16
/** After these nothing is taken any more. */
const finalCodes: readonly string[] = ['CLOSED', 'FENCED', 'JOURNAL_FAILED']
const refusals: readonly string[] = ['JOURNAL_FULL', 'OVERLOADED', 'CLOSED']
/** The methods that read first fail with these before they have written. */
const refusalsToRead: readonly string[] = [
  ...refusals,
  ...['STORE_UNAVAILABLE', 'STORE_CONFLICT', 'TIMEOUT'],
]

const {
  seed,
  url,
  postgres: postgresOptions,
  death,
  ...options
} = JSON.parse(process.argv[2] ?? '{}') as WriterOptions

function report(what: Report): void {
  writeSync(4, lineOf(what))
}

class Workload {
  readonly #book: Daybook
  readonly #accounts: Cache<Account>
  readonly #audits: Cache<{ times: number }>
  /** The last operation of each key that takes one at a time. */
  readonly #last = new Map<string, Promise<void>>()
  #reads = 0

  constructor(book: Daybook) {
    this.#book = book
    // Tiers so small that reads come from the database, from what is pending, and from the journal.
    this.#accounts = book.cache('accounts', { table: 'accounts', key: 'id', maxBytes: 6_000 })
    this.#audits = book.cache('audits', {
      table: 'audits',
      key: 'id',
      maxBytes: 1_024,
      routeBy: keyOfAudit,
    })
  }

  /** From then on, writes are appended in the order in which they are called. */
  async ready(): Promise<void> {
    await this.#accounts.ready()
    await this.#audits.ready()
  }

  async write(first: number, count: number): Promise<void> {
    let next = first
    let over = false
    const work = async (): Promise<void> => {
      while (!over && next < first + count) {
        const operation = operationOf(seed, next++)
        const code = await this.#perform(operation)
        if (code !== undefined && finalCodes.includes(code)) over = true
        else if (operation.read !== undefined) await this.#read(operation.read)
      }
    }
    await Promise.all(Array.from({ length: inFlight }, work))
  }

  async readAll(): Promise<void> {
    for (const key of everyKey()) await this.#read(key)
  }

  /** Resolves with the code of the error, if there is one. */
  async #perform(operation: Operation): Promise<string | undefined> {
    const { family, changes } = operation
    if (family === 'a') return this.#report(operation, () => this.#batch(operation))
    const key = changes[0]?.key ?? ''
    if (family === 'p') return this.#report(operation, () => this.#call(operation))
    const before = this.#last.get(key) ?? Promise.resolve()
    const done = before.then(() => this.#report(operation, () => this.#readAndWrite(operation)))
    this.#last.set(
      key,
      done.then(() => undefined),
    )
    return done
  }

  async #report(
    { number, family, changes }: Operation,
    write: () => Promise<Written>,
  ): Promise<string | undefined> {
    report({ kind: 'intent', number })
    try {
      const { receipts = [], value } = await write()
      const places = receipts.map(({ lane, position }) => ({ lane, position }))
      report({ kind: 'acknowledged', number, places })
      if (value !== undefined) {
        const read = ++this.#reads
        report({ kind: 'read-begun', read, key: changes[0]?.key ?? '' })
        report({ kind: 'read', read, account: value.account })
      }
      return undefined
    } catch (error) {
      const code = isDaybookError(error) ? error.code : String(error)
      const outcome = isDaybookError(error) ? error.details['outcome'] : undefined
      const certain = family === 's' ? refusalsToRead : refusals
      // In the journal, and not in the database yet: as good as acknowledged.
      if (outcome === 'pending') report({ kind: 'acknowledged', number, places: [] })
      else if (certain.includes(code)) report({ kind: 'refused', number, code })
      else report({ kind: 'unknown', number, code })
      return code
    }
  }

  async #batch({ number, changes, durability }: Operation): Promise<Written> {
    const receipts = await this.#book.batch(
      (writes) => {
        for (const { key, change } of changes) {
          if (change.kind === 'set') writes.set(this.#accounts, key, change.account)
          else if (change.kind === 'merge') writes.merge(this.#accounts, key, { tag: change.tag })
          else if (change.kind === 'increment') {
            writes.increment(this.#accounts, key, { balance: change.amount, hits: 1 })
          } else writes.delete(this.#accounts, key)
          writes.increment(this.#audits, auditOf(number, key), { times: 1 })
        }
      },
      { durability },
    )
    return { receipts }
  }

  async #call({ changes, durability }: Operation): Promise<Written> {
    const [{ key, change } = { key: '', change: { kind: 'delete' } as const }] = changes
    switch (change.kind) {
      case 'set':
        // Without options, for that is the path of its own.
        return { receipts: [await this.#accounts.set(key, change.account)] }
      case 'merge':
        return {
          receipts: [await this.#accounts.merge(key, { tag: change.tag }, { durability })],
        }
      case 'increment': {
        const amounts = { balance: change.amount, hits: 1 }
        return {
          receipts: [
            await this.#accounts.increment(key, amounts, { durability, returning: false }),
          ],
        }
      }
      case 'delete':
        return { receipts: [await this.#accounts.delete(key, { durability })] }
      case 'update':
      case 'set-if-absent':
        throw new Error(`family p has no ${change.kind}`)
    }
  }

  async #readAndWrite({ changes }: Operation): Promise<Written> {
    const [{ key, change } = { key: '', change: { kind: 'delete' } as const }] = changes
    switch (change.kind) {
      case 'increment': {
        const amounts = { balance: change.amount, hits: 1 }
        return { value: { account: await this.#accounts.increment(key, amounts) } }
      }
      case 'update': {
        const changed = (account: Account | undefined): Account | undefined =>
          accountAfter(account, change)
        return { value: { account: await this.#accounts.update(key, changed) } }
      }
      case 'set-if-absent':
        await this.#accounts.setIfAbsent(key, change.account)
        return {}
      case 'delete':
        return { receipts: [await this.#accounts.delete(key)] }
      case 'set':
      case 'merge':
        throw new Error(`family s has no ${change.kind}`)
    }
  }

  async #read(key: string): Promise<void> {
    const read = ++this.#reads
    report({ kind: 'read-begun', read, key })
    try {
      report({ kind: 'read', read, account: await this.#accounts.get(key) })
    } catch (error) {
      const code = isDaybookError(error) ? error.code : String(error)
      report({ kind: 'read-failed', read, code })
    }
  }
}

async function open(): Promise<void> {
  const store = url.startsWith('sqlite:')
    ? sqlite({ path: url.slice('sqlite:'.length) })
    : postgres({ url }, postgresOptions)
  const files = death === undefined ? nodeFiles : mortalFiles(nodeFiles, death)
  const startedAt = performance.now()
  book = await openDaybook({ control: false, ...options, store }, { files })
  const openMs = performance.now() - startedAt
  const events = [
    'fenced',
    'halted',
    'storeDown',
    'storeUp',
    'journalFull',
    'journalRecovered',
    'journalFailed',
    'deadLettered',
    'flushed',
  ] as const
  const told = new Set<string>()
  for (const event of events) {
    book.on(event, () => {
      // Often, and of interest only once.
      if (event === 'flushed' && told.has(event)) return
      told.add(event)
      say({ event } satisfies WriterSaid)
    })
  }
  workload = new Workload(book)
  try {
    await workload.ready()
  } catch (error) {
    await book.close({ drainTimeoutMs: 0 })
    throw error
  }
  process.on('SIGTERM', () => {
    void book.close().then((closed) => leave({ closed } satisfies WriterSaid))
  })
  const { pending, deadLetters } = book.stats()
  say({
    openMs,
    pending: pending.mutations,
    deadLetters: deadLetters.count,
  } satisfies WriterSaid)
}

async function obey(order: WriterOrder): Promise<unknown> {
  switch (order.do) {
    case 'write':
      return workload.write(order.first, order.count)
    case 'read':
      return workload.readAll()
    case 'flush':
      await book.flush()
      return book.stats()
    case 'close':
      return book.close()
  }
}

let book: Daybook
let workload: Workload
await takeOrders(open, obey)
