/** Commands of lists. What they cost is in `spaces/list-items.ts`. */

import type { Fields } from '../../../mutation/mutation.ts'
import {
  argumentOf,
  inGroup,
  lookUp,
  targetOf,
  type Call,
  type Command,
  type Described,
} from '../command.ts'
import { safeIntegerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError, wrongArity } from '../redis-error.ts'
import { bulk, bulks, emptyArray, integer, ok, zero } from '../reply.ts'
import type { Items } from '../spaces/list-items.ts'
import type { Target } from '../spaces/space.ts'
import { popOneLater, popSome, popSomeLater, type Ended } from './pop-from-first.ts'
import { timeoutOf, waiting } from './wait-for-item.ts'

const noItems: Items = { length: 0, at: () => undefined, slice: () => [] }

function itemsAt(call: Call, target: Target): Items {
  const current = lookUp(call, target)
  return current === undefined ? noItems : target.space.items(current)
}

function allOf(items: Items): string[] {
  return items.slice(0, items.length)
}

type Side = 'left' | 'right'

/** One after the other, so that the last one is at the end. Returns how many there are then. */
function add(
  target: Target,
  current: Fields | undefined,
  side: Side,
  added: readonly string[],
): number {
  const { space } = target
  const inserted = side === 'right' ? added : added.toReversed()
  if (current === undefined) {
    space.addList(target, inserted)
    return added.length
  }
  const { length } = space.items(current)
  space.spliceItems(target, current, { from: side === 'right' ? length : 0, count: 0, inserted })
  return length + added.length
}

function push(side: Side, onlyOver: boolean): (call: Call) => string {
  return (call) => {
    const target = targetOf(call)
    const current = target.space.live(target)
    if (onlyOver && current === undefined) return zero
    const length = add(target, current, side, call.args.slice(2))
    call.server.events.tell(target, 'list', side === 'right' ? 'rpush' : 'lpush')
    call.server.arrivals.announce(target)
    return integer(length)
  }
}

/** Takes from one end; nothing where there is none. */
function take(call: Call, target: Target, side: Side, count: number): string[] {
  const current = target.space.live(target)
  if (current === undefined) return []
  const items = target.space.items(current)
  const { length } = items
  const taken = Math.min(count, length)
  if (taken === 0) return []
  const found =
    side === 'left' ? items.slice(0, taken) : items.slice(length - taken, length).reverse()
  drop(target, current, side, taken)
  call.server.events.tellTaken(target, 'list', side === 'left' ? 'lpop' : 'rpop')
  return found
}

function drop(target: Target, current: Fields, side: Side, count: number): void {
  const { length } = target.space.items(current)
  if (side === 'left') target.space.keepItems(target, current, count, length)
  else target.space.keepItems(target, current, 0, length - count)
}

function pop(side: Side): (call: Call) => string {
  return (call) => {
    const target = targetOf(call)
    if (call.args.length > 3) throw wrongArity(side === 'left' ? 'lpop' : 'rpop')
    if (call.args.length === 2) {
      const [item] = take(call, target, side, 1)
      return item === undefined ? call.protocol.nil : bulk(item)
    }
    const count = safeIntegerOf(argumentOf(call, 2))
    if (count === undefined || count < 0) {
      throw new RedisError('ERR value is out of range, must be positive')
    }
    if (target.space.live(target) === undefined) return call.protocol.nilArray
    return bulks(take(call, target, side, count))
  }
}

function lrange(call: Call): string {
  const range = rangeOf(call)
  const items = itemsAt(call, targetOf(call))
  const [from, to] = within(items, range)
  return bulks(items.slice(from, to))
}

type Range = readonly [start: number, end: number]

function rangeOf(call: Call): Range {
  const start = safeIntegerOf(argumentOf(call, 2))
  const end = safeIntegerOf(argumentOf(call, 3))
  if (start === undefined || end === undefined) throw notAnInteger()
  return [start, end]
}

/** Both are in it; negative ones count from the end. Returns the first that is in it, and the first that is not any more. */
function within({ length }: Items, [start, end]: Range): readonly [from: number, to: number] {
  const from = Math.max(0, start < 0 ? length + start : start)
  const to = Math.min(length, (end < 0 ? length + end : end) + 1)
  return [from, Math.max(from, to)]
}

function lindex(call: Call): string {
  const index = safeIntegerOf(argumentOf(call, 2))
  if (index === undefined) throw notAnInteger()
  const items = itemsAt(call, targetOf(call))
  const item = items.at(index < 0 ? items.length + index : index)
  return item === undefined ? call.protocol.nil : bulk(item)
}

