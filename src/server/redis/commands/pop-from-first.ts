/** Taking items from one end of the first key that has some, at once or when there are some: of lists and of sorted sets. */

import { argumentOf, type Call, type Command, type Flag } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { bulk } from '../reply.ts'
import type { Target, ValueType } from '../spaces/space.ts'
import { timeoutOf, waiting } from './wait-for-item.ts'

/** A type of value that has two ends. */
export interface Ended<End, Item> {
  readonly type: ValueType
  /** Throws what Redis says where it is none. */
  endOf(text: string): End
  /** Takes from one end, that end first; nothing where there is none. */
  take(call: Call, target: Target, end: End, count: number): readonly Item[]
  /** A key and the one item that was taken from it. */
  itemReply(call: Call, name: string, item: Item): string
  itemsReply(call: Call, items: readonly Item[]): string
}

/** BLPOP key … timeout */
export function popOneLater<End, Item>(
  name: string,
  flags: readonly Flag[],
  of: Ended<End, Item>,
  end: End,
): Command {
  return waiting({ name, arity: -3, flags, keys: [1, -2, 1] }, (call) => ({
    names: call.args.slice(1, -1),
    type: of.type,
    timeoutMs: timeoutOf(argumentOf(call, call.args.length - 1)),
    nothing: call.protocol.nilArray,
    attempt(targets) {
      for (const target of targets) {
        const [item] = of.take(call, target, end, 1)
        if (item !== undefined) return of.itemReply(call, target.name, item)
      }
      return undefined
    },
  }))
}

/** LMPOP numkeys key … end [COUNT count] */
export function popSome<End, Item>(of: Ended<End, Item>): (call: Call) => string {
  return (call) => {
    const pop = popOf(call, 1, of)
    return takeSome(call, of, call.targets, pop) ?? call.protocol.nilArray
  }
}

/** BLMPOP timeout numkeys key … end [COUNT count] */
export function popSomeLater<End, Item>(name: string, of: Ended<End, Item>): Command {
  return waiting({ name, arity: -5, flags: ['write', 'blocking'], countedKeys: 2 }, (call) => {
    const pop = popOf(call, 2, of)
    return {
      names: pop.names,
      type: of.type,
      timeoutMs: timeoutOf(argumentOf(call, 1)),
      nothing: call.protocol.nilArray,
      attempt: (targets) => takeSome(call, of, targets, pop),
    }
  })
}

interface Pop<End> {
  readonly names: readonly string[]
  readonly end: End
  readonly count: number
}

function takeSome<End, Item>(
  call: Call,
  of: Ended<End, Item>,
  targets: readonly Target[],
  { end, count }: Pop<End>,
): string | undefined {
  for (const target of targets) {
    const items = of.take(call, target, end, count)
    if (items.length > 0) return `*2\r\n${bulk(target.name)}${of.itemsReply(call, items)}`
  }
  return undefined
}

/** `at` is the argument that says how many keys there are. */
function popOf<End, Item>(call: Call, at: number, of: Ended<End, Item>): Pop<End> {
  const { args } = call
  const keys = atLeastOne(argumentOf(call, at), 'ERR numkeys should be greater than 0')
  const last = at + keys
  if (last + 1 >= args.length) throw syntaxError()
  const end = of.endOf(argumentOf(call, last + 1))
  let count: number | undefined
  for (let option = last + 2; option < args.length; option += 2) {
    const isCount = argumentOf(call, option).toLowerCase() === 'count'
    if (!isCount || count !== undefined || option + 1 >= args.length) throw syntaxError()
    count = atLeastOne(argumentOf(call, option + 1), 'ERR count should be greater than 0')
  }
  return { names: args.slice(at + 1, last + 1), end, count: count ?? 1 }
}

function atLeastOne(text: string, message: string): number {
  const value = integerOf(text)
  if (value === undefined || value < 1n) throw new RedisError(message)
  return Number(value)
}
