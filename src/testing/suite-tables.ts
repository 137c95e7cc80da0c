/** The tables that the store suite works on. A store with a catalogue makes the same ones in its own SQL. */

import type { ColumnType } from '../store/schema.ts'
import type { TableDeclarations } from '../store/declared-table.ts'

const text: ColumnType = { kind: 'text' }
const integer: ColumnType = { kind: 'integer', bits: 64 }

/**
 * - `suite_accounts`: a row of everyday types; only `visits` is NOT NULL.
 * - `suite_strict`: `owner` is NOT NULL without a default: a row that lacks it is rejected.
 * - `suite_parents`, `suite_children`: `parent` is a foreign key.
 * - `suite_pairs`: a composite key.
 * - `suite_extras`: `extra` takes all other fields.
 * - `suite_types`: a text key `id`, and nullable columns of every type that the store has, under any names.
 */
export const suiteTables: TableDeclarations = {
  suite_accounts: {
    key: { id: text },
    columns: {
      name: { type: text },
      visits: { type: integer, nullable: false, default: 0 },
      bonus: { type: integer },
      balance: { type: { kind: 'numeric', precision: 20, scale: 4 } },
      note: { type: text, default: 'new' },
    },
  },
  suite_strict: { key: { id: text }, columns: { owner: { type: text, nullable: false } } },
  suite_parents: { key: { id: text }, columns: { name: { type: text } } },
  suite_children: {
    key: { id: text },
    columns: { parent: { type: text, references: 'suite_parents' } },
  },
  suite_pairs: { key: { org: text, id: integer }, columns: { name: { type: text } } },
  suite_extras: {
    key: { id: text },
    columns: { name: { type: text }, extra: { type: { kind: 'json' } } },
  },
  suite_types: {
    key: { id: text },
    columns: {
      c_text: { type: text },
      c_varchar: { type: { kind: 'text', maxLength: 10 } },
      c_small: { type: { kind: 'integer', bits: 16 } },
      c_integer: { type: { kind: 'integer', bits: 32 } },
      c_big: { type: integer },
      c_numeric: { type: { kind: 'numeric', precision: 20, scale: 4 } },
      c_decimal: { type: { kind: 'numeric' } },
      c_real: { type: { kind: 'float', bits: 32, nonFinite: true } },
      c_double: { type: { kind: 'float', bits: 64, nonFinite: true } },
      c_boolean: { type: { kind: 'boolean' } },
      c_timestamptz: { type: { kind: 'timestamptz' } },
      c_timestamp: { type: { kind: 'timestamp' } },
      c_date: { type: { kind: 'date' } },
      c_time: { type: { kind: 'time' } },
      c_uuid: { type: { kind: 'uuid' } },
      c_json: { type: { kind: 'json' } },
      c_bytes: { type: { kind: 'bytes' } },
      c_enum: { type: { kind: 'enum', values: ['low', 'high'] } },
      c_array: { type: { kind: 'array', element: integer } },
      c_opaque: { type: { kind: 'opaque' } },
    },
  },
}
