/** Steps that cannot run at once, in a server where keys may come to be elsewhere meanwhile. */

import type { Acknowledgement, Place, Turn } from '../../book/turn.ts'
import type { Databases } from './databases.ts'

/**
 * Runs the step as soon as it can be, on the keys that `look` names. Where SWAPDB or a new mapping came between, they may be
 * other ones: it looks again. Throws what the step throws, or why it cannot be run.
 */
export async function stepLater(
  { turn, databases }: { readonly turn: Turn; readonly databases: Databases },
  look: () => readonly Place[],
  step: () => void,
  signal?: AbortSignal,
): Promise<Acknowledgement> {
  for (;;) {
    const { moves } = databases
    let hasMoved = false
    const done = await turn.later(
      look(),
      () => {
        hasMoved = databases.moves !== moves
        if (!hasMoved) step()
      },
      signal,
    )
    if (!hasMoved) return done
  }
}
