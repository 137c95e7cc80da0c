import { describe, expect, test } from 'vitest'
import {
  declaredTable,
  documentSchema,
  type TableDeclarations,
} from '../../src/store/declared-table.ts'
import {
  packRest,
  rowCodec,
  unpackRest,
  unwrapDocument,
  wrapDocument,
} from '../../src/store/row.ts'
import type { ColumnType, TableSchema } from '../../src/store/schema.ts'

const text: ColumnType = { kind: 'text' }

const tables: TableDeclarations = {
  users: {
    key: { id: { kind: 'integer', bits: 64 } },
    columns: {
      name: { type: { kind: 'text' }, nullable: false },
      email: { type: { kind: 'text' }, nullable: false },
      visits: { type: { kind: 'integer', bits: 64 }, default: 0, nullable: false },
      note: { type: { kind: 'text' }, default: 'new' },
      score: { type: { kind: 'float', bits: 64, nonFinite: false } },
      balance: { type: { kind: 'numeric', precision: 10, scale: 2 } },
      extra: { type: { kind: 'json' } },
    },
  },
  // Not as a literal: its `toString` would be of another type for the compiler.
  strange: {
    key: { id: { kind: 'text' } },
    columns: Object.fromEntries([['toString', { type: text }]]),
  },
}

function schemaOf(table: string, more: { columns?: string[]; rest?: string } = {}): TableSchema {
  return declaredTable(tables, {
    cache: 'c',
    table,
    key: ['id'],
    columns: more.columns,
    rest: more.rest,
  })
}

const flat = ['name', 'email', 'visits', 'note', 'score', 'balance']
const users = rowCodec(schemaOf('users', { columns: flat }))
const open = rowCodec(schemaOf('users', { rest: 'extra' }))
const documents = rowCodec(documentSchema)
const ada = { name: 'Ada', email: 'a@b.c' }

function thrown(work: () => unknown): { code: string; details: object; message: string } {
  try {
    work()
  } catch (error) {
    return error as { code: string; details: object; message: string }
  }
  throw new Error('Nothing was thrown.')
}

describe('a row', () => {
  test('has every column in the schema’s order, by default or null where left out', () => {
    const row = users.row({ email: 'a@b.c', name: 'Ada' }, '1')
    expect(row).toStrictEqual({ ...ada, visits: 0, note: 'new', score: null, balance: null })
    expect(Object.keys(row)).toEqual(flat)
    expect(Object.keys(users.row({ ...ada, balance: 5, visits: '7' }, '1'))).toEqual(flat)
  })

  test('an undefined field is left out; null is null', () => {
    expect(users.row({ ...ada, note: undefined, score: undefined }, '1')).toMatchObject({
      note: 'new',
    })
    expect(users.row({ ...ada, note: null }, '1')).toMatchObject({ note: null })
  })

  test('names all required columns that are missing', () => {
    const error = thrown(() => users.row({ visits: 1, email: undefined }, '1'))
    expect(error).toMatchObject({ code: 'INVALID_VALUE', details: { columns: ['name', 'email'] } })
    expect(thrown(() => users.row({ ...ada, name: null }, '1')).message).toContain('NOT NULL')
  })

  test('refuses an unknown field by name, with the nearest that there is', () => {
    const error = thrown(() => users.row({ ...ada, nmae: 'x' }, '1'))
    expect(error).toMatchObject({ code: 'INVALID_VALUE', details: { column: 'nmae' } })
    expect(error.message).toContain('Did you mean "name"?')
    expect(thrown(() => users.row({ ...ada, entirelyElse: 1 }, '1')).message).not.toContain(
      'Did you mean',
    )
    // An undefined field of the same number must not make room for an unknown one.
    expect(thrown(() => users.row({ name: 'Ada', email: undefined, nmae: 'x' }, '1')).code).toBe(
      'INVALID_VALUE',
    )
  })

  test('takes key columns where they are the key, in any spelling', () => {
    expect(users.row({ ...ada, id: 42 }, '42')).not.toHaveProperty('id')
    expect(users.row({ ...ada, id: '042' }, '42')).toMatchObject(ada)
    expect(thrown(() => users.row({ ...ada, id: 43 }, '42'))).toMatchObject({
      details: { column: 'id' },
    })
    expect(thrown(() => users.row({ ...ada, id: null }, '42')).code).toBe('INVALID_VALUE')
    expect(users.patch({ id: 42, visits: 3 }, '42')).toEqual({ visits: 3 })
  })

  test('reads own fields only', () => {
    class User {
      name = 'Ada'
      email = 'a@b.c'
      get visits(): number {
        return 99
      }
    }
    expect(users.row(new User(), '1')).toMatchObject({ ...ada, visits: 0 })
    expect(rowCodec(schemaOf('strange')).row({}, '1')).toEqual({ toString: null })
    expect(rowCodec(schemaOf('strange')).row({ toString: 'x' }, '1')).toEqual({ toString: 'x' })
    expect(users.row(Object.assign(Object.create(null) as object, ada), '1')).toMatchObject(ada)
  })

  test('is an object', () => {
    for (const value of [null, undefined, 5, 'text', [ada]]) {
      expect(thrown(() => users.row(value, '1')).code).toBe('INVALID_VALUE')
      expect(thrown(() => users.patch(value, '1')).code).toBe('INVALID_VALUE')
      expect(thrown(() => users.amounts(value)).code).toBe('INVALID_VALUE')
    }
  })

  test('is flat where no field is an object', () => {
    expect(users.isFlat(users.row(ada, '1'))).toBe(true)
    expect(open.isFlat(open.row({ ...ada, tags: [] }, '1'))).toBe(false)
    expect(open.isFlat(open.row({ ...ada, age: 3 }, '1'))).toBe(true)
    const row = users.row(ada, '1')
    expect(users.unwrap(row)).toBe(row)
  })
})

