/** Commands of sets. */

import type { Fields } from '../../../mutation/mutation.ts'
import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { RedisError, syntaxError, wrongType } from '../redis-error.ts'
import { bulk, bulks, integer, one, zero } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import { countOf, namesIn, sample } from './sample.ts'
import { scanMembers } from './scan-members.ts'

/** The members; none where there is no key. */
function membersOf(call: Call, target: Target): string[] {
  const current = lookUp(call, target)
  return current === undefined ? [] : target.space.members(current)
}

/** The value, which is a set. */
function setAt(target: Target): Fields | undefined {
  return checkedSet(target, target.space.live(target))
}

/** The same, for a command that only reads. */
function readSet(call: Call, target: Target): Fields | undefined {
  return checkedSet(target, lookUp(call, target))
}

function checkedSet(target: Target, current: Fields | undefined): Fields | undefined {
  if (current !== undefined && target.space.typeOf(current) !== 'set') target.space.members(current)
  return current
}

function reply(call: Call, members: readonly string[]): string {
  let text = call.protocol.set(members.length)
  for (const member of members) text += bulk(member)
  return text
}

function sadd(call: Call): string {
  const target = targetOf(call)
  const current = setAt(target)
  const added = [...new Set(call.args.slice(2))].filter(
    (member) => current === undefined || !target.space.isMember(current, member),
  )
  if (added.length > 0) {
    target.space.addMembers(target, current, added)
    call.server.events.tell(target, 'set', 'sadd')
  }
  return integer(added.length)
}

function srem(call: Call): string {
  const target = targetOf(call)
  const current = setAt(target)
  if (current === undefined) return zero
  const removed = [...new Set(call.args.slice(2))].filter((member) =>
    target.space.isMember(current, member),
  )
  if (removed.length > 0) {
    target.space.removeMembers(target, current, removed)
    call.server.events.tellTaken(target, 'set', 'srem')
  }
  return integer(removed.length)
}

function sismember(call: Call): string {
  const target = targetOf(call)
  const current = readSet(call, target)
  const is = current !== undefined && target.space.isMember(current, argumentOf(call, 2))
  return is ? one : zero
}

function smismember(call: Call): string {
  const target = targetOf(call)
  const current = readSet(call, target)
  const found = call.args
    .slice(2)
    .map((member) => (current !== undefined && target.space.isMember(current, member) ? one : zero))
  return `*${found.length}\r\n${found.join('')}`
}

function spop(call: Call): string {
  const { args, server, protocol } = call
  if (args.length > 3) throw syntaxError()
  const target = targetOf(call)
  const count = args.length === 3 ? safeIntegerOf(argumentOf(call, 2)) : 1
  if (count === undefined || count < 0) {
    throw new RedisError('ERR value is out of range, must be positive')
  }
  const current = setAt(target)
  const taken = sample(namesIn(target, current), count, server.random)
  if (current !== undefined && taken.length > 0) {
    target.space.removeMembers(target, current, taken)
    server.events.tellTaken(target, 'set', 'spop')
  }
  if (args.length === 3) return reply(call, taken)
  return taken[0] === undefined ? protocol.nil : bulk(taken[0])
}

function srandmember(call: Call): string {
  const { args, server, protocol } = call
  if (args.length > 3) throw syntaxError()
  const target = targetOf(call)
  const members = namesIn(target, readSet(call, target))
  if (args.length === 2) {
    const [member] = sample(members, 1, server.random)
    return member === undefined ? protocol.nil : bulk(member)
  }
  return bulks(sample(members, countOf(call), server.random))
}

function smove(call: Call): string {
  const from = targetOf(call)
  const to = targetOf(call, 1)
  const member = argumentOf(call, 3)
  const source = setAt(from)
  if (source === undefined) return zero
  const destination = setAt(to)
  if (!from.space.isMember(source, member)) return zero
  if (from.name === to.name) return one
  from.space.removeMembers(from, source, [member])
  call.server.events.tellTaken(from, 'set', 'srem')
  if (destination === undefined || !to.space.isMember(destination, member)) {
    to.space.addMembers(to, destination, [member])
    call.server.events.tell(to, 'set', 'sadd')
  }
  return one
}

function scard(call: Call): string {
  const target = targetOf(call)
  const current = readSet(call, target)
  return integer(current === undefined ? 0 : target.space.fieldCount(current))
}

type Combine = (sets: readonly ReadonlySet<string>[]) => string[]

const intersection: Combine = ([first = new Set<string>(), ...others]) =>
  [...first].filter((member) => others.every((other) => other.has(member)))
