import { getEventListeners } from 'node:events'

import { expect, test } from 'vitest'

import { systemClock, type Clock } from '../../src/base/clock.ts'
import { Deferred, pause, waitFor, Wake, withSignal } from '../../src/base/deadline.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { settled } from '../support/settled.ts'

function setUp() {
  const clock = new ManualClock()
  const controller = new AbortController()
  const limits = { clock, timeoutMs: 100, signal: controller.signal, what: 'Waiting for tea' }
  const leftovers = () => clock.armed + getEventListeners(controller.signal, 'abort').length
  return { clock, controller, limits, leftovers }
}

test('a promise that settles in time is passed on, and nothing is left behind', async () => {
  const { limits, leftovers } = setUp()
  expect(await waitFor(Promise.resolve(7), limits)).toBe(7)
  const failure = new Error('no tea')
  await expect(waitFor(Promise.reject(failure), limits)).rejects.toBe(failure)
  expect(leftovers()).toBe(0)
})

test('the deadline ends the wait with TIMEOUT, and a later rejection is nobody’s', async () => {
  const { clock, limits, leftovers } = setUp()
  const slow = new Deferred<number>()
  const wait = waitFor(slow.promise, { ...limits, details: { outcome: 'pending' } })
  const outcome = expect(wait).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'Waiting for tea took longer than 100 ms.',
    details: { outcome: 'pending', timeoutMs: 100 },
  })
  await clock.advance(99)
  expect(clock.armed).toBe(1)
  await clock.advance(1)
  await outcome
  expect(leftovers()).toBe(0)
  // An unhandled rejection would fail the run.
  slow.reject(new Error('late'))
  await settled()
})

test('the signal ends the wait with ABORTED and its reason', async () => {
  const { controller, limits, leftovers } = setUp()
  const slow = new Deferred<number>()
  const wait = waitFor(slow.promise, { ...limits, details: { lane: 3 } })
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(wait).rejects.toMatchObject({ code: 'ABORTED', cause: reason, details: { lane: 3 } })
  expect(leftovers()).toBe(0)
  slow.reject(new Error('late'))
  await settled()
})

test('a signal that was aborted before ends the wait at once, even of a settled promise', async () => {
  const { controller, limits, leftovers } = setUp()
  controller.abort()
  await expect(waitFor(Promise.resolve(1), limits)).rejects.toMatchObject({ code: 'ABORTED' })
  await expect(waitFor(Promise.reject(new Error('x')), limits)).rejects.toMatchObject({
    code: 'ABORTED',
  })
  expect(leftovers()).toBe(0)
  await settled()
})

test('a wait without limits has a timer that never fires and keeps the process alive, until it ends', async () => {
  const { clock } = setUp()
  const awaited: unknown[] = []
  const watched: Clock = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    defer: (fire) => clock.defer(fire),
    setTimer: (delayMs, fire, kept) => {
      awaited.push([delayMs, kept])
      return clock.setTimer(delayMs, fire)
    },
  }
  const slow = new Deferred<number>()
  const wait = waitFor(slow.promise, { clock: watched, what: 'x' })
  await clock.advance(1e12)
  expect(awaited).toEqual([[Infinity, 'awaited']])
  expect(clock.armed).toBe(1)
  slow.resolve(7)
  expect(await wait).toBe(7)
  expect(clock.armed).toBe(0)
})

test('the system’s clock has a timer that never fires', async () => {
  let fired = false
  const timer = systemClock.setTimer(Infinity, () => (fired = true), 'awaited')
  await pause(20, { clock: systemClock, signal: undefined, what: 'x' })
  timer.cancel()
  expect(fired).toBe(false)
})

test('a signal alone is enough', async () => {
  const { clock, controller } = setUp()
  const wait = waitFor(new Deferred<void>().promise, {
    clock,
    signal: controller.signal,
    what: 'x',
  })
  controller.abort()
  await expect(wait).rejects.toMatchObject({ code: 'ABORTED' })
  expect(clock.armed).toBe(0)
})

test('a pause lasts its time, or until the signal, and leaves nothing behind', async () => {
  const { clock, controller, limits, leftovers } = setUp()
  const pausing = pause(50, limits)
  await clock.advance(50)
  await pausing
  expect(leftovers()).toBe(0)
  const cut = pause(50, limits)
  controller.abort()
  await expect(cut).rejects.toMatchObject({ code: 'ABORTED' })
  expect(leftovers()).toBe(0)
})

