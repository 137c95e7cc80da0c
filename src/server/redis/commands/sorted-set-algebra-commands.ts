/** Unions, intersections and differences of sorted sets. Sets take part as sorted sets whose scores are all 1. */

import { argumentOf, inGroup, lookUp, targetOf, type Call, type Command } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { RedisError, syntaxError } from '../redis-error.ts'
import { integer } from '../reply.ts'
import { scoreOf } from '../spaces/scores.ts'
import { SortedMembers, type Scored } from '../spaces/sorted-members.ts'
import type { Target } from '../spaces/space.ts'
import { wholeOf } from './sorted-set-ranges.ts'
import { membersReply, store } from './sorted-set-values.ts'

type Operation = 'union' | 'inter' | 'diff'
type Aggregate = (sum: number, score: number) => number

/** Redis takes what is no number as 0, and so it does the sum of two opposite infinities. */
const aggregates: Readonly<Record<string, Aggregate>> = {
  sum: (sum, score) => numberOr0(sum + score),
  min: (least, score) => (score < least ? score : least),
  max: (most, score) => (score > most ? score : most),
}

interface Source {
  readonly scores: ReadonlyMap<string, number>
  readonly weight: number
}

interface Algebra {
  readonly sources: readonly Source[]
  readonly aggregate: Aggregate
  readonly withScores: boolean
}

interface Allowed {
  readonly operation: Operation
  /** The argument that says how many keys there are; those are the last targets. */
  readonly at: number
  readonly mayShowScores: boolean
}

/** numkeys key … [WEIGHTS weight …] [AGGREGATE SUM|MIN|MAX] [WITHSCORES] */
function algebraOf(call: Call, { operation, at, mayShowScores }: Allowed): Algebra {
  const { args } = call
  const { sets, end } = setsOf(call, at)
  let weights = sets.map(() => 1)
  let aggregate = aggregates.sum as Aggregate
  let withScores = false
  const mayWeigh = operation !== 'diff'
  for (let option = end; option < args.length; option++) {
    const word = argumentOf(call, option).toLowerCase()
    const left = args.length - option - 1
    if (word === 'weights' && mayWeigh && left >= sets.length) {
      weights = args.slice(option + 1, option + 1 + sets.length).map(weightOf)
      option += sets.length
    } else if (word === 'aggregate' && mayWeigh && left >= 1) {
      aggregate = aggregateOf(argumentOf(call, ++option))
    } else if (word === 'withscores' && mayShowScores) withScores = true
    else throw syntaxError()
  }
  const sources = sets.map((scores, index) => ({ scores, weight: weights[index] ?? 1 }))
  return { sources, aggregate, withScores }
}

/** The keys' values, which are looked at before the options. */
function setsOf(
  call: Call,
  at: number,
): { readonly sets: readonly ReadonlyMap<string, number>[]; readonly end: number } {
  const count = wholeOf(argumentOf(call, at))
  if (count < 1) {
    const name = argumentOf(call, 0).toLowerCase()
    throw new RedisError(`ERR at least 1 input key is needed for '${name}' command`)
  }
  if (count > call.args.length - at - 1) throw syntaxError()
  const sets = call.targets.slice(-count).map((target) => scoresOf(call, target))
  return { sets, end: at + 1 + count }
}

function scoresOf(call: Call, target: Target): ReadonlyMap<string, number> {
  const current = lookUp(call, target)
  if (current === undefined) return new Map()
  const { space } = target
  if (space.typeOf(current) === 'set') {
    return new Map(space.members(current).map((member): [string, number] => [member, 1]))
  }
  const members = space.sorted(current)
  return new Map(
    members.range(0, members.size).map(({ member, score }): [string, number] => [member, score]),
  )
}

function weightOf(text: string): number {
  const weight = scoreOf(text)
  if (weight === undefined) throw new RedisError('ERR weight value is not a float')
  return weight
}

