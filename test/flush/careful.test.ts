import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { applyCarefully, unitsOf, type CarefulContext } from '../../src/flush/careful.ts'
import { applyMutation } from '../../src/mutation/coalesce.ts'
import type { Entry, Fields, Mutation } from '../../src/mutation/mutation.ts'
import { MemoryDatabase, memoryStore } from '../../src/store/memory-store.ts'
import type { StoreTransaction, TableMutations } from '../../src/store/store.ts'
import { entryOf } from '../support/flush-fixtures.ts'

const signal = AbortSignal.timeout(60_000)
const tables = {
  t: {
    key: { id: { kind: 'text' } },
    columns: {
      text: { type: { kind: 'text' }, unique: true },
      count: { type: { kind: 'integer', bits: 16 }, default: 0 },
      parent: { type: { kind: 'text' }, references: 't' },
    },
  },
} as const

async function opened(database = new MemoryDatabase()) {
  const store = memoryStore({ tables, database })
  await store.open({ journal: 'j', lanes: 1, epoch: 1 }, { signal })
  const schema = await store.describe(
    { cache: 't', table: 't', key: ['id'], columns: undefined, rest: undefined },
    { signal },
  )
  const table = { schema, parks: (mutation: Mutation) => mutation.kind === 'patch' }
  return { store, database, schema, tables: new Map([['t', table]]) }
}

type Opened = Awaited<ReturnType<typeof opened>>

function contextOf({ store, tables }: Opened, given: Partial<CarefulContext> = {}): CarefulContext {
  return {
    tables,
    lane: 0,
    startedAt: 0,
    classify: (error) => store.classify(error),
    blocking: () => [],
    parentsArrived: () => true,
    ...given,
  }
}

function counted(transaction: StoreTransaction): {
  transaction: StoreTransaction
  writes: () => number
} {
  let writes = 0
  return {
    writes: () => writes,
    transaction: {
      checkpoint: transaction.checkpoint,
      write: (tables: readonly TableMutations[]) => {
        writes++
        return transaction.write(tables)
      },
      commit: (position) => transaction.commit(position),
      rollback: () => transaction.rollback(),
    },
  }
}

async function apply(side: Opened, entries: readonly Entry[], given: Partial<CarefulContext> = {}) {
  const { transaction, writes } = counted(await side.store.begin(0, { careful: true }, { signal }))
  const result = await applyCarefully(unitsOf(entries), transaction, contextOf(side, given))
  await transaction.commit(entries.length)
  return { ...result, writes: writes() }
}

function numbered(entries: readonly Entry[]): Entry[] {
  entries.forEach((entry, at) => (entry.position = at + 1))
  return [...entries]
}

/** What the mutations make of an empty table that refuses nothing. */
function foldOf(entries: readonly Entry[], blank: Fields): Map<string, Fields> {
  const rows = new Map<string, Fields>()
  for (const { key, mutation } of entries) {
    const value = applyMutation(rows.get(key), mutation, blank)
    if (value === undefined) rows.delete(key)
    else rows.set(key, value)
  }
  return rows
}

/** Whether the database takes the mutations one after the other, each as a write of its own. */
async function takenOneByOne(entries: readonly Entry[]): Promise<boolean> {
  const side = await opened()
  const transaction = await side.store.begin(0, { careful: true }, { signal })
  for (const entry of entries) {
    const result = await applyCarefully([[entry]], transaction, contextOf(side))
    if (result.verdicts.length > 0) return false
  }
  return true
}

const key = fc.constantFrom('a', 'b', 'c')
const text = fc.constantFrom('x', 'y', 'z', null)
const count = fc.constantFrom(0, 1, 20_000, 30_000)
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc
    .record({ text, count, parent: fc.constant(null) })
    .map((fields): Mutation => ({ kind: 'set', fields })),
  fc.record({ text }).map((fields): Mutation => ({ kind: 'patch', fields, amounts: {} })),
  fc.record({ count }).map((amounts): Mutation => ({ kind: 'patch', fields: {}, amounts })),
  fc.constant<Mutation>({ kind: 'delete' }),
)

