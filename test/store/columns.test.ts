import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalAmount, canonicalField, canonicalOf } from '../../src/store/columns.ts'
import type { Column, ColumnType } from '../../src/store/schema.ts'
import { samplesOf } from '../../src/testing/type-samples.ts'

function column(type: ColumnType, more: Partial<Column> = {}): Column {
  return {
    name: 'c',
    type,
    nullable: true,
    defaultValue: null,
    required: false,
    databaseType: type.kind,
    ...more,
  }
}

const refusal = expect.objectContaining({ code: 'INVALID_VALUE' }) as unknown as Error

function takes(
  type: ColumnType,
  cases: readonly (readonly [given: unknown, canonical: unknown])[],
): void {
  for (const [given, canonical] of cases) {
    expect(canonicalField(column(type), given), inspect(given)).toStrictEqual(canonical)
  }
}

function refuses(type: ColumnType, values: readonly unknown[]): void {
  for (const value of values) {
    expect(() => canonicalField(column(type), value), inspect(value)).toThrow(refusal)
  }
}

const text: ColumnType = { kind: 'text' }
const json: ColumnType = { kind: 'json' }
const timestamptz: ColumnType = { kind: 'timestamptz' }
const invalidDate = new Date(Number.NaN)

/** Of each kind, with and without its options. */
const types: readonly ColumnType[] = [
  text,
  { kind: 'text', maxLength: 3 },
  { kind: 'integer', bits: 16 },
  { kind: 'integer', bits: 32 },
  { kind: 'integer', bits: 64 },
  { kind: 'numeric' },
  { kind: 'numeric', precision: 5, scale: 2 },
  { kind: 'numeric', precision: 3, scale: 5 },
  { kind: 'numeric', precision: 3, scale: -2 },
  { kind: 'float', bits: 32, nonFinite: true },
  { kind: 'float', bits: 64, nonFinite: false },
  { kind: 'boolean' },
  timestamptz,
  { kind: 'timestamp' },
  { kind: 'date' },
  { kind: 'time' },
  { kind: 'uuid' },
  json,
  { kind: 'bytes' },
  { kind: 'enum', values: ['low', 'high'] },
  { kind: 'array', element: { kind: 'integer', bits: 32 } },
  { kind: 'opaque' },
]

