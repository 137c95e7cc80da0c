import { expect, expectTypeOf, test } from 'vitest'

import { isDaybookError, type DaybookError } from '../../src/base/errors.ts'
import { invalidOption, nearest, readOptions, type OptionTable } from '../../src/base/options.ts'

interface Given {
  delayMs?: number
  ratio?: number
  limit?: number | undefined
  enabled?: boolean
  url?: string
  columns?: string | readonly string[]
  policy?: 'wait' | 'reject'
  onDone?: (count: number) => void
  store?: { readonly name: string }
  logger?: object
}

const table = {
  delayMs: { type: 'number', default: 500, min: 0, max: 60_000, unit: 'ms', doc: 'Delay.' },
  ratio: { type: 'number', default: 0.5, min: 0, max: 1, integer: false, doc: 'Ratio.' },
  limit: { type: 'number', default: undefined, min: 1, max: 10, doc: 'Limit.' },
  enabled: { type: 'boolean', default: true, doc: 'Enabled.' },
  url: { type: 'string', default: undefined, doc: 'Address.' },
  columns: { type: 'strings', default: undefined, doc: 'Columns.' },
  policy: { type: ['wait', 'reject'], default: 'wait', doc: 'Policy.' },
  onDone: { type: 'function', default: undefined, doc: 'Callback.' },
  store: { type: 'object', required: true, doc: 'Store.' },
  logger: { type: 'object', default: undefined, doc: 'Logger.' },
} as const satisfies OptionTable

const store = { name: 'memory' }

function refusal(given: unknown, path = 'flush'): DaybookError {
  try {
    readOptions(path, given as Given, table)
  } catch (error) {
    if (isDaybookError(error, 'INVALID_OPTION')) return error
    throw error
  }
  throw new Error('it was accepted')
}

test('what is left out, or undefined, has its default', () => {
  expect(readOptions('', { store, delayMs: undefined }, table)).toEqual({
    delayMs: 500,
    ratio: 0.5,
    limit: undefined,
    enabled: true,
    url: undefined,
    columns: undefined,
    policy: 'wait',
    onDone: undefined,
    store,
    logger: undefined,
  })
})

test('what is given is taken, at the bounds too', () => {
  const onDone = (): void => undefined
  const given: Given = {
    delayMs: 60_000,
    ratio: 1,
    limit: 1,
    enabled: false,
    url: 'memory:',
    policy: 'reject',
    onDone,
    store,
    logger: console,
  }
  expect(readOptions('', given, table)).toEqual({ ...given, columns: undefined })
})

test('the result is a frozen copy, and the given object stays as it was', () => {
  const given: Given = { store, columns: ['a', 'b'] }
  const read = readOptions('', given, table)
  expect(Object.isFrozen(read)).toBe(true)
  expect(Object.isFrozen(read.columns)).toBe(true)
  expect(read.columns).not.toBe(given.columns)
  expect(given).toEqual({ store, columns: ['a', 'b'] })
})

/** `every` passes over a hole, and a spread makes undefined of it. */
function withHole(): string[] {
  const texts = ['a']
  texts[2] = 'c'
  return texts
}

test('strings are read once each, so that what is checked is what is taken', () => {
  const fickle = ['a', 'b']
  let reads = 0
  Object.defineProperty(fickle, 0, { get: () => (reads++ === 0 ? 'a' : 5) })
  expect(readOptions('', { store, columns: fickle }, table).columns).toEqual(['a', 'b'])
  class Endless extends Array<string> {
    override [Symbol.iterator](): ArrayIterator<string> {
      throw new Error('it would never end')
    }
  }
  const read = readOptions('', { store, columns: Endless.from(['a']) }, table).columns
  expect(Object.getPrototypeOf(read)).toBe(Array.prototype)
  expect(read).toEqual(['a'])
})

