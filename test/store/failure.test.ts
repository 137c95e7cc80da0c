import { expect, test } from 'vitest'
import { DaybookError } from '../../src/base/errors.ts'
import { fencedError, ownFailure, rejectedError, unknownFailure } from '../../src/store/failure.ts'

test('what a store raised itself is found again', () => {
  expect(ownFailure(rejectedError('RANGE', 'too much'))).toEqual({
    kind: 'rejected',
    code: 'RANGE',
    message: 'too much',
    known: true,
  })
  expect(ownFailure(fencedError(3, 1, { epoch: 2, position: 9 }))).toMatchObject({
    kind: 'fenced',
    known: true,
  })
  expect(ownFailure(new Error('a driver’s'))).toBeUndefined()
})

test.each([
  ['FENCED', 'fenced'],
  ['STORE_CONFLICT', 'conflict'],
  ['STORE_REJECTED', 'rejected'],
  ['INVALID_VALUE', 'rejected'],
  ['STORE_MISCONFIGURED', 'misconfigured'],
  ['STORE_UNAVAILABLE', 'outage'],
  ['TIMEOUT', 'outage'],
] as const)('%s is %s', (code, kind) => {
  expect(ownFailure(new DaybookError(code, 'text'))).toMatchObject({ kind, code, known: true })
})

test('what is in no table is waited out, without the text of an unknown error', () => {
  const error = Object.assign(new Error('password=secret'), { code: 'E_NEW' })
  expect(unknownFailure(error)).toMatchObject({ kind: 'outage', code: 'E_NEW', known: false })
  expect(JSON.stringify(unknownFailure(error))).not.toContain('secret')
  expect(unknownFailure(undefined)).toMatchObject({ kind: 'outage', code: 'UNKNOWN', known: false })
})
