/** Commands of sorted sets: members, their scores and their ranks. */

import { argumentOf, inGroup, targetOf, type Call } from '../command.ts'
import { notAFloat, RedisError, syntaxError } from '../redis-error.ts'
import { bulk, emptyArray, integer, zero } from '../reply.ts'
import { scoreOf, scoreText } from '../spaces/scores.ts'
import type { Scored } from '../spaces/sorted-members.ts'
import { countOf, sample } from './sample.ts'
import { scanMembers } from './scan-members.ts'
import {
  membersOf,
  membersReply,
  readSortedSet,
  scoreReply,
  sortedSetAt,
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

/** ZRANDMEMBER key [count [WITHSCORES]] */
function zrandmember(call: Call): string {
  const { args, server, protocol } = call
  const target = targetOf(call)
  if (args.length === 2) {
    const members = membersOf(call, target)
    const [item] = sample(members, 1, server.random)
    return item === undefined ? protocol.nil : bulk(item.member)
  }
  const wanted = countOf(call)
  const withScores = args.length === 4 && argumentOf(call, 3).toLowerCase() === 'withscores'
  if (args.length > 3 && !withScores) throw syntaxError()
  // Of so many Redis cannot count the words of the reply.
  if (withScores && wanted > 2 ** 62) throw new RedisError('ERR value is out of range')
  const members = membersOf(call, target)
  if (members.size === 0) return emptyArray
  return membersReply(call, sample(members, wanted, server.random), withScores)
}

function zscan(call: Call): string {
  const target = targetOf(call)
  const current = readSortedSet(call, target)
  const score = (member: string): number =>
    (current === undefined ? undefined : target.space.score(current, member)) ?? 0
  return scanMembers(call, current && target.space.byHash(current), (member) =>
    scoreText(score(member)),
  )
}

const writes = ['write', 'denyoom', 'fast'] as const
const reads = ['readonly', 'fast'] as const
const one = [1, 1, 1] as const

export const sortedSetCommands = inGroup('sorted-set', [
  { name: 'zadd', arity: -4, flags: writes, keys: one, run: zadd },
  { name: 'zincrby', arity: 4, flags: writes, keys: one, run: zincrby },
  { name: 'zrem', arity: -3, flags: ['write', 'fast'], keys: one, run: zrem },
  {
    name: 'zcard',
    arity: 2,
    flags: reads,
    keys: one,
    run: (call) => integer(membersOf(call, targetOf(call)).size),
  },
  { name: 'zscore', arity: 3, flags: reads, keys: one, run: zscore },
  { name: 'zmscore', arity: -3, flags: reads, keys: one, run: zmscore },
  { name: 'zrank', arity: -3, flags: reads, keys: one, run: rank('up') },
  { name: 'zrevrank', arity: -3, flags: reads, keys: one, run: rank('down') },
  { name: 'zrandmember', arity: -2, flags: ['readonly'], keys: one, run: zrandmember },
  { name: 'zscan', arity: -3, flags: ['readonly'], keys: one, run: zscan },
])
