/** What one bench is: sides that are measured in turn, and what their figures are held against. */

export type Measures = Readonly<Record<string, number>>

/** What a side may use. Everything in it is fresh for this round and removed after it. */
export interface Bed {
  /** An empty directory on the disk that is measured. */
  readonly directory: string
  /** 1 for a real run, below that for a look whether everything works. Sizes and seconds are multiplied by it. */
  readonly scale: number
  /** Only where the side needs it. */
  readonly postgres: PostgresControl
}

export interface PostgresControl {
  readonly url: string
  /** Ends the server at once, as a crash would. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** One contender. It runs in a process of its own, so that neither memory nor compiled code is shared. */
export interface Side {
  readonly name: string
  readonly needs?: 'lmdb' | 'postgres'
  /** Runs before, in another process, in the same directory; that process is killed with SIGKILL when it resolves. */
  prepare?(bed: Bed): Promise<void>
  run(bed: Bed): Promise<Measures>
}

export interface Verdict {
  readonly claim: string
  /** undefined: a side could not be measured. */
  readonly value: number | undefined
  readonly target: number
  readonly bound: 'at least' | 'at most' | 'exactly'
  readonly unit: string
}

/** Medians over the rounds: figure('lmdb', 'perSecond'), undefined where the side could not run. */
export type Figure = (side: string, measure: string) => number | undefined

export interface Bench {
  readonly name: string
  /** One sentence: what is measured. */
  readonly about: string
  /** Every side runs once per round, in turn. */
  readonly rounds: number
  readonly sides: readonly Side[]
  verdicts(figure: Figure): readonly Verdict[]
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

export function ratio(of: number | undefined, to: number | undefined): number | undefined {
  return of === undefined || to === undefined ? undefined : of / to
}

export function met(verdict: Verdict): boolean | undefined {
  const { value, target, bound } = verdict
  if (value === undefined) return undefined
  if (bound === 'at least') return value >= target
  return bound === 'at most' ? value <= target : value === target
}
