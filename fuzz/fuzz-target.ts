/**
 * A fuzz target: cases made from a seed, and what must hold for each of them.
 *
 * A case is a value of a fast-check arbitrary, so a failing one is shrunk and can be replayed by its seed and path. Each
 * case says which outcome it came to: a target that never reaches some of its outcomes checks less than it seems to,
 * so the outcomes are counted, and a run that misses one has failed.
 */

import { inspect } from 'node:util'
import fc from 'fast-check'

export interface FuzzTarget {
  readonly name: string
  /** One sentence: what must hold. */
  readonly doc: string
  /** How many cases a round has: a second of work or two. */
  readonly cases: number
  /** All that a case may come to. A round of `cases` cases reaches each of them. */
  readonly outcomes: readonly string[]
  run(round: FuzzRound): Promise<FuzzReport>
}

export interface FuzzRound {
  readonly seed: number
  readonly cases: number
  /** Replays the one case that a failure has named. */
  readonly path?: string | undefined
  /** No further case begins after so long. Default: all cases are run. */
  readonly limitMs?: number | undefined
}

export interface FuzzReport {
  readonly cases: number
  readonly outcomes: ReadonlyMap<string, number>
  /** The shrunk case, its seed and path, and what did not hold; undefined where everything did. */
  readonly failure: string | undefined
}

interface Definition<Case> {
  readonly name: string
  readonly doc: string
  readonly cases: number
  readonly outcomes: readonly string[]
  /** Throws where something does not hold; else it gives the outcome. */
  readonly check: (given: Case) => string | Promise<string>
}

/** A case that takes longer hangs: the slowest ones take some hundred ms. */
const caseDeadlineMs = 20_000

export function fuzzTarget<Case>(
  cases: fc.Arbitrary<Case>,
  definition: Definition<Case>,
): FuzzTarget {
  const { name, doc, outcomes, check } = definition
  return {
    name,
    doc,
    cases: definition.cases,
    outcomes,
    async run(round) {
      const counts = new Map<string, number>()
      const property = fc.asyncProperty(cases, async (given) => {
        const outcome = await check(given)
        counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      })
      const details = await fc.check(property, {
        seed: round.seed,
        numRuns: round.cases,
        timeout: caseDeadlineMs,
        ...(round.path === undefined ? {} : { path: round.path }),
        ...(round.limitMs === undefined ? {} : { interruptAfterTimeLimit: round.limitMs }),
      })
      return {
        cases: details.numRuns,
        outcomes: counts,
        failure: details.failed
          ? `${fc.defaultReportMessage(details)}\n${shown(details.errorInstance)}`
          : undefined,
      }
    },
  }
}

/** With its causes, which fast-check leaves out; bounded, for an assertion may hold a whole file. */
function shown(error: unknown): string {
  return inspect(error, { depth: 4 }).slice(0, 4_000)
}
