import fc from 'fast-check'
import { expect, test } from 'vitest'

import { retryDelayMs } from '../../src/flush/retry.ts'

const limits = fc
  .record({
    baseMs: fc.integer({ min: 1, max: 60_000 }),
    factor: fc.integer({ min: 1, max: 10_000 }),
  })
  .map(({ baseMs, factor }) => ({ baseMs, maxMs: baseMs * factor }))
const attempt = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1_000_000 }))

function chance(value: number) {
  return { next: () => value, uuid: () => '' }
}

test('a delay is never 0, and never beyond the maximum or the doubled base', () => {
  fc.assert(
    fc.property(
      attempt,
      limits,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, l, r) => {
        const delayMs = retryDelayMs(n, l, chance(r))
        expect(delayMs).toBeGreaterThanOrEqual(1)
        expect(delayMs).toBeLessThanOrEqual(Math.max(1, Math.min(l.maxMs, l.baseMs * 2 ** (n - 1))))
      },
    ),
  )
})

test('with the same luck, a later attempt never waits less', () => {
  fc.assert(
    fc.property(
      attempt,
      limits,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (n, l, r) => {
        expect(retryDelayMs(n + 1, l, chance(r))).toBeGreaterThanOrEqual(
          retryDelayMs(n, l, chance(r)),
        )
      },
    ),
  )
})

test('delays spread over the whole of their range', () => {
  const range = { baseMs: 100, maxMs: 10_000 }
  expect(retryDelayMs(1, range, chance(0))).toBe(1)
  expect(retryDelayMs(1, range, chance(0.5))).toBe(50)
  expect(retryDelayMs(4, range, chance(0.5))).toBe(400)
  expect(retryDelayMs(100, range, chance(0.5))).toBe(5000)
  expect(retryDelayMs(5000, range, chance(0.5))).toBe(5000)
})

test.each([0, -1, 1.5, NaN])('attempt %s is a mistake of the caller', (n) => {
  expect(() => retryDelayMs(n, { baseMs: 1, maxMs: 2 }, chance(0))).toThrow('counted from 1')
})
