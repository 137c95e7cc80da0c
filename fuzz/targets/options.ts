/** Targets: options of any shape. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isDaybookError } from '../../src/base/errors.ts'
import { looked, readOptions, type OptionRow, type OptionTable } from '../../src/base/options.ts'
import {
  bookTable,
  cacheTable,
  flushTable,
  journalTable,
  pressureTable,
  readBookOptions,
  readCacheOptions,
  rejectionTable,
  type CacheOptions,
  type DaybookOptions,
} from '../../src/book/options.ts'
import { fuzzTarget } from '../fuzz-target.ts'
import { hostileText } from '../values.ts'

/** What an option is given: good ones, bad ones, and ones that fight back. */
const given: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, 0, -0, 1, 1.5, -1, NaN, Infinity),
  fc.constantFrom<unknown>(
    2 ** 31,
    2 ** 53,
    Number.MAX_VALUE,
    5n,
    '',
    '5',
    'wait',
    'park',
    'store',
  ),
  fc.integer({ min: 0, max: 100_000 }),
  hostileText,
  fc.array(hostileText, { maxLength: 3 }),
  fc.constant(Symbol('option')),
  fc.constant(() => 'result'),
  fc.nat(99).map((index) => new Hostile(index)),
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
)

/** Stands for a value that fast-check itself would trip over. */
class Hostile {
  readonly index: number

  constructor(index: number) {
    this.index = index
  }
}

/** The options with each `Hostile` as what it stands for. */
function realized(value: unknown): unknown {
  if (value instanceof Hostile) {
    const values = hostileValues()
    return values[value.index % values.length]
  }
  if (typeof value !== 'object' || value === null) return value
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const members = Object.entries(value).map(([name, member]) => [name, realized(member)] as const)
  return Object.fromEntries(members)
}

function hostileValues(): unknown[] {
  const cycle: unknown[] = []
  cycle.push(cycle)
  class Endless extends Array<string> {
    override *[Symbol.iterator](): ArrayIterator<string> {
      for (let left = 10_000; left > 0; left--) yield ''
    }
  }
  class Fickle extends Array<string> {}
  const fickle = Fickle.from(['a', 'b'])
  let reads = 0
  Object.defineProperty(fickle, 0, { enumerable: true, get: () => (reads++ % 2 === 0 ? 'a' : 5) })
  const holes = ['a']
  holes[2] = 'c'
  const throwing = {
    get delayMs(): number {
      throw new TypeError('a getter that throws')
    },
  }
  return [
    cycle,
    Endless.from(['id']),
    fickle,
    holes,
    throwing,
    new Proxy({}, { ownKeys: () => ['a', 'b'] }),
    new Proxy([], { get: (_, name) => (name === 'length' ? 2 ** 32 - 1 : undefined) }),
    revoked(),
    Object.create({ delayMs: 5 }),
    JSON.parse('{"__proto__":{"polluted":true}}'),
    JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
    new Date(NaN),
    new String('wait'),
    new Number(5),
    { valueOf: () => 5, toString: () => 'wait' },
  ]
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const bookGroups = { flush: flushTable, journal: journalTable, pressure: pressureTable }

function optionsOf(table: OptionTable, groups: Readonly<Record<string, OptionTable>> = {}) {
  const names = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...Object.keys(table)) },
    { weight: 1, arbitrary: hostileText },
  )
  const member = names.chain((name): fc.Arbitrary<[string, unknown]> => {
    const group = Object.hasOwn(groups, name) ? groups[name] : undefined
    const value =
      group === undefined
        ? valueFor(Object.hasOwn(table, name) ? table[name] : undefined)
        : fc.oneof(membersOf(group), given)
    return fc.tuple(fc.constant(name), value)
  })
  return fc.oneof(
    {
      weight: 9,
      arbitrary: fc.array(member, { maxLength: 3 }).map((members) => Object.fromEntries(members)),
    },
    { weight: 1, arbitrary: given },
  )
}

function membersOf(table: OptionTable): fc.Arbitrary<unknown> {
  const member = fc
    .constantFrom(...Object.keys(table))
    .chain((name) => fc.tuple(fc.constant(name), valueFor(table[name])))
  return fc.array(member, { maxLength: 3 }).map((members) => Object.fromEntries(members))
}

/** Mostly one that the row takes: else every case ends at its first option. */
function valueFor(row: OptionRow | undefined): fc.Arbitrary<unknown> {
  const good = row === undefined ? undefined : goodFor(row)
  return good === undefined
    ? given
    : fc.oneof({ weight: 3, arbitrary: good }, { weight: 1, arbitrary: given })
}

