import { expect, test } from 'vitest'
import { parseTableName, quoteIdentifier, quoteLiteral, quoteTable } from '../../src/store/sql.ts'

const misconfigured = expect.objectContaining({ code: 'STORE_MISCONFIGURED' }) as unknown as Error

test('quotes identifiers and literals so that nothing gets out', () => {
  expect(quoteIdentifier('a"; DROP TABLE b; --')).toBe('"a""; DROP TABLE b; --"')
  expect(quoteLiteral("it's")).toBe("'it''s'")
  for (const name of ['', 'a\0', '\ud800', 'x'.repeat(256)])
    expect(() => quoteIdentifier(name)).toThrow(misconfigured)
  expect(() => quoteLiteral('a\0')).toThrow(misconfigured)
})

test('reads table names as they are written', () => {
  expect(parseTableName('users')).toEqual({ schema: undefined, table: 'users' })
  expect(parseTableName('sales.Orders')).toEqual({ schema: 'sales', table: 'Orders' })
  expect(parseTableName('"my.schema"."a ""b"""')).toEqual({ schema: 'my.schema', table: 'a "b"' })
  expect(quoteTable(parseTableName('sales.orders'))).toBe('"sales"."orders"')
  expect(quoteTable(parseTableName('orders'))).toBe('"orders"')
  for (const name of [
    '',
    '.',
    'a.',
    '.a',
    'a.b.c',
    '"a',
    'a"b',
    'daybook_values',
    'x.DAYBOOK_checkpoints',
  ]) {
    expect(() => parseTableName(name), name).toThrow(misconfigured)
  }
})