/** Ends with its signal, as a driver's call does. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(signal.reason as Error)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
  })
}

test('the signal that work is given is aborted at the deadline, with a reason that says so', async () => {
  const clock = new ManualClock()
  const working = withSignal({ clock, timeoutMs: 100, what: 'Making tea' }, untilAborted)
  const outcome = expect(working).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'Making tea took longer than 100 ms.',
  })
  await clock.advance(100)
  await outcome
  expect(clock.armed).toBe(0)
})

test('work that does not heed its signal keeps nobody waiting, and a later rejection is nobody’s', async () => {
  const { clock, controller, limits, leftovers } = setUp()
  const slow = new Deferred<never>()
  const late = withSignal(limits, () => slow.promise)
  const outcome = expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  await clock.advance(100)
  await outcome
  const unwanted = withSignal(limits, () => slow.promise)
  controller.abort()
  await expect(unwanted).rejects.toMatchObject({ code: 'ABORTED' })
  expect(leftovers()).toBe(0)
  slow.reject(new Error('late'))
  await settled()
})

test('the signal that work is given is aborted with the caller’s, also one that was aborted before', async () => {
  const clock = new ManualClock()
  const abort = new AbortController()
  const limits = { clock, timeoutMs: 100, signal: abort.signal, what: 'Making tea' }
  const seen: unknown[] = []
  const work = (signal: AbortSignal): Promise<never> =>
    untilAborted(signal).catch((reason: unknown) => {
      seen.push(reason)
      throw reason
    })
  const working = withSignal(limits, work)
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(working).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
  await expect(withSignal(limits, work)).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
  expect(seen).toEqual([reason, reason])
  expect(clock.armed).toBe(0)
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0)
})

test('what was aborted for a deadline of ours is not the caller’s doing', async () => {
  const clock = new ManualClock()
  const working = withSignal({ clock, timeoutMs: 100, what: 'Making tea' }, (signal) =>
    waitFor(new Promise(() => undefined), { clock, signal, what: 'A call' }),
  )
  const outcome = expect(working).rejects.toMatchObject({ code: 'TIMEOUT' })
  await clock.advance(100)
  await outcome
  expect(clock.armed).toBe(0)
})

test('work that throws before it has begun leaves nothing behind either', async () => {
  const { limits, leftovers } = setUp()
  const failure = new Error('no kettle')
  const working = withSignal(limits, () => {
    throw failure
  })
  await expect(working).rejects.toBe(failure)
  expect(leftovers()).toBe(0)
})

test('work that ends in time leaves no timer and no listener behind', async () => {
  const clock = new ManualClock()
  const { signal } = new AbortController()
  expect(await withSignal({ clock, timeoutMs: 100, signal, what: 'x' }, async () => 7)).toBe(7)
  expect(clock.armed).toBe(0)
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

test('a deferred promise is settled from outside', async () => {
  const kept = new Deferred<number>()
  kept.resolve(4)
  expect(await kept.promise).toBe(4)
  const broken = new Deferred<number>()
  broken.reject(new Error('broken'))
  await expect(broken.promise).rejects.toThrow('broken')
})

test('a wake before the wait is not lost, and several count as one', async () => {
  const { clock } = setUp()
  const wake = new Wake()
  wake.wake()
  wake.wake()
  await wake.wait(clock)
  let woken = false
  const second = wake.wait(clock).then(() => {
    woken = true
  })
  await settled()
  expect(woken).toBe(false)
  wake.wake()
  await second
})

test('a wake reaches all who wait, and is used up by them', async () => {
  const { clock, leftovers, limits } = setUp()
  const wake = new Wake()
  const waits = [wake.wait(clock, 50, limits.signal), wake.wait(clock)]
  wake.wake()
  await Promise.all(waits)
  expect(leftovers()).toBe(0)
  let woken = false
  void wake.wait(clock).then(() => {
    woken = true
  })
  await settled()
  expect(woken).toBe(false)
})

test('a wait ends by itself after its time or with its signal, and the next wake is kept', async () => {
  const { clock, controller, leftovers, limits } = setUp()
  const wake = new Wake()
  const timed = wake.wait(clock, 50, limits.signal)
  await clock.advance(50)
  await timed
  const signalled = wake.wait(clock, 50, limits.signal)
  controller.abort()
  await signalled
  await wake.wait(clock, 50, limits.signal)
  expect(leftovers()).toBe(0)
  wake.wake()
  await wake.wait(clock)
})
