/** Waiting until there is something to take: BLPOP, BZPOPMIN and the like. */

import { waitFor } from '../../../base/deadline.ts'
import { isDaybookError } from '../../../base/errors.ts'
import type { Place } from '../../../book/turn.ts'
import type { Arrival } from '../arrivals.ts'
import type { Call, Command, Described } from '../command.ts'
import { decimalOf } from '../numbers.ts'
import { RedisError } from '../redis-error.ts'
import { placesOf, type Target, type ValueType } from '../spaces/space.ts'
import { stepLater } from '../step-later.ts'

/** The longest wait; 0 waits for as long as the connection is there. */
export function timeoutOf(text: string): number {
  const seconds = decimalOf(text) === undefined ? NaN : Number(text)
  if (Number.isNaN(seconds) || seconds > 1e9) {
    throw new RedisError('ERR timeout is not a float or out of range')
  }
  if (seconds < 0) throw new RedisError('ERR timeout is negative')
  return seconds * 1000
}

export interface Wait {
  /** The keys that it takes from. */
  readonly names: readonly string[]
  /** The type that they should have. Who waits already does not mind a key that comes to be of another one. */
  readonly type: ValueType
  /** The key that it moves to. */
  readonly destination?: string
  readonly timeoutMs: number
  /** A step: the reply; undefined where there is no item. */
  readonly attempt: (
    targets: readonly Target[],
    destination: Target | undefined,
  ) => string | undefined
  /** What is answered where there is no item, and nothing waits. */
  readonly nothing: string
}

/** The command that does so. In a transaction and in a script it takes what is there. */
export function waiting(described: Described, waitOf: (call: Call) => Wait): Command {
  return {
    ...described,
    wait: async (call) => waitForItem(call, waitOf(call)),
    atOnce: { ...described, run: (call) => takeAtOnce(call, waitOf(call)) },
  }
}

function takeAtOnce({ targets }: Call, { names, attempt, nothing }: Wait): string {
  return attempt(targets.slice(0, names.length), targets[names.length]) ?? nothing
}

async function waitForItem(
  call: Call,
  { names, type, destination, timeoutMs, attempt }: Wait,
): Promise<string> {
  const { server, session, protocol } = call
  const { plain } = call
  let targets: readonly Target[] = []
  let to: Target | undefined
  const targetOf = (name: string): Target =>
    server.databases.target(session.database, name, plain, false)
  const look = (): readonly Place[] => {
    targets = names.map(targetOf)
    to = destination === undefined ? undefined : targetOf(destination)
    return placesOf(to === undefined ? targets : [...targets, to])
  }
  const until = timeoutMs === 0 ? Infinity : server.clock.now() + timeoutMs
  let hasLooked = false
  while (!session.gone.aborted) {
    look()
    // Who waits already comes first, also where an item has just come and nobody has looked yet.
    const isBehind = !hasLooked && server.arrivals.areExpected(targets)
    // Before the look, so that what comes right after it is not missed.
    const arrival = server.arrivals.expect(targets)
    try {
      let reply: string | undefined
      const { done } = await stepLater(server, look, () => {
        const full = hasLooked || isBehind ? targets.filter((target) => isOf(type, target)) : []
        if (isBehind && full.length > 0) for (const target of full) server.arrivals.announce(target)
        else reply = attempt(hasLooked ? full : targets, to)
      })
      await done
      hasLooked = true
      if (reply !== undefined) return reply
      if (!(await hasArrived(call, arrival, until))) return protocol.nilArray
    } finally {
      arrival.cancel()
    }
  }
  return protocol.nilArray
}

/** Waits for it; false where the time is over, or the client is gone. Throws where CLIENT UNBLOCK asks for an error. */
export async function hasArrived(
  { server, session }: Call,
  arrival: Arrival,
  untilMs: number,
): Promise<boolean> {
  const unblocked = Promise.withResolvers<'timeout' | 'error'>()
  session.unblock = unblocked.resolve
  try {
    const how = await waitFor(Promise.race([arrival.happened, unblocked.promise]), {
      clock: server.clock,
      timeoutMs: untilMs - server.clock.now(),
      signal: session.gone,
      what: 'Waiting for an item',
    })
    if (how === 'error') throw new RedisError('UNBLOCKED client unblocked via CLIENT UNBLOCK')
    return how !== 'timeout'
  } catch (error) {
    if (isDaybookError(error, 'TIMEOUT') || isDaybookError(error, 'ABORTED')) return false
    throw error
  } finally {
    session.unblock = undefined
  }
}

function isOf(type: ValueType, target: Target): boolean {
  const current = target.space.live(target)
  return current !== undefined && target.space.typeOf(current) === type
}
