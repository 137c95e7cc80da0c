/** Steps that cannot run at once, in a server whose databases may change places meanwhile. */

import type { Acknowledgement, Place, Turn } from '../../book/turn.ts'
import type { Databases } from './databases.ts'

/**
 * Runs the step as soon as it can be, on the keys that `look` names. Where SWAPDB came between, they are other ones: it looks
 * again. Throws what the step throws, or why it cannot be run.
 */
export async function stepLater(
  { turn, databases }: { readonly turn: Turn; readonly databases: Databases },
  look: () => readonly Place[],
  step: () => void,
  signal?: AbortSignal,
): Promise<Acknowledgement> {
  for (;;) {
    const { swaps } = databases
    let isSwapped = false
    const done = await turn.later(
      look(),
      () => {
        isSwapped = databases.swaps !== swaps
        if (!isSwapped) step()
      },
      signal,
    )
    if (!isSwapped) return done
  }
}
