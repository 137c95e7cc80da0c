import { describe, expect, test } from 'vitest'
import { declaredTable, type TableDeclarations } from '../../src/store/declared-table.ts'
import type { TableRequest } from '../../src/store/schema.ts'

const tables: TableDeclarations = {
  pairs: {
    key: { org: { kind: 'text' }, id: { kind: 'integer', bits: 64 } },
    columns: {
      name: { type: { kind: 'text' }, default: 'x' },
      extra: { type: { kind: 'json' } },
      count: { type: { kind: 'integer', bits: 64 }, nullable: false },
    },
  },
  floats: { key: { id: { kind: 'float', bits: 64, nonFinite: false } }, columns: {} },
}

function request(more: Partial<TableRequest> = {}): TableRequest {
  return {
    cache: 'c',
    table: 'pairs',
    key: ['org', 'id'],
    columns: undefined,
    rest: undefined,
    ...more,
  }
}

describe('declaredTable', () => {
  test('gives the columns of the request, with their defaults', () => {
    const schema = declaredTable(tables, request({ rest: 'extra', columns: ['name', 'count'] }))
    expect(schema.key.map((column) => column.name)).toEqual(['org', 'id'])
    expect(schema.columns.map((column) => [column.name, column.required])).toEqual([
      ['name', false],
      ['count', true],
    ])
    expect(schema.rest?.name).toBe('extra')
    expect(schema.blank).toEqual({ name: 'x', count: null })
  })

  test.each<[string, Partial<TableRequest>, RegExp]>([
    ['an unknown table', { table: 'piars' }, /Did you mean "pairs"/],
    ['keys in another order', { key: ['id', 'org'] }, /org, id, in this order/],
    ['an unknown column', { columns: ['nmae'] }, /Did you mean "name"/],
    ['a rest column that is no JSON', { rest: 'name' }, /must be JSON/],
    ['a key without a text of its own', { table: 'floats', key: ['id'] }, /cannot be a key/],
  ])('refuses %s', (_, more, message) => {
    const work = (): unknown => declaredTable(tables, request(more))
    expect(work).toThrow(expect.objectContaining({ code: 'STORE_MISCONFIGURED' }))
    expect(work).toThrow(message)
  })

  test('a default of another type is refused', () => {
    const wrong = {
      t: {
        key: { id: { kind: 'text' as const } },
        columns: { n: { type: { kind: 'boolean' as const }, default: 'x' } },
      },
    }
    expect(() => declaredTable(wrong, request({ table: 't', key: ['id'] }))).toThrow('boolean')
  })
})
