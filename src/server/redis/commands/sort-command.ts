/**
 * SORT and SORT_RO: the elements of a list or a set, sorted or not, in an order that other keys may say, with values of others.
 *
 *     SORT jobs BY weight_* GET # GET job_*->name LIMIT 0 10 STORE first
 *
 * Which keys the patterns stand for is known once the elements are: those of BY are named together, and then those of GET,
 * of which only the elements that LIMIT leaves need any.
 */

import type { Place } from '../../../book/turn.ts'
import { argumentOf, inGroup, lookUp, targetOf, type Call } from '../command.ts'
import { integerOf } from '../numbers.ts'
import { notAnInteger, RedisError, syntaxError, wrongType } from '../redis-error.ts'
import { bulk, bulks, integer } from '../reply.ts'
import { scoreOf } from '../spaces/scores.ts'
import { placesOf, type Target } from '../spaces/space.ts'

const maxGets = 100
/** Keys that the patterns of one call stand for, counted once for each element. */
const maxReads = 100_000

/** What is put into the place of its star makes a key. `nothing` has no star. */
type Pattern =
  | 'element'
  | 'nothing'
  | { readonly before: string; readonly after: string; readonly field: string | undefined }

interface Options {
  /** undefined: by the elements themselves. */
  readonly by: Pattern | undefined
  /** False: they stay in the order that they have. */
  readonly sorts: boolean
  readonly alpha: boolean
  readonly descending: boolean
  readonly gets: readonly Pattern[]
  readonly offset: number
  /** Below 0: all. */
  readonly count: number
  readonly stores: boolean
}

function patternOf(text: string): Pattern {
  if (text === '#') return 'element'
  const star = text.indexOf('*')
  if (star < 0) return 'nothing'
  const arrow = text.indexOf('->', star + 1)
  const hasField = arrow >= 0 && arrow + 2 < text.length
  return {
    before: text.slice(0, star),
    after: text.slice(star + 1, hasField ? arrow : undefined),
    field: hasField ? text.slice(arrow + 2) : undefined,
  }
}

function optionsOf(call: Call, mayStore: boolean): Options {
  const { args } = call
  let by: Pattern | undefined
  let sorts = true
  let alpha = false
  let descending = false
  const gets: Pattern[] = []
  let offset = 0
  let count = -1
  let stores = false
  for (let at = 2; at < args.length; at++) {
    const option = argumentOf(call, at).toLowerCase()
    const left = args.length - at - 1
    if (option === 'asc') descending = false
    else if (option === 'desc') descending = true
    else if (option === 'alpha') alpha = true
    else if (option === 'limit' && left >= 2) {
      offset = boundOf(argumentOf(call, ++at))
      count = boundOf(argumentOf(call, ++at))
    } else if (option === 'store' && mayStore && left >= 1) {
      stores = true
      at++
    } else if (option === 'by' && left >= 1) {
      const text = argumentOf(call, ++at)
      by = patternOf(text)
      // As in Redis, a pattern that follows does not take it back.
      if (!text.includes('*')) sorts = false
    } else if (option === 'get' && left >= 1) {
      gets.push(patternOf(argumentOf(call, ++at)))
      if (gets.length > maxGets) {
        throw new RedisError(`ERR SORT takes at most ${maxGets} patterns of GET`)
      }
    } else throw syntaxError()
  }
  return { by, sorts, alpha, descending, gets, offset, count, stores }
}

/** Beyond what a double holds exactly there are no elements. */
function boundOf(text: string): number {
  const bound = integerOf(text)
  if (bound === undefined) throw notAnInteger()
  return Number(bound)
}

/** STORE's key: the last one is meant. */
function storeKeyAt(args: readonly string[]): readonly number[] {
  const skipped: Readonly<Record<string, number>> = { limit: 2, get: 1, by: 1 }
  let found: readonly number[] = []
  for (let at = 2; at < args.length; at++) {
    const option = (args[at] ?? '').toLowerCase()
    if (option === 'store' && at + 1 < args.length) found = [++at]
    else at += skipped[option] ?? 0
  }
  return found
}

/** What the patterns of one call find. */
class Reader {
  readonly #call: Call
  readonly #targets = new Map<string, Target>()
  #reads = 0
  #bytes = 0

  constructor(call: Call) {
    this.#call = call
  }

