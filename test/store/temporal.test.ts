import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { canonicalOf } from '../../src/store/columns.ts'
import { roundTimestamp } from '../../src/store/temporal.ts'

describe('a timestamp column with few fraction digits', () => {
  test('rounds to the nearest, half away from the year 2000', () => {
    expect(roundTimestamp('2026-11-23T08:30:00.500', 0)).toBe('2026-11-23T08:30:01.000')
    expect(roundTimestamp('2026-11-23T08:30:00.499Z', 0)).toBe('2026-11-23T08:30:00.000Z')
    expect(roundTimestamp('2026-12-31T23:59:59.999500Z', 3)).toBe('2027-01-01T00:00:00.000Z')
    expect(roundTimestamp('2026-11-23T08:30:00.123456', 5)).toBe('2026-11-23T08:30:00.123460')
    expect(roundTimestamp('1969-12-31T23:59:59.500', 0)).toBe('1969-12-31T23:59:59.000')
    expect(canonicalOf({ kind: 'timestamptz', precision: 0 }, new Date(1_600_000_000_501))).toBe(
      '2020-09-13T12:26:41.000Z',
    )
  })

  test('changes nothing that fits, and by at most half a step what does not', () => {
    const micros = fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n })
    fc.assert(
      fc.property(micros, fc.integer({ min: 0, max: 6 }), (at, precision) => {
        const ms = at / 1000n
        const rest = ((at % 1000n) + 1000n) % 1000n
        const text = new Date(Number(ms - (at % 1000n < 0n ? 1n : 0n))).toISOString()
        const given = `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
        const canonical = canonicalOf({ kind: 'timestamptz' }, given) as string
        const rounded = roundTimestamp(canonical, precision) as string
        expect(roundTimestamp(rounded, precision)).toBe(rounded)
        const microsOf = (value: string): bigint =>
          BigInt(Date.parse(value.slice(0, 23) + 'Z')) * 1000n +
          BigInt(value.slice(23, -1).padEnd(3, '0'))
        const change = microsOf(rounded) - microsOf(canonical)
        const step = 10n ** BigInt(6 - precision)
        expect(2n * (change < 0n ? -change : change) <= step).toBe(true)
      }),
    )
  })
})
