/** Crash states as tests: one for each history. */

import { expect, test } from 'vitest'
import type { NamedExploration } from '../../simulation/exhaustive/explorations.ts'
import { textOfFailure } from '../../simulation/exhaustive/report.ts'

/** All of it needs minutes of one core, which others may be using. */
const timeoutMs = 600_000
/** So that a history that does nothing does not pass. Together they have more than 100,000. */
const leastStates = 1_000

export function everyStateIsRecovered(explorations: readonly NamedExploration[]): void {
  test.each(explorations.map((exploration) => [exploration.about, exploration] as const))(
    '%s: every crash state is recovered from',
    async (_, exploration) => {
      const { failures, states } = await exploration.explore()
      expect(failures.map(textOfFailure)).toEqual([])
      expect(states[0] + states[1]).toBeGreaterThan(leastStates)
    },
    timeoutMs,
  )
}
