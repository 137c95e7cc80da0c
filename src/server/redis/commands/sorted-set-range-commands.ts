/** Commands of ranges of a sorted set: by rank, by score, and by the bytes of members. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { integer, zero } from '../reply.ts'
import type { Scored, SortedMembers } from '../spaces/sorted-members.ts'
import { rangeOf, wholeOf, type RangeKind } from './sorted-set-ranges.ts'
import { membersOf, membersReply, sortedSetAt, store } from './sorted-set-values.ts'

function removeRange(kind: RangeKind, event: string): (call: Call) => string {
  return (call) => {
    const range = rangeOf(kind, argumentOf(call, 2), argumentOf(call, 3))
    const target = targetOf(call)
    const current = sortedSetAt(target)
    if (current === undefined) return zero
    const members = target.space.sorted(current)
    const { from, to } = range(members)
    const removed = members.range(from, to).map(({ member }) => member)
    if (removed.length > 0) {
      target.space.removeMembers(target, current, removed)
      call.server.events.tellTaken(target, 'sortedSet', event)
    }
    return integer(removed.length)
  }
}

function count(kind: RangeKind): (call: Call) => string {
  return (call) => {
    const range = rangeOf(kind, argumentOf(call, 2), argumentOf(call, 3))
    const { from, to } = range(membersOf(call, targetOf(call)))
    return integer(Math.max(0, to - from))
  }
}

interface Selection {
  readonly withScores: boolean
  /** The members in the order that is asked for. */
  readonly of: (members: SortedMembers) => readonly Scored[]
}

interface Fixed {
  readonly kind?: RangeKind
  readonly isReverse?: boolean
}

/** `at` is the argument after the key: min max [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES] */
function selectionOf(call: Call, at: number, fixed: Fixed, mayShowScores: boolean): Selection {
  let { kind, isReverse } = fixed
  let withScores = false
  let [offset, limit] = [0, -1]
  const { args } = call
  for (let option = at + 2; option < args.length; option++) {
    const word = argumentOf(call, option).toLowerCase()
    if (word === 'withscores' && mayShowScores) withScores = true
    else if (word === 'limit' && option + 2 < args.length) {
      offset = wholeOf(argumentOf(call, ++option))
      limit = wholeOf(argumentOf(call, ++option))
    } else if (word === 'rev' && isReverse === undefined) isReverse = true
    else if (word === 'bylex' && kind === undefined) kind = 'lex'
    else if (word === 'byscore' && kind === undefined) kind = 'score'
    else throw syntaxError()
  }
  kind ??= 'rank'
  if (limit !== -1 && kind === 'rank') {
    throw new RedisError(
      'ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX',
    )
  }
  if (withScores && kind === 'lex') {
    throw new RedisError('ERR syntax error, WITHSCORES not supported in combination with BYLEX')
  }
  const [first, second] = [argumentOf(call, at), argumentOf(call, at + 1)]
  const isTurned = isReverse === true && kind !== 'rank'
  const range = isTurned ? rangeOf(kind, second, first) : rangeOf(kind, first, second)
  const take = kind === 'rank' ? ranked : limited
  return {
    withScores,
    of: (members) =>
      take(members, range(members), { isReverse: isReverse === true, offset, limit }),
  }
}

interface Take {
  readonly isReverse: boolean
  readonly offset: number
  /** Negative: all. */
  readonly limit: number
}

type Ranks = ReturnType<ReturnType<typeof rangeOf>>

/** Ranks count in the direction that is asked for. */
function ranked(
  members: SortedMembers,
  { from, to }: Ranks,
  { isReverse }: Take,
): readonly Scored[] {
  if (to <= from) return []
  const { size } = members
  return isReverse ? members.range(size - to, size - from).toReversed() : members.range(from, to)
}

function limited(
  members: SortedMembers,
  { from, to }: Ranks,
  { isReverse, offset, limit }: Take,
): readonly Scored[] {
  const length = Math.max(0, to - from - offset)
  const count = offset < 0 ? 0 : limit < 0 ? length : Math.min(limit, length)
  if (count === 0) return []
  if (!isReverse) return members.range(from + offset, from + offset + count)
  return members.range(to - offset - count, to - offset).toReversed()
}

function range(fixed: Fixed): (call: Call) => string {
  return (call) => {
    const selection = selectionOf(call, 2, fixed, true)
    const items = selection.of(membersOf(call, targetOf(call)))
    return membersReply(call, items, selection.withScores)
  }
}

function zrangestore(call: Call): string {
  const selection = selectionOf(call, 3, {}, false)
  const items = selection.of(membersOf(call, targetOf(call, 1)))
  return store(call, targetOf(call), items, 'zrangestore')
}

const reads = ['readonly', 'fast'] as const
const one = [1, 1, 1] as const

export const sortedSetRangeCommands = inGroup('sorted-set', [
  {
    name: 'zremrangebyrank',
    arity: 4,
    flags: ['write'],
    keys: one,
    run: removeRange('rank', 'zremrangebyrank'),
  },
  {
    name: 'zremrangebyscore',
    arity: 4,
    flags: ['write'],
    keys: one,
    run: removeRange('score', 'zremrangebyscore'),
  },
  {
    name: 'zremrangebylex',
    arity: 4,
    flags: ['write'],
    keys: one,
    run: removeRange('lex', 'zremrangebylex'),
  },
  { name: 'zcount', arity: 4, flags: reads, keys: one, run: count('score') },
  { name: 'zlexcount', arity: 4, flags: reads, keys: one, run: count('lex') },
  { name: 'zrange', arity: -4, flags: ['readonly'], keys: one, run: range({}) },
  {
    name: 'zrevrange',
    arity: -4,
    flags: ['readonly'],
    keys: one,
    run: range({ kind: 'rank', isReverse: true }),
  },
  {
    name: 'zrangebyscore',
    arity: -4,
    flags: ['readonly'],
    keys: one,
    run: range({ kind: 'score', isReverse: false }),
  },
  {
    name: 'zrevrangebyscore',
    arity: -4,
    flags: ['readonly'],
    keys: one,
    run: range({ kind: 'score', isReverse: true }),
  },
  {
    name: 'zrangebylex',
    arity: -4,
    flags: ['readonly'],
    keys: one,
    run: range({ kind: 'lex', isReverse: false }),
  },
  {
    name: 'zrevrangebylex',
    arity: -4,
    flags: ['readonly'],
    keys: one,
    run: range({ kind: 'lex', isReverse: true }),
  },
  {
    name: 'zrangestore',
    arity: -5,
    flags: ['write', 'denyoom'],
    keys: [1, 2, 1],
    run: zrangestore,
  },
])