describe('applying a range in which something is refused', () => {
  test('applies exactly what it does not bury, in order, and buries nothing that goes in one by one', async () => {
    let buried = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, mutation, fc.boolean()), { minLength: 1, maxLength: 14 }),
        async (writes) => {
          const entries = numbered(
            writes.map(([id, change, continues], at) =>
              entryOf(id, change, { continues: continues && at < writes.length - 1 }),
            ),
          )
          const side = await opened()
          const { verdicts } = await apply(side, entries)
          const dead = new Set(verdicts.map(({ entry }) => entry))
          const applied = entries.filter((entry) => !dead.has(entry))
          expect(side.database.rows('t')).toEqual(foldOf(applied, side.schema.blank))
          if (verdicts.length > 0) buried++
          if (await takenOneByOne(entries)) expect(verdicts).toEqual([])
        },
      ),
      { numRuns: 600 },
    )
    expect(buried).toBeGreaterThan(50)
  })

  test('finds one poison row among a thousand in O(log n) writes, and the others go in', async () => {
    const side = await opened()
    const entries = numbered(
      Array.from({ length: 1000 }, (_, at) =>
        entryOf(`k${at}`, { kind: 'set', fields: { text: `t${at}`, count: 0, parent: null } }),
      ),
    )
    side.store.reject((row) => row.key === 'k617')
    const result = await apply(side, entries)
    expect(result.verdicts.map((verdict) => verdict.entry.key)).toEqual(['k617'])
    expect(side.database.rows('t').size).toBe(999)
    expect(result.writes).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(1000)) + 1)
  })

  test('lets two rows swap a unique value, which only works uncoalesced', async () => {
    const side = await opened()
    const set = (text: string): Mutation => ({
      kind: 'set',
      fields: { text, count: 0, parent: null },
    })
    await apply(side, numbered([entryOf('a', set('x')), entryOf('b', set('y'))]))
    const swap = [entryOf('a', set('z')), entryOf('b', set('x')), entryOf('a', set('y'))]
    const result = await apply(side, numbered(swap))
    expect(result.verdicts).toEqual([])
    expect([...side.database.rows('t')].map(([id, row]) => [id, row.text])).toEqual([
      ['a', 'y'],
      ['b', 'x'],
    ])
  })

  test('buries an atomic group as a whole', async () => {
    const side = await opened()
    const set = (text: string): Mutation => ({
      kind: 'set',
      fields: { text, count: 0, parent: null },
    })
    side.store.reject((row) => row.key === 'b')
    const result = await apply(
      side,
      numbered([
        entryOf('a', set('x'), { continues: true }),
        entryOf('b', set('y')),
        entryOf('c', set('z')),
      ]),
    )
    expect(result.verdicts.map(({ entry, group }) => [entry.key, group])).toEqual([
      ['a', '0-1'],
      ['b', '0-1'],
    ])
    expect([...side.database.rows('t').keys()]).toEqual(['c'])
  })

  test('stops before a row whose parent may still come, with everything before it applied', async () => {
    const side = await opened()
    const child = (parent: string | null): Mutation => ({
      kind: 'set',
      fields: { text: null, count: 0, parent },
    })
    const entries = numbered([
      entryOf('a', child(null)),
      entryOf('b', child('zz')),
      entryOf('c', child(null)),
    ])
    const transaction = await side.store.begin(0, { careful: true }, { signal })
    const result = await applyCarefully(
      unitsOf(entries),
      transaction,
      contextOf(side, { parentsArrived: () => false }),
    )
    await transaction.commit(1)
    expect(result).toMatchObject({ units: 1, verdicts: [], waitsForParent: 2 })
    expect([...side.database.rows('t').keys()]).toEqual(['a'])
  })

  test('rejects a row whose parent has not come when all lanes have passed it', async () => {
    const side = await opened()
    const fields = { text: null, count: 0, parent: 'zz' }
    const result = await apply(side, numbered([entryOf('b', { kind: 'set', fields })]))
    expect(result.verdicts).toMatchObject([
      { reason: 'rejected', failure: { missingParent: true } },
    ])
  })

  test('gives up on an outage in the middle without having decided anything', async () => {
    const side = await opened()
    side.store.inject({ at: 'write', kind: 'outage' })
    await expect(apply(side, numbered([entryOf('a', { kind: 'delete' })]))).rejects.toThrow()
  })

  test('puts a retry in the place of what it retries: behind older letters, before newer ones', async () => {
    const side = await opened()
    const add: Mutation = { kind: 'patch', fields: {}, amounts: { count: 1 } }
    const open = ['0-5', '0-7']
    const retryOld = entryOf('a', add, { retryOf: '0-5' })
    const result = await apply(side, numbered([retryOld]), { blocking: () => open })
    expect(result).toMatchObject({ verdicts: [], settled: ['0-5'] })
    const retryNew = entryOf('a', add, { retryOf: '0-7' })
    const behind = await apply(side, numbered([retryNew]), { blocking: () => open })
    expect(behind.verdicts).toMatchObject([{ reason: 'parked', behind: '0-5', id: '0-1.7' }])
    expect(behind.settled).toEqual(['0-7'])
  })
})
