/** Commands of keys, whatever their type. */

import type { Fields } from '../../../mutation/mutation.ts'
import { argumentOf, inGroup, lookUp, targetOf, type Call, type Command } from '../command.ts'
import { deadlineOf } from '../deadline.ts'
import { databaseCount } from '../databases.ts'
import { matchesGlob } from '../glob.ts'
import { safeIntegerOf } from '../numbers.ts'
import {
  notAnInteger,
  RedisError,
  syntaxError,
  wrongType,
  wrongSubcommand,
} from '../redis-error.ts'
import { bulk, bulks, integer, ok, one, simple, zero } from '../reply.ts'
import { placesOf, type Target } from '../spaces/space.ts'
import { stepLater } from '../step-later.ts'
import { cursorOf, scanOptions } from './scan-members.ts'

function countLive(call: Call): number {
  let count = 0
  for (const target of call.targets) if (lookUp(call, target) !== undefined) count++
  return count
}

function del(call: Call): string {
  let count = 0
  for (const target of call.targets) {
    if (target.space.live(target) === undefined) continue
    target.space.delete(target)
    call.server.events.tell(target, 'generic', 'del')
    count++
  }
  return integer(count)
}

function type(call: Call): string {
  const target = targetOf(call)
  const current = lookUp(call, target)
  return simple(current === undefined ? 'none' : target.space.typeOf(current))
}

interface ExpireFlags {
  readonly nx: boolean
  readonly xx: boolean
  readonly gt: boolean
  readonly lt: boolean
}

function expireFlags(call: Call): ExpireFlags {
  const given = call.args.slice(3).map((flag) => flag.toLowerCase())
  for (const [at, flag] of given.entries()) {
    if (['nx', 'xx', 'gt', 'lt'].includes(flag)) continue
    throw new RedisError(`ERR Unsupported option ${argumentOf(call, 3 + at)}`)
  }
  const [nx, xx, gt, lt] = ['nx', 'xx', 'gt', 'lt'].map((flag) => given.includes(flag))
  if (nx === true && (xx === true || gt === true || lt === true)) {
    throw new RedisError('ERR NX and XX, GT or LT options at the same time are not compatible')
  }
  if (gt === true && lt === true) {
    throw new RedisError('ERR GT and LT options at the same time are not compatible')
  }
  return { nx: nx === true, xx: xx === true, gt: gt === true, lt: lt === true }
}

function expire(name: string, unitMs: number, relative: boolean): (call: Call) => string {
  return (call) => {
    const flags = expireFlags(call)
    const atMs = deadlineOf(call, argumentOf(call, 2), unitMs, relative, name)
    const target = targetOf(call)
    const { space } = target
    const current = space.live(target)
    if (current === undefined) return zero
    const before = space.expiresAt(target, current)
    if (flags.nx && before !== undefined) return zero
    if (flags.xx && before === undefined) return zero
    // A key without a deadline lives for ever: nothing is beyond that.
    if (flags.gt && (before === undefined || atMs <= before)) return zero
    if (flags.lt && before !== undefined && atMs >= before) return zero
    const { events } = call.server
    if (atMs <= call.turn.wallTime() && space.endsRows) {
      space.delete(target)
      events.tell(target, 'generic', 'del')
    } else {
      space.expire(target, current, atMs)
      events.tell(target, 'generic', 'expire')
    }
    return one
  }
}

function timeLeft(unitMs: number, absolute: boolean): (call: Call) => string {
  return (call) => {
    const target = targetOf(call)
    const current = lookUp(call, target)
    if (current === undefined) return integer(-2)
    const atMs = target.space.expiresAt(target, current)
    if (atMs === undefined) return integer(-1)
    const ms = absolute ? atMs : Math.max(0, atMs - call.turn.wallTime())
    return integer(unitMs === 1 ? Math.ceil(ms) : Math.floor((ms + 500) / unitMs))
  }
}

function persist(call: Call): string {
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined || target.space.expiresAt(target, current) === undefined) return zero
  target.space.expire(target, current, undefined)
  call.server.events.tell(target, 'generic', 'persist')
  return one
}

