import { getEventListeners } from 'node:events'

import fc from 'fast-check'
import { expect, test } from 'vitest'

import { Breaker, type BreakerSnapshot } from '../../src/flush/breaker.ts'
import type { StoreFailure } from '../../src/store/store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { settled } from '../support/settled.ts'

const failure: StoreFailure = {
  kind: 'outage',
  code: 'ECONNREFUSED',
  message: 'connection refused',
  known: true,
}

/** Delays are half of their range: 50, 100, 200 … 500 ms. */
function setUp() {
  const clock = new ManualClock()
  const changes: BreakerSnapshot[] = []
  const breaker = new Breaker({
    clock,
    random: { next: () => 0.5, uuid: () => '' },
    retry: { baseMs: 100, maxMs: 1000 },
    onChange: (snapshot) => changes.push(snapshot),
  })
  return { clock, breaker, changes, states: () => changes.map(({ state }) => state) }
}

/** Whether a promise has resolved by now. */
function watch(promise: Promise<void>): { passed: boolean } {
  const result = { passed: false }
  promise.then(
    () => {
      result.passed = true
    },
    () => undefined,
  )
  return result
}

test('while closed all may call, and success changes nothing', async () => {
  const { breaker, changes } = setUp()
  expect(breaker.allow()).toBe(true)
  expect(breaker.allow()).toBe(true)
  await breaker.whenAllowed()
  breaker.succeeded()
  expect(changes).toEqual([])
  expect(breaker.snapshot).toEqual({
    state: 'closed',
    failures: 0,
    since: undefined,
    nextProbeInMs: undefined,
    lastFailure: undefined,
  })
})

test('a failure opens it until the probe is due; then one caller is let through', async () => {
  const { clock, breaker, states } = setUp()
  breaker.failed(failure)
  expect(breaker.allow()).toBe(false)
  await clock.advance(49)
  expect(breaker.allow()).toBe(false)
  await clock.advance(1)
  expect(breaker.allow()).toBe(true)
  expect(breaker.allow()).toBe(false)
  expect(breaker.snapshot.state).toBe('probing')
  breaker.succeeded()
  expect(breaker.allow()).toBe(true)
  expect(states()).toEqual(['open', 'probing', 'closed'])
})

test('probes become rarer up to the longest delay, and go on for ever', async () => {
  const { clock, breaker } = setUp()
  breaker.failed(failure)
  const delays: (number | undefined)[] = []
  for (let probe = 0; probe < 200; probe++) {
    const { nextProbeInMs = NaN } = breaker.snapshot
    delays.push(nextProbeInMs)
    await clock.advance(nextProbeInMs)
    expect(breaker.allow()).toBe(true)
    breaker.failed(failure)
  }
  expect(delays.slice(0, 6)).toEqual([50, 100, 200, 400, 500, 500])
  expect(delays.at(-1)).toBe(500)
  expect(breaker.snapshot.failures).toBe(201)
})

test('the snapshot says since when, how often and why', async () => {
  const { clock, breaker } = setUp()
  const since = clock.wallTime()
  breaker.failed(failure)
  await clock.advance(20)
  expect(breaker.snapshot).toEqual({
    state: 'open',
    failures: 1,
    since,
    nextProbeInMs: 30,
    lastFailure: failure,
  })
  await clock.advance(30)
  breaker.allow()
  expect(breaker.snapshot).toMatchObject({ state: 'probing', nextProbeInMs: 0, since })
  breaker.succeeded()
  expect(breaker.snapshot).toMatchObject({ state: 'closed', failures: 0, since: undefined })
  expect(breaker.snapshot.lastFailure).toBe(failure)
})

test('lanes that fail together count as one failure', () => {
  const { breaker, changes } = setUp()
  const later = { ...failure, code: 'ECONNRESET' }
  breaker.failed(failure)
  for (let lane = 1; lane < 8; lane++) breaker.failed(later)
  expect(changes).toHaveLength(1)
  expect(breaker.snapshot).toMatchObject({ failures: 1, nextProbeInMs: 50, lastFailure: later })
})

test('a call from before the outage that fails during a probe puts the next probe off, and no more', async () => {
  const { clock, breaker } = setUp()
  breaker.failed(failure)
  await clock.advance(50)
  expect(breaker.allow()).toBe(true)
  breaker.failed(failure)
  expect(breaker.snapshot).toMatchObject({ state: 'open', failures: 2, nextProbeInMs: 100 })
  breaker.failed(failure)
  expect(breaker.snapshot).toMatchObject({ state: 'open', failures: 2, nextProbeInMs: 100 })
})

test('a call from before the outage that succeeds closes it', () => {
  const { breaker } = setUp()
  breaker.failed(failure)
  breaker.succeeded()
  expect(breaker.allow()).toBe(true)
})