describe('a merge and an increment', () => {
  test('a merge has the given columns only', () => {
    expect(users.patch({ visits: '5', note: null, score: undefined }, '1')).toEqual({
      visits: 5,
      note: null,
    })
    expect(users.patch({}, '1')).toEqual({})
    expect(thrown(() => users.patch({ name: null }, '1')).code).toBe('INVALID_VALUE')
    expect(thrown(() => users.patch({ nope: 1 }, '1')).code).toBe('INVALID_VALUE')
  })

  test('amounts are of integer and numeric columns, at least one', () => {
    expect(users.amounts({ visits: 1, balance: 1.5, note: undefined })).toEqual({
      visits: 1,
      balance: '1.50',
    })
    for (const amounts of [
      {},
      { note: 1 },
      { score: 1 },
      { id: 1 },
      { nope: 1 },
      { visits: 1.5 },
    ]) {
      expect(thrown(() => users.amounts(amounts)).code, JSON.stringify(amounts)).toBe(
        'INVALID_VALUE',
      )
    }
  })
})

describe('a rest column', () => {
  test('takes the fields that no column takes, beside the columns', () => {
    const row = open.row({ ...ada, age: 36, tags: ['x'] }, '1')
    expect(row).toMatchObject({ ...ada, age: 36, tags: ['x'] })
    expect(row).not.toHaveProperty('extra')
    expect(open.patch({ age: 37 }, '1')).toEqual({ age: 37 })
  })

  test('refuses its own name, __proto__, and what is no JSON', () => {
    for (const value of [
      { extra: {} },
      JSON.parse('{"__proto__":1}'),
      { f: () => 1 },
      { n: 5n },
      { 'a\0': 1 },
    ]) {
      expect(thrown(() => open.patch(value, '1')).code).toBe('INVALID_VALUE')
    }
  })

  test('is packed for the store, and unpacked without hiding a column', () => {
    const schema = schemaOf('users', { rest: 'extra' })
    const fields = open.row({ ...ada, age: 36 }, '1')
    expect(packRest(schema, fields)).toEqual({ age: 36 })
    expect(packRest(schema, open.row(ada, '1'))).toBeUndefined()
    const loaded = { name: 'Ada' }
    unpackRest(schema, loaded, {
      name: 'Eve',
      age: 36,
      ...(JSON.parse('{"__proto__":{"x":1}}') as object),
    })
    expect(loaded).toStrictEqual({ name: 'Ada', age: 36 })
    unpackRest(schema, loaded, [1])
    expect(loaded).toStrictEqual({ name: 'Ada', age: 36 })
  })
})

describe('a document', () => {
  test('is any JSON value; an object’s members are its fields', () => {
    for (const value of [{ a: 1 }, {}, 'text', 5, true, null, [1, { a: 1 }]]) {
      const fields = documents.row(value, 'k')
      expect(documents.unwrap(fields)).toStrictEqual(value)
      expect(wrapDocument(unwrapDocument(fields))).toStrictEqual(fields)
    }
    expect(documents.row('text', 'k')).toEqual({ '': 'text' })
    expect(documents.row({ a: 1, b: undefined }, 'k')).toEqual({ a: 1 })
    expect(documents.row(new Date(0), 'k')).toEqual({ '': '1970-01-01T00:00:00.000Z' })
    expect(documents.isFlat(documents.row({ a: [1] }, 'k'))).toBe(false)
  })

  test('refuses an empty member name, and what is no JSON', () => {
    for (const value of [{ '': 1 }, undefined, 5n, new Map(), { a: { b: undefined } }]) {
      expect(thrown(() => documents.row(value, 'k')).code).toBe('INVALID_VALUE')
    }
  })

  test('a merge is an object, and makes one of what was none', () => {
    expect(documents.patch({ a: 1, b: undefined }, 'k')).toEqual({ a: 1 })
    expect(thrown(() => documents.patch('text', 'k')).code).toBe('INVALID_VALUE')
    expect(documents.unwrap({ '': 'text', a: 1 })).toEqual({ a: 1 })
    expect(thrown(() => documents.amounts({ a: 1 })).code).toBe('INVALID_VALUE')
  })
})

test('a column named __proto__ is refused', () => {
  const schema = schemaOf('users')
  const [first] = schema.columns
  if (first === undefined) throw new Error('no column')
  expect(() => rowCodec({ ...schema, columns: [{ ...first, name: '__proto__' }] })).toThrow(
    '__proto__',
  )
})