describe('canonicalField', () => {
  test('a canonical form is its own canonical form, whatever it came from', () => {
    const digits = fc
      .tuple(fc.bigInt(), fc.nat(25))
      .map(([whole, fraction]) => `${whole}.${fraction}`)
    const anything = fc.oneof(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withTypedArray: true,
        withNullPrototype: true,
      }),
      fc.string({ unit: 'binary' }),
      fc.bigInt(),
      fc.double(),
      fc.date().map((date) => (Number.isNaN(date.getTime()) ? date : date.toISOString())),
      fc.uuid().map((uuid) => uuid.toUpperCase()),
      fc.jsonValue(),
      fc.array(fc.integer()),
      digits,
    )
    fc.assert(
      fc.property(fc.constantFrom(...types), anything, (type, value) => {
        const once = canonicalOf(type, value)
        if (once !== undefined) expect(canonicalOf(type, once)).toStrictEqual(once)
      }),
      { numRuns: 5000 },
    )
  })

  test('takes the samples of every type as they are', () => {
    for (const type of types) {
      // Samples are for columns that have room for a whole digit.
      if (type.kind === 'numeric' && (type.scale ?? 0) !== 2 && type.scale !== undefined) continue
      for (const sample of samplesOf(type))
        expect(canonicalField(column(type), sample)).toStrictEqual(sample)
    }
  })

  test('null is for nullable columns, and undefined for none', () => {
    expect(canonicalField(column(text), null)).toBeNull()
    expect(() => canonicalField(column(text, { nullable: false }), null)).toThrow('NOT NULL')
    for (const type of types) refuses(type, [undefined, () => 1, Symbol('s'), new Map()])
  })

  test('a refusal names the column and what it takes, and not the value', () => {
    const secret = 'hunter2'
    const thrown = (): unknown => {
      try {
        return canonicalField(column({ kind: 'integer', bits: 32 }), secret)
      } catch (error) {
        return error
      }
    }
    expect(thrown()).toMatchObject({
      details: { column: 'c', expected: expect.stringContaining('32 bits') as string },
    })
    expect(String(thrown())).not.toContain(secret)
    for (const type of types)
      expect(() => canonicalField(column(type), Symbol('s'))).toThrow('Column "c" takes')
  })

  test('text: well-formed, without NUL, by code points', () => {
    takes({ kind: 'text', maxLength: 3 }, [['👩👩👩', '👩👩👩']])
    refuses({ kind: 'text', maxLength: 3 }, ['abcd', '👩👩👩👩'])
    refuses(text, ['a\0', '\ud800', 5, new Date(0)])
  })

  test('integers: exact, of the column’s bits', () => {
    takes({ kind: 'integer', bits: 64 }, [
      [5, 5],
      [-0, 0],
      ['042', 42],
      ['+7', 7],
      [5n, 5],
      ['9007199254740993', 9007199254740993n],
      [-9223372036854775808n, -9223372036854775808n],
    ])
    refuses({ kind: 'integer', bits: 64 }, [
      1.5,
      2 ** 53,
      9223372036854775808n,
      '1.0',
      '',
      ' 1',
      '1e3',
      NaN,
      true,
    ])
    refuses({ kind: 'integer', bits: 32 }, [2147483648, -2147483649n])
    refuses({ kind: 'integer', bits: 16 }, [32768, -32769, '40000'])
    takes({ kind: 'integer', bits: 16 }, [[-32768, -32768]])
  })

  test('decimals: every digit, at the column’s scale, never rounded', () => {
    takes({ kind: 'numeric', precision: 5, scale: 2 }, [
      [1, '1.00'],
      ['-001.5', '-1.50'],
      ['1.500', '1.50'],
      [0.1, '0.10'],
      ['-0', '0.00'],
      ['.5', '0.50'],
      ['5.', '5.00'],
      ['1.2e1', '12.00'],
      ['999.99', '999.99'],
      ['+12e-1', '1.20'],
    ])
    refuses({ kind: 'numeric', precision: 5, scale: 2 }, [
      '1.234',
      '1000',
      0.001,
      'NaN',
      Infinity,
      '',
      '.',
      '1,5',
      {},
    ])
    takes({ kind: 'numeric' }, [
      ['1.50', '1.50'],
      [1e21, '1000000000000000000000'],
      ['1e-3', '0.001'],
      [12345678901234567890n, '12345678901234567890'],
    ])
    refuses({ kind: 'numeric' }, ['1e5000', '1e-5000', '1'.repeat(3000)])
    takes({ kind: 'numeric', precision: 3, scale: 5 }, [['0.00123', '0.00123']])
    refuses({ kind: 'numeric', precision: 3, scale: 5 }, ['0.01234'])
    takes({ kind: 'numeric', precision: 3, scale: -2 }, [['12300', '12300']])
    refuses({ kind: 'numeric', precision: 3, scale: -2 }, ['12310', '1234500'])
  })

  test('decimals agree with exact arithmetic', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
        fc.integer({ min: -20, max: 20 }),
        (digits, exponent) => {
          const canonical = canonicalOf({ kind: 'numeric' }, `${digits}e${exponent}`)
          if (typeof canonical !== 'string') throw new Error('refused')
          const [whole = '', fraction = ''] = canonical.split('.')
          // Both sides times 10^20.
          expect(BigInt(whole + fraction.padEnd(20, '0'))).toBe(
            digits * 10n ** BigInt(exponent + 20),
          )
        },
      ),
    )
  })

  test('floats: 32 bits rounded as the database does, overflow and underflow refused', () => {
    takes({ kind: 'float', bits: 32, nonFinite: true }, [
      [0.1, Math.fround(0.1)],
      [NaN, NaN],
      ['-Infinity', -Infinity],
      ['1e3', 1000],
      [5n, 5],
    ])
    refuses({ kind: 'float', bits: 32, nonFinite: true }, [1e39, 1e-60, 'abc', '', '0x10'])
    takes({ kind: 'float', bits: 64, nonFinite: false }, [
      [-0, 0],
      ['0.1', 0.1],
    ])
    refuses({ kind: 'float', bits: 64, nonFinite: false }, [
      NaN,
      Infinity,
      'NaN',
      '1e999',
      2n ** 60n + 1n,
    ])
  })

  test('booleans', () => {
    takes({ kind: 'boolean' }, [
      [true, true],
      [0, false],
      ['true', true],
      ['0', false],
      [1n, true],
    ])
    refuses({ kind: 'boolean' }, [2, 'yes', ''])
  })

  test('instants: with an offset, to the microsecond, in the calendar', () => {
    takes(timestamptz, [
      [new Date(0), '1970-01-01T00:00:00.000Z'],
      ['2026-11-23T08:30:00Z', '2026-11-23T08:30:00.000Z'],
      ['2026-11-23 08:30:00.5+02', '2026-11-23T06:30:00.500Z'],
      ['2026-11-23T08:30+05:30', '2026-11-23T03:00:00.000Z'],
      ['2026-11-23T08:30:00.123456-0130', '2026-11-23T10:00:00.123456Z'],
      ['2026-11-23T08:30:00.123000000Z', '2026-11-23T08:30:00.123Z'],
      ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
      ['0099-01-01T00:00:00Z', '0099-01-01T00:00:00.000Z'],
    ])
    refuses(timestamptz, [
      '2026-11-23T08:30:00',
      '2026-02-30T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-00-01T00:00:00Z',
      '2026-11-23T24:00:00Z',
      '2026-11-23T23:59:60Z',
      '2026-11-23T08:30:00.1234567Z',
      '2026-11-23T08:30:00+25:00',
      '0000-01-01T00:00:00Z',
      '0001-01-01T00:00:00+01',
      new Date(8.64e15),
      invalidDate,
      'now',
      0,
    ])
  })

  test('timestamps without a zone: an instant is taken as UTC', () => {
    takes({ kind: 'timestamp' }, [
      ['2026-11-23 08:30', '2026-11-23T08:30:00.000'],
      [new Date(1), '1970-01-01T00:00:00.001'],
      ['2026-11-23T08:30:00+01:00', '2026-11-23T07:30:00.000'],
    ])
    refuses({ kind: 'timestamp' }, ['2026-02-29T00:00:00', invalidDate, 5])
  })

  test('dates and times', () => {
    takes({ kind: 'date' }, [
      ['2024-02-29', '2024-02-29'],
      [new Date('2024-02-29T00:00:00Z'), '2024-02-29'],
    ])
    refuses({ kind: 'date' }, ['2026-02-29', '2026-2-1', new Date(1), invalidDate, '20260101', 5])
    takes({ kind: 'time' }, [
      ['08:30', '08:30:00'],
      ['08:30:00.5', '08:30:00.500'],
      ['08:30:00.000001', '08:30:00.000001'],
    ])
    refuses({ kind: 'time' }, ['24:00:00', '8:30', '08:60', '08:30:61', '08:30:00.1234567', 5])
  })

  test('UUIDs in lower case, enums as listed', () => {
    takes({ kind: 'uuid' }, [
      ['F47AC10B-58CC-4372-A567-0E02B2C3D479', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
    ])
    refuses({ kind: 'uuid' }, ['f47ac10b58cc4372a5670e02b2c3d479', 5])
    refuses({ kind: 'enum', values: ['low'] }, ['Low', 'toString', 5])
  })

  test('JSON is what JSON itself would read back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: true }), (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(value))
        const canonical = canonicalOf(json, value)
        // NUL and "__proto__" are refused.
        if (canonical !== undefined) expect(canonical).toStrictEqual(expected)
        else expect(JSON.stringify(value)).toMatch(/\\u0000|__proto__/)
      }),
    )
    takes(json, [
      [new Date(0), '1970-01-01T00:00:00.000Z'],
      [
        { at: new Date(0), n: -0 },
        { at: '1970-01-01T00:00:00.000Z', n: 0 },
      ],
      [Object.create(null), {}],
      [[{ toJSON: () => 'short' }], ['short']],
    ])
  })

  test('JSON that would lose something is refused', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    let deep: unknown = 1
    for (let level = 0; level < 101; level++) deep = [deep]
    const holes: unknown[] = []
    holes.length = 2
    refuses({ kind: 'json' }, [
      { a: undefined },
      [undefined],
      holes,
      { f: () => 1 },
      NaN,
      [Infinity],
      { a: '\ud800' },
    ])
    refuses({ kind: 'json' }, [
      { 'a\0': 1 },
      new Map(),
      new Set(),
      /x/,
      new Uint8Array(1),
      JSON.parse('{"__proto__":1}'),
    ])
    for (const value of [cycle, deep, 5n, { n: 5n }, { toJSON: () => undefined }]) {
      expect(() => canonicalField(column(json), value)).toThrow(refusal)
    }
  })

  test('what comes in is copied: JSON, arrays and bytes', () => {
    const given = { list: [1] }
    const copy = canonicalField(column(json), given)
    given.list.push(2)
    expect(copy).toEqual({ list: [1] })
    const buffer = Buffer.from([1, 2])
    const bytes = canonicalField(column({ kind: 'bytes' }), buffer) as Uint8Array
    buffer[0] = 9
    expect(bytes).toStrictEqual(new Uint8Array([1, 2]))
    takes({ kind: 'bytes' }, [[new ArrayBuffer(2), new Uint8Array(2)]])
    refuses({ kind: 'bytes' }, ['text', new Uint16Array(1), [1]])
  })

  test('arrays: nested ones are rectangular and not empty', () => {
    const integers: ColumnType = { kind: 'array', element: { kind: 'integer', bits: 32 } }
    takes(integers, [
      [
        ['1', null, 2n],
        [1, null, 2],
      ],
      [
        [
          [1, 2],
          [3, 4],
        ],
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ])
    refuses(integers, [[1.5], [[1], [2, 3]], [[1], 2], [[]], [1, [2]], [[[[[[[1]]]]]]], 'text'])
    takes({ kind: 'array', element: json }, [
      [
        [[], [1]],
        [[], [1]],
      ],
    ])
  })
})

