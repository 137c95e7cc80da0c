/**
 * The figures of a book over time: one sample a second for a while, and one for half a minute beyond that, so that a dashboard
 * has its trends the moment it is opened. Bounded: what is older is forgotten.
 *
 * Those who follow get each second's figures, and what happens when it happens.
 */

import type { Clock, Timer } from '../../base/clock.ts'
import type { Daybook } from '../../book/daybook.ts'
import type { EventName } from '../../observe/events.ts'
import { problemsOf, type Problem } from '../../observe/problems.ts'
import type { BookStats } from '../../observe/stats.ts'

/** One moment. Rates are of the time since the sample before. */
export interface Sample {
  /** Wall clock, ms. */
  readonly atMs: number
  /** The greatest of several looks. */
  readonly lagMs: number
  readonly pending: number
  readonly pendingBytes: number
  readonly writesPerSecond: number
  readonly flushedPerSecond: number
  readonly rowsPerSecond: number
  /** Of the batches of that time: the mean and the slowest; null where there was none. */
  readonly flushMs: number | null
  readonly flushMaxMs: number | null
  readonly syncP50Ms: number
  readonly syncP99Ms: number
  readonly memoryBytes: number
  readonly journalBytes: number
  readonly deadLetters: number
  readonly storeUp: boolean
}

/** Something that happened to the book; keys are not in it. */
export interface Happening {
  readonly atMs: number
  readonly name: EventName
  /** For people. */
  readonly message: string
}

/** The lag is beyond what `/readyz` allows. */
export interface LagProblem {
  readonly code: 'LAG'
  readonly message: string
}

export interface Figures {
  readonly stats: BookStats
  readonly problems: readonly (Problem | LagProblem)[]
  readonly sample: Sample
}

export interface Follower {
  figures(figures: Figures): void
  happened(happening: Happening): void
}

/** Lag rises and falls with every batch, so it is looked at more often than it is kept. */
const lookMs = 200
const looksPerSample = 5
const maxSamples = 600
const coarseSamples = 30
const maxCoarse = 720
const maxHappenings = 200

export class LiveFigures {
  readonly #book: Daybook
  readonly #clock: Clock
  readyLagMs: number
  readonly #followers = new Set<Follower>()
  readonly #samples: Sample[] = []
  readonly #coarse: Sample[] = []
  readonly #happenings: Happening[] = []
  readonly #offs: (() => void)[] = []
  #flushes: number[] = []
  #sinceCoarse: Sample[] = []
  #looks = 0
  #greatestLagMs = 0
  #before: { readonly at: number; readonly stats: BookStats }
  #timer: Timer | undefined

  constructor(book: Daybook, clock: Clock, readyLagMs: number) {
    this.#book = book
    this.readyLagMs = readyLagMs
    this.#clock = clock
    this.#before = { at: clock.now(), stats: book.stats() }
    this.#offs.push(book.on('flushed', ({ tookMs }) => void this.#flushes.push(tookMs)))
    for (const [name, message] of happeningMessages) {
      this.#offs.push(book.on(name, (payload) => this.#happened(name, message(payload as never))))
    }
    this.#arm()
  }

  /** One a second, the oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples
  }

  /** One for each half minute, the oldest first: its greatest lag and slowest flush, else its mean. */
  get coarse(): readonly Sample[] {
    return this.#coarse
  }

  /** The newest last. */
  get happenings(): readonly Happening[] {
    return this.#happenings
  }

  get followers(): number {
    return this.#followers.size
  }

  /** Calls `follower` from now on; returns what ends that. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower)
    return () => void this.#followers.delete(follower)
  }

  /** Of this very moment. */
  now(): Figures {
    const stats = this.#book.stats()
    return { stats, problems: this.#problemsOf(stats), sample: this.#sampleOf(stats) }
  }

  #problemsOf(stats: BookStats): (Problem | LagProblem)[] {
    const problems = problemsOf(stats)
    if (stats.lagMs <= this.readyLagMs) return problems
    // One lane's conflict or a slow store is no outage, and yet what is written does not arrive.
    const message = `the oldest pending write is ${seconds(stats.lagMs)} old`
    return [{ code: 'LAG', message }, ...problems]
  }

