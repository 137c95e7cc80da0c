/** DUMP and RESTORE: a value as bytes that a real Redis takes and gives, with which keys move from one to the other. */

import type { Fields } from '../../../mutation/mutation.ts'
import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { deadlineOf } from '../deadline.ts'
import { integerOf } from '../numbers.ts'
import { withoutFooter } from '../rdb/footer.ts'
import { readValue } from '../rdb/read-value.ts'
import type { RdbValue } from '../rdb/value.ts'
import { payloadOf } from '../rdb/write-value.ts'
import { notAnInteger, RedisError, syntaxError, wrongType } from '../redis-error.ts'
import { bulk, ok } from '../reply.ts'
import type { Target } from '../spaces/space.ts'

function dump(call: Call): string {
  const target = targetOf(call)
  const current = lookUp(call, target)
  const value = current === undefined ? undefined : valueOf(target, current)
  return value === undefined ? call.protocol.nil : bulk(payloadOf(value))
}

/** undefined: a row of nothing but NULL. Redis has no empty hash, and would not take it. */
function valueOf({ space }: Target, current: Fields): RdbValue | undefined {
  const type = space.typeOf(current)
  switch (type) {
    case 'string':
      return { type, text: space.stringOf(current) }
    case 'list': {
      const items = space.items(current)
      return { type, items: items.slice(0, items.length) }
    }
    case 'set':
      return { type, members: new Set(space.members(current)) }
    case 'hash': {
      const fields = new Map<string, string>()
      for (const name of space.fieldNames(current)) {
        fields.set(name, space.field(current, name) ?? '')
      }
      return fields.size === 0 ? undefined : { type, fields }
    }
    case 'stream':
      throw new RedisError('ERR a stream cannot be dumped here: read it by XRANGE')
    case 'zset': {
      const members = space.sorted(current)
      const scores = new Map<string, number>()
      for (const { member, score } of members.range(0, members.size)) scores.set(member, score)
      return { type, scores }
    }
  }
}

interface RestoreFlags {
  readonly replaces: boolean
  /** The deadline is a time, and not how long it is until then. */
  readonly absolute: boolean
}

/** How long nobody has asked for the key, or how often, is read and forgotten: nothing here goes by it. */
function restoreFlags(call: Call): RestoreFlags {
  let replaces = false
  let absolute = false
  let given: 'idletime' | 'freq' | undefined
  for (let at = 4; at < call.args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (option === 'replace') replaces = true
    else if (option === 'absttl') absolute = true
    else if (option === 'idletime' || option === 'freq') {
      if (at + 1 >= call.args.length || (given !== undefined && given !== option)) {
        throw syntaxError()
      }
      given = option
      checkUse(option, argumentOf(call, ++at))
    } else throw syntaxError()
  }
  return { replaces, absolute }
}

function checkUse(option: 'idletime' | 'freq', text: string): void {
  const value = integerOf(text)
  if (value === undefined) throw notAnInteger()
  if (option === 'idletime' && value < 0n) {
    throw new RedisError('ERR Invalid IDLETIME value, must be >= 0')
  }
  if (option === 'freq' && (value < 0n || value > 255n)) {
    throw new RedisError('ERR Invalid FREQ value, must be >= 0 and <= 255')
  }
}

/** undefined: never. */
function restoredDeadline(call: Call, absolute: boolean): number | undefined {
  const text = argumentOf(call, 2)
  const value = integerOf(text)
  if (value === undefined) throw notAnInteger()
  if (value < 0n) throw new RedisError('ERR Invalid TTL value, must be >= 0')
  return value === 0n ? undefined : deadlineOf(call, text, 1, !absolute, 'restore')
}

function restore(call: Call): string {
  const flags = restoreFlags(call)
  const target = targetOf(call)
  const { space } = target
  const { events, arrivals, config } = call.server
  const isThere = space.live(target) !== undefined
  if (isThere && !flags.replaces) throw new RedisError('BUSYKEY Target key name already exists.')
  const atMs = restoredDeadline(call, flags.absolute)
  const body = withoutFooter(Buffer.from(argumentOf(call, 3), 'latin1'))
  if (body === undefined) throw new RedisError('ERR DUMP payload version or checksum are wrong')
  const value = readValue(body, config)
  if (!space.ownsRows && value.type !== 'hash') throw wrongType()
  if (atMs !== undefined && atMs <= call.turn.wallTime() && space.endsRows) {
    if (!isThere) return ok
    space.delete(target)
    events.tell(target, 'generic', 'del')
    return ok
  }
  if (isThere && !space.ownsRows) makeRoom(call, target, value)
  put(target, value)
  if (atMs !== undefined) expire(target, atMs)
  arrivals.announce(target)
  if (isThere) events.tell(target, 'new', 'new')
  events.tell(target, 'generic', 'restore')
  return ok
}

/**
 * Of a row: a merge would leave the columns that the payload has not. What a column refuses is refused first, since a deadline
 * that is in memory only is forgotten with the row, and does not come back with what else the step takes back.
 */
function makeRoom({ turn }: Call, target: Target, value: RdbValue): void {
  const before = turn.writes
  put(target, value)
  turn.undoTo(before)
  target.space.delete(target)
}

/** In the place of whatever is there. A row is merged. */
function put(target: Target, value: RdbValue): void {
  const { space } = target
  switch (value.type) {
    case 'string':
      space.setString(target, value.text, false, undefined)
      break
    case 'list':
      space.addList(target, value.items)
      break
    case 'set':
      space.addMembers(target, undefined, [...value.members])
      break
    case 'hash':
      space.setFields(target, undefined, [...value.fields].flat(), 0, false)
      break
    case 'zset':
      space.setScores(target, undefined, value.scores)
      break
  }
}

function expire(target: Target, atMs: number): void {
  const current = target.space.live(target)
  if (current !== undefined) target.space.expire(target, current, atMs)
}

const restoreCommand = {
  arity: -4,
  flags: ['write', 'denyoom'],
  keys: [1, 1, 1],
  run: restore,
} as const

export const dumpCommands = inGroup('generic', [
  { name: 'dump', arity: 2, flags: ['readonly'], keys: [1, 1, 1], run: dump },
  { name: 'restore', ...restoreCommand },
  // What MIGRATE of a Redis sends that is a node of a cluster.
  { name: 'restore-asking', ...restoreCommand },
])