function rename(call: Call, overwrites: boolean): boolean {
  const from = targetOf(call)
  const to = targetOf(call, 1)
  const current = from.space.live(from)
  if (current === undefined) throw new RedisError('ERR no such key')
  const there = to.space.live(to)
  if (from.name === to.name) return overwrites
  if (there !== undefined && !overwrites) return false
  checkSameKind(from, to)
  copyOver(call, current, { from, to })
  from.space.delete(from)
  const { events } = call.server
  events.tell(from, 'generic', 'rename_from')
  events.tell(to, 'generic', 'rename_to')
  return true
}

/** Whatever is there is no more: who waits for new keys is told of one. */
function copyOver(
  call: Call,
  current: Fields,
  { from, to }: { readonly from: Target; readonly to: Target },
): void {
  const isThere = to.space.live(to) !== undefined
  from.space.copyTo(current, to)
  call.server.arrivals.announce(to)
  if (isThere) call.server.events.tell(to, 'new', 'new')
}

/** A row and a document are not alike, and neither are the rows of two tables. */
function checkSameKind(from: Target, to: Target): void {
  if (from.space === to.space || (from.space.ownsRows && to.space.ownsRows)) return
  throw wrongType()
}

interface CopyFlags {
  readonly replace: boolean
  readonly database: number
}

function copyFlags(call: Call): CopyFlags {
  let replace = false
  let database = call.session.database
  for (let at = 3; at < call.args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    if (option === 'replace') replace = true
    else if (option === 'db' && at + 1 < call.args.length) {
      database = databaseOf(argumentOf(call, ++at), 'ERR value is not an integer or out of range')
    } else throw syntaxError()
  }
  return { replace, database }
}

function databaseOf(text: string, message: string): number {
  const index = safeIntegerOf(text)
  if (index === undefined) throw new RedisError(message)
  if (index < 0 || index >= databaseCount) throw new RedisError('ERR DB index is out of range')
  return index
}

/** Both keys, of which the second may be in another database. */
async function acrossDatabases(
  call: Call,
  to: { readonly name: string; readonly database: number },
  step: (from: Target, to: Target) => string,
): Promise<string> {
  const { session, server } = call
  await server.databases.ready(to.database)
  const { databases } = server
  let targets: [Target, Target] | undefined
  let reply = ''
  const { done } = await stepLater(
    server,
    () => {
      targets = [
        databases.target(session.database, argumentOf(call, 1), call.plain, false),
        databases.target(to.database, to.name, call.plain, false),
      ]
      return placesOf(targets)
    },
    () => {
      if (targets !== undefined) reply = step(...targets)
    },
  )
  await done
  return reply
}

/** Within a database it is a step as any other. Another one may have to be made usable first. */
const copyAcross: Command = {
  name: 'copy',
  group: 'generic',
  arity: -3,
  flags: ['write', 'denyoom'],
  wait: async (call) => {
    const flags = copyFlags(call)
    checkDifferent(call, flags)
    const to = { name: argumentOf(call, 2), database: flags.database }
    return acrossDatabases(call, to, (...targets) => copyTo(call, targets, flags))
  },
}

function copy(call: Call): string {
  const flags = copyFlags(call)
  checkDifferent(call, flags)
  return copyTo(call, [targetOf(call), targetOf(call, 1)], flags)
}

function checkDifferent(call: Call, { database }: CopyFlags): void {
  if (database === call.session.database && argumentOf(call, 1) === argumentOf(call, 2)) {
    throw new RedisError('ERR source and destination objects are the same')
  }
}

function copyTo(call: Call, [from, to]: readonly [Target, Target], { replace }: CopyFlags): string {
  const current = lookUp(call, from)
  if (current === undefined) return zero
  if (to.space.live(to) !== undefined && !replace) return zero
  checkSameKind(from, to)
  copyOver(call, current, { from, to })
  call.server.events.tell(to, 'generic', 'copy_to')
  return one
}

