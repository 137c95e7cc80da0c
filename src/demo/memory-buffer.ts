/**
 * The hand-made buffer that many applications have: writes are acknowledged from memory, coalesced by key, and flushed
 * every half second in one transaction. It is fast, and a kill takes what it holds.
 */

import { systemClock } from '../base/clock.ts'
import { coalesce } from '../mutation/coalesce.ts'
import type { Mutation } from '../mutation/mutation.ts'
import { cacheWrites, type CacheWrite } from './cache-writes.ts'
import {
  type Contender,
  type ContenderFigures,
  type ContenderOptions,
  sampleEvery,
  type Spread,
  spreadOf,
} from './contender.ts'
import { openDemoDatabase, type DemoDatabase } from './database.ts'
import { blankRows, type Statement, tableKeys, type TableName } from './tables.ts'
import type { FlightWork } from './workload.ts'

/** Daybook's default delay too. */
const delayMs = 500

interface BufferedRow {
  readonly table: TableName
  readonly key: readonly string[]
  mutation: Mutation
}

export class MemoryBuffer implements Contender {
  readonly recovered = 0
  readonly #database: DemoDatabase
  /** By table and key: there are some thousands, however many writes come. */
  #rows = new Map<string, BufferedRow>()
  #startedAt = 0
  #flushing = Promise.resolve()
  #mutations = 0
  #flushed = 0
  /** When the sampled flights of the buffer were acknowledged. */
  #sampledAt: number[] = []
  readonly #ages: number[] = []

  static async open({ target }: ContenderOptions): Promise<MemoryBuffer> {
    return new MemoryBuffer(await openDemoDatabase(target))
  }

  constructor(database: DemoDatabase) {
    this.#database = database
  }

  async apply(work: FlightWork): Promise<void> {
    if (this.#rows.size === 0) {
      this.#startedAt = systemClock.now()
      systemClock.setTimer(delayMs, () => {
        // Every later flush fails with it, and those have a caller.
        this.#flush().catch(() => undefined)
      })
    }
    for (const write of cacheWrites(work)) this.#add(write)
    if (work.index % sampleEvery === 0) this.#sampledAt.push(systemClock.now())
  }

  #add(write: CacheWrite): void {
    const { cache: table } = write
    // Where a process has come to means nothing if what came before may be lost.
    if (table === 'replay') return
    this.#mutations++
    const key = typeof write.key === 'string' ? [write.key] : write.key
    const name = `${table} ${key.join(' ')}`
    const mutation = mutationOf(write)
    const row = this.#rows.get(name)
    if (row === undefined) this.#rows.set(name, { table, key, mutation })
    else row.mutation = coalesce(row.mutation, mutation, blankRows[table])
  }

  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(async () => {
      const rows = [...this.#rows.values()]
      const sampledAt = this.#sampledAt
      if (rows.length === 0) return
      this.#rows = new Map()
      this.#sampledAt = []
      const mutations = this.#mutations
      await this.#database.apply(rows.map((row) => statementOf(row, this.#database)))
      this.#flushed = mutations
      for (const at of sampledAt) this.#ages.push(systemClock.now() - at)
    })
    return this.#flushing
  }

  figures(): ContenderFigures {
    const pending = this.#mutations - this.#flushed
    const lagMs = pending === 0 ? 0 : systemClock.now() - this.#startedAt
    return {
      ...this.#database.counts,
      mutations: this.#mutations,
      flushed: this.#flushed,
      pending,
      lagMs,
    }
  }

  staleness(): Spread {
    return spreadOf(this.#ages)
  }

  async drain(): Promise<void> {
    do await this.#flush()
    while (this.#rows.size > 0)
  }

  async close(): Promise<void> {
    await this.drain()
    await this.#database.close()
  }
}

function mutationOf(write: CacheWrite): Mutation {
  switch (write.kind) {
    case 'set':
      return { kind: 'set', fields: write.fields }
    case 'merge':
      return { kind: 'patch', fields: write.fields, amounts: {} }
    case 'increment':
      return { kind: 'patch', fields: {}, amounts: write.amounts }
    case 'delete':
      return { kind: 'delete' }
  }
}

function statementOf({ table, key, mutation }: BufferedRow, database: DemoDatabase): Statement {
  const name = database.qualify(table)
  const keyColumns = tableKeys[table]
  if (mutation.kind === 'delete') {
    const conditions = keyColumns.map((column, index) => `${column} = $${index + 1}`)
    return { sql: `delete from ${name} where ${conditions.join(' and ')}`, values: key }
  }
  const amounts = mutation.kind === 'patch' ? mutation.amounts : {}
  const fields = Object.entries(mutation.fields)
  const columns = [...fields, ...Object.entries(amounts)] as [string, string | number | null][]
  const parameters = [...key, ...columns].map((_, index) => `$${index + 1}`)
  const assignments = columns.map(([column], index) => {
    const parameter = parameters[key.length + index]
    return index < fields.length
      ? `${column} = ${parameter}`
      : `${column} = t.${column} + ${parameter}`
  })
  return {
    sql:
      `insert into ${name} as t (${[...keyColumns, ...columns.map(([column]) => column)].join(', ')}) ` +
      `values (${parameters.join(', ')}) ` +
      `on conflict (${keyColumns.join(', ')}) do update set ${assignments.join(', ')}`,
    values: [...key, ...columns.map(([, value]) => value)],
  }
}