  close(): void {
    this.#timer?.cancel()
    for (const off of this.#offs) off()
    this.#followers.clear()
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(lookMs, () => {
      this.#arm()
      this.#looks++
      if (this.#looks % looksPerSample === 0) this.#take()
      else this.#greatestLagMs = Math.max(this.#greatestLagMs, this.#book.stats().lagMs)
    })
  }

  #take(): void {
    const figures = this.now()
    const { stats, sample } = figures
    this.#before = { at: this.#clock.now(), stats }
    this.#flushes = []
    this.#greatestLagMs = 0
    keep(this.#samples, sample, maxSamples)
    this.#sinceCoarse.push(sample)
    if (this.#sinceCoarse.length === coarseSamples) {
      keep(this.#coarse, coarseOf(this.#sinceCoarse), maxCoarse)
      this.#sinceCoarse = []
    }
    for (const follower of this.#followers) follower.figures(figures)
  }

  #sampleOf(stats: BookStats): Sample {
    const { stats: before, at } = this.#before
    const seconds = Math.max(0.001, (this.#clock.now() - at) / 1_000)
    const rate = (now: number, then: number): number => Math.max(0, (now - then) / seconds)
    const { syncMs } = stats.journal
    return {
      atMs: this.#clock.wallTime(),
      lagMs: Math.round(Math.max(stats.lagMs, this.#greatestLagMs)),
      pending: stats.pending.mutations,
      pendingBytes: stats.pending.bytes,
      writesPerSecond: rate(stats.acknowledged, before.acknowledged),
      flushedPerSecond: rate(stats.coalescing.mutations, before.coalescing.mutations),
      rowsPerSecond: rate(stats.coalescing.rows, before.coalescing.rows),
      flushMs: meanOf(this.#flushes),
      flushMaxMs: this.#flushes.length === 0 ? null : Math.max(...this.#flushes),
      syncP50Ms: syncMs.p50,
      syncP99Ms: syncMs.p99,
      memoryBytes: stats.pending.memoryBytes,
      journalBytes: stats.journal.bytes,
      deadLetters: stats.deadLetters.count,
      storeUp: stats.breaker.state === 'closed',
    }
  }

  #happened(name: EventName, message: string): void {
    const happening = { atMs: this.#clock.wallTime(), name, message }
    keep(this.#happenings, happening, maxHappenings)
    for (const follower of this.#followers) follower.happened(happening)
  }
}

function keep<Item>(list: Item[], item: Item, max: number): void {
  list.push(item)
  if (list.length > max) list.shift()
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}

function coarseOf(samples: readonly Sample[]): Sample {
  const last = samples.at(-1) as Sample
  const all = (name: 'flushMs' | 'flushMaxMs'): number[] =>
    samples.flatMap((sample) => sample[name] ?? [])
  const mean = (name: 'writesPerSecond' | 'flushedPerSecond' | 'rowsPerSecond'): number =>
    meanOf(samples.map((sample) => sample[name])) ?? 0
  const slowest = all('flushMaxMs')
  return {
    ...last,
    lagMs: Math.max(...samples.map(({ lagMs }) => lagMs)),
    pending: Math.max(...samples.map(({ pending }) => pending)),
    writesPerSecond: mean('writesPerSecond'),
    flushedPerSecond: mean('flushedPerSecond'),
    rowsPerSecond: mean('rowsPerSecond'),
    flushMs: meanOf(all('flushMs')),
    flushMaxMs: slowest.length === 0 ? null : Math.max(...slowest),
    storeUp: samples.every(({ storeUp }) => storeUp),
  }
}

type MessageOf = (payload: never) => string

interface Failed {
  readonly failure: { readonly code: string; readonly message: string } | undefined
}

const because = ({ failure }: Failed): string =>
  failure === undefined ? '' : `: ${failure.code} ${failure.message}`

/** What is worth a line of its own. A flush and an attempt are figures, not news. */
const happeningMessages: readonly (readonly [EventName, MessageOf])[] = [
  ['storeDown', (payload: Failed) => `The store is not reachable${because(payload)}`],
  [
    'storeUp',
    ({ downMs }: { downMs: number }) => `The store answers again after ${seconds(downMs)}`,
  ],
  [
    'deadLettered',
    (payload: Failed & { letters: readonly string[] }) =>
      `${payload.letters.length === 1 ? '1 write was' : `${payload.letters.length} writes were`} refused${because(payload)}`,
  ],
  [
    'pressure',
    ({ state }: { state: string }) =>
      state === 'none'
        ? 'What is pending fits into memory again'
        : state === 'spilling'
          ? 'Batches leave memory; the journal has them'
          : 'A budget is used up: writes wait',
  ],
  [
    'stalled',
    ({ lane, reason }: { lane: number; reason: string }) => `Lane ${lane} stands still: ${reason}`,
  ],
  ['halted', (payload: Failed) => `Flushing has halted${because(payload)}`],
  ['fenced', () => 'Another process has taken over this journal'],
  ['journalFull', () => 'The journal’s disk is full: writes are refused'],
  [
    'journalRecovered',
    ({ fullMs }: { fullMs: number }) => `Writes are accepted again after ${seconds(fullMs)}`,
  ],
  ['journalFailed', () => 'The journal has failed: restart the application'],
  [
    'rolledForward',
    ({ lane }: { lane: number }) => `The database went back in time; lane ${lane} is written again`,
  ],
]

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
}