const union: Combine = (sets) => [...new Set(sets.flatMap((set) => [...set]))]
const difference: Combine = ([first = new Set<string>(), ...others]) =>
  [...first].filter((member) => !others.some((other) => other.has(member)))

function combined(call: Call, targets: readonly Target[], combine: Combine): string[] {
  return combine(targets.map((target) => new Set(membersOf(call, target))))
}

function combine(by: Combine): (call: Call) => string {
  return (call) => reply(call, combined(call, call.targets, by))
}

function combineInto(by: Combine, event: string): (call: Call) => string {
  return (call) => {
    const to = targetOf(call)
    // A row that is no set must not go because the result has nothing in it.
    if (!to.space.ownsRows) throw wrongType()
    const { events } = call.server
    const members = combined(call, call.targets.slice(1), by)
    const before = to.space.live(to)
    if (members.length > 0) {
      to.space.addMembers(to, undefined, members)
      events.tell(to, 'set', event)
    } else if (before !== undefined) {
      to.space.delete(to)
      events.tell(to, 'generic', 'del')
    }
    return integer(members.length)
  }
}

/** SINTERCARD numkeys key … [LIMIT limit] */
function sintercard(call: Call): string {
  const count = safeIntegerOf(argumentOf(call, 1))
  if (count === undefined || count < 1) {
    throw new RedisError('ERR numkeys should be greater than 0')
  }
  if (count > call.args.length - 2) {
    throw new RedisError("ERR Number of keys can't be greater than number of args")
  }
  let limit = 0
  for (let at = 2 + count; at < call.args.length; at += 2) {
    if (argumentOf(call, at).toLowerCase() !== 'limit' || at + 1 >= call.args.length) {
      throw syntaxError()
    }
    const given = safeIntegerOf(argumentOf(call, at + 1))
    if (given === undefined || given < 0) throw new RedisError("ERR LIMIT can't be negative")
    limit = given
  }
  const found = combined(call, call.targets.slice(0, count), intersection).length
  return integer(limit === 0 ? found : Math.min(limit, found))
}

function sscan(call: Call): string {
  const target = targetOf(call)
  const current = readSet(call, target)
  return scanMembers(call, current && target.space.byHash(current), undefined)
}

const writes = ['write', 'denyoom', 'fast'] as const
const stores = ['write', 'denyoom'] as const
const reads = ['readonly', 'fast'] as const

export const setCommands = inGroup('set', [
  { name: 'sadd', arity: -3, flags: writes, keys: [1, 1, 1], run: sadd },
  { name: 'srem', arity: -3, flags: ['write', 'fast'], keys: [1, 1, 1], run: srem },
  { name: 'sismember', arity: 3, flags: reads, keys: [1, 1, 1], run: sismember },
  { name: 'smismember', arity: -3, flags: reads, keys: [1, 1, 1], run: smismember },
  {
    name: 'smembers',
    arity: 2,
    flags: ['readonly'],
    keys: [1, 1, 1],
    run: (call) => reply(call, membersOf(call, targetOf(call))),
  },
  {
    name: 'scard',
    arity: 2,
    flags: reads,
    keys: [1, 1, 1],
    run: scard,
  },
  { name: 'spop', arity: -2, flags: ['write', 'fast'], keys: [1, 1, 1], run: spop },
  { name: 'srandmember', arity: -2, flags: ['readonly'], keys: [1, 1, 1], run: srandmember },
  { name: 'smove', arity: 4, flags: ['write', 'fast'], keys: [1, 2, 1], run: smove },
  { name: 'sinter', arity: -2, flags: ['readonly'], keys: [1, -1, 1], run: combine(intersection) },
  { name: 'sunion', arity: -2, flags: ['readonly'], keys: [1, -1, 1], run: combine(union) },
  { name: 'sdiff', arity: -2, flags: ['readonly'], keys: [1, -1, 1], run: combine(difference) },
  {
    name: 'sinterstore',
    arity: -3,
    flags: stores,
    keys: [1, -1, 1],
    run: combineInto(intersection, 'sinterstore'),
  },
  {
    name: 'sunionstore',
    arity: -3,
    flags: stores,
    keys: [1, -1, 1],
    run: combineInto(union, 'sunionstore'),
  },
  {
    name: 'sdiffstore',
    arity: -3,
    flags: stores,
    keys: [1, -1, 1],
    run: combineInto(difference, 'sdiffstore'),
  },
  { name: 'sintercard', arity: -3, flags: ['readonly'], countedKeys: 1, run: sintercard },
  { name: 'sscan', arity: -3, flags: ['readonly'], keys: [1, 1, 1], run: sscan },
])
