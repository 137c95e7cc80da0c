/** What LMPOP and ZMPOP take, and those that wait: `numkeys key … end [COUNT count]`. */

import { argumentOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, syntaxError } from '../redis-error.ts'

export interface Pop<End> {
  readonly names: readonly string[]
  readonly end: End
  readonly count: number
}

/** `at` is the argument that says how many keys there are. */
export function popOf<End>(call: Call, at: number, endOf: (text: string) => End): Pop<End> {
  const { args } = call
  const keys = atLeastOne(argumentOf(call, at), 'ERR numkeys should be greater than 0')
  const last = at + keys
  if (last + 1 >= args.length) throw syntaxError()
  const end = endOf(argumentOf(call, last + 1))
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
