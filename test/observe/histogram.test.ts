import fc from 'fast-check'
import { expect, test } from 'vitest'

import { Histogram } from '../../src/observe/histogram.ts'

test('an empty histogram is all zeros', () => {
  expect(new Histogram().summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, max: 0, mean: 0 })
})

test('percentiles, maximum and mean are within a thousandth, in the unit that was recorded', () => {
  const histogram = new Histogram()
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms)
  const { count, p50, p90, p99, max, mean } = histogram.summary()
  expect(count).toBe(1000)
  for (const [figure, exact] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [max, 1000],
    [mean, 500.5],
  ] as const) {
    expect(Math.abs(figure - exact)).toBeLessThanOrEqual(exact / 1000)
  }
})

test('one value is all figures, to its step', () => {
  const fine = new Histogram()
  fine.record(0.007)
  expect(fine.summary()).toEqual({
    count: 1,
    p50: 0.007,
    p90: 0.007,
    p99: 0.007,
    max: 0.007,
    mean: 0.007,
  })
  const counts = new Histogram(1)
  counts.record(42)
  expect(counts.summary().p99).toBe(42)
})

test('values beyond either end are counted at that end', () => {
  const histogram = new Histogram(1)
  histogram.record(-5)
  histogram.record(0)
  expect(histogram.summary()).toMatchObject({ count: 2, p50: 1, max: 1 })
  histogram.record(1e300)
  expect(histogram.summary().max).toBeGreaterThan(1e12)
  expect(histogram.summary().count).toBe(3)
})

test('figures are always in order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1 }),
      (values) => {
        const histogram = new Histogram()
        for (const value of values) histogram.record(value)
        const { count, p50, p90, p99, max, mean } = histogram.summary()
        expect(count).toBe(values.length)
        expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].sort((a, b) => a - b))
        expect(mean).toBeLessThanOrEqual(max)
      },
    ),
  )
})