function lset(call: Call): string {
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined) throw new RedisError('ERR no such key')
  const { length } = target.space.items(current)
  const index = safeIntegerOf(argumentOf(call, 2))
  if (index === undefined) throw notAnInteger()
  const from = index < 0 ? length + index : index
  if (from < 0 || from >= length) throw new RedisError('ERR index out of range')
  target.space.spliceItems(target, current, { from, count: 1, inserted: [argumentOf(call, 3)] })
  call.server.events.tell(target, 'list', 'lset')
  return ok
}

function linsert(call: Call): string {
  const where = argumentOf(call, 2).toLowerCase()
  if (where !== 'before' && where !== 'after') throw syntaxError()
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined) return zero
  const items = target.space.items(current)
  const { length } = items
  const at = allOf(items).indexOf(argumentOf(call, 3))
  if (at < 0) return integer(-1)
  const from = where === 'before' ? at : at + 1
  target.space.spliceItems(target, current, { from, count: 0, inserted: [argumentOf(call, 4)] })
  call.server.events.tell(target, 'list', 'linsert')
  return integer(length + 1)
}

/** The first of them, with a negative count the last; with 0 all. */
function lrem(call: Call): string {
  const count = safeIntegerOf(argumentOf(call, 2))
  if (count === undefined) throw notAnInteger()
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined) return zero
  const items = allOf(target.space.items(current))
  const item = argumentOf(call, 3)
  const found = items.flatMap((other, at) => (other === item ? [at] : []))
  const removed = count < 0 ? found.slice(count) : found.slice(0, count || Infinity)
  const [first] = removed
  if (first === undefined) return zero
  // From the first of them to the last: what is between stays.
  const end = (removed.at(-1) ?? first) + 1
  const gone = new Set(removed)
  const inserted = items.slice(first, end).filter((_item, at) => !gone.has(first + at))
  target.space.spliceItems(target, current, { from: first, count: end - first, inserted })
  call.server.events.tellTaken(target, 'list', 'lrem')
  return integer(removed.length)
}

/** Writes the list also where nothing is cut off: for those who WATCH it that is a change, as in Redis. */
function ltrim(call: Call): string {
  const range = rangeOf(call)
  const target = targetOf(call)
  const current = target.space.live(target)
  if (current === undefined) return ok
  target.space.keepItems(target, current, ...within(target.space.items(current), range))
  call.server.events.tellTaken(target, 'list', 'ltrim')
  return ok
}

interface Search {
  /** From 1; negative: from the end. */
  readonly rank: number
  /** undefined: one, and not as a list. 0: all. */
  readonly count: number | undefined
  /** How many items are looked at; 0: all. */
  readonly maxItems: number
}

