/** Commands of strings. */

import { argumentOf, lookUp, targetOf, type Call, inGroup } from '../command.ts'
import { deadlineOf, expireOption, isExpireOption } from '../deadline.ts'
import {
  decimalOf,
  integerOf,
  isInfinite,
  maxInteger,
  minInteger,
  safeIntegerOf,
  sumOfDecimals,
} from '../numbers.ts'
import {
  notAFloat,
  notAnInteger,
  overflow,
  RedisError,
  syntaxError,
  tooLong,
  wrongArity,
} from '../redis-error.ts'
import { bulk, integer, ok, one, zero } from '../reply.ts'
import type { Target } from '../spaces/space.ts'
import { commonSubsequence } from './common-subsequence.ts'
import { latin1Of } from '../latin1.ts'
import { bitOffset, edit, editable, stringAt } from './string-values.ts'

/** Sets the string, as Redis tells it. */
function put(call: Call, target: Target, value: string, expiresAtMs: number | undefined): void {
  target.space.setString(target, value, call.plain, expiresAtMs)
  const { events } = call.server
  if (!events.on) return
  events.tell(target, 'string', 'set')
  if (expiresAtMs !== undefined) events.tell(target, 'generic', 'expire')
}

function remove(call: Call, target: Target): void {
  target.space.delete(target)
  call.server.events.tell(target, 'generic', 'del')
}

function get(call: Call): string {
  const value = stringAt(call, targetOf(call))
  return value === undefined ? call.protocol.nil : bulk(value)
}

interface SetFlags {
  readonly only: 'nx' | 'xx' | undefined
  readonly get: boolean
  readonly keepTtl: boolean
  readonly expiresAtMs: number | undefined
}

function setFlags(call: Call): SetFlags {
  let only: 'nx' | 'xx' | undefined
  let get = false
  let keepTtl = false
  let expiresAtMs: number | undefined
  for (let at = 3; at < call.args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if ((option === 'nx' || option === 'xx') && (only ?? option) === option) only = option
    else if (option === 'get') get = true
    else if (option === 'keepttl' && expiresAtMs === undefined) keepTtl = true
    else if (expiresAtMs === undefined && !keepTtl && at + 1 < call.args.length) {
      expiresAtMs = expireOption(call, option, argumentOf(call, ++at), 'set')
    } else throw syntaxError()
  }
  return { only, get, keepTtl, expiresAtMs }
}

function set(call: Call): string {
  const target = targetOf(call)
  const value = argumentOf(call, 2)
  if (call.args.length === 3) {
    put(call, target, value, undefined)
    return ok
  }
  const { only, get: returns, keepTtl, expiresAtMs } = setFlags(call)
  const looks = only !== undefined || returns || keepTtl
  const current = !looks ? undefined : returns ? lookUp(call, target) : target.space.live(target)
  const before = returns && current !== undefined ? target.space.stringOf(current) : undefined
  const answer = !returns ? ok : before === undefined ? call.protocol.nil : bulk(before)
  const skips = only === 'nx' ? current !== undefined : only === 'xx' && current === undefined
  if (skips) return returns ? answer : call.protocol.nil
  if (keepTtl && current !== undefined) {
    target.space.setString(target, value, call.plain, target.space.expiresAt(target, current))
    call.server.events.tell(target, 'string', 'set')
  } else if (expiresAtMs !== undefined && expiresAtMs <= call.turn.wallTime()) {
    // A deadline that is over already: it was there for no time at all.
    const { events } = call.server
    target.space.delete(target)
    events.tell(target, 'string', 'set')
    events.tell(target, 'generic', 'expire')
    events.tell(target, 'expired', 'expired')
  } else put(call, target, value, expiresAtMs)
  return answer
}

const looking = new Set(['nx', 'xx', 'get', 'keepttl'])

function setIsBlind(args: readonly string[]): boolean {
  return args.length === 3 || !args.some((word, at) => at > 2 && looking.has(word.toLowerCase()))
}

