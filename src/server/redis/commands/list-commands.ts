/** Commands of lists, as far as a small queue needs them: a list is one document, written anew with each change. */

import { waitFor } from '../../../base/deadline.ts'
import { isDaybookError } from '../../../base/errors.ts'
import type { Place } from '../../../book/turn.ts'
import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { decimalOf, safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError } from '../redis-error.ts'
import { bulk, bulks, integer, zero } from '../reply.ts'
import { placesOf, type Target } from '../space.ts'
import { stepLater } from '../step-later.ts'

function itemsAt(call: Call, target: Target): string[] {
  const current = lookUp(call, target)
  return current === undefined ? [] : target.space.items(current)
}

function push(side: 'left' | 'right'): (call: Call) => string {
  return (call) => {
    const target = targetOf(call)
    const current = target.space.live(target)
    const items = current === undefined ? [] : target.space.items(current)
    const added = call.args.slice(2)
    const after = side === 'right' ? [...items, ...added] : [...added.reverse(), ...items]
    target.space.setItems(target, current, after)
    call.server.events.tell(target, 'list', side === 'right' ? 'rpush' : 'lpush')
    call.server.arrivals.announce(target)
    return integer(after.length)
  }
}

/** Takes from one end; nothing where there is none. */
function take(call: Call, target: Target, side: 'left' | 'right', count: number): string[] {
  const current = target.space.live(target)
  if (current === undefined) return []
  const items = target.space.items(current)
  const taken = side === 'left' ? items.splice(0, count) : items.splice(-count, count).reverse()
  if (taken.length > 0) {
    target.space.setItems(target, current, items)
    call.server.events.tellTaken(target, 'list', side === 'left' ? 'lpop' : 'rpop')
  }
  return taken
}

function pop(side: 'left' | 'right'): (call: Call) => string {
  return (call) => {
    const target = targetOf(call)
    if (call.args.length === 2) {
      const [item] = take(call, target, side, 1)
      return item === undefined ? call.protocol.nil : bulk(item)
    }
    const count = safeIntegerOf(argumentOf(call, 2))
    if (count === undefined || count < 0) {
      throw new RedisError('ERR value is out of range, must be positive')
    }
    if (target.space.live(target) === undefined) return call.protocol.nilArray
    return bulks(count === 0 ? [] : take(call, target, side, count))
  }
}

function lrange(call: Call): string {
  const start = safeIntegerOf(argumentOf(call, 2))
  const end = safeIntegerOf(argumentOf(call, 3))
  if (start === undefined || end === undefined) throw notAnInteger()
  const items = itemsAt(call, targetOf(call))
  const from = start < 0 ? Math.max(0, items.length + start) : start
  const to = end < 0 ? items.length + end : end
  return bulks(to < from ? [] : items.slice(from, to + 1))
}

function lindex(call: Call): string {
  const index = safeIntegerOf(argumentOf(call, 2))
  if (index === undefined) throw notAnInteger()
  const item = itemsAt(call, targetOf(call)).at(index)
  return item === undefined ? call.protocol.nil : bulk(item)
}

/** The longest wait; 0 waits for as long as the connection is there. */
function timeoutOf(text: string): number {
  const seconds = decimalOf(text) === undefined ? NaN : Number(text)
  if (Number.isNaN(seconds) || seconds > 1e9) {
    throw new RedisError('ERR timeout is not a float or out of range')
  }
  if (seconds < 0) throw new RedisError('ERR timeout is negative')
  return seconds * 1000
}

function blockingPop(side: 'left' | 'right'): (call: Call) => Promise<string> {
  return async (call) => {
    const { server, session, protocol } = call
    const timeoutMs = timeoutOf(argumentOf(call, call.args.length - 1))
    let targets: readonly Target[] = []
    const look = (): readonly Place[] => {
      targets = call.args
        .slice(1, -1)
        .map((name) => server.databases.target(session.database, name, call.plain, false))
      return placesOf(targets)
    }
    const until = timeoutMs === 0 ? Infinity : server.clock.now() + timeoutMs
    while (!session.gone.aborted) {
      // Before the look, so that what comes right after it is not missed.
      look()
      const arrival = server.arrivals.expect(targets)
      try {
        let reply: string | undefined
        const { done } = await stepLater(server, look, () => {
          reply = undefined
          for (const target of targets) {
            const [item] = take(call, target, side, 1)
            if (item === undefined) continue
            reply = bulks([target.name, item])
            return
          }
        })
        await done
        if (reply !== undefined) return reply
        if (session.executing) return protocol.nilArray
        await waitFor(arrival.happened, {
          clock: server.clock,
          timeoutMs: until - server.clock.now(),
          signal: session.gone,
          what: 'Waiting for an item',
        })
      } catch (error) {
        if (isDaybookError(error, 'TIMEOUT') || isDaybookError(error, 'ABORTED')) {
          return protocol.nilArray
        }
        throw error
      } finally {
        arrival.cancel()
      }
    }
    return protocol.nilArray
  }
}

const writes = ['write', 'denyoom', 'fast'] as const
const takes = ['write', 'fast'] as const
const blocks = ['write', 'noscript', 'blocking'] as const

export const listCommands = inGroup('list', [
  { name: 'rpush', arity: -3, flags: writes, keys: [1, 1, 1], run: push('right') },
  { name: 'lpush', arity: -3, flags: writes, keys: [1, 1, 1], run: push('left') },
  { name: 'rpop', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('right') },
  { name: 'lpop', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('left') },
  {
    name: 'llen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: (call) => {
      const { length } = itemsAt(call, targetOf(call))
      return length === 0 ? zero : integer(length)
    },
  },
  { name: 'lrange', arity: 4, flags: ['readonly'], keys: [1, 1, 1], run: lrange },
  { name: 'lindex', arity: 3, flags: ['readonly'], keys: [1, 1, 1], run: lindex },
  { name: 'blpop', arity: -3, flags: blocks, wait: blockingPop('left') },
  { name: 'brpop', arity: -3, flags: blocks, wait: blockingPop('right') },
])
