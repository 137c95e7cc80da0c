/** Commands of hashes; a row of a mapped cache is one. */

import type { Fields } from '../../../mutation/mutation.ts'
import { argumentOf, lookUp, targetOf, type Call, inGroup } from '../command.ts'
import { decimalOf, integerOf, isInfinite } from '../numbers.ts'
import { notAFloat, notAnInteger, RedisError, syntaxError, wrongArity } from '../redis-error.ts'
import { bulk, bulks, emptyArray, integer, ok, one, zero } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import { countOf, namesIn, sample } from './sample.ts'
import { scanMembers } from './scan-members.ts'

function hashAt(target: Target): Fields | undefined {
  const current = target.space.live(target)
  if (current !== undefined) target.space.checkHash(current)
  return current
}

/** The same, for a command that only reads. */
function readHash(call: Call, target: Target): Fields | undefined {
  const current = lookUp(call, target)
  if (current !== undefined) target.space.checkHash(current)
  return current
}

function setFields(call: Call, name: string): number {
  if (call.args.length % 2 !== 0) throw wrongArity(name)
  const target = targetOf(call)
  const { space } = target
  const current = target.blind ? undefined : hashAt(target)
  const added = new Set<string>()
  for (let at = 2; at < call.args.length; at += 2) {
    const field = argumentOf(call, at)
    if (current === undefined || space.field(current, field) === undefined) added.add(field)
  }
  space.setFields(target, current, call.args, 2, call.plain)
  call.server.events.tell(target, 'hash', 'hset')
  return added.size
}

function hsetnx(call: Call): string {
  const target = targetOf(call)
  const current = hashAt(target)
  if (current !== undefined && target.space.field(current, argumentOf(call, 2)) !== undefined)
    return zero
  target.space.setFields(target, current, call.args, 2, call.plain)
  call.server.events.tell(target, 'hash', 'hset')
  return one
}

function hget(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  const value = current === undefined ? undefined : target.space.field(current, argumentOf(call, 2))
  return value === undefined ? call.protocol.nil : bulk(value)
}

function hmget(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  let reply = `*${call.args.length - 2}\r\n`
  for (let at = 2; at < call.args.length; at++) {
    const value =
      current === undefined ? undefined : target.space.field(current, argumentOf(call, at))
    reply += value === undefined ? call.protocol.nil : bulk(value)
  }
  return reply
}

function pairsOf(target: Target, current: Fields): string[] {
  return target.space
    .fieldNames(current)
    .flatMap((name) => [name, target.space.field(current, name) ?? ''])
}

function hgetall(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  const pairs = current === undefined ? [] : pairsOf(target, current)
  let reply = call.protocol.map(pairs.length / 2)
  for (const part of pairs) reply += bulk(part)
  return reply
}

function hkeys(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  return current === undefined ? emptyArray : bulks(target.space.fieldNames(current))
}

function hvals(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  if (current === undefined) return emptyArray
  return bulks(pairsOf(target, current).filter((_part, at) => at % 2 === 1))
}

function hlen(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  return integer(current === undefined ? 0 : target.space.fieldCount(current))
}

function hexists(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  if (current === undefined) return zero
  return target.space.field(current, argumentOf(call, 2)) === undefined ? zero : one
}

function hstrlen(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  if (current === undefined) return zero
  return integer(target.space.field(current, argumentOf(call, 2))?.length ?? 0)
}

function hdel(call: Call): string {
  const target = targetOf(call)
  const current = hashAt(target)
  if (current === undefined) return zero
  const names = [...new Set(call.args.slice(2))].filter(
    (name) => target.space.field(current, name) !== undefined,
  )
  if (names.length > 0) {
    target.space.removeFields(target, current, names)
    call.server.events.tellTaken(target, 'hash', 'hdel')
  }
  return integer(names.length)
}

function hincrby(call: Call): string {
  const by = integerOf(argumentOf(call, 3))
  if (by === undefined) throw notAnInteger()
  const target = targetOf(call)
  const sum = target.space.increment(target, hashAt(target), argumentOf(call, 2), by)
  call.server.events.tell(target, 'hash', 'hincrby')
  return integer(sum)
}

function hincrbyfloat(call: Call): string {
  const by = decimalOf(argumentOf(call, 3))
  if (isInfinite(argumentOf(call, 3))) throw new RedisError('ERR value is NaN or Infinity')
  if (by === undefined) throw notAFloat()
  const target = targetOf(call)
  const sum = target.space.incrementFloat(target, hashAt(target), argumentOf(call, 2), by)
  call.server.events.tell(target, 'hash', 'hincrbyfloat')
  return bulk(sum)
}

function hrandfield(call: Call): string {
  const target = targetOf(call)
  const { args, server, protocol } = call
  if (args.length > 4) throw syntaxError()
  const current = readHash(call, target)
  if (args.length === 2) {
    const [name] = sample(namesIn(target, current), 1, server.random)
    return name === undefined ? protocol.nil : bulk(name)
  }
  const count = countOf(call)
  const withValues = args.length === 4
  if (withValues && argumentOf(call, 3).toLowerCase() !== 'withvalues') throw syntaxError()
  const names = sample(namesIn(target, current), count, server.random)
  if (!withValues) return bulks(names)
  const pairs = names.map((name) => [
    name,
    (current === undefined ? undefined : target.space.field(current, name)) ?? '',
  ])
  if (protocol.version === 2) return bulks(pairs.flat())
  return `*${pairs.length}\r\n${pairs.map((pair) => bulks(pair)).join('')}`
}

function hscan(call: Call): string {
  const target = targetOf(call)
  const current = readHash(call, target)
  return scanMembers(call, current && target.space.byHash(current), (name) =>
    current === undefined ? '' : (target.space.field(current, name) ?? ''),
  )
}

export const hashCommands = inGroup('hash', [
  {
    name: 'hset',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: (call) => integer(setFields(call, 'hset')),
  },
  {
    name: 'hmset',
    arity: -4,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: (call) => {
      setFields(call, 'hmset')
      return ok
    },
    // Unlike HSET it does not say how many fields are new, so a merge need not know the row.
    blind: () => 'rows',
  },
  { name: 'hsetnx', arity: 4, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: hsetnx },
  { name: 'hget', arity: 3, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: hget },
  { name: 'hmget', arity: -3, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: hmget },
  { name: 'hgetall', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: hgetall },
  { name: 'hkeys', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: hkeys },
  { name: 'hvals', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: hvals },
  { name: 'hlen', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: hlen },
  { name: 'hexists', arity: 3, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: hexists },
  { name: 'hstrlen', arity: 3, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: hstrlen },
  { name: 'hdel', arity: -3, flags: ['write', 'fast'], keys: [1, 1, 1], run: hdel },
  { name: 'hincrby', arity: 4, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: hincrby },
  {
    name: 'hincrbyfloat',
    arity: 4,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: hincrbyfloat,
  },
  { name: 'hrandfield', arity: -2, flags: ['readonly'], keys: [1, 1, 1], run: hrandfield },
  { name: 'hscan', arity: -3, flags: ['readonly'], keys: [1, 1, 1], run: hscan },
])
