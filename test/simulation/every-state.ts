/** Crash states as tests: one for each history. */

import { expect, test } from 'vitest'
import { explore } from '../../simulation/exhaustive/explore.ts'
import type { History } from '../../simulation/exhaustive/histories.ts'
import { textOfFailure } from '../../simulation/exhaustive/report.ts'

/** All of it needs minutes of one core, which others may be using. */
const timeoutMs = 600_000
/** So that a history that does nothing does not pass. Together they have more than 100,000. */
const leastStates = 5_000

export function everyStateIsRecovered(histories: readonly History[]): void {
  test.each(histories.map((history) => [history.about, history] as const))(
    '%s: every crash state is recovered from',
    async (_, history) => {
      const { failures, states } = await explore(history)
      expect(failures.map(textOfFailure)).toEqual([])
      expect(states[0] + states[1]).toBeGreaterThan(leastStates)
    },
    timeoutMs,
  )
}
