/** Errors by table, and the parts of the store that need no server. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DaybookError } from '../../src/base/errors.ts'
import {
  arrayText,
  nestedArrayText,
  parseArrayText,
  quoteElement,
  quoteJson,
  type ArrayElement,
} from '../../src/store/postgres/array-text.ts'
import { loadDriver } from '../../src/store/postgres/driver.ts'
import { classifyPostgresError } from '../../src/store/postgres/failures.ts'
import { postgres } from '../../src/store/postgres/index.ts'
import { InsertPathChooser } from '../../src/store/postgres/insert-path.ts'
import { referenceLevel } from '../../src/store/postgres/table-rank.ts'
import { failureOf } from '../support/postgres-calls.ts'

function databaseError(code: string, fields: Record<string, string> = {}): Error {
  return Object.assign(new Error(fields['message'] ?? 'said the server'), { code, ...fields })
}

describe('classify', () => {
  test.each([
    ['08006', 'outage'],
    ['53100', 'outage'],
    ['53200', 'outage'],
    ['53300', 'outage'],
    ['57P01', 'outage'],
    ['57P03', 'outage'],
    ['25006', 'outage'],
    ['25P03', 'outage'],
    ['58030', 'outage'],
    ['40001', 'conflict'],
    ['40P01', 'conflict'],
    ['55P03', 'conflict'],
    ['57014', 'conflict'],
    ['25P02', 'conflict'],
    ['22003', 'rejected'],
    ['22P02', 'rejected'],
    ['23502', 'rejected'],
    ['23505', 'rejected'],
    ['23514', 'rejected'],
    ['21000', 'rejected'],
    ['54000', 'rejected'],
    ['P0001', 'rejected'],
    ['28P01', 'misconfigured'],
    ['3D000', 'misconfigured'],
    ['42501', 'misconfigured'],
    ['42703', 'misconfigured'],
    ['42P01', 'misconfigured'],
    ['0A000', 'misconfigured'],
    ['26000', 'misconfigured'],
    ['XX002', 'misconfigured'],
    ['ECONNREFUSED', 'outage'],
    ['EPIPE', 'outage'],
    ['ENOTFOUND', 'outage'],
    ['CERT_HAS_EXPIRED', 'misconfigured'],
  ])('%s is %s', (code, kind) => {
    expect(classifyPostgresError(databaseError(code))).toMatchObject({ kind, code, known: true })
  })

  test.each([
    ['Connection terminated unexpectedly', 'outage'],
    ['timeout expired', 'outage'],
    ['Client has encountered a connection error and is not queryable', 'outage'],
    ['The server does not support SSL connections', 'misconfigured'],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', 'misconfigured'],
  ])('the driver’s "%s" is %s', (message, kind) => {
    expect(classifyPostgresError(new Error(message))).toMatchObject({ kind, known: true })
  })

  test('what is in no table is an outage that is not known', () => {
    for (const error of [databaseError('99999'), new Error('?'), undefined, 'text', {}]) {
      expect(classifyPostgresError(error)).toMatchObject({ kind: 'outage', known: false })
    }
  })

  test('only a foreign key can be on its way', () => {
    expect(classifyPostgresError(databaseError('23503')).missingParent).toBe(true)
    expect(classifyPostgresError(databaseError('23505')).missingParent).toBeUndefined()
  })

  test('a refused row of row-level security is not a missing privilege', () => {
    const error = databaseError('42501', { routine: 'ExecWithCheckOptions' })
    expect(classifyPostgresError(error).kind).toBe('rejected')
  })

  test('a table altered under a prepared statement is tried again', () => {
    const error = databaseError('0A000', { routine: 'RevalidateCachedQuery' })
    expect(classifyPostgresError(error).kind).toBe('conflict')
  })

  test('messages name columns and constraints, but show no value', () => {
    const invalid = databaseError('22P02', {
      message: 'invalid input syntax for type integer: "sec"ret"',
      detail: 'sec"ret',
    })
    expect(classifyPostgresError(invalid).message).toBe(
      'invalid input syntax for type integer: "…"',
    )
    const duplicate = databaseError('23505', {
      message: 'duplicate key value violates unique constraint "users_email_key"',
      constraint: 'users_email_key',
      detail: 'Key (email)=(ada@example.com) already exists.',
    })
    expect(classifyPostgresError(duplicate).message).toBe(
      'duplicate key value violates unique constraint "users_email_key"',
    )
    const other = databaseError('22001', { message: 'value too long', column: 'name' })
    expect(classifyPostgresError(other).message).toBe('value too long (column "name")')
  })

  test('where every address refused, the code stands for the empty message', () => {
    const error = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
    expect(classifyPostgresError(error)).toMatchObject({ kind: 'outage', message: 'ECONNREFUSED' })
  })
})

describe('array text', () => {
  const element: fc.Arbitrary<string | null> = fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('NULL', '', '"', '\\', '{}', ',', ' '),
  )

  test('quote JSON as they quote any other text', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), (json) => {
        const text = JSON.stringify(JSON.parse(json))
        expect(quoteJson(text)).toBe(quoteElement(text))
      }),
      { numRuns: 500, seed: 5 },
    )
  })

  test('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.array(element), (values) => {
        expect(parseArrayText(arrayText(values, true))).toEqual(values)
      }),
    )
  })

  test('nested arrays read back, with bounds of their own or without', () => {
    const nested: fc.Arbitrary<ArrayElement[]> = fc.array(
      fc.oneof(element, fc.array(element, { minLength: 1 })),
    )
    fc.assert(
      fc.property(nested, (values) => {
        expect(parseArrayText(nestedArrayText(values))).toEqual(values)
        expect(parseArrayText(`[0:${values.length}]=${nestedArrayText(values)}`)).toEqual(values)
      }),
    )
  })

  test.each(['', '{', '{"a', '{a', '{"a"x}', 'a}'])('refuses %j', (text) => {
    expect(() => parseArrayText(text)).toThrow(SyntaxError)
  })
})

describe('referenceLevel', () => {
  test('is above every parent, and the same all around a circle', () => {
    const references = [
      ['lines', 'orders'],
      ['orders', 'users'],
      ['users', 'orgs'],
      ['orgs', 'users'],
      ['orgs', 'countries'],
      ['users', 'users'],
    ] as const
    const level = (table: string): number => referenceLevel(references, table)
    expect(level('countries')).toBe(0)
    expect(level('users')).toBe(1)
    expect(level('orgs')).toBe(level('users'))
    expect(level('orders')).toBe(2)
    expect(level('lines')).toBe(3)
    expect(level('alone')).toBe(0)
  })
})

describe('InsertPathChooser', () => {
  test('copies after a counted upsert of new rows only, until it meets an old one', () => {
    const chooser = new InsertPathChooser()
    expect(chooser.next()).toBe('counted')
    chooser.allNew()
    expect(chooser.next()).toBe('copy')
    expect(chooser.next()).toBe('copy')
    chooser.notAllNew()
    expect(chooser.next()).toBe('upsert')
    expect(chooser.next()).toBe('counted')
  })

  test('asks ever less often where rows are not new', () => {
    const chooser = new InsertPathChooser()
    let counted = 0
    for (let batch = 0; batch < 10_000; batch++) {
      if (chooser.next() !== 'counted') continue
      counted++
      chooser.notAllNew()
    }
    expect(counted).toBeLessThan(50)
    expect(counted).toBeGreaterThan(10)
  })
})

describe('options', () => {
  test('a driver that is not installed is named, with the command that helps', async () => {
    const missing = Object.assign(new Error("Cannot find package 'pg'"), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
    const failure = await failureOf(loadDriver(() => Promise.reject(missing)))
    expect(failure).toBeInstanceOf(DaybookError)
    expect(failure).toMatchObject({ code: 'STORE_MISCONFIGURED', cause: missing })
    expect(String(failure)).toContain('npm install pg')
  })

  test('bad options are refused at once, and passwords are not shown', () => {
    const refusals: [() => unknown, RegExp][] = [
      [() => postgres({ url: undefined }), /postgres\.url/],
      [() => postgres({ url: '' }), /postgres\.url/],
      [() => postgres({ prot: 5432 } as object), /prot.*port/],
      [() => postgres({ port: 0 }), /postgres\.port/],
      [() => postgres({ password: ['s3cret'] } as object), /postgres\.password/],
      [() => postgres({}, { concurrency: 0 }), /postgres\.concurrency/],
      [() => postgres({}, { vouchedSettings: ['fsnc'] as never }), /postgres\.vouchedSettings/],
    ]
    for (const [make, message] of refusals) {
      expect(make).toThrow(message)
      expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
      expect(make).not.toThrow(/s3cret/)
    }
  })
})