function setnx(call: Call): string {
  const target = targetOf(call)
  if (target.space.live(target) !== undefined) return zero
  put(call, target, argumentOf(call, 2), undefined)
  return one
}

function setWithTtl(unitMs: number): (call: Call) => string {
  return (call) => {
    const name = unitMs === 1 ? 'psetex' : 'setex'
    const atMs = deadlineOf(call, argumentOf(call, 2), unitMs, true, name)
    if (atMs <= call.turn.wallTime())
      throw new RedisError(`ERR invalid expire time in '${name}' command`)
    put(call, targetOf(call), argumentOf(call, 3), atMs)
    return ok
  }
}

function getset(call: Call): string {
  const target = targetOf(call)
  const before = stringAt(call, target)
  put(call, target, argumentOf(call, 2), undefined)
  return before === undefined ? call.protocol.nil : bulk(before)
}

function getdel(call: Call): string {
  const target = targetOf(call)
  const before = stringAt(call, target)
  if (before === undefined) return call.protocol.nil
  remove(call, target)
  return bulk(before)
}

function getex(call: Call): string {
  const target = targetOf(call)
  const { args } = call
  const option = argumentOf(call, 2).toLowerCase()
  const persist = option === 'persist'
  if (args.length > 4 || (persist ? args.length > 3 : args.length === 3)) throw syntaxError()
  if (args.length === 4 && !isExpireOption(option)) throw syntaxError()
  const current = lookUp(call, target)
  if (current === undefined) return call.protocol.nil
  const value = target.space.stringOf(current)
  // As in Redis, a time that is none matters only where there is a key.
  const expiresAtMs =
    args.length === 4 ? expireOption(call, option, argumentOf(call, 3), 'getex') : undefined
  const { events } = call.server
  if (expiresAtMs !== undefined && expiresAtMs <= call.turn.wallTime()) remove(call, target)
  else if (expiresAtMs !== undefined) {
    target.space.expire(target, current, expiresAtMs)
    events.tell(target, 'generic', 'expire')
  } else if (persist && target.space.expiresAt(target, current) !== undefined) {
    target.space.expire(target, current, undefined)
    events.tell(target, 'generic', 'persist')
  }
  return bulk(value)
}

function mget(call: Call): string {
  let reply = `*${call.targets.length}\r\n`
  for (const target of call.targets) {
    const current = lookUp(call, target)
    const isString =
      current !== undefined && (!target.space.ownsRows || target.space.typeOf(current) === 'string')
    reply += isString ? bulk(target.space.stringOf(current)) : call.protocol.nil
  }
  return reply
}

function setAll(call: Call): void {
  for (const [index, target] of call.targets.entries()) {
    put(call, target, argumentOf(call, 2 + 2 * index), undefined)
  }
}

function mset(call: Call): string {
  checkPairs(call, 'mset')
  setAll(call)
  return ok
}

function msetnx(call: Call): string {
  checkPairs(call, 'msetnx')
  if (call.targets.some((target) => target.space.live(target) !== undefined)) return zero
  setAll(call)
  return one
}

function checkPairs(call: Call, name: string): void {
  if (call.args.length % 2 === 0) throw wrongArity(name)
}

function append(call: Call): string {
  const target = targetOf(call)
  const current = target.space.live(target)
  const value = (editable(target, current) ?? '') + argumentOf(call, 2)
  edit(call, target, current, { value, event: 'append' })
  return integer(value.length)
}

function strlen(call: Call): string {
  const target = targetOf(call)
  return integer(editable(target, lookUp(call, target))?.length ?? 0)
}

function getrange(call: Call): string {
  const start = safeIntegerOf(argumentOf(call, 2))
  const end = safeIntegerOf(argumentOf(call, 3))
  if (start === undefined || end === undefined) throw notAnInteger()
  const target = targetOf(call)
  const value = editable(target, lookUp(call, target)) ?? ''
  if (start < 0 && end < 0 && start > end) return bulk('')
  const from = start < 0 ? Math.max(0, value.length + start) : start
  const to = end < 0 ? Math.max(0, value.length + end) : end
  return bulk(value.slice(from, to + 1))
}

