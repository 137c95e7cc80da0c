/** What the store knows of the tables that it described, beyond their schema. */

import { assert } from '../../base/assert.ts'
import type { TableSchema } from '../schema.ts'
import type { PhysicalTable } from './table-statements.ts'

/** For all stores of this process: a schema says the same to each that stands on the same database. */
const described = new WeakMap<TableSchema, PhysicalTable>()

export class PhysicalTables {
  /** The generic table, as each cache sees it. */
  readonly #documents = new Map<string, PhysicalTable>()
  #values = ''

  /** The generic table's name, quoted. */
  open(values: string): void {
    this.#values = values
    this.#documents.clear()
  }

  add(schema: TableSchema, table: PhysicalTable): void {
    described.set(schema, table)
  }

  of(schema: TableSchema, cache: string): PhysicalTable {
    if (schema.document) return this.#document(cache)
    const table = described.get(schema)
    assert(table !== undefined, `table "${schema.table}" was described by a PostgreSQL store`)
    return table
  }

  #document(cache: string): PhysicalTable {
    let table = this.#documents.get(cache)
    if (table === undefined) {
      assert(this.#values !== '', 'the PostgreSQL store is open')
      table = documentTable(this.#values, cache)
      this.#documents.set(cache, table)
    }
    return table
  }
}

function documentTable(sql: string, cache: string): PhysicalTable {
  return {
    sql,
    scope: { sql: '"cache"', value: cache },
    key: [
      { name: 'key', sql: '"key"', type: { kind: 'text' }, castName: 'text', blankPadded: false },
    ],
    columns: [],
    rest: {
      name: 'value',
      sql: '"value"',
      type: { kind: 'json' },
      castName: 'jsonb',
      blankPadded: false,
    },
    overridesIdentity: false,
    blank: {},
    copies: true,
  }
}
