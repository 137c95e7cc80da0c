import { describe, expect, test } from 'vitest'
import { ReplyQueue } from '../../../src/server/redis/reply-queue.ts'

function queue() {
  let told = 0
  const replies = new ReplyQueue(() => told++)
  return { replies, told: () => told }
}

describe('replies', () => {
  test('that tell of nothing to come are ready at once', () => {
    const { replies } = queue()
    replies.add('+A\r\n', undefined, 0)
    replies.add('+B\r\n', undefined, 0)
    expect(replies.take()).toBe('+A\r\n+B\r\n')
    expect(replies.take()).toBe('')
    expect(replies.isEmpty).toBe(true)
  })

  test('wait for their commit, and those behind them for their turn', async () => {
    const { replies } = queue()
    const commit = Promise.withResolvers<undefined>()
    replies.add('+A\r\n', commit.promise, 1)
    replies.add('+B\r\n', undefined, 0)
    replies.add('+C\r\n', commit.promise, 2)
    expect(replies.take()).toBe('')
    commit.resolve(undefined)
    await commit.promise
    await Promise.resolve()
    expect(replies.take()).toBe('+A\r\n+B\r\n+C\r\n')
    expect(replies.bytes).toBe(0)
  })

  test('of a later commit do not overtake those of an earlier one', async () => {
    const { replies } = queue()
    const first = Promise.withResolvers<undefined>()
    const second = Promise.withResolvers<undefined>()
    replies.add('+A\r\n', first.promise, 1)
    replies.add('+B\r\n', second.promise, 2)
    second.resolve(undefined)
    await second.promise
    await Promise.resolve()
    expect(replies.take()).toBe('')
    first.resolve(undefined)
    await first.promise
    await Promise.resolve()
    expect(replies.take()).toBe('+A\r\n+B\r\n')
  })

  test('that rest on a commit that failed become errors, each one; the others stay as they are', async () => {
    const { replies } = queue()
    const commit = Promise.withResolvers<undefined>()
    replies.add('+A\r\n', commit.promise, 1)
    replies.add('$1\r\n1\r\n', commit.promise, 1)
    replies.add('+PONG\r\n', undefined, 0)
    commit.reject(new Error('disk\r\nbroken'))
    await commit.promise.catch(() => undefined)
    await Promise.resolve()
    const error = '-ERR internal error: disk  broken\r\n'
    expect(replies.take()).toBe(`${error}${error}+PONG\r\n`)
    expect(replies.bytes).toBe(0)
  })

  test('are counted while they wait', () => {
    const { replies } = queue()
    replies.add('12345', new Promise(() => undefined), 1)
    replies.add('123', undefined, 0)
    expect(replies.bytes).toBe(8)
  })
})
