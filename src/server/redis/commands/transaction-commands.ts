/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. A transaction is one step, and what it writes is one batch. */

import { type Call, inGroup } from '../command.ts'
import type { Databases } from '../databases.ts'
import { RedisError } from '../redis-error.ts'
import { ok } from '../reply.ts'
import type { Session } from '../session.ts'

function multi(call: Call): string {
  if (call.session.transaction !== undefined)
    throw new RedisError('ERR MULTI calls can not be nested')
  call.session.beginTransaction()
  return ok
}

function discard(call: Call): string {
  if (call.session.transaction === undefined) throw new RedisError('ERR DISCARD without MULTI')
  call.session.endTransaction()
  return ok
}

function watch(call: Call): string {
  if (call.session.transaction !== undefined) {
    throw new RedisError('ERR WATCH inside MULTI is not allowed')
  }
  for (const target of call.targets) {
    const isLive = target.space.live(target) !== undefined
    const { database } = call.session
    const position = call.turn.positionOf(target)
    call.session.watch({ target, database, plain: call.plain, isLive, position })
  }
  return ok
}

function unwatch(call: Call): string {
  call.session.unwatch()
  return ok
}

/** Of no mutation. */
const elsewhere = -1

/** Where databases have changed places, other values are watched now: whatever is or was there counts as changed. */
export function watchAnew(session: Session, databases: Databases): void {
  session.watched = session.watched.map((watched) => {
    const { database, plain } = watched
    const target = databases.target(database, watched.target.name, plain, false)
    return target.space === watched.target.space
      ? watched
      : { ...watched, target, position: elsewhere }
  })
}

/** True where a key has changed since it was watched, or its time has come to an end. */
export function hasChanged(call: Call): boolean {
  return call.session.watched.some(({ target, isLive, position }) => {
    const lives = target.space.live(target) !== undefined
    if (lives !== isLive) return true
    // A key that was over already may have been cleared away meanwhile.
    return lives && call.turn.positionOf(target) !== position
  })
}

export const transactionCommands = inGroup('transactions', [
  { name: 'multi', arity: 1, flags: ['noscript', 'fast', 'no_multi'], run: multi },
  { name: 'discard', arity: 1, flags: ['noscript', 'fast', 'no_multi'], run: discard },
  {
    name: 'watch',
    arity: -2,
    flags: ['noscript', 'fast', 'no_multi'],
    keys: [1, -1, 1],
    run: watch,
  },
  { name: 'unwatch', arity: 1, flags: ['noscript', 'fast'], run: unwatch },
])
