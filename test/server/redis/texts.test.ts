/** Bytes and numbers between clients and the database. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  binaryOf,
  binaryOfName,
  keyTextOf,
  nameOf,
  textOf,
} from '../../../src/server/redis/spaces/binary-text.ts'
import { matchesGlob } from '../../../src/server/redis/glob.ts'
import { decimalOf, integerOf, sumOfDecimals } from '../../../src/server/redis/numbers.ts'
import { isStorableText } from '../../../src/store/json.ts'

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 30 }).map((value) => Buffer.from(value).toString('latin1')),
  fc.string().map((text) => Buffer.from(text).toString('latin1')),
  fc.constantFrom(
    '',
    'base64:',
    'base64:QQ==',
    '$',
    '$$',
    '$expiresAtMs',
    '__proto__',
    '$\u00ff',
    'Zo\u00eb',
  ),
)

describe('stored text', () => {
  test('is what every database can store, and comes back as the bytes that were sent', () => {
    fc.assert(
      fc.property(bytes, (binary) => {
        const text = textOf(binary, false)
        expect(isStorableText(text)).toBe(true)
        expect(binaryOf(text)).toBe(binary)
        expect(binaryOf(keyTextOf(binary, false))).toBe(binary)
      }),
      { numRuns: 2000, seed: 1 },
    )
  })

  test('is the text itself, where it is text', () => {
    expect(textOf(Buffer.from('Zoë ✓').toString('latin1'), false)).toBe('Zoë ✓')
    expect(textOf('\u00ff', false)).toBe('base64:/w==')
    expect(textOf('a\0b', false)).toBe('base64:YQBi')
  })

  test('of two byte strings differs', () => {
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        expect(textOf(left, false) === textOf(right, false)).toBe(left === right)
        expect(nameOf(left, false) === nameOf(right, false)).toBe(left === right)
      }),
      { numRuns: 1000, seed: 2 },
    )
  })

  test('as a name never is one of ours, nor one that a document cannot have', () => {
    fc.assert(
      fc.property(bytes, (binary) => {
        const name = nameOf(binary, false)
        expect(binaryOfName(name)).toBe(binary)
        expect(name).not.toBe('')
        expect(name).not.toBe('__proto__')
        expect(name.startsWith('$') && !name.startsWith('$$')).toBe(false)
      }),
      { numRuns: 2000, seed: 3 },
    )
  })
})

describe('a pattern', () => {
  test.each([
    ['*', '', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['h\\*llo', 'h*llo', true],
    ['h\\*llo', 'hello', false],
    ['[abc', 'a', true],
    ['a*b*c', 'aXXbYYc', true],
    ['a*b*c', 'aXXbYY', false],
    ['', '', true],
    ['', 'a', false],
  ])('%s against %s: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected)
  })

  test('of many stars takes no longer than pattern times text', () => {
    const startedAt = performance.now()
    expect(matchesGlob('a*'.repeat(2000) + 'b', 'a'.repeat(20_000))).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})

describe('numbers', () => {
  test.each([
    '+1',
    '01',
    '-0',
    ' 1',
    '1 ',
    '',
    '1.0',
    '9223372036854775808',
    '-9223372036854775809',
  ])('%j is no integer', (text) => {
    expect(integerOf(text)).toBeUndefined()
  })

  test('integers have 64 bits', () => {
    expect(integerOf('9223372036854775807')).toBe(2n ** 63n - 1n)
    expect(integerOf('-9223372036854775808')).toBe(-(2n ** 63n))
  })

  test.each([
    ['0.1', '0.2', '0.3'],
    ['1', '-1.1', '-0.1'],
    ['5.0e3', '2.0e2', '5200'],
    ['3.0', '-3', '0'],
    ['-0.5', '0.5', '0'],
    ['1e-18', '0', '0'],
    ['10', '.5', '10.5'],
    ['0.024390243902439025', '0', '0.02439024390243902'],
  ])('%s + %s = %s', (left, right, sum) => {
    expect(sumOfDecimals(decimalOf(left) ?? '', decimalOf(right) ?? '')).toBe(sum)
  })

  test.each(['', '.', 'abc', '1e', '1e9999', '0x10', ' 1', '1 '])('%j is no float', (text) => {
    expect(decimalOf(text)).toBeUndefined()
  })
})
