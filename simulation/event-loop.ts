/**
 * Virtual time: one queue of events, in the order of (time, chance, number). Between two events every promise that can
 * settle does, so whatever a program does in one turn is one step of the simulation.
 *
 * Everything that happens belongs to a *life*: of a process, of the database, of the network. A life that has ended never
 * gets another event; one that is frozen gets them when it thaws.
 */

import type { Clock, Timer } from '../src/base/clock.ts'
import type { Chance } from './chance.ts'

interface Event {
  readonly atMs: number
  readonly tie: number
  readonly number: number
  readonly life: Life
  /** undefined: cancelled. */
  fire: (() => void) | undefined
}

export class EventLoop {
  nowMs = 0
  /** Milliseconds by which the wall clock is off. */
  wallOffsetMs = 1_700_000_000_000
  /** Events so far. */
  events = 0
  readonly #chance: Chance
  readonly #heap: Event[] = []
  #numbers = 0

  constructor(chance: Chance) {
    this.#chance = chance
  }

  /** A life to hang events on. */
  life(name: string): Life {
    return new Life(name, this)
  }

  schedule(life: Life, delayMs: number, fire: () => void): Timer {
    const event: Event = {
      atMs: this.nowMs + Math.max(0, delayMs),
      tie: this.#chance.next(),
      number: this.#numbers++,
      life,
      fire,
    }
    this.#push(event)
    life.armed++
    return {
      cancel: () => {
        if (event.fire === undefined) return
        event.fire = undefined
        life.armed--
      },
    }
  }

  /**
   * Runs events until `over` says so, or none is left, or virtual time would pass `untilMs`. `before` is called before
   * each event: it may end lives or start new ones, and says whether it did anything.
   */
  async run(options: {
    readonly over: () => boolean
    readonly before: () => boolean
    readonly untilMs: number
    readonly maxEvents: number
  }): Promise<'over' | 'idle' | 'late' | 'busy'> {
    await settle()
    for (;;) {
      if (options.over()) return 'over'
      if (options.before()) await settle()
      const event = this.#next()
      if (event === undefined) return options.over() ? 'over' : 'idle'
      if (event.atMs > options.untilMs) {
        this.#push(event)
        return 'late'
      }
      if (this.events >= options.maxEvents) return 'busy'
      this.nowMs = Math.max(this.nowMs, event.atMs)
      const { fire, life } = event
      if (fire === undefined) continue
      this.events++
      event.fire = undefined
      life.armed--
      fire()
      await settle()
    }
  }

  /** The next event of a life that goes on; those of frozen ones are put aside. */
  #next(): Event | undefined {
    for (;;) {
      const event = this.#pop()
      if (event === undefined) return undefined
      if (event.fire === undefined || event.life.ended) continue
      if (!event.life.frozen) return event
      event.life.held.push(() => this.#push(event))
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Event)) child++
      if (!isBefore(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(left: Event, right: Event): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs
  if (left.tie !== right.tie) return left.tie < right.tie
  return left.number < right.number
}

/** One thing that events belong to. As a Clock, it is the time of a process. */
export class Life implements Clock {
  readonly name: string
  readonly #loop: EventLoop
  ended = false
  frozen = false
  /** Events that wait, cancelled ones not counted. */
  armed = 0
  /** Puts back what came while it was frozen. */
  readonly held: (() => void)[] = []

  constructor(name: string, loop: EventLoop) {
    this.name = name
    this.#loop = loop
  }

  end(): void {
    this.ended = true
  }

  freeze(): void {
    this.frozen = true
  }

  thaw(): void {
    this.frozen = false
    for (const putBack of this.held.splice(0)) putBack()
  }

  now(): number {
    return this.#loop.nowMs
  }

  wallTime(): number {
    return Math.floor(this.#loop.nowMs + this.#loop.wallOffsetMs)
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    // It keeps a process alive, and never comes: nothing for a world.
    if (delayMs === Infinity) return { cancel: () => undefined }
    return this.#loop.schedule(this, delayMs, fire)
  }

  defer(fire: () => void): void {
    this.#loop.schedule(this, 0, fire)
  }

  /** Resolves after this time, if the life goes on. */
  after(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#loop.schedule(this, delayMs, resolve)
    })
  }
}

/** A turn of the real loop: every promise that can settle has. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
