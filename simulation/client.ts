/** A client: does one operation after the other on the book, and tells the oracle what it was told. */

import { isDaybookError, type DaybookError } from '../src/base/errors.ts'
import type { Cache, Receipt, WriteOptions } from '../src/book/cache.ts'
import type { Daybook } from '../src/book/daybook.ts'
import type { Oracle } from './oracle/oracle.ts'
import { Violation } from './oracle/violation.ts'
import type { CacheName, Row } from './tables.ts'
import type { Operation, WriteIntent } from './workload.ts'

export interface Caches {
  readonly users: Cache<Row>
  readonly orders: Cache<Row>
  readonly sessions: Cache<Row>
  readonly notes: Cache<Row>
}

export interface ClientContext {
  readonly book: Daybook
  readonly caches: Caches
  readonly oracle: Oracle
  /** The book is the one that the world goes on with: what others are told is nobody's business. */
  readonly current: () => boolean
  readonly receipts: Receipt[]
  readonly fired: (state: string) => void
  /** What pending batches may take in memory at most. */
  readonly memoryBudgetBytes: number
}

export function declareCaches(
  book: Daybook,
  ttlMs: { users?: number; sessions: number },
  bytes: number,
): Caches {
  const table = (name: 'users' | 'orders' | 'sessions') => ({
    table: name,
    key: 'id',
    maxBytes: bytes,
  })
  return {
    users: book.cache<Row>('users', {
      ...table('users'),
      ...(ttlMs.users === undefined ? {} : { ttlMs: ttlMs.users }),
    }),
    orders: book.cache<Row>('orders', table('orders')),
    sessions: book.cache<Row>('sessions', {
      ...table('sessions'),
      ttlMs: ttlMs.sessions,
      expire: 'delete',
    }),
    notes: book.cache<Row>('notes', { maxBytes: bytes }),
  }
}

/** Resolves when the operation has ended, however it did. Rejects with a Violation, or what no engine should throw. */
export async function perform(operation: Operation, context: ClientContext): Promise<string> {
  const { oracle } = context
  oracle.begin(operation)
  try {
    const outcome = await run(operation, context)
    return outcome
  } catch (error) {
    if (error instanceof Violation) throw error
    if (!isDaybookError(error)) throw error
    if (!context.current()) return 'of no interest'
    judge(operation, error, context)
    return error.code
  }
}

/** What an error says of the write's outcome. */
function judge({ id, kind }: Operation, error: DaybookError, { oracle }: ClientContext): void {
  const allowed = allowedCodes.has(error.code)
  if (!allowed) {
    throw new Violation(
      'no unexpected error',
      `${kind} ${id} failed with ${error.code}: ${error.message}`,
    )
  }
  const { outcome } = error.details
  if (outcome === 'pending' || outcome === 'dead-lettered') oracle.acknowledged(id, undefined)
  else if (outcome === 'failed' || certain.has(error.code)) oracle.failed(id)
}

/** Nothing was accepted: the write will never be seen. */
const certain = new Set([
  'OVERLOADED',
  'JOURNAL_FULL',
  'INVALID_VALUE',
  'STORE_UNAVAILABLE',
  'VALUE_TOO_LARGE',
  'DIRECTORY_UNUSABLE',
])

const allowedCodes = new Set([
  ...certain,
  'CLOSED',
  'FENCED',
  'JOURNAL_FAILED',
  'TIMEOUT',
  'STORE_CONFLICT',
  'STORE_REJECTED',
  'STORE_MISCONFIGURED',
  'DEAD_LETTER_UNKNOWN',
  'DEAD_LETTERS_FULL',
])