function setrange(call: Call): string {
  const offset = safeIntegerOf(argumentOf(call, 2))
  if (offset === undefined) throw notAnInteger()
  if (offset < 0) throw new RedisError('ERR offset is out of range')
  const patch = argumentOf(call, 3)
  const target = targetOf(call)
  const current = target.space.live(target)
  const value = editable(target, current)
  if (patch === '') return integer(value?.length ?? 0)
  if (offset + patch.length > call.server.config.maxBulkBytes) throw tooLong()
  const before = (value ?? '').slice(0, offset).padEnd(offset, '\0')
  const after = before + patch + (value ?? '').slice(offset + patch.length)
  edit(call, target, current, { value: after, event: 'setrange' })
  return integer(after.length)
}

function add(call: Call, by: bigint): string {
  const target = targetOf(call)
  const current = target.space.live(target)
  const text = editable(target, current)
  const base = text === undefined ? 0n : integerOf(text)
  if (base === undefined) throw notAnInteger()
  const sum = base + by
  if (sum < minInteger || sum > maxInteger) throw overflow()
  edit(call, target, current, { value: sum.toString(), event: 'incrby' })
  return integer(sum)
}

function amountOf(call: Call): bigint {
  const by = integerOf(argumentOf(call, 2))
  if (by === undefined) throw notAnInteger()
  return by
}

function decrby(call: Call): string {
  const by = amountOf(call)
  if (by === minInteger) throw new RedisError('ERR decrement would overflow')
  return add(call, -by)
}

function incrbyfloat(call: Call): string {
  const target = targetOf(call)
  const current = target.space.live(target)
  const text = editable(target, current)
  const base = text === undefined ? '0' : decimalOf(text)
  const by = decimalOf(argumentOf(call, 2))
  if (isInfinite(argumentOf(call, 2)) || (text !== undefined && isInfinite(text))) {
    throw new RedisError('ERR increment would produce NaN or Infinity')
  }
  if (base === undefined || by === undefined) throw notAFloat()
  const sum = sumOfDecimals(base, by)
  edit(call, target, current, { value: sum, event: 'incrbyfloat' })
  return bulk(sum)
}

function setbit(call: Call): string {
  const offset = bitOffset(call, argumentOf(call, 2))
  const bit = argumentOf(call, 3)
  if (bit !== '0' && bit !== '1') throw new RedisError('ERR bit is not an integer or out of range')
  const target = targetOf(call)
  const current = target.space.live(target)
  const value = editable(target, current) ?? ''
  const byteAt = Math.floor(offset / 8)
  const mask = 128 >> (offset % 8)
  const bytes = Buffer.alloc(Math.max(value.length, byteAt + 1))
  bytes.write(value, 0, 'latin1')
  const byte = bytes[byteAt] ?? 0
  const after = bit === '1' ? byte | mask : byte & ~mask
  const changes = current === undefined || bytes.length > value.length || after !== byte
  if (!changes) return (byte & mask) === 0 ? zero : one
  bytes[byteAt] = after
  edit(call, target, current, { value: latin1Of(bytes), event: 'setbit' })
  return (byte & mask) === 0 ? zero : one
}

function getbit(call: Call): string {
  const offset = bitOffset(call, argumentOf(call, 2))
  const target = targetOf(call)
  const value = editable(target, lookUp(call, target)) ?? ''
  const byte = value.charCodeAt(Math.floor(offset / 8))
  return (byte & (128 >> (offset % 8))) === 0 ? zero : one
}

