/** A clock that runs `times` as fast as another one: what lasts a minute by it is over in a second or two. */

import type { Clock } from '../../src/base/clock.ts'

export function fastClock(clock: Clock, times: number): Clock {
  const startedAt = clock.now()
  const wallStart = clock.wallTime()
  const elapsedMs = (): number => (clock.now() - startedAt) * times
  return {
    now: () => startedAt + elapsedMs(),
    wallTime: () => wallStart + elapsedMs(),
    setTimer: (delayMs, fire) => clock.setTimer(delayMs / times, fire),
    defer: (fire) => clock.defer(fire),
  }
}