async function move(call: Call): Promise<string> {
  const database = databaseOf(argumentOf(call, 2), 'ERR value is not an integer or out of range')
  if (database === call.session.database) {
    throw new RedisError('ERR source and destination objects are the same')
  }
  return acrossDatabases(call, { name: argumentOf(call, 1), database }, (from, to) => {
    const current = from.space.live(from)
    if (current === undefined || to.space.live(to) !== undefined) return zero
    checkSameKind(from, to)
    from.space.copyTo(current, to)
    from.space.delete(from)
    call.server.arrivals.announce(to)
    const { events } = call.server
    events.tell(from, 'generic', 'move_from')
    events.tell(to, 'generic', 'move_to')
    return one
  })
}

async function keys(call: Call): Promise<string> {
  const pattern = argumentOf(call, 1)
  const found: string[] = []
  const { server, session } = call
  for await (const name of server.keys.walk(session.database)) {
    if (!matchesGlob(pattern, name)) continue
    if (found.length >= server.config.maxArguments) {
      throw new RedisError(
        `ERR KEYS would list more than ${server.config.maxArguments} keys; use SCAN`,
      )
    }
    found.push(name)
  }
  return bulks(found)
}

async function scan(call: Call): Promise<string> {
  const cursor = cursorOf(argumentOf(call, 1))
  const { pattern, count, type: wanted } = scanOptions(call, 2, true)
  const { server, session } = call
  const page = await server.keys.page(session.database, cursor, count)
  const matching = page.names.filter((name) => matchesGlob(pattern, name))
  const found = wanted === undefined ? matching : await ofType(call, matching, wanted)
  return `*2\r\n${bulk(String(page.next))}${bulks(found)}`
}

async function ofType(call: Call, names: readonly string[], wanted: string): Promise<string[]> {
  const { server, session, turn } = call
  const found: string[] = []
  for (const name of names) {
    const target = server.databases.target(session.database, name, false, false)
    const { done } = await turn.later(placesOf([target]), () => {
      const current = target.space.live(target)
      if (current !== undefined && target.space.typeOf(current) === wanted) found.push(name)
    })
    await done
  }
  return found
}

async function randomkey(call: Call): Promise<string> {
  const { server, session } = call
  const name = await server.keys.random(session.database)
  return name === undefined ? call.protocol.nil : bulk(name)
}

function object(call: Call): string {
  const what = argumentOf(call, 1).toLowerCase()
  if (what === 'help') {
    return bulks([
      'OBJECT <subcommand> [<arg> ...]. Subcommands are: ENCODING, FREQ, IDLETIME, REFCOUNT.',
    ])
  }
  if (call.args.length !== 3 || !['encoding', 'idletime', 'refcount', 'freq'].includes(what)) {
    throw wrongSubcommand(argumentOf(call, 1), 'OBJECT')
  }
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined) return call.protocol.nil
  if (what === 'refcount') return one
  if (what === 'idletime') return zero
  if (what === 'freq') {
    throw new RedisError(
      'ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.',
    )
  }
  return bulk(encodingOf(target))
}

/** As Redis would hold it; only its tests and curious people look. */
function encodingOf(target: Target): string {
  const current = target.space.live(target)
  if (current === undefined) return 'none'
  const { space } = target
  switch (space.typeOf(current)) {
    case 'hash': {
      const small = space.fieldCount(current) <= 128
      const short = (text: string | undefined): boolean => (text?.length ?? 0) <= 64
      const names = small ? space.fieldNames(current) : []
      const listpack =
        small && names.every((name) => short(name) && short(space.field(current, name)))
      return listpack ? 'listpack' : 'hashtable'
    }
    case 'set': {
      const small = space.fieldCount(current) <= 512
      const isNumber = (member: string): boolean => safeIntegerOf(member) !== undefined
      const numbers = small && space.members(current).every(isNumber)
      return numbers ? 'intset' : 'hashtable'
    }
    case 'list':
      return space.items(current).length <= 128 ? 'listpack' : 'quicklist'
    case 'zset': {
      const members = space.sorted(current)
      const small = members.size <= 128
      const short = ({ member }: { readonly member: string }): boolean => member.length <= 64
      return small && members.range(0, members.size).every(short) ? 'listpack' : 'skiplist'
    }
    case 'stream':
      return 'stream'
    case 'string': {
      const text = space.stringOf(current)
      if (text.length <= 20 && safeIntegerOf(text) !== undefined) return 'int'
      return text.length <= 44 ? 'embstr' : 'raw'
    }
  }
}

