/**
 * How long commands take: for SLOWLOG, LATENCY and INFO.
 *
 * A look at the clock costs a fiftieth of a command in a pipeline, so those of a pipeline are timed in groups: two looks for
 * sixteen of them. The time of a group is shared evenly among its commands. Where one took long, it is logged as a whole,
 * and for a second each command is timed by itself, so that the next one is caught by its name: at most once a minute, for
 * the collector's pauses make groups slow as well, and under load there is always one. So they are all the time where the
 * threshold is below a millisecond.
 *
 * What a command had to wait for (a row, room in the journal) is part of its time, for that is what someone who looks wants
 * to know. The sync that its reply waits for is not, nor is what it was told to wait for, as BLPOP is.
 */

import type { Clock } from '../../base/clock.ts'
import type { Command } from './command.ts'
import { LatencyMonitor } from './latency-monitor.ts'
import type { Session } from './session.ts'
import { SlowLog } from './slow-log.ts'

const maxGroup = 16
const preciseMs = 1000
const betweenPreciseMs = 60_000
/** A threshold below this one is of someone who looks at single commands. */
const smallUs = 1000
/** Powers of two of microseconds, to 2^30. */
const buckets = 31

/** Of one command, since the start or CONFIG RESETSTAT. */
export class Times {
  us = 0
  count = 0
  /** How many took less than 2^n microseconds, and not less than half of that. */
  readonly histogram: number[] = new Array<number>(buckets).fill(0)

  /** So many commands, each of which took so long. */
  add(us: number, count: number): void {
    this.us += us * count
    this.count += count
    const bucket = Math.min(buckets - 1, 32 - Math.clz32(us))
    this.histogram[bucket] = (this.histogram[bucket] ?? 0) + count
  }

  reset(): void {
    this.us = 0
    this.count = 0
    this.histogram.fill(0)
  }
}

/** A command that ran. */
export interface Ran {
  readonly session: Session
  readonly command: Command
  readonly args: readonly string[]
  readonly times: Times
}

export class CommandTimes {
  readonly slowLog = new SlowLog()
  readonly latency = new LatencyMonitor()
  /** Each command is timed by itself. */
  precise = false
  readonly #clock: Clock
  #slowerThanUs = 10_000
  #preciseUntil = 0
  #preciseAgainAt = -Infinity
  #since = 0
  #first: Ran | undefined
  readonly #group: Times[] = []
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Negative: nothing is slow. */
  get slowerThanUs(): number {
    return this.#slowerThanUs
  }

  set slowerThanUs(us: number) {
    this.#slowerThanUs = us
    this.#choose()
  }

  /** Once a second. */
  sweep(): void {
    if (this.precise) this.#choose()
  }

  /** Commands of a connection run from now on. */
  begin(): void {
    this.#since = this.#clock.now()
    this.#count = 0
  }

  /** One has run. */
  ran(session: Session, command: Command, args: readonly string[], times: Times): void {
    if (this.#count === 0) this.#first = { session, command, args, times }
    this.#group[this.#count++] = times
    if (this.precise || this.#count === maxGroup) this.end()
  }

  /** No other one runs now. */
  end(): void {
    const [count, first] = [this.#count, this.#first]
    if (count === 0 || first === undefined) return
    const now = this.#clock.now()
    const us = (now - this.#since) * 1000
    this.#since = now
    this.#count = 0
    this.#first = undefined
    // Commands of a pipeline are mostly the same.
    for (let from = 0, at = 1; at <= count; at++) {
      if (at < count && this.#group[at] === this.#group[from]) continue
      this.#group[from]?.add(us / count, at - from)
      from = at
    }
    // Commands of a transaction are logged by themselves then.
    const isLogged = !(this.precise && first.command.name === 'exec')
    this.#look(first, us, { more: count - 1, isLogged })
  }

  /** Of a command that had to wait; and of one of a transaction, where each is timed by itself. */
  took(ran: Ran, ms: number): void {
    ran.times.add(ms * 1000, 1)
    this.#look(ran, ms * 1000, { more: 0, isLogged: true })
  }

  #look(
    first: Ran,
    us: number,
    { more, isLogged }: { readonly more: number; readonly isLogged: boolean },
  ): void {
    const { thresholdMs } = this.latency
    const isSlow = isLogged && this.#slowerThanUs >= 0 && us >= this.#slowerThanUs
    const isLate = thresholdMs > 0 && us >= thresholdMs * 1000
    if (!isSlow && !isLate) return
    const wallTimeMs = this.#clock.wallTime()
    if (isLate) {
      const isFast = more === 0 && first.command.flags.includes('fast')
      this.latency.note(isFast ? 'fast-command' : 'command', us / 1000, wallTimeMs)
    }
    if (isSlow) {
      this.slowLog.add(first.session, first.args, { tookUs: us, wallTimeMs, more })
    }
    const now = this.#clock.now()
    if (more === 0 || now < this.#preciseAgainAt) return
    this.#preciseUntil = now + preciseMs
    this.#preciseAgainAt = now + betweenPreciseMs
    this.precise = true
  }

  #choose(): void {
    const isSmall = this.#slowerThanUs >= 0 && this.#slowerThanUs < smallUs
    this.precise = isSmall || this.#clock.now() < this.#preciseUntil
  }
}
