import { expect, test } from 'vitest'
import { didYouMean, nearestName } from '../../src/base/nearest.ts'

const names = ['delayMs', 'maxKeys', 'maxBytes', 'id']

test('finds the name that was meant', () => {
  expect(nearestName('delayms', names)).toBe('delayMs')
  expect(nearestName('dealyMs', names)).toBe('delayMs')
  expect(nearestName('maxByte', names)).toBe('maxBytes')
  expect(nearestName('di', names)).toBe('id')
})

test('finds none where none is near', () => {
  for (const name of ['', 'entirelyElse', 'xx', 'x'.repeat(10_000)])
    expect(nearestName(name, names)).toBeUndefined()
  expect(nearestName('a', [])).toBeUndefined()
})

test('is a sentence to append, or nothing', () => {
  expect(didYouMean('maxKey', names)).toBe(' Did you mean "maxKeys"?')
  expect(didYouMean('nothing', names)).toBe('')
})
