import { expect, test } from 'vitest'
import { served } from '../redis-fixture.ts'

test('first', async () => {
  const { client } = await served()
  const redis = await client()
  expect(
    await redis.call(
      'EVAL',
      "return {redis.call('INCR', KEYS[1]), ARGV[1], redis.call('GET', 'other')}",
      1,
      'n',
      'x',
    ),
  ).toEqual([1, 'x', null])
  expect(await redis.call('GET', 'n')).toBe('1')
})