describe('canonicalAmount', () => {
  test('integers and decimals of any size that can matter', () => {
    const integer = column({ kind: 'integer', bits: 64 })
    expect(canonicalAmount(integer, 5)).toBe(5)
    expect(canonicalAmount(integer, '-5')).toBe(-5)
    expect(canonicalAmount(integer, 2n ** 64n - 1n)).toBe(2n ** 64n - 1n)
    expect(canonicalAmount(column({ kind: 'numeric', precision: 5, scale: 2 }), 1.5)).toBe('1.50')
    expect(canonicalAmount(column({ kind: 'numeric' }), '1.5')).toBe('1.5')
  })

  test('refuses fractions of integers, what is beyond the type, and columns that do not add up', () => {
    expect(() => canonicalAmount(column({ kind: 'integer', bits: 64 }), 1.5)).toThrow(refusal)
    expect(() => canonicalAmount(column({ kind: 'integer', bits: 32 }), 2 ** 32)).toThrow(refusal)
    expect(() =>
      canonicalAmount(column({ kind: 'numeric', precision: 5, scale: 2 }), '0.001'),
    ).toThrow(refusal)
    expect(() => canonicalAmount(column({ kind: 'numeric' }), 'abc')).toThrow(refusal)
    for (const type of types) {
      if (type.kind === 'integer' || type.kind === 'numeric') continue
      expect(() => canonicalAmount(column(type), 1)).toThrow('to increment')
    }
  })
})
