/** `daybook serve` as a whole: Redis and HTTP on one book, in a process as people start it. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RawClient, temporaryDirectory } from './redis/redis-fixture.ts'
import { ServeProcess } from './serve-process.ts'

function place(): { directory: string; config: string; write: (config: object) => void } {
  const directory = temporaryDirectory()
  const config = join(directory, 'daybook.config.json')
  const base = {
    directory: join(directory, 'data'),
    store: `sqlite:${join(directory, 'shop.db')}`,
    redis: { port: 0 },
    http: { port: 0, token: 'a-token-of-this-test' },
  }
  return {
    directory,
    config,
    write: (more) => writeFileSync(config, JSON.stringify({ ...base, ...more })),
  }
}

describe('daybook serve', () => {
  test(
    'serves Redis and HTTP, reloads at SIGHUP, drains at SIGTERM',
    { timeout: 120_000 },
    async () => {
      const { directory, config, write } = place()
      const database = new DatabaseSync(join(directory, 'shop.db'))
      database.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)')
      database.close()
      const caches = { users: { table: 'users', key: 'id' } }
      write({ caches, flush: { delayMs: 60_000 } })
      const served = new ServeProcess(['--config', config])
      const port = Number(await served.says(/redis-cli -p (\d+)/))
      const url = await served.says(/(http:\/\/127\.0\.0\.1:\d+)/)
      const redis = await RawClient.connect(port)
      onTestFinished(() => redis.destroy())
      expect(await redis.call('HSET', 'users:1', 'name', 'Ada')).toBe(1)

      const headers = { authorization: 'Bearer a-token-of-this-test' }
      const key = await fetch(`${url}/api/caches/users/keys/1`, { headers })
      expect(await key.text()).toContain('Ada')
      expect((await fetch(`${url}/healthz`)).status).toBe(200)

      write({ caches, flush: { delayMs: 60_000, maxKeys: 0 } })
      served.child.kill('SIGHUP')
      await served.says(/was not taken over: .*maxKeys/)
      write({ caches, flush: { delayMs: 50_000 } })
      served.child.kill('SIGHUP')
      await served.says(/was read again/)

      served.child.kill('SIGTERM')
      await served.says(/Everything is in the database/)
      expect(await served.ends()).toBe(0)
      const after = new DatabaseSync(join(directory, 'shop.db'), { readOnly: true })
      expect(after.prepare('SELECT name FROM users').all()).toMatchObject([{ name: 'Ada' }])
      after.close()
    },
  )

  test(
    'does not start where others could reach it without a password',
    { timeout: 60_000 },
    async () => {
      const { config, write } = place()
      write({})
      const open = new ServeProcess(['--config', config, '--redis-host', '0.0.0.0'])
      expect(await open.ends()).toBe(2)
      const closed = new ServeProcess(['--config', config], {
        DAYBOOK_REDIS_HOST: '0.0.0.0',
        DAYBOOK_REDIS_PASSWORD: 'secret',
      })
      const port = Number(await closed.says(/redis-cli -p (\d+)/))
      const redis = await RawClient.connect(port)
      onTestFinished(() => redis.destroy())
      expect(await redis.failure('GET', 'a')).toMatch('NOAUTH')
      expect(await redis.call('AUTH', 'secret')).toBe('OK')
    },
  )
})