function searchOf(call: Call): Search {
  let rank = 1
  let count: number | undefined
  let maxItems = 0
  for (let at = 3; at < call.args.length; at += 2) {
    const option = argumentOf(call, at).toLowerCase()
    if (!['rank', 'count', 'maxlen'].includes(option) || at + 1 >= call.args.length) {
      throw syntaxError()
    }
    const value = safeIntegerOf(argumentOf(call, at + 1))
    if (option === 'rank') {
      if (value === undefined) throw notAnInteger()
      if (value === 0) {
        throw new RedisError(
          "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        )
      }
      rank = value
    } else {
      if (value === undefined || value < 0) {
        throw new RedisError(`ERR ${option.toUpperCase()} can't be negative`)
      }
      if (option === 'count') count = value
      else maxItems = value
    }
  }
  return { rank, count, maxItems }
}

function lpos(call: Call): string {
  const { rank, count, maxItems } = searchOf(call)
  const items = allOf(itemsAt(call, targetOf(call)))
  const item = argumentOf(call, 2)
  const looks = maxItems === 0 ? items.length : Math.min(maxItems, items.length)
  const found: number[] = []
  for (let look = 0; look < looks; look++) {
    const at = rank > 0 ? look : items.length - 1 - look
    if (items[at] === item) found.push(at)
  }
  const ranked = found.slice(Math.abs(rank) - 1)
  if (count === undefined) {
    const [first] = ranked
    return first === undefined ? call.protocol.nil : integer(first)
  }
  const wanted = ranked.slice(0, count === 0 ? Infinity : count)
  if (wanted.length === 0) return emptyArray
  return `*${wanted.length}\r\n${wanted.map(integer).join('')}`
}

function sideOf(text: string): Side {
  const side = text.toLowerCase()
  if (side !== 'left' && side !== 'right') throw syntaxError()
  return side
}

/** The item; undefined where there is none. */
function moveItem(
  call: Call,
  [from, to]: readonly [Target, Target],
  [taken, added]: readonly [Side, Side],
): string | undefined {
  const source = from.space.live(from)
  if (source === undefined) return undefined
  const items = from.space.items(source)
  const item = items.at(taken === 'left' ? 0 : items.length - 1)
  if (item === undefined) return undefined
  const { events, arrivals } = call.server
  // Added before it is taken: a list that is its own destination is never empty between, and keeps its deadline.
  add(to, to.space.live(to), added, [item])
  events.tell(to, 'list', added === 'left' ? 'lpush' : 'rpush')
  arrivals.announce(to)
  const left = from.name === to.name ? from.space.live(from) : source
  if (left !== undefined) drop(from, left, taken, 1)
  events.tellTaken(from, 'list', taken === 'left' ? 'lpop' : 'rpop')
  return item
}

function move(sidesOf: (call: Call) => readonly [Side, Side]): (call: Call) => string {
  return (call) => {
    const item = moveItem(call, [targetOf(call), targetOf(call, 1)], sidesOf(call))
    return item === undefined ? call.protocol.nil : bulk(item)
  }
}

const namedSides = (call: Call): readonly [Side, Side] => [
  sideOf(argumentOf(call, 3)),
  sideOf(argumentOf(call, 4)),
]
const rightToLeft = (): readonly [Side, Side] => ['right', 'left']

const list: Ended<Side, string> = {
  type: 'list',
  endOf: sideOf,
  take,
  itemReply: (_call, name, item) => bulks([name, item]),
  itemsReply: (_call, items) => bulks(items),
}

function moveLater(
  described: Pick<Described, 'name' | 'arity'>,
  sidesOf: (call: Call) => readonly [Side, Side],
): Command {
  return waiting({ ...described, flags: movesLater, keys: [1, 2, 1] }, (call) => {
    const sides = sidesOf(call)
    return {
      names: [argumentOf(call, 1)],
      type: 'list',
      destination: argumentOf(call, 2),
      timeoutMs: timeoutOf(argumentOf(call, call.args.length - 1)),
      nothing: call.protocol.nil,
      attempt([from], to) {
        if (from === undefined || to === undefined) return undefined
        const item = moveItem(call, [from, to], sides)
        return item === undefined ? undefined : bulk(item)
      },
    }
  })
}

const writes = ['write', 'denyoom', 'fast'] as const
const changes = ['write', 'denyoom'] as const
const takes = ['write', 'fast'] as const
const blocks = ['write', 'noscript', 'blocking'] as const
const movesLater = ['write', 'denyoom', 'noscript', 'blocking'] as const

export const listCommands = inGroup('list', [
  { name: 'rpush', arity: -3, flags: writes, keys: [1, 1, 1], run: push('right', false) },
  { name: 'lpush', arity: -3, flags: writes, keys: [1, 1, 1], run: push('left', false) },
  { name: 'rpushx', arity: -3, flags: writes, keys: [1, 1, 1], run: push('right', true) },
  { name: 'lpushx', arity: -3, flags: writes, keys: [1, 1, 1], run: push('left', true) },
  { name: 'rpop', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('right') },
  { name: 'lpop', arity: -2, flags: takes, keys: [1, 1, 1], run: pop('left') },
  {
    name: 'llen',
    arity: 2,
    flags: ['readonly', 'fast'],
    keys: [1, 1, 1],
    run: (call) => {
      const { length } = itemsAt(call, targetOf(call))
      return length === 0 ? zero : integer(length)
    },
  },
  { name: 'lrange', arity: 4, flags: ['readonly'], keys: [1, 1, 1], run: lrange },
  { name: 'lindex', arity: 3, flags: ['readonly'], keys: [1, 1, 1], run: lindex },
  { name: 'lpos', arity: -3, flags: ['readonly'], keys: [1, 1, 1], run: lpos },
  { name: 'lset', arity: 4, flags: changes, keys: [1, 1, 1], run: lset },
  { name: 'linsert', arity: 5, flags: changes, keys: [1, 1, 1], run: linsert },
  { name: 'lrem', arity: 4, flags: ['write'], keys: [1, 1, 1], run: lrem },
  { name: 'ltrim', arity: 4, flags: ['write'], keys: [1, 1, 1], run: ltrim },
  { name: 'lmove', arity: 5, flags: changes, keys: [1, 2, 1], run: move(namedSides) },
  { name: 'rpoplpush', arity: 3, flags: changes, keys: [1, 2, 1], run: move(rightToLeft) },
  { name: 'lmpop', arity: -4, flags: ['write'], countedKeys: 1, run: popSome(list) },
  popSomeLater('blmpop', list),
  popOneLater('blpop', blocks, list, 'left'),
  popOneLater('brpop', blocks, list, 'right'),
  moveLater({ name: 'blmove', arity: 6 }, namedSides),
  moveLater({ name: 'brpoplpush', arity: 4 }, rightToLeft),
])
