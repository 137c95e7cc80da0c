import fc from 'fast-check'
import { expect, test } from 'vitest'

import { RateLimit } from '../../src/flush/rate-limit.ts'
import { ManualClock } from '../support/manual-clock.ts'

test('without a limit nothing waits', () => {
  const limit = new RateLimit(undefined, new ManualClock())
  for (let batch = 0; batch < 10; batch++) expect(limit.delayMs(1_000_000)).toBe(0)
})

test('a batch waits until those before it are paid for, however large it is itself', async () => {
  const clock = new ManualClock()
  const limit = new RateLimit(100, clock)
  expect(limit.delayMs(50)).toBe(0)
  expect(limit.delayMs(1000)).toBe(500)
  expect(limit.delayMs(1)).toBe(10_500)
  await clock.advance(60_000)
  expect(limit.delayMs(1)).toBe(0)
})

test('an idle time is not saved up', async () => {
  const clock = new ManualClock()
  const limit = new RateLimit(100, clock)
  await clock.advance(3_600_000)
  expect(limit.delayMs(100)).toBe(0)
  expect(limit.delayMs(100)).toBe(1000)
})

test('over any stretch no more rows start than the rate allows, plus one batch', async () => {
  const batch = fc.record({ rows: fc.integer({ min: 1, max: 500 }), idleMs: fc.nat(2000) })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5000 }), fc.array(batch), async (rate, batches) => {
      const clock = new ManualClock()
      const limit = new RateLimit(rate, clock)
      const starts: { at: number; rows: number }[] = []
      for (const { rows, idleMs } of batches) {
        await clock.advance(idleMs)
        starts.push({ at: clock.now() + limit.delayMs(rows), rows })
      }
      for (const [first, { at: from }] of starts.entries()) {
        let rows = 0
        for (const start of starts.slice(first)) {
          // Rows before the one that starts here, so all but one batch.
          expect(rows).toBeLessThanOrEqual(((start.at - from) * rate) / 1000 + 1e-6)
          rows += start.rows
        }
      }
    }),
    { numRuns: 30 },
  )
})
