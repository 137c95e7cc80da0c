/** Waiting until a stream has something new. Nobody takes anything away from the others: all who wait are told. */

import type { Call } from '../command.ts'
import { placesOf, type Target } from '../spaces/space.ts'
import { stepLater } from '../step-later.ts'
import { hasArrived } from './wait-for-item.ts'

export interface EntryWait {
  readonly names: readonly string[]
  /** The end of a key ends the wait, too. */
  readonly isAttached: boolean
  /** 0: for as long as the connection is there. */
  readonly timeoutMs: number
  /** A step: the reply; undefined where there is nothing. */
  readonly first: (targets: readonly Target[]) => string | undefined
  /** The same, for who has waited. */
  readonly again: (targets: readonly Target[]) => string | undefined
}

export async function waitForEntries(
  call: Call,
  { names, isAttached, timeoutMs, first, again }: EntryWait,
): Promise<string> {
  const { server, session, turn, protocol, plain } = call
  let targets: readonly Target[] = []
  const look = (): readonly Target[] => {
    targets = names.map((name) => server.databases.target(session.database, name, plain, false))
    return targets
  }
  const untilMs = timeoutMs === 0 ? Infinity : server.clock.now() + timeoutMs
  let attempt = first
  while (!session.gone.aborted) {
    // Before the look, so that what comes right after it is not missed.
    const arrival = server.arrivals.expect(look(), isAttached)
    try {
      let reply: string | undefined
      const step = (): void => {
        reply = attempt(targets)
      }
      // At once, where that can be: what others send in the same turn of the loop comes after it.
      const done =
        turn.tryNow(placesOf(targets), step) === 'done'
          ? turn.done
          : (await stepLater(server, () => placesOf(look()), step)).done
      await done
      attempt = again
      if (reply !== undefined) return reply
      if (!(await hasArrived(call, arrival, untilMs))) return protocol.nilArray
    } finally {
      arrival.cancel()
    }
  }
  return protocol.nilArray
}