function goodFor(row: OptionRow): fc.Arbitrary<unknown> | undefined {
  switch (row.type) {
    case 'number':
      return fc.oneof(fc.constantFrom(row.min, row.max), fc.integer({ min: row.min, max: row.max }))
    case 'boolean':
      return fc.boolean()
    case 'string':
      return fc.string({ minLength: 1 })
    case 'strings':
      return fc.oneof(
        fc.string({ minLength: 1 }),
        fc.array(fc.string({ minLength: 1 }), { minLength: 1 }),
      )
    case 'function':
    case 'object':
      return undefined
    default:
      return fc.constantFrom(...row.type)
  }
}

const named = {
  book: bookTable,
  flush: flushTable,
  journal: journalTable,
  pressure: pressureTable,
  cache: cacheTable,
  rejection: rejectionTable,
}

const tables = fc
  .constantFrom(...(Object.keys(named) as (keyof typeof named)[]))
  .chain((name) => fc.record({ name: fc.constant(name), options: optionsOf(named[name]) }))

export const optionTablesTarget = fuzzTarget(tables, {
  name: 'option-tables',
  doc: 'Any options give values that their table allows, frozen, or INVALID_OPTION; and nothing else is changed.',
  cases: 3_000,
  outcomes: ['valid', 'refused'],
  check: ({ name, options }) => {
    const table: OptionTable = named[name]
    return refusedOr(() => {
      const read: Readonly<Record<string, unknown>> = readOptions(
        '',
        realized(options) as object,
        table,
      )
      checkRead(table, read)
    })
  },
})

export const bookOptionsTarget = fuzzTarget(
  fc.record({
    book: optionsOf(bookTable, bookGroups),
    cache: optionsOf(cacheTable, { onRejected: rejectionTable }),
  }),
  {
    name: 'book-options',
    doc: 'Any options of a book and of a cache are resolved within their bounds, or refused with INVALID_OPTION.',
    cases: 2_000,
    outcomes: ['valid', 'refused'],
    check: (cases) => {
      const [book, cache] = [realized(cases.book), realized(cases.cache)]
      const withStore = looked(() => ({ directory: 'd', store: {}, ...(book as object) }))
      const outcomes = [
        refusedOr(() => {
          const { flush, journal, pressure, ...top } = readBookOptions(
            (withStore ?? book) as DaybookOptions,
          )
          checkRead(bookTable, { ...top, flush, journal, pressure })
          checkRead(flushTable, flush)
          checkRead(journalTable, journal)
          checkRead(pressureTable, pressure)
          assert.ok(flush.retryBaseMs <= flush.retryMaxMs)
          assert.ok(journal.segmentBytes * 2 <= journal.maxBytes)
        }),
        refusedOr(() => {
          const { rejection, ...rest } = readCacheOptions('c', cache as CacheOptions<unknown>)
          checkRead(rejectionTable, rejection)
          assert.ok(Array.isArray(rest.key) && rest.key.every((name) => typeof name === 'string'))
          assert.ok(rest.table === undefined || rest.key.length > 0)
          assert.ok(['memory', 'journal', 'store'].includes(rest.durability))
        }),
      ]
      return outcomes.includes('valid') ? 'valid' : 'refused'
    },
  },
)

const pristine = JSON.stringify(Object.getOwnPropertyNames(Object.prototype))

function refusedOr(read: () => void): string {
  try {
    read()
    return 'valid'
  } catch (error) {
    if (!isDaybookError(error, 'INVALID_OPTION')) throw error
    assert.equal(typeof error.details.path, 'string', 'a refusal names the option')
    assert.ok(error.message.length < 10_000, 'a message of bounded length')
    return 'refused'
  } finally {
    assert.equal(JSON.stringify(Object.getOwnPropertyNames(Object.prototype)), pristine)
  }
}

/** Looks at the result without the code that made it. */
function checkRead(table: OptionTable, read: Readonly<Record<string, unknown>>): void {
  for (const name of Object.keys(read)) assert.ok(Object.hasOwn(table, name), `an option ${name}`)
  for (const [name, row] of Object.entries(table)) {
    const value = read[name]
    if (value === undefined) {
      assert.ok(!('required' in row) && row.default === undefined, `${name} is not left out`)
    } else assert.ok(isAllowed(row, value), `${name} is what its row allows`)
  }
}

function isAllowed(row: OptionRow, value: unknown): boolean {
  switch (row.type) {
    case 'number':
      return Number.isFinite(value) && Number(value) >= row.min && Number(value) <= row.max
    case 'boolean':
      return value === true || value === false
    case 'string':
      return typeof value === 'string' && value.length > 0
    case 'strings':
      return (
        Array.isArray(value) &&
        Object.getPrototypeOf(value) === Array.prototype &&
        Object.isFrozen(value) &&
        value.length > 0 &&
        Array.from(value).every((text) => typeof text === 'string' && text !== '')
      )
    case 'function':
      return typeof value === 'function'
    case 'object':
      return Object(value) === value
    default:
      return row.type.some((choice) => choice === value)
  }
}