function aggregateOf(text: string): Aggregate {
  const name = text.toLowerCase()
  const aggregate = Object.hasOwn(aggregates, name) ? aggregates[name] : undefined
  if (aggregate === undefined) throw syntaxError()
  return aggregate
}

function numberOr0(score: number): number {
  return Number.isNaN(score) ? 0 : score
}

/** The smallest first, as Redis takes them: which one comes first makes a difference for sums of floats. */
function bySize(sources: readonly Source[]): readonly Source[] {
  return sources.toSorted((a, b) => a.scores.size - b.scores.size)
}

const combine: Readonly<Record<Operation, (algebra: Algebra) => Map<string, number>>> = {
  union({ sources, aggregate }) {
    const found = new Map<string, number>()
    for (const { scores, weight } of bySize(sources)) {
      for (const [member, score] of scores) {
        const before = found.get(member)
        const weighed = numberOr0(score * weight)
        found.set(member, before === undefined ? weighed : aggregate(before, weighed))
      }
    }
    return found
  },
  inter({ sources, aggregate }) {
    const found = new Map<string, number>()
    const [first, ...others] = bySize(sources)
    for (const [member, score] of first?.scores ?? []) {
      if (!others.every(({ scores }) => scores.has(member))) continue
      let sum = numberOr0(score * (first?.weight ?? 1))
      for (const { scores, weight } of others) {
        sum = aggregate(sum, (scores.get(member) ?? 0) * weight)
      }
      found.set(member, sum)
    }
    return found
  },
  diff({ sources: [first, ...others] }) {
    const left = [...(first?.scores ?? [])]
    return new Map(left.filter(([member]) => !others.some(({ scores }) => scores.has(member))))
  },
}

function resultOf(operation: Operation, algebra: Algebra): readonly Scored[] {
  const items = [...combine[operation](algebra)].map(([member, score]) => ({ member, score }))
  const sorted = SortedMembers.of(items)
  return sorted.range(0, sorted.size)
}

function show(operation: Operation): (call: Call) => string {
  return (call) => {
    const algebra = algebraOf(call, { operation, at: 1, mayShowScores: true })
    return membersReply(call, resultOf(operation, algebra), algebra.withScores)
  }
}

function storeResult(operation: Operation): (call: Call) => string {
  return (call) => {
    const algebra = algebraOf(call, { operation, at: 2, mayShowScores: false })
    return store(call, targetOf(call), resultOf(operation, algebra), `z${operation}store`)
  }
}

/** ZINTERCARD numkeys key … [LIMIT limit] */
function zintercard(call: Call): string {
  const { args } = call
  const { sets, end } = setsOf(call, 1)
  let limit = 0
  for (let option = end; option < args.length; option += 2) {
    if (argumentOf(call, option).toLowerCase() !== 'limit' || option + 1 >= args.length) {
      throw syntaxError()
    }
    limit = limitOf(argumentOf(call, option + 1))
  }
  const sources = sets.map((scores) => ({ scores, weight: 1 }))
  const { size } = combine.inter({ sources, aggregate: (sum) => sum, withScores: false })
  return integer(limit === 0 ? size : Math.min(limit, size))
}

function limitOf(text: string): number {
  const limit = integerOf(text)
  if (limit === undefined || limit < 0n) throw new RedisError("ERR LIMIT can't be negative")
  return Number(limit)
}

const operations: readonly Operation[] = ['union', 'inter', 'diff']

export const sortedSetAlgebraCommands = inGroup('sorted-set', [
  ...operations.map((operation): Command => ({
    name: `z${operation}`,
    arity: -3,
    flags: ['readonly'],
    countedKeys: 1,
    run: show(operation),
  })),
  ...operations.map((operation): Command => ({
    name: `z${operation}store`,
    arity: -4,
    flags: ['write', 'denyoom'],
    destination: 1,
    countedKeys: 2,
    run: storeResult(operation),
  })),
  { name: 'zintercard', arity: -3, flags: ['readonly'], countedKeys: 1, run: zintercard },
])