test.each<[string, () => object, string]>([
  [
    'a getter that throws',
    () => ({
      get delayMs(): number {
        throw new TypeError('mine')
      },
    }),
    'flush',
  ],
  ['a proxy that was revoked', revoked, 'flush'],
  [
    'a proxy that was revoked, in a number’s place',
    () => ({ store, delayMs: revoked() }),
    'flush.delayMs',
  ],
  [
    'a proxy that was revoked, in the place of strings',
    () => ({ store, columns: revoked() }),
    'flush.columns',
  ],
])('options with %s are refused like any others', (_, given, path) => {
  expect(refusal(given()).details.path).toBe(path)
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

test('one string stands for an array of one', () => {
  expect(readOptions('', { store, columns: 'id' }, table).columns).toEqual(['id'])
})

test('the type of the result follows the table and the given type', () => {
  const given: Given = { store }
  const read = readOptions('', given, table)
  expectTypeOf(read.delayMs).toEqualTypeOf<number>()
  expectTypeOf(read.limit).toEqualTypeOf<number | undefined>()
  expectTypeOf(read.enabled).toEqualTypeOf<boolean>()
  expectTypeOf(read.url).toEqualTypeOf<string | undefined>()
  expectTypeOf(read.columns).toEqualTypeOf<readonly string[] | undefined>()
  expectTypeOf(read.policy).toEqualTypeOf<'wait' | 'reject'>()
  expectTypeOf(read.onDone).toEqualTypeOf<((count: number) => void) | undefined>()
  expectTypeOf(read.store).toEqualTypeOf<{ readonly name: string }>()
})

test.each([
  ['delayMs', NaN, 'an integer from 0 to 60000 (ms)', 'NaN'],
  ['delayMs', Infinity, 'an integer from 0 to 60000 (ms)', 'Infinity'],
  ['delayMs', -1, 'an integer from 0 to 60000 (ms)', '-1'],
  ['delayMs', 60_001, 'an integer from 0 to 60000 (ms)', '60001'],
  ['delayMs', 1.5, 'an integer from 0 to 60000 (ms)', '1.5'],
  ['delayMs', '500', 'an integer from 0 to 60000 (ms)', 'a string'],
  ['delayMs', null, 'an integer from 0 to 60000 (ms)', 'null'],
  ['ratio', 1.01, 'a number from 0 to 1', '1.01'],
  ['ratio', NaN, 'a number from 0 to 1', 'NaN'],
  ['enabled', 'yes', 'true or false', 'a string'],
  ['url', '', 'a string that is not empty', 'an empty string'],
  ['url', 'x'.repeat(4097), 'a string that is not empty', 'a string'],
  ['url', {}, 'a string that is not empty', 'an object'],
  ['columns', [], 'a string or an array of strings, not empty', 'an array'],
  ['columns', ['a', ''], 'a string or an array of strings, not empty', 'an array'],
  ['columns', withHole(), 'a string or an array of strings, not empty', 'an array'],
  ['columns', '', 'a string or an array of strings, not empty', 'an empty string'],
  ['policy', 'drop', "'wait' or 'reject'", 'a string'],
  ['policy', 1, "'wait' or 'reject'", '1'],
  ['onDone', {}, 'a function', 'an object'],
  ['store', undefined, 'an object', 'missing'],
  ['store', 'memory', 'an object', 'a string'],
  ['logger', 5n, 'an object', 'a bigint'],
])('%s = %s is refused with what is expected', (name, value, expected, shown) => {
  const error = refusal({ store, [name]: value })
  expect(error.details).toEqual({ path: `flush.${name}`, expected })
  expect(error.message).toContain(`flush.${name} must be ${expected}; it is ${shown}.`)
})

test('a secret in the wrong place is not repeated', () => {
  expect(refusal({ store, delayMs: 'postgres://u:secret@h' }).message).not.toContain('secret')
  expect(refusal({ store, policy: 'secret' }).message).not.toContain('secret')
})

test.each([
  ['delayms', 'Did you mean delayMs?'],
  ['dealyMs', 'Did you mean delayMs?'],
  ['colums', 'Did you mean columns?'],
  ['unheardOf', 'Options here are delayMs, ratio,'],
  ['constructor', 'Options here are'],
  ['__proto__', 'Options here are'],
])('the unknown option %s is refused: %s', (name, hint) => {
  const given: unknown = Object.fromEntries([
    ['store', store],
    [name, 1],
  ])
  const error = refusal(given, '')
  expect(error.details.path).toBe(name)
  expect(error.hint).toContain(hint)
})

test('a misspelt choice gets a proposal', () => {
  expect(refusal({ store, policy: 'rejct' }).hint).toContain("'reject'")
})

test.each([[null], [[]], ['text'], [7]])('options that are %j are refused', (given) => {
  expect(refusal(given).details.path).toBe('flush')
  expect(refusal(given, '').details.path).toBe('options')
})

test('rules beyond a table are refused in the same words', () => {
  const error = invalidOption('mode', "'behind', because the store has no transactions", 'through')
  expect(error.message).toBe(
    "Option mode must be 'behind', because the store has no transactions; it is a string.",
  )
})

test.each([
  ['flsh', 'flush'],
  ['fulsh', 'flush'],
  ['journl', 'journal'],
  ['Journal', 'journal'],
  ['pressure', 'pressure'],
  ['zzz', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
])('nearest(%s) is %s', (name, expected) => {
  expect(nearest(name, ['flush', 'journal', 'pressure'])).toBe(expected)
})
