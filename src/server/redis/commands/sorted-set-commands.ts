/** Commands of sorted sets: members and their scores, ranks and ranges. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { notAFloat, RedisError, syntaxError } from '../redis-error.ts'
import { bulk, emptyArray, integer, zero } from '../reply.ts'
import { scoreOf, scoreText } from '../scores.ts'
import type { Scored, SortedMembers } from '../sorted-members.ts'
import { countOf, sample } from './sample.ts'
import { scanMembers } from './scan-members.ts'
import { rangeOf, wholeOf, type RangeKind } from './sorted-set-ranges.ts'
import {
  membersOf,
  membersReply,
  readSortedSet,
  scoreReply,
  sortedSetAt,
  store,
} from './sorted-set-values.ts'

interface AddFlags {
  readonly nx: boolean
  readonly xx: boolean
  readonly gt: boolean
  readonly lt: boolean
  /** Counts also those whose score has changed. */
  readonly ch: boolean
  readonly incr: boolean
}

const addFlags = ['nx', 'xx', 'gt', 'lt', 'ch', 'incr']
const noFlags: AddFlags = { nx: false, xx: false, gt: false, lt: false, ch: false, incr: false }

interface Addition {
  readonly flags: AddFlags
  readonly items: readonly Scored[]
}

/** ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member … */
function additionOf(call: Call): Addition {
  const { args } = call
  const given = new Set<string>()
  let at = 2
  for (; at < args.length; at++) {
    const flag = argumentOf(call, at).toLowerCase()
    if (!addFlags.includes(flag)) break
    given.add(flag)
  }
  const [nx = false, xx = false, gt = false, lt = false, ch = false, incr = false] = addFlags.map(
    (flag) => given.has(flag),
  )
  const words = args.length - at
  if (words === 0 || words % 2 !== 0) throw syntaxError()
  if (nx && xx) {
    throw new RedisError('ERR XX and NX options at the same time are not compatible')
  }
  if ((gt && nx) || (lt && nx) || (gt && lt)) {
    throw new RedisError('ERR GT, LT, and/or NX options at the same time are not compatible')
  }
  if (incr && words > 2) {
    throw new RedisError('ERR INCR option supports a single increment-element pair')
  }
  const items: Scored[] = []
  for (; at < args.length; at += 2) {
    items.push({ score: givenScore(argumentOf(call, at)), member: argumentOf(call, at + 1) })
  }
  return { flags: { nx, xx, gt, lt, ch, incr }, items }
}

function givenScore(text: string): number {
  const score = scoreOf(text)
  if (score === undefined) throw notAFloat()
  return score
}

interface Added {
  readonly added: number
  readonly updated: number
  /** Of the last one; undefined where the flags had it left as it was. */
  readonly score: number | undefined
}

function add(call: Call, { flags, items }: Addition): Added {
  const target = targetOf(call)
  const current = sortedSetAt(target)
  const changed = new Map<string, number>()
  let added = 0
  let updated = 0
  let last: number | undefined
  for (const { member, score } of items) {
    const before =
      changed.get(member) ??
      (current === undefined ? undefined : target.space.score(current, member))
    last = outcomeOf(flags, before, score)
    if (last === undefined) continue
    if (before === undefined) added++
    else if (last !== before) updated++
    else continue
    changed.set(member, last)
  }
  if (changed.size > 0) {
    target.space.setScores(target, current, changed)
    call.server.events.tell(target, 'sortedSet', flags.incr ? 'zincr' : 'zadd')
    if (current === undefined) call.server.arrivals.announce(target)
  }
  return { added, updated, score: last }
}

/** The score that a member comes to have; undefined where it stays as it is, or away. */
function outcomeOf(
  { nx, xx, gt, lt, incr }: AddFlags,
  before: number | undefined,
  given: number,
): number | undefined {
  if (before === undefined) return xx ? undefined : given
  if (nx) return undefined
  const after = incr ? before + given : given
  if (Number.isNaN(after)) throw new RedisError('ERR resulting score is not a number (NaN)')
  return (gt && after <= before) || (lt && after >= before) ? undefined : after
}

function zadd(call: Call): string {
  const addition = additionOf(call)
  const { added, updated, score } = add(call, addition)
  const { ch, incr } = addition.flags
  if (!incr) return integer(ch ? added + updated : added)
  return score === undefined ? call.protocol.nil : scoreReply(call, score)
}

function zincrby(call: Call): string {
  const item = { score: givenScore(argumentOf(call, 2)), member: argumentOf(call, 3) }
  const { score } = add(call, { flags: { ...noFlags, incr: true }, items: [item] })
  return score === undefined ? call.protocol.nil : scoreReply(call, score)
}