async function run(operation: Operation, context: ClientContext): Promise<string> {
  const { book, caches, oracle } = context
  switch (operation.kind) {
    case 'write': {
      const { durability } = operation
      const options = durability === undefined ? {} : { durability, timeoutMs: 500 }
      const receipt = await write(operation.write, caches, options)
      tell(operation.id, [receipt], context)
      return 'written'
    }
    case 'incrementAndGet': {
      const { write } = operation
      const window = oracle.readBegins(write.cache, write.key)
      const value = await caches[write.cache].increment(write.key, { visits: write.by })
      if (!context.current()) return 'of no interest'
      oracle.acknowledged(operation.id, undefined)
      oracle.mustBeResult(operation.id, window, withoutKey(value))
      return 'incremented'
    }
    case 'update': {
      const { cache, key, fields } = operation.write
      const window = oracle.readBegins(cache, key)
      const value = await caches[cache].update(key, (row) => ({
        ...(row === undefined ? fields : withoutKey(row)),
        name: fields['name'],
      }))
      if (!context.current()) return 'of no interest'
      oracle.acknowledged(operation.id, undefined)
      oracle.mustBeResult(operation.id, window, withoutKey(value))
      return 'updated'
    }
    case 'setIfAbsent': {
      const { cache, key, fields } = operation.write
      const written = await caches[cache].setIfAbsent(key, fields)
      if (!context.current()) return 'of no interest'
      if (written) oracle.acknowledged(operation.id, undefined)
      else oracle.notWritten(operation.id)
      return written ? 'set' : 'there'
    }
    case 'getOrSet': {
      const { cache, key, fields } = operation.write
      const window = oracle.readBegins(cache, key)
      const value = await caches[cache].getOrSet(key, () => fields)
      if (!context.current()) return 'of no interest'
      // Who came second got the first one's value.
      if (oracle.positionOf(operation.id) === undefined) oracle.notWritten(operation.id)
      else oracle.acknowledged(operation.id, undefined)
      oracle.readEnds(window, withoutKey(value), 'getOrSet', 'reads show what was acknowledged')
      return 'got'
    }
    case 'batch': {
      const receipts = await book.batch((writes) => {
        for (const { cache, key, kind, fields, by } of operation.writes) {
          const to = caches[cache]
          if (kind === 'set') writes.set(to, key, fields)
          else if (kind === 'merge') writes.merge(to, key, fields)
          else if (kind === 'increment') writes.increment(to, key, { visits: by })
          else writes.delete(to, key)
        }
      })
      tell(operation.id, receipts, context)
      return 'written'
    }
    case 'get':
      await read(operation.cache, operation.key, context, async (cache, key) => cache.get(key))
      return 'read'
    case 'peek': {
      const window = oracle.readBegins(operation.cache, operation.key)
      const value = await caches[operation.cache].peek(operation.key)
      if (value === undefined || !context.current()) return 'nothing cached'
      oracle.readEnds(window, withoutKey(value), 'peek', 'reads show what was acknowledged')
      return 'peeked'
    }
    case 'has': {
      const window = oracle.readBegins(operation.cache, operation.key)
      const found = await caches[operation.cache].has(operation.key)
      if (!context.current()) return 'of no interest'
      mustExist(oracle.existence(window), found, 'has', window.place)
      return 'looked'
    }
    case 'getMany': {
      const { cache, keys } = operation
      const windows = keys.map((key) => oracle.readBegins(cache, key))
      const found = await caches[cache].getMany(keys)
      if (!context.current()) return 'of no interest'
      for (const [at, window] of windows.entries()) {
        const value = found.get(keys[at] as string)
        oracle.readEnds(window, withoutKey(value), 'getMany', 'reads show what was acknowledged')
      }
      return 'read'
    }
    case 'keys':
      return walkKeys(operation.cache, context)
    case 'invalidate':
      await caches[operation.cache].invalidate(operation.key)
      return 'forgotten'
    case 'flush': {
      const durable = oracle.durable
      await book.flush({ timeoutMs: Math.max(1, operation.timeoutMs) })
      if (context.current()) mustBeFlushed(durable, context)
      return 'flushed'
    }
    case 'persisted': {
      const receipt = context.receipts.at(-1)
      if (receipt === undefined) return 'nothing to ask for'
      const outcome = await book.persisted(receipt, { timeoutMs: operation.timeoutMs })
      if (context.current() && outcome !== 'pending') mustBeApplied([receipt], context)
      return outcome
    }
    case 'pause':
      book.pause()
      return 'paused'
    case 'resume':
      book.resume()
      return 'resumed'
    case 'status':
      lookAt(context)
      return 'looked'
    case 'retry': {
      const { first, force } = operation
      const result = await book.deadLetters.retry(first === Infinity ? {} : { first }, {
        force,
        timeoutMs: 1000,
      })
      if (result.receipts.length > 0) context.fired('dead letter retried')
      return `retried ${result.receipts.length}`
    }
    case 'edit':
    case 'discard':
      return settle(operation, context)
  }
}

async function settle(
  { kind, id }: Operation & { readonly kind: 'edit' | 'discard' },
  { book, oracle, fired }: ClientContext,
): Promise<string> {
  const { letters } = await book.deadLetters.list({}, { limit: 5 })
  const letter = letters[id % Math.max(1, letters.length)]
  if (letter === undefined) return 'no dead letter'
  if (kind === 'edit') {
    oracle.edited(id)
    await book.deadLetters.edit(letter.id, { merge: { name: `w${id}-0` } }, { timeoutMs: 1000 })
    fired('dead letter edited')
  } else {
    oracle.discarded([letter.id])
    await book.deadLetters.discard([letter.id])
    fired('dead letter discarded')
  }
  return kind
}

