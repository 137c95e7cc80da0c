/** What the demonstration's two processes tell each other. */

import type { ContenderFigures, ContenderName, Spread } from './contender.ts'
import type { Target } from './database.ts'

export interface Assignment {
  readonly contender: ContenderName
  readonly target: Target
  readonly directory: string
  /** Flights of the file that are used. */
  readonly flights: number
  /** Flights under way at the same time: the application's clients. */
  readonly concurrency: number
  /**
   * Undefined: replay the flights once, from where the last process came to, and end. Otherwise measure for so long, and
   * then go on, over and over, until the kill.
   */
  readonly measureMs: number | undefined
}

export interface Measurement extends ContenderFigures {
  readonly flights: number
  /** All that were sent to the database, BEGIN and COMMIT too. */
  readonly statements: number
  /** Until the last flight was acknowledged. */
  readonly acknowledgedMs: number
  /** Until everything was in the database. */
  readonly drainedMs: number
  /** From the call to its acknowledgement. */
  readonly latency: Spread
  readonly staleness: Spread
}

export type FromWriter =
  /** Where the process begins: so many flights have been applied before. */
  | { readonly type: 'ready'; readonly recovered: number }
  /** These flights' numbers, in the order of their acknowledgements. */
  | { readonly type: 'acknowledged'; readonly flights: readonly number[] }
  | { readonly type: 'figures'; readonly figures: ContenderFigures }
  | { readonly type: 'measured'; readonly measurement: Measurement }
  /** Everything is in the database and the contender closed. */
  | { readonly type: 'done'; readonly figures: ContenderFigures }
  | { readonly type: 'failed'; readonly message: string }
