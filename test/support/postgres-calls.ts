/** What tests of the PostgreSQL store say again and again. */

import type { Fields, Mutation } from '../../src/mutation/mutation.ts'
import type { TableRequest, TableSchema } from '../../src/store/schema.ts'
import type { Claim, Store, TableMutations } from '../../src/store/store.ts'

export const call = { signal: new AbortController().signal }
export const claim: Claim = { journal: 'journal', lanes: 2, epoch: 1 }

export const deletion: Mutation = { kind: 'delete' }
export const set = (fields: Fields): Mutation => ({ kind: 'set', fields })
export const merge = (fields: Fields): Mutation => ({ kind: 'patch', fields, amounts: {} })
export const increment = (
  amounts: Readonly<Record<string, number | bigint | string>>,
): Mutation => ({
  kind: 'patch',
  fields: {},
  amounts,
})

export function describeTable(
  store: Store,
  table: string,
  request: Partial<TableRequest> = {},
): Promise<TableSchema> {
  return store.describe(
    { cache: 'cache', table, key: ['id'], columns: undefined, rest: undefined, ...request },
    call,
  )
}

export function mutations(
  schema: TableSchema,
  byKey: Readonly<Record<string, Mutation>>,
): TableMutations {
  const rows = Object.entries(byKey)
    .map(([key, mutation]) => ({ key, mutation }))
    .sort((left, right) => (left.key < right.key ? -1 : 1))
  return { schema, cache: 'cache', rows }
}

export async function commit(
  store: Store,
  lane: number,
  position: number,
  tables: readonly TableMutations[],
  careful = false,
): Promise<void> {
  const transaction = await store.begin(lane, { careful }, call)
  try {
    await transaction.write(tables)
  } catch (error) {
    await transaction.rollback()
    throw error
  }
  await transaction.commit(position)
}

export async function loadRow(
  store: Store,
  schema: TableSchema,
  key: string,
): Promise<Fields | undefined> {
  return (await store.load(schema, 'cache', [key], call)).rows[0]
}

/** What `work` fails with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const nothing = Symbol('no failure')
  const failure: unknown = await work.then(
    () => nothing,
    (error: unknown) => error,
  )
  if (failure === nothing) throw new Error('expected a failure')
  return failure
}
