/** Commands that take the first or the last members out of a sorted set, and those that wait for some. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { bulk, emptyArray } from '../reply.ts'
import type { Scored } from '../sorted-members.ts'
import type { Target } from '../space.ts'
import { popOf, type Pop } from './pop-arguments.ts'
import { flatReply, membersReply, pairReply, pairsReply } from './sorted-set-values.ts'
import { timeoutOf, waitForItem } from './wait-for-item.ts'

type End = 'min' | 'max'

/** Takes from one end, that end first; nothing where there is none. */
function take(call: Call, target: Target, end: End, count: number): readonly Scored[] {
  const current = target.space.live(target)
  if (current === undefined) return []
  const members = target.space.sorted(current)
  const { size } = members
  const taken =
    end === 'min'
      ? members.range(0, count)
      : members.range(Math.max(0, size - count), size).toReversed()
  if (taken.length > 0) {
    const names = taken.map(({ member }) => member)
    target.space.removeMembers(target, current, names)
    call.server.events.tellTaken(target, 'sortedSet', end === 'min' ? 'zpopmin' : 'zpopmax')
  }
  return taken
}

/** ZPOPMIN key [count] */
function pop(end: End): (call: Call) => string {
  return (call) => {
    const { args } = call
    if (args.length > 3) throw syntaxError()
    const target = targetOf(call)
    if (args.length === 2) return flatReply(call, take(call, target, end, 1))
    const count = integerOf(argumentOf(call, 2))
    if (count === undefined || count < 0n) {
      throw new RedisError('ERR value is out of range, must be positive')
    }
    const taken = take(call, target, end, Number(count))
    return taken.length === 0 ? emptyArray : membersReply(call, taken, true)
  }
}

/** Of the first key that has some. */
function takeSome(
  call: Call,
  targets: readonly Target[],
  { end, count }: Omit<Pop<End>, 'names'>,
): { readonly target: Target; readonly taken: readonly Scored[] } | undefined {
  for (const target of targets) {
    const taken = take(call, target, end, count)
    if (taken.length > 0) return { target, taken }
  }
  return undefined
}

function blockingPop(end: End): (call: Call) => Promise<string> {
  return async (call) =>
    waitForItem(call, {
      names: call.args.slice(1, -1),
      type: 'zset',
      timeoutMs: timeoutOf(argumentOf(call, call.args.length - 1)),
      nothing: call.protocol.nilArray,
      attempt(targets) {
        const found = takeSome(call, targets, { end, count: 1 })
        const [item] = found?.taken ?? []
        if (found === undefined || item === undefined) return undefined
        return `*3\r\n${bulk(found.target.name)}${pairReply(call, item)}`
      },
    })
}

function endOf(text: string): End {
  const end = text.toLowerCase()
  if (end !== 'min' && end !== 'max') throw syntaxError()
  return end
}

function popSome(call: Call, targets: readonly Target[], pop: Pop<End>): string | undefined {
  const found = takeSome(call, targets, pop)
  if (found === undefined) return undefined
  return `*2\r\n${bulk(found.target.name)}${pairsReply(call, found.taken)}`
}

function zmpop(call: Call): string {
  const pop = popOf(call, 1, endOf)
  return popSome(call, call.targets, pop) ?? call.protocol.nilArray
}

async function bzmpop(call: Call): Promise<string> {
  const pop = popOf(call, 2, endOf)
  return waitForItem(call, {
    names: pop.names,
    type: 'zset',
    timeoutMs: timeoutOf(argumentOf(call, 1)),
    nothing: call.protocol.nilArray,
    attempt: (targets) => popSome(call, targets, pop),
  })
}

const takes = ['write', 'fast'] as const
const blocks = ['write', 'noscript', 'fast', 'blocking'] as const

export const sortedSetPopCommands = inGroup('sorted-set', [
  { name: 'zpopmin', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('min') },
  { name: 'zpopmax', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('max') },
  { name: 'zmpop', arity: -4, flags: ['write'], countedKeys: 1, run: zmpop },
  { name: 'bzpopmin', arity: -3, flags: blocks, wait: blockingPop('min') },
  { name: 'bzpopmax', arity: -3, flags: blocks, wait: blockingPop('max') },
  { name: 'bzmpop', arity: -5, flags: ['write', 'blocking'], wait: bzmpop },
])
