/**
 * The replay: a writer process takes the flights into the database through a contender (Daybook), and is killed again and again on the
 * way. After each kill the next process must come back with at least what was acknowledged.
 */

import type { ContenderFigures, ContenderName } from './contender.ts'
import type { Target } from './database.ts'
import { systemClock } from '../base/clock.ts'
import { WriterProcess } from './writer-process.ts'

export interface ReplayOptions {
  readonly contender: ContenderName
  readonly target: Target
  readonly directory: string
  readonly flights: number
  readonly kills: number
  readonly concurrency: number
  readonly random: () => number
  readonly watch: ReplayWatch
  readonly signal: AbortSignal
}

export interface ReplayWatch {
  progress(progress: ReplayProgress): void
  killed(kill: Kill): void
}

export interface ReplayProgress {
  readonly flights: number
  readonly acknowledged: number
  readonly elapsedMs: number
  /** Since the start and over all processes. */
  readonly rowsWritten: number
  /** Mutations that these rows are made of. */
  readonly flushed: number
  readonly pending: number
  readonly lagMs: number
  readonly kills: number
}

export interface Kill {
  /** Flights that had been acknowledged when the process was gone. */
  readonly acknowledged: number
  /** Flights that the next process found. */
  readonly recovered: number
  /** From the kill to that. */
  readonly recoveryMs: number
}

export interface ReplayResult {
  readonly kills: readonly Kill[]
  /** Acknowledged flights that a later process did not find: 0, or a promise was broken. */
  readonly acknowledgedLost: number
  readonly rowsWritten: number
  readonly seconds: number
}

/** Figures come after each flush, so what a kill keeps from being counted is one flush at most. */
const noFigures: ContenderFigures = {
  transactions: 0,
  rows: 0,
  mutations: 0,
  flushed: 0,
  pending: 0,
  lagMs: 0,
}

export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const run = new Replay(options)
  return run.toTheEnd()
}

class Replay {
  readonly #options: ReplayOptions
  readonly #startedAt = systemClock.now()
  /** Acknowledged flights after which to kill, the next one first. */
  readonly #killPoints: number[]
  readonly #kills: Kill[] = []
  #acknowledged = 0
  #lost = 0
  /** Of the processes that are gone. */
  #rowsBefore = 0
  #flushedBefore = 0
  #figures = noFigures
  #killedAt: number | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#killPoints = killPoints(options.flights, options.kills, options.random)
  }

  async toTheEnd(): Promise<ReplayResult> {
    while (!(await this.#life())) {
      this.#options.signal.throwIfAborted()
      this.#rowsBefore += this.#figures.rows
      this.#flushedBefore += this.#figures.flushed
      this.#figures = noFigures
    }
    return {
      kills: this.#kills,
      acknowledgedLost: this.#lost,
      rowsWritten: this.#rowsBefore + this.#figures.rows,
      seconds: (systemClock.now() - this.#startedAt) / 1000,
    }
  }

  /** One process. Resolves to whether it came to the end of the flights. */
  async #life(): Promise<boolean> {
    const { contender, target, directory, flights, concurrency, signal } = this.#options
    const assignment = { contender, target, directory, flights, concurrency, measureMs: undefined }
    const writer = new WriterProcess(assignment, (message) => {
      if (message.type === 'ready') this.#recovered(message.recovered)
      if (message.type === 'figures' || message.type === 'done') this.#figures = message.figures
      if (message.type === 'acknowledged') {
        for (const flight of message.flights) {
          this.#acknowledged = Math.max(this.#acknowledged, flight + 1)
        }
        if (this.#acknowledged >= (this.#killPoints[0] ?? Infinity)) {
          this.#killPoints.shift()
          this.#killedAt = systemClock.now()
          writer.kill()
        }
      }
      this.#options.watch.progress(this.#progress())
    })
    const kill = (): void => writer.kill()
    signal.addEventListener('abort', kill)
    try {
      return await writer.finished
    } finally {
      signal.removeEventListener('abort', kill)
    }
  }

  #recovered(recovered: number): void {
    this.#lost += Math.max(0, this.#acknowledged - recovered)
    if (this.#killedAt === undefined) return
    const recoveryMs = systemClock.now() - this.#killedAt
    const kill = { acknowledged: this.#acknowledged, recovered, recoveryMs }
    this.#killedAt = undefined
    this.#kills.push(kill)
    this.#options.watch.killed(kill)
  }

  #progress(): ReplayProgress {
    return {
      flights: this.#options.flights,
      acknowledged: this.#acknowledged,
      elapsedMs: systemClock.now() - this.#startedAt,
      rowsWritten: this.#rowsBefore + this.#figures.rows,
      flushed: this.#flushedBefore + this.#figures.flushed,
      pending: this.#figures.pending,
      lagMs: this.#figures.lagMs,
      kills: this.#kills.length,
    }
  }
}

/** One point at random in each of as many equal parts of the way, clear of the very end. */
export function killPoints(flights: number, kills: number, random: () => number): number[] {
  return Array.from({ length: kills }, (_, part) =>
    Math.max(1, Math.floor(((part + 0.1 + 0.8 * random()) / kills) * flights)),
  )
}