function memory(call: Call): string {
  if (argumentOf(call, 1).toLowerCase() !== 'usage') {
    throw new RedisError(`ERR unknown subcommand '${argumentOf(call, 1)}'. Try MEMORY HELP.`)
  }
  if (call.args.length < 3) throw notAnInteger()
  const target = targetOf(call)
  if (target.space.live(target) === undefined) return call.protocol.nil
  const held = target.keyspace.tier.get(target.key)
  return integer(held?.bytes ?? 0)
}

export const keyCommands = inGroup('generic', [
  { name: 'del', arity: -2, flags: ['write'], keys: [1, -1, 1], run: del },
  { name: 'unlink', arity: -2, flags: ['write', 'fast'], keys: [1, -1, 1], run: del },
  {
    name: 'exists',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: [1, -1, 1],
    run: (call) => integer(countLive(call)),
  },
  {
    name: 'touch',
    arity: -2,
    flags: ['readonly', 'fast'],
    keys: [1, -1, 1],
    run: (call) => integer(countLive(call)),
  },
  { name: 'type', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: type },
  {
    name: 'expire',
    arity: -3,
    flags: ['write', 'fast'],
    keys: [1, 1, 1],
    run: expire('expire', 1000, true),
  },
  {
    name: 'pexpire',
    arity: -3,
    flags: ['write', 'fast'],
    keys: [1, 1, 1],
    run: expire('pexpire', 1, true),
  },
  {
    name: 'expireat',
    arity: -3,
    flags: ['write', 'fast'],
    keys: [1, 1, 1],
    run: expire('expireat', 1000, false),
  },
  {
    name: 'pexpireat',
    arity: -3,
    flags: ['write', 'fast'],
    keys: [1, 1, 1],
    run: expire('pexpireat', 1, false),
  },
  {
    name: 'ttl',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: timeLeft(1000, false),
  },
  { name: 'pttl', arity: 2, flags: ['readonly', 'fast'], keys: [1, 1, 1], run: timeLeft(1, false) },
  {
    name: 'expiretime',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: timeLeft(1000, true),
  },
  {
    name: 'pexpiretime',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: timeLeft(1, true),
  },
  { name: 'persist', arity: 2, flags: ['write', 'fast'], keys: [1, 1, 1], run: persist },
  {
    name: 'rename',
    arity: 3,
    flags: ['write'],
    keys: [1, 2, 1],
    run: (call) => {
      rename(call, true)
      return ok
    },
  },
  {
    name: 'renamenx',
    arity: 3,
    flags: ['write', 'fast'],
    keys: [1, 2, 1],
    run: (call) => (rename(call, false) ? one : zero),
  },
  {
    name: 'copy',
    arity: -3,
    flags: ['write', 'denyoom'],
    keys: [1, 2, 1],
    run: copy,
    variant: (args) =>
      args.some((word, at) => at > 2 && word.toLowerCase() === 'db') ? copyAcross : undefined,
  },
  { name: 'move', arity: 3, flags: ['write', 'fast'], wait: move },
  { name: 'keys', arity: 2, flags: ['readonly'], wait: keys },
  { name: 'scan', arity: -2, flags: ['readonly'], wait: scan },
  { name: 'randomkey', arity: 1, flags: ['readonly'], wait: randomkey },
  { name: 'object', arity: -2, flags: ['readonly'], keys: [2, 2, 1], run: object },
  { name: 'memory', arity: -2, flags: ['readonly'], keys: [2, 2, 1], run: memory },
])