function zrem(call: Call): string {
  const target = targetOf(call)
  const current = sortedSetAt(target)
  if (current === undefined) return zero
  const removed = [...new Set(call.args.slice(2))].filter(
    (member) => target.space.score(current, member) !== undefined,
  )
  if (removed.length > 0) {
    target.space.removeMembers(target, current, removed)
    call.server.events.tellTaken(target, 'sortedSet', 'zrem')
  }
  return integer(removed.length)
}

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

function zscore(call: Call): string {
  const target = targetOf(call)
  const current = readSortedSet(call, target)
  const score = current === undefined ? undefined : target.space.score(current, argumentOf(call, 2))
  return score === undefined ? call.protocol.nil : scoreReply(call, score)
}

function zmscore(call: Call): string {
  const target = targetOf(call)
  const current = readSortedSet(call, target)
  let reply = `*${call.args.length - 2}\r\n`
  for (const member of call.args.slice(2)) {
    const score = current === undefined ? undefined : target.space.score(current, member)
    reply += score === undefined ? call.protocol.nil : scoreReply(call, score)
  }
  return reply
}

/** ZRANK key member [WITHSCORE] */
function rank(direction: 'up' | 'down'): (call: Call) => string {
  return (call) => {
    const { args, protocol } = call
    const withScore = args.length === 4 && argumentOf(call, 3).toLowerCase() === 'withscore'
    if (args.length > 3 && !withScore) throw syntaxError()
    const nothing = withScore ? protocol.nilArray : protocol.nil
    const target = targetOf(call)
    const current = readSortedSet(call, target)
    const member = argumentOf(call, 2)
    const score = current === undefined ? undefined : target.space.score(current, member)
    if (current === undefined || score === undefined) return nothing
    const members = target.space.sorted(current)
    const found = members.rankOf({ member, score })
    if (found === undefined) return nothing
    const reply = integer(direction === 'up' ? found : members.size - 1 - found)
    return withScore ? `*2\r\n${reply}${scoreReply(call, score)}` : reply
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

/** ZRANDMEMBER key [count [WITHSCORES]] */
function zrandmember(call: Call): string {
  const { args, server, protocol } = call
  const target = targetOf(call)
  if (args.length === 2) {
    const members = membersOf(call, target)
    const [item] = sample(members.range(0, members.size), 1, server.random)
    return item === undefined ? protocol.nil : bulk(item.member)
  }
  const wanted = countOf(call)
  const withScores = args.length === 4 && argumentOf(call, 3).toLowerCase() === 'withscores'
  if (args.length > 3 && !withScores) throw syntaxError()
  // Of so many Redis cannot count the words of the reply.
  if (withScores && wanted > 2 ** 62) throw new RedisError('ERR value is out of range')
  const members = membersOf(call, target)
  if (members.size === 0) return emptyArray
  return membersReply(
    call,
    sample(members.range(0, members.size), wanted, server.random),
    withScores,
  )
}

function zscan(call: Call): string {
  const target = targetOf(call)
  const current = readSortedSet(call, target)
  const sorted = current === undefined ? undefined : target.space.sorted(current)
  const members = sorted?.range(0, sorted.size).map(({ member }) => member) ?? []
  const score = (member: string): number =>
    (current === undefined ? undefined : target.space.score(current, member)) ?? 0
  return scanMembers(call, members, (member) => scoreText(score(member)))
}

const writes = ['write', 'denyoom', 'fast'] as const
const reads = ['readonly', 'fast'] as const
const one = [1, 1, 1] as const

export const sortedSetCommands = inGroup('sorted-set', [
  { name: 'zadd', arity: -4, flags: writes, keys: one, run: zadd },
  { name: 'zincrby', arity: 4, flags: writes, keys: one, run: zincrby },
  { name: 'zrem', arity: -3, flags: ['write', 'fast'], keys: one, run: zrem },
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
  {
    name: 'zcard',
    arity: 2,
    flags: reads,
    keys: one,
    run: (call) => integer(membersOf(call, targetOf(call)).size),
  },
  { name: 'zcount', arity: 4, flags: reads, keys: one, run: count('score') },
  { name: 'zlexcount', arity: 4, flags: reads, keys: one, run: count('lex') },
  { name: 'zscore', arity: 3, flags: reads, keys: one, run: zscore },
  { name: 'zmscore', arity: -3, flags: reads, keys: one, run: zmscore },
  { name: 'zrank', arity: -3, flags: reads, keys: one, run: rank('up') },
  { name: 'zrevrank', arity: -3, flags: reads, keys: one, run: rank('down') },
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
  { name: 'zrandmember', arity: -2, flags: ['readonly'], keys: one, run: zrandmember },
  { name: 'zscan', arity: -3, flags: ['readonly'], keys: one, run: zscan },
])