test('a probe that is abandoned leaves the next one to whoever comes', async () => {
  const { clock, breaker } = setUp()
  breaker.abandoned()
  expect(breaker.snapshot.state).toBe('closed')
  breaker.failed(failure)
  await clock.advance(50)
  expect(breaker.allow()).toBe(true)
  const next = watch(breaker.whenAllowed())
  breaker.abandoned()
  await settled()
  expect(next.passed).toBe(true)
  expect(breaker.snapshot).toMatchObject({ state: 'probing', failures: 1 })
})

test('of those who wait, the first becomes the probe and its success lets the others through', async () => {
  const { clock, breaker } = setUp()
  breaker.failed(failure)
  const waits = [0, 1, 2].map(() => watch(breaker.whenAllowed()))
  await clock.advance(49)
  expect(waits.map(({ passed }) => passed)).toEqual([false, false, false])
  await clock.advance(1)
  expect(waits.map(({ passed }) => passed)).toEqual([true, false, false])
  expect(clock.armed).toBe(0)
  breaker.succeeded()
  await settled()
  expect(waits.map(({ passed }) => passed)).toEqual([true, true, true])
})

test('when the probe fails, the next who waits is let through at the next time', async () => {
  const { clock, breaker } = setUp()
  breaker.failed(failure)
  const waits = [0, 1].map(() => watch(breaker.whenAllowed()))
  await clock.advance(50)
  breaker.failed(failure)
  await clock.advance(99)
  expect(waits[1]?.passed).toBe(false)
  await clock.advance(1)
  expect(waits[1]?.passed).toBe(true)
})

test('who comes when the probe is due need not wait', async () => {
  const { clock, breaker } = setUp()
  breaker.failed(failure)
  await clock.advance(500)
  await breaker.whenAllowed()
  expect(breaker.snapshot.state).toBe('probing')
})

test('an aborted wait ends with ABORTED, and leaves neither listener nor timer', async () => {
  const { clock, breaker } = setUp()
  const controller = new AbortController()
  const reason = new Error('closing')
  breaker.failed(failure)
  const aborted = breaker.whenAllowed(controller.signal)
  expect(clock.armed).toBe(1)
  controller.abort(reason)
  await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
  expect(clock.armed).toBe(0)
  await expect(breaker.whenAllowed(controller.signal)).rejects.toMatchObject({ code: 'ABORTED' })

  const other = new AbortController()
  const wait = breaker.whenAllowed(other.signal)
  await clock.advance(50)
  await wait
  expect(getEventListeners(other.signal, 'abort')).toEqual([])
})

test('the aborted first of a queue leaves its turn to the second', async () => {
  const { clock, breaker } = setUp()
  const controller = new AbortController()
  breaker.failed(failure)
  const first = breaker.whenAllowed(controller.signal)
  const second = watch(breaker.whenAllowed())
  controller.abort()
  await expect(first).rejects.toMatchObject({ code: 'ABORTED' })
  await clock.advance(50)
  expect(second.passed).toBe(true)
})

test('whatever happens, one probe at a time, delays are kept, and a success lets everyone through', async () => {
  const step = fc.oneof(
    fc.constant('come' as const),
    fc.constant('succeed' as const),
    fc.constant('fail' as const),
    fc.constant('abandon' as const),
    fc.nat(300),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, breaker } = setUp()
      const waits: { passed: boolean }[] = []
      let inFlight = 0
      for (const action of steps) {
        const before = breaker.snapshot
        const passed = waits.filter((wait) => wait.passed).length
        if (action === 'come') waits.push(watch(breaker.whenAllowed()))
        else if (typeof action === 'number') await clock.advance(action)
        else if (inFlight > 0) {
          inFlight -= 1
          if (action === 'succeed') breaker.succeeded()
          else if (action === 'fail') breaker.failed(failure)
          else breaker.abandoned()
        }
        await settled()
        const letThrough = waits.filter((wait) => wait.passed).length - passed
        inFlight += letThrough
        const after = breaker.snapshot
        if (before.state !== 'closed' && after.state !== 'closed') {
          expect(letThrough).toBeLessThanOrEqual(1)
          if (letThrough === 1) expect(after.state).toBe('probing')
        }
        if (after.state === 'closed') expect(waits.every((wait) => wait.passed)).toBe(true)
        if (after.state === 'open') expect(after.nextProbeInMs).toBeLessThanOrEqual(500)
        const someoneWaits = waits.some((wait) => !wait.passed)
        expect(clock.armed).toBe(someoneWaits && after.state === 'open' ? 1 : 0)
      }
      breaker.succeeded()
      await settled()
      expect(waits.every((wait) => wait.passed)).toBe(true)
      expect(clock.armed).toBe(0)
    }),
    { numRuns: 200 },
  )
})