function bitcount(call: Call): string {
  const { args } = call
  if (args.length === 3 || args.length > 5) throw syntaxError()
  const target = targetOf(call)
  const first = args.length > 3 ? safeIntegerOf(argumentOf(call, 2)) : 0
  const last = args.length > 3 ? safeIntegerOf(argumentOf(call, 3)) : -1
  if (first === undefined || last === undefined) throw notAnInteger()
  const unit = argumentOf(call, 4).toLowerCase()
  if (args.length === 5 && unit !== 'bit' && unit !== 'byte') throw syntaxError()
  const value = editable(target, lookUp(call, target)) ?? ''
  const units = unit === 'bit' ? value.length * 8 : value.length
  if (first < 0 && last < 0 && first > last) return zero
  const from = first < 0 ? Math.max(0, units + first) : first
  const to = Math.min(units - 1, last < 0 ? Math.max(0, units + last) : last)
  let count = 0
  if (unit === 'bit') {
    for (let at = from; at <= to; at++) {
      if ((value.charCodeAt(at >> 3) & (128 >> (at & 7))) !== 0) count++
    }
  } else for (let at = from; at <= to; at++) count += onesOf(value.charCodeAt(at))
  return integer(count)
}

function onesOf(byte: number): number {
  let count = 0
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++
  return count
}

function lcs(call: Call): string {
  const [first, second] = call.targets.map((target) => {
    const current = lookUp(call, target)
    if (current === undefined) return ''
    if (target.space.typeOf(current) !== 'string') {
      throw new RedisError('ERR The specified keys must contain string values')
    }
    return target.space.stringOf(current)
  })
  return commonSubsequence(call, first ?? '', second ?? '')
}

export const stringCommands = inGroup('string', [
  { name: 'get', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: get },
  {
    name: 'set',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, 1, 1],
    run: set,
    blind: setIsBlind,
  },
  { name: 'setnx', arity: 3, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: setnx },
  {
    name: 'setex',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: [1, 1, 1],
    run: setWithTtl(1000),
    blind: () => true,
  },
  {
    name: 'psetex',
    arity: 4,
    flags: ['write', 'denyoom'],
    keys: [1, 1, 1],
    run: setWithTtl(1),
    blind: () => true,
  },
  { name: 'getset', arity: 3, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: getset },
  { name: 'getdel', arity: 2, flags: ['write', 'fast'], keys: [1, 1, 1], run: getdel },
  { name: 'getex', arity: -2, flags: ['write', 'fast'], keys: [1, 1, 1], run: getex },
  { name: 'mget', arity: -2, flags: ['readonly', 'fast'], keys: [1, -1, 1], run: mget },
  {
    name: 'mset',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, -1, 2],
    run: mset,
    blind: () => true,
  },
  { name: 'msetnx', arity: -3, flags: ['write', 'denyoom'], keys: [1, -1, 2], run: msetnx },
  { name: 'append', arity: 3, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: append },
  { name: 'strlen', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: strlen },
  { name: 'getrange', arity: 4, flags: ['readonly'], keys: [1, 1, 1], run: getrange },
  { name: 'substr', arity: 4, flags: ['readonly'], keys: [1, 1, 1], run: getrange },
  { name: 'setrange', arity: 4, flags: ['write', 'denyoom'], keys: [1, 1, 1], run: setrange },
  {
    name: 'incr',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: (call) => add(call, 1n),
  },
  {
    name: 'decr',
    arity: 2,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: (call) => add(call, -1n),
  },
  {
    name: 'incrby',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: (call) => add(call, amountOf(call)),
  },
  { name: 'decrby', arity: 3, flags: ['write', 'denyoom', 'fast'], keys: [1, 1, 1], run: decrby },
  {
    name: 'incrbyfloat',
    arity: 3,
    flags: ['write', 'denyoom', 'fast'],
    keys: [1, 1, 1],
    run: incrbyfloat,
  },
  { name: 'setbit', arity: 4, flags: ['write', 'denyoom'], keys: [1, 1, 1], run: setbit },
  { name: 'getbit', arity: 3, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: getbit },
  { name: 'bitcount', arity: -2, flags: ['readonly'], keys: [1, 1, 1], run: bitcount },
  { name: 'lcs', arity: -3, flags: ['readonly'], keys: [1, 2, 1], run: lcs },
])