function write(
  { cache, key, kind, fields, by }: WriteIntent,
  caches: Caches,
  options: WriteOptions,
): Promise<Receipt> {
  const to = caches[cache]
  switch (kind) {
    case 'set':
      return to.set(key, fields, Object.keys(options).length === 0 ? undefined : options)
    case 'merge':
      return to.merge(key, fields, options)
    case 'increment':
      return to.increment(key, { visits: by }, { ...options, returning: false })
    case 'delete':
      return to.delete(key, options)
  }
}

/** The client has its receipts. */
function tell(id: number, receipts: readonly Receipt[], context: ClientContext): void {
  if (!context.current()) return
  const levels = new Set(receipts.map((receipt) => receipt.durability))
  // What is only in memory may be lost: its outcome stays open.
  if (levels.has('memory')) return
  context.oracle.acknowledged(
    id,
    receipts.map((receipt) => receipt.position),
  )
  if (levels.has('store')) mustBeApplied(receipts, context)
  context.receipts.push(...receipts.slice(0, 1))
}

function mustBeApplied(receipts: readonly Receipt[], { oracle }: ClientContext): void {
  for (const { lane, position, key } of receipts) {
    if (position <= oracle.reached(lane)) continue
    throw new Violation(
      'acknowledged at the level that was asked for',
      `position ${position} (${key}) is said to be in the store, which came to ${oracle.reached(lane)}`,
    )
  }
}

function mustBeFlushed(durable: number, { oracle }: ClientContext): void {
  for (const lane of oracle.lanesBehind(durable)) {
    throw new Violation(
      'acknowledged at the level that was asked for',
      `flush() resolved with lane ${lane} at ${oracle.reached(lane)}, and ${durable} was durable before`,
    )
  }
}

async function read(
  name: CacheName,
  key: string,
  { caches, oracle, current }: ClientContext,
  get: (cache: Cache<Row>, key: string) => Promise<Row | undefined>,
): Promise<void> {
  const window = oracle.readBegins(name, key)
  const value = await get(caches[name], key)
  if (!current()) return
  oracle.readEnds(window, withoutKey(value), 'get', 'reads show what was acknowledged')
}

async function walkKeys(
  name: CacheName,
  { caches, oracle, current }: ClientContext,
): Promise<string> {
  const known = oracle.keysOf(name)
  const wasInPast = oracle.isInPast
  const windows = known.map((key) => [key, oracle.readBegins(name, key)] as const)
  const found = new Set<string>()
  for await (const key of caches[name].keys()) found.add(key)
  // A walk does not notice that the database has gone back: see docs/guarantees.md, G13.
  if (!current() || wasInPast || oracle.isInPast) return 'of no interest'
  for (const [key, window] of windows) {
    mustExist(oracle.existence(window), found.has(key), 'keys()', window.place)
  }
  return 'walked'
}

function mustExist(
  expected: boolean | undefined,
  found: boolean,
  what: string,
  place: string,
): void {
  if (expected === undefined || expected === found) return
  throw new Violation(
    'reads show what was acknowledged',
    `${what} says that ${place} is ${found ? 'there' : 'not there'}, and it is ${expected ? '' : 'not '}`,
  )
}

/** What a lane's index of spilled mutations takes as soon as it has one. */
const indexBytes = 20_000

/** Figures that must hold at any time. */
export function lookAt({ book, memoryBudgetBytes, fired }: ClientContext): void {
  const { pending, lanes } = book.stats()
  // Positions of what is spilled are kept beyond the budget: see docs/guarantees.md, G7.
  const budget = memoryBudgetBytes + lanes.length * indexBytes + pending.spilledMutations * 64
  if (pending.memoryBytes > budget) {
    throw new Violation(
      'memory is within its budget',
      `pending batches take ${pending.memoryBytes} bytes of ${budget}`,
    )
  }
  if (pending.spilledMutations > 0) fired('batches spilled')
  for (const { state } of lanes) if (state === 'parents') fired('lane waits for parents')
}

/** A cache gives the key's columns with the others, or not: they are not compared. */
export function withoutKey(row: Row | undefined): Row | undefined {
  if (row === undefined) return undefined
  return Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'id'))
}
