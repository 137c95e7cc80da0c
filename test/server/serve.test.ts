/** `daybook serve` as a whole: Redis and HTTP on one book, in a process as people start it. */

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RawClient, temporaryDirectory } from './redis/redis-fixture.ts'
import { Deferred } from '../../src/base/deadline.ts'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { freePort } from './redis/redis-tools.ts'
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
      write({ caches, flush: { delayMs: 50_000 }, redis: { port: 0, maxClients: 1 }, lanes: 3 })
      served.child.kill('SIGHUP')
      await served.says(/was read again; now in force: flush\.delayMs, redis\.maxClients\./)
      await served.says(/Only after a restart: lanes\./)
      const late = await RawClient.connect(port)
      onTestFinished(() => late.destroy())
      expect(await late.untilEnd()).toMatch(/max number of clients/)

      const more = { ...caches, carts: { table: 'carts', key: 'id' } }
      write({ caches: more, flush: { delayMs: 40_000 } })
      served.child.kill('SIGHUP')
      await served.says(/was not taken over: .*carts/)
      const shop = new DatabaseSync(join(directory, 'shop.db'))
      shop.exec('CREATE TABLE carts (id INTEGER PRIMARY KEY, items TEXT)')
      shop.close()
      served.child.kill('SIGHUP')
      await served.says(/now in force: caches\.carts, flush\.delayMs, redis\.maxClients\./)
      expect(await redis.call('HSET', 'carts:7', 'items', 'tea')).toBe(1)
      const carts = await fetch(`${url}/api/caches/carts/keys/7`, { headers })
      expect(await carts.text()).toContain('tea')

      served.child.kill('SIGTERM')
      await served.says(/Everything is in the database/)
      expect(await served.ends()).toBe(0)
      const after = new DatabaseSync(join(directory, 'shop.db'), { readOnly: true })
      expect(after.prepare('SELECT name FROM users').all()).toMatchObject([{ name: 'Ada' }])
      expect(after.prepare('SELECT * FROM carts').all()).toMatchObject([{ id: 7, items: 'tea' }])
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

  test('says so where the directory is a file', { timeout: 60_000 }, async () => {
    const { config, write } = place()
    write({ directory: config })
    const served = new ServeProcess(['--config', config])
    await served.says(/error DIRECTORY_UNUSABLE/)
    expect(await served.ends()).toBe(exitCodes.problem)
  })

  test('says so where the database is away, once it has waited for it', async () => {
    const { config, write } = place()
    const store = `postgres://nobody@127.0.0.1:${await freePort()}/shop`
    write({ store, openTimeoutMs: 1500 })
    const served = new ServeProcess(['--config', config])
    await served.says(/warn the database is awaited .*"openTimeoutMs":1500/)
    await served.says(/error (STORE_UNAVAILABLE|TIMEOUT)/)
    expect(await served.ends()).toBe(exitCodes.unreachable)
  })

  test.each([
    // The later attempts are so far apart that a wait for the next one would be seen.
    ['SIGTERM', 'hangs up', 7, (socket: Socket) => socket.destroy()],
    ['SIGINT', 'does not answer', 1, (socket: Socket) => socket.resume()],
  ] as const)(
    'stops at a %s while it waits for a database that %s',
    { timeout: 60_000 },
    async (signal, _does, attempts, receive) => {
      const { config, write } = place()
      const reached = new Deferred<void>()
      let connections = 0
      const database = createServer((socket) => {
        receive(socket)
        if (++connections === attempts) reached.resolve()
      })
      onTestFinished(() => void database.close())
      await once(database.listen(0, '127.0.0.1'), 'listening')
      const { port } = database.address() as AddressInfo
      write({ store: `postgres://nobody@127.0.0.1:${port}/shop`, openTimeoutMs: 600_000 })
      const served = new ServeProcess(['--config', config])
      await reached.promise
      served.child.kill(signal)
      const sentAt = performance.now()
      expect(await served.says(/Stopped before it served.*/)).toMatch(/stays in the journal/)
      expect(await served.ends()).toBe(exitCodes.ok)
      expect(performance.now() - sentAt).toBeLessThan(2000)
    },
  )

  test('goes on where nobody reads what it prints, and drains all the same', async () => {
    const { directory, config, write } = place()
    write({ flush: { delayMs: 60_000 } })
    const served = new ServeProcess(['--config', config])
    const port = Number(await served.says(/redis-cli -p (\d+)/))
    served.child.stdout?.destroy()
    served.child.stderr?.destroy()
    const redis = await RawClient.connect(port)
    onTestFinished(() => redis.destroy())
    // Both say something, into pipes that have no reader.
    served.child.kill('SIGHUP')
    writeFileSync(config, 'nonsense')
    served.child.kill('SIGHUP')
    for (let n = 0; n < 100; n++) expect(await redis.call('SET', `k${n}`, n)).toBe('OK')
    served.child.kill('SIGTERM')
    expect(await served.ends()).toBe(0)
    expect(documentsIn(join(directory, 'shop.db'))).toBe(100)
  })

  // Without Windows at hand: that cmd.exe, which looks into the directory that npm starts it in, finds what it should run.
  test('what `npm start` calls is there for cmd.exe, and runs its arguments', () => {
    const root = join(import.meta.dirname, '../..')
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: { start: string }
    }
    const [command = ''] = scripts.start.split(' ')
    const lines = readFileSync(join(root, `${command}.cmd`), 'utf8')
      .trim()
      .split('\n')
    expect(lines.filter((line) => !line.startsWith('@rem'))).toEqual(['@%*'])
  })

  test.each([
    ['SIGTERM that npm gets', (served: ServeProcess) => served.child.kill('SIGTERM')],
    [
      'Ctrl-C, which reaches npm and its child',
      (served: ServeProcess) => served.signalGroup('SIGINT'),
    ],
  ])('started by npm drains at a %s', async (_name, stop) => {
    const { directory, config, write } = place()
    write({ flush: { delayMs: 60_000 } })
    const served = ServeProcess.npmStart(['--config', config])
    const port = Number(await served.says(/redis-cli -p (\d+)/))
    const redis = await RawClient.connect(port)
    onTestFinished(() => redis.destroy())
    for (let n = 0; n < 100; n++) expect(await redis.call('SET', `k${n}`, n)).toBe('OK')
    stop(served)
    await served.says(/Everything is in the database/)
    expect(await served.ends()).toBe(0)
    expect(documentsIn(join(directory, 'shop.db'))).toBe(100)
  })
})

function documentsIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return Number(database.prepare('SELECT count(*) AS n FROM daybook_values').get()?.n)
  } finally {
    database.close()
  }
}
