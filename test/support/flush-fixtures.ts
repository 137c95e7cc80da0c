/** A table of two columns, and entries for it. */

import type { FlushTable } from '../../src/flush/flush-table.ts'
import { hashText } from '../../src/base/hash.ts'
import type { Entry, Mutation } from '../../src/mutation/mutation.ts'
import type { TableSchema } from '../../src/store/schema.ts'

export const schema: TableSchema = {
  table: 't',
  rank: 0,
  key: [column('id')],
  columns: [column('text'), column('count')],
  rest: undefined,
  document: false,
  blank: { text: null, count: 0 },
}

function column(name: string) {
  return {
    name,
    type: name === 'count' ? ({ kind: 'integer', bits: 64 } as const) : ({ kind: 'text' } as const),
    nullable: true,
    defaultValue: name === 'count' ? 0 : null,
    required: false,
    databaseType: '',
  }
}

/** As by default: patches park behind a dead letter, sets and deletes do not. */
export const table: FlushTable = { schema, parks: (mutation) => mutation.kind === 'patch' }

export function entryOf(key: string, mutation: Mutation, given: Partial<Entry> = {}): Entry {
  return {
    position: 0,
    bytes: 0,
    lane: 0,
    cache: 't',
    key,
    // Few values, so that the index has to tell keys of one hash apart.
    hash: hashText(key) % 5,
    mutation,
    continues: false,
    ...given,
  }
}

export const set = (text: string, count = 0): Mutation => ({ kind: 'set', fields: { text, count } })
export const merge = (text: string): Mutation => ({ kind: 'patch', fields: { text }, amounts: {} })
export const increment = (count: number): Mutation => ({
  kind: 'patch',
  fields: {},
  amounts: { count },
})
export const remove: Mutation = { kind: 'delete' }