  /** Before anything is read: whatever is not in memory is loaded together. */
  name(patterns: readonly Pattern[], elements: readonly string[]): void {
    const { server, turn } = this.#call
    const { database } = targetOf(this.#call).space
    const places: Place[] = []
    for (const pattern of patterns) {
      if (typeof pattern === 'string') continue
      this.#reads += elements.length
      if (this.#reads > maxReads) {
        throw new RedisError(`ERR SORT reads at most ${maxReads} other keys`)
      }
      for (const element of elements) {
        const name = pattern.before + element + pattern.after
        if (this.#targets.has(name)) continue
        const target = server.databases.target(database, name, false, false)
        this.#targets.set(name, target)
        places.push(...placesOf([target]))
      }
    }
    turn.nameAll(places)
  }

  value(pattern: Pattern, element: string): string | undefined {
    const found = this.#found(pattern, element)
    const { maxOutputBytes } = this.#call.server.config
    this.#bytes += found?.length ?? 0
    if (this.#bytes > maxOutputBytes) {
      throw new RedisError(`ERR the values that SORT reads take more than ${maxOutputBytes} bytes`)
    }
    return found
  }

  #found(pattern: Pattern, element: string): string | undefined {
    if (pattern === 'nothing') return undefined
    if (pattern === 'element') return element
    const target = this.#targets.get(pattern.before + element + pattern.after)
    const current = target === undefined ? undefined : lookUp(this.#call, target)
    if (target === undefined || current === undefined) return undefined
    const { space } = target
    const type = space.typeOf(current)
    if (pattern.field !== undefined) {
      return type === 'hash' ? space.field(current, pattern.field) : undefined
    }
    return type === 'string' || !space.ownsRows ? space.stringOf(current) : undefined
  }
}

interface Weighed {
  readonly element: string
  /** Where they are sorted as numbers. */
  readonly score: number
  /** Where they are sorted as bytes; undefined, of a key that is not there, comes first. */
  readonly text: string | undefined
}

/** As C's strtod reads it, which ends at a NUL and takes spaces before a number, and nothing for 0. */
function numberOf(text: string): number {
  const end = text.indexOf('\0')
  const read = end < 0 ? text : text.slice(0, end)
  const score = read === '' ? 0 : scoreOf(read.replace(/^[\t-\r ]+/, ''))
  if (score === undefined || (score !== 0 && Math.abs(score) < smallestNormal)) {
    throw new RedisError("ERR One or more scores can't be converted into double")
  }
  return score
}

/** What is smaller has lost digits, which SORT in Redis does not take. */
const smallestNormal = 2 ** -1022

function sorted(reader: Reader, elements: readonly string[], options: Options): string[] {
  const { by, alpha, descending } = options
  if (by !== undefined) reader.name([by], elements)
  const weighed = elements.map((element): Weighed => {
    const text = by === undefined ? element : reader.value(by, element)
    return { element, score: alpha || text === undefined ? 0 : numberOf(text), text }
  })
  const compare = alpha ? byText : byScore
  weighed.sort(descending ? (a, b) => -compare(a, b) : compare)
  return weighed.map(({ element }) => element)
}

function byScore(a: Weighed, b: Weighed): number {
  if (a.score !== b.score) return a.score < b.score ? -1 : 1
  return compareTexts(a.element, b.element)
}

function byText(a: Weighed, b: Weighed): number {
  if (a.text === undefined || b.text === undefined) {
    return (a.text === undefined ? 0 : 1) - (b.text === undefined ? 0 : 1)
  }
  return compareTexts(a.text, b.text)
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** All elements in their order. */
function ordered(call: Call, reader: Reader, options: Options): readonly string[] {
  const target = targetOf(call)
  const current = lookUp(call, target)
  if (current === undefined) return []
  const { space } = target
  switch (space.typeOf(current)) {
    case 'list': {
      const items = space.items(current)
      return arranged(reader, items.slice(0, items.length), options)
    }
    case 'zset': {
      const members = space.sorted(current)
      const elements = members.range(0, members.size).map(({ member }) => member)
      return arranged(reader, elements, options)
    }
    case 'set': {
      const members = space.members(current)
      if (options.sorts) return sorted(reader, members, options)
      // A set has no order of its own. Redis gives it this one for STORE and in scripts.
      return sorted(reader, members, { ...options, by: undefined, alpha: true })
    }
    case 'hash':
    case 'stream':
    case 'string':
      throw wrongType()
  }
}

function arranged(
  reader: Reader,
  elements: readonly string[],
  options: Options,
): readonly string[] {
  if (options.sorts) return sorted(reader, elements, options)
  return options.descending ? elements.toReversed() : elements
}

function sort(mayStore: boolean): (call: Call) => string {
  return (call) => {
    const options = optionsOf(call, mayStore)
    const destination = options.stores ? targetOf(call, 1) : undefined
    // A row that is no list must not go because the result has nothing in it.
    if (destination?.space.ownsRows === false) throw wrongType()
    const reader = new Reader(call)
    const { gets, offset, count } = options
    const all = ordered(call, reader, options)
    const from = Math.max(0, offset)
    const elements = all.slice(from, count < 0 ? undefined : from + count)
    reader.name(gets, elements)
    if (destination !== undefined) return store(call, destination, valuesOf(reader, elements, gets))
    if (gets.length === 0) return bulks(elements)
    const replies = valuesOf(reader, elements, gets).map((value) =>
      value === undefined ? call.protocol.nil : bulk(value),
    )
    return `*${replies.length}\r\n${replies.join('')}`
  }
}

function valuesOf(
  reader: Reader,
  elements: readonly string[],
  gets: readonly Pattern[],
): readonly (string | undefined)[] {
  if (gets.length === 0) return elements
  return elements.flatMap((element) => gets.map((pattern) => reader.value(pattern, element)))
}

function store(call: Call, target: Target, values: readonly (string | undefined)[]): string {
  const { events, arrivals } = call.server
  const before = target.space.live(target)
  if (values.length > 0) {
    const items = values.map((value) => value ?? '')
    target.space.addList(target, items)
    events.tell(target, 'list', 'sortstore')
    arrivals.announce(target)
  } else if (before !== undefined) {
    target.space.delete(target)
    events.tell(target, 'generic', 'del')
  }
  return integer(values.length)
}

export const sortCommands = inGroup('generic', [
  {
    name: 'sort',
    arity: -2,
    flags: ['write', 'denyoom', 'movablekeys'],
    keys: [1, 1, 1],
    optionalKeys: storeKeyAt,
    run: sort(true),
  },
  {
    name: 'sort_ro',
    arity: -2,
    flags: ['readonly', 'movablekeys'],
    keys: [1, 1, 1],
    run: sort(false),
  },
])
