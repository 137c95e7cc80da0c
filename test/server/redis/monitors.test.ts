/** MONITOR and DEBUG. */

import { describe, expect, test } from 'vitest'
import { served, type Reply } from './redis-fixture.ts'

/** Without its time, which changes. */
function shown(line: Reply): string {
  return typeof line !== 'string' ? '' : line.replace(/^\d+\.\d{6} /, '')
}

describe('MONITOR', () => {
  test('shows every command of others as Redis does, without passwords', async () => {
    const { client } = await served({ redis: { password: 'secret' } })
    const [redis, monitor] = [await client(), await client()]
    await monitor.call('AUTH', 'secret')
    expect(await monitor.call('MONITOR')).toBe('OK')
    await redis.call('AUTH', 'secret')
    await redis.call('HELLO', 3, 'AUTH', 'default', 'secret', 'SETNAME', 'auth')
    await redis.call('SELECT', 2)
    await redis.call('SET', 'a "b"\\', '\u00ff\r\n\t\u0007 x')
    await redis.call('MULTI')
    await redis.call('GET', 'a')
    await redis.call('EXEC')
    await redis.call('CONFIG', 'GET', 'port')
    await redis.failure('NOPE', 'x')
    await redis.call('PING')
    const lines: string[] = []
    while (lines.at(-1)?.endsWith('"PING"') !== true) lines.push(shown(await monitor.reply()))
    const address = /\[0 (127\.0\.0\.1:\d+)\]/.exec(lines[0] ?? '')?.[1] ?? ''
    expect(lines).toEqual([
      `[0 ${address}] "AUTH" "(redacted)"`,
      `[0 ${address}] "HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "auth"`,
      `[0 ${address}] "SELECT" "2"`,
      `[2 ${address}] "SET" "a \\"b\\"\\\\" "\\xff\\r\\n\\t\\a x"`,
      `[2 ${address}] "MULTI"`,
      `[2 ${address}] "GET" "a"`,
      `[2 ${address}] "EXEC"`,
      `[2 ${address}] "PING"`,
    ])
    expect(await redis.call('CLIENT', 'LIST')).toMatch(/flags=O /)
  })

  test('shows what a script does, once, also where the script had to be run again', async () => {
    const first = await served()
    await (await first.client()).call('SET', 'b', 2)
    await first.stop()
    const { client } = await served({ directory: first.directory })
    const [redis, monitor] = [await client(), await client()]
    await monitor.call('MONITOR')
    await redis.call('EVAL', "redis.call('SET', 'a', 1) return redis.call('GET', 'b')", 0)
    expect(shown(await monitor.reply())).toMatch(/^\[0 127.*"EVAL" /)
    expect(shown(await monitor.reply())).toBe('[0 lua] "SET" "a" "1"')
    expect(shown(await monitor.reply())).toBe('[0 lua] "GET" "b"')
    await redis.call('PING')
    expect(shown(await monitor.reply())).toMatch(/"PING"$/)
  })

  test('ends with RESET and with the connection, and does not begin in a transaction', async () => {
    const { client } = await served()
    const [redis, monitor, other] = [await client(), await client(), await client()]
    await monitor.call('MONITOR')
    await other.call('MONITOR')
    other.destroy()
    expect(await monitor.call('RESET')).toMatch(/"RESET"$/)
    expect(await monitor.reply()).toBe('RESET')
    await redis.call('SET', 'a', 1)
    expect(await monitor.call('PING')).toBe('PONG')
    await monitor.call('MULTI')
    await monitor.call('MONITOR')
    const [refused] = (await monitor.call('EXEC')) as Reply[]
    expect(refused).toMatchObject({ message: expect.stringMatching(/isn't allowed/) as string })
  })

  test('cuts off who does not read', async () => {
    const { client } = await served({ redis: { maxOutputBytes: 65_536 } })
    const [redis, monitor] = [await client(), await client()]
    await monitor.call('MONITOR')
    monitor.socket.pause()
    // The kernel takes some megabytes before the server has to keep them.
    await expect
      .poll(
        async () => {
          await redis.call('SET', 'a', 'x'.repeat(500_000))
          return redis.call('INFO', 'stats')
        },
        { timeout: 20_000 },
      )
      .toMatch(/client_output_buffer_limit_disconnections:1/)
    expect(await redis.call('GET', 'a')).toHaveLength(500_000)
  })
})

describe('DEBUG', () => {
  test('lets one connection sleep, and no other', async () => {
    const { client } = await served()
    const [redis, sleeper] = [await client(), await client()]
    await redis.call('CONFIG', 'SET', 'slowlog-log-slower-than', 100_000)
    sleeper.send('DEBUG', 'SLEEP', '0.2')
    sleeper.send('PING')
    expect(await redis.call('PING')).toBe('PONG')
    expect(await sleeper.reply()).toBe('OK')
    expect(await sleeper.reply()).toBe('PONG')
    const [entry] = (await redis.call('SLOWLOG', 'GET')) as Reply[][]
    expect(entry?.[3]).toEqual(['DEBUG', 'SLEEP', '0.2'])
    // Who is gone does not sleep on.
    sleeper.send('DEBUG', 'SLEEP', 1000)
    await expect.poll(() => redis.call('CLIENT', 'LIST')).toMatch(/cmd=debug\|sleep/)
    sleeper.destroy()
    await expect.poll(() => redis.call('CLIENT', 'LIST')).not.toMatch(/cmd=debug\|sleep/)
  })

  test('does nothing else', async () => {
    const { client } = await served()
    const redis = await client()
    expect(await redis.failure('DEBUG', 'SLEEP', 'x')).toMatch('not a valid float')
    expect(await redis.failure('DEBUG', 'SLEEP', -1)).toMatch('0 to 3600 seconds')
    expect(await redis.call('DEBUG', 'SET-ACTIVE-EXPIRE', 0)).toBe('OK')
    expect(await redis.failure('DEBUG', 'SET-ACTIVE-EXPIRE', 2)).toMatch('takes 0 or 1')
    expect(await redis.failure('DEBUG', 'SEGFAULT')).toMatch('unknown subcommand')
    expect(await redis.call('DEBUG', 'HELP')).toHaveLength(3)
  })
})
