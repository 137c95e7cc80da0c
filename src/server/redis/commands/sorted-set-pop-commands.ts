/** Commands that take the first or the last members out of a sorted set, and those that wait for some. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { bulk, emptyArray } from '../reply.ts'
import type { Scored } from '../spaces/sorted-members.ts'
import type { Target } from '../spaces/space.ts'
import { popOneLater, popSome, popSomeLater, type Ended } from './pop-from-first.ts'
import { flatReply, membersReply, pairReply, pairsReply } from './sorted-set-values.ts'

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

function endOf(text: string): End {
  const end = text.toLowerCase()
  if (end !== 'min' && end !== 'max') throw syntaxError()
  return end
}

const sortedSet: Ended<End, Scored> = {
  type: 'zset',
  endOf,
  take,
  itemReply: (call, name, item) => `*3\r\n${bulk(name)}${pairReply(call, item)}`,
  itemsReply: pairsReply,
}

const takes = ['write', 'fast'] as const
const blocks = ['write', 'noscript', 'fast', 'blocking'] as const

export const sortedSetPopCommands = inGroup('sorted-set', [
  { name: 'zpopmin', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('min') },
  { name: 'zpopmax', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('max') },
  { name: 'zmpop', arity: -4, flags: ['write'], countedKeys: 1, run: popSome(sortedSet) },
  popOneLater('bzpopmin', blocks, sortedSet, 'min'),
  popOneLater('bzpopmax', blocks, sortedSet, 'max'),
  popSomeLater('bzmpop', sortedSet),
])
