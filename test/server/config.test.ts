/** The configuration of `daybook serve`: files, environment, flags, and what is wrong with them. */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { environmentOverrides, laidOver, readConfigFile } from '../../src/cli/config-file.ts'
import { withoutPassword } from '../../src/cli/serve-greeting.ts'
import { readServerConfig } from '../../src/server/config.ts'
import { run } from '../cli/run.ts'
import { temporaryDirectory } from './redis/redis-fixture.ts'

describe('the configuration', () => {
  test('of nothing is an embedded database on this machine', () => {
    const config = readServerConfig({})
    expect(config).toMatchObject({
      directory: './daybook-data',
      store: 'sqlite:./daybook-data/store.sqlite',
      redis: { enabled: true, host: '127.0.0.1', port: 6380, password: undefined },
      http: { enabled: true },
    })
    expect(config.caches.size).toBe(0)
  })

  test('is what the file says, the environment over it, and flags over that', () => {
    const file = { directory: './a', redis: { port: 1, maxClients: 5 }, flush: { delayMs: 7 } }
    const environment = environmentOverrides({
      DAYBOOK_REDIS_PORT: '2',
      DAYBOOK_STORE: 'sqlite:x.db',
      DAYBOOK_HTTP_HOST: '',
      HOME: '/root',
    })
    const config = readServerConfig(
      laidOver(file, [...environment, ['redis.port', 3], ['directory', undefined]]),
    )
    expect(config).toMatchObject({
      directory: './a',
      store: 'sqlite:x.db',
      redis: { port: 3, maxClients: 5 },
      book: { flush: { delayMs: 7 } },
    })
  })

  test.each([
    [{ redsi: {} }, 'redsi', 'Did you mean redis?'],
    [{ redis: { prot: 1 } }, 'redis.prot', 'Did you mean port?'],
    [{ redis: { port: 70_000 } }, 'redis.port', '65535'],
    [{ redis: { port: '6380' } }, 'redis.port', 'integer'],
    [{ redis: { host: '0.0.0.0' } }, 'redis.password', 'Set redis.password'],
    [{ http: { token: 'short' } }, 'http.token', '16 characters'],
    [{ http: { prot: 1 } }, 'http.prot', 'Did you mean port?'],
    [{ http: { enabled: 'yes' } }, 'http.enabled', 'true or false'],
    [{ http: [] }, 'http', 'an object'],
    [{ caches: [{ table: 'users', key: 'id' }] }, 'caches', 'an object'],
    [{ flush: { delay: 5 } }, 'flush.delay', 'There is no option'],
    [{ journal: { maxBytes: 1000 } }, 'journal.maxBytes', '131072'],
    [{ journal: { maxBytes: 1 << 20 } }, 'journal.segmentBytes (twice)', 'journal.maxBytes'],
    [{ pressure: { policy: 'drop' } }, 'pressure.policy', 'wait'],
    [{ caches: { users: { table: 'users' } } }, 'caches.users', 'needs a `key`'],
    [{ caches: { users: { tabel: 'users' } } }, 'caches.users.tabel', 'table'],
    [{ caches: { 'a:b': {} } }, 'caches.a:b', 'without a colon'],
    [{ caches: { redis: {} } }, 'caches.redis', 'other than'],
    [
      { caches: { users: { table: 'users', key: 'id', expire: 'soon' } } },
      'caches.users.expire',
      'evict',
    ],
  ])('%j is refused, and %s is named', (given, path, hint) => {
    let error: unknown
    try {
      readServerConfig(given)
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { path } })
    expect(String(error)).toContain(hint)
  })

  test('comes from JSON or from a module', async () => {
    const directory = temporaryDirectory()
    const write = (name: string, text: string): string => {
      const path = join(directory, name)
      writeFileSync(path, text)
      return path
    }
    expect(await readConfigFile(write('a.json', '{"lanes": 2}'))).toEqual({ lanes: 2 })
    expect(await readConfigFile(write('b.mjs', 'export const config = { lanes: 3 }'))).toEqual({
      lanes: 3,
    })
    expect(await readConfigFile(write('c.mjs', 'export default { lanes: 4 }'))).toEqual({
      lanes: 4,
    })
    for (const [name, text] of [
      ['d.json', '{'],
      ['e.json', '[]'],
      ['f.mjs', 'export const other = 1'],
      ['g.mjs', 'throw new Error("no")'],
    ] as const) {
      await expect(readConfigFile(write(name, text))).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      })
    }
    await expect(readConfigFile(join(directory, 'none.json'))).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  test('is shown without the passwords in it', () => {
    expect(withoutPassword('postgres://ada:secret@db/shop')).toBe('postgres://ada:…@db/shop')
    expect(withoutPassword('postgres://db/shop?password=secret&x=1')).toBe(
      'postgres://db/shop?password=…&x=1',
    )
    expect(withoutPassword('sqlite:./a.db')).toBe('sqlite:./a.db')
  })
})

describe('daybook serve --check', () => {
  test('says what maps where, and claims nothing', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'shop.db')
    const database = new DatabaseSync(path)
    database.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)')
    const config = join(directory, 'daybook.config.json')
    writeFileSync(
      config,
      JSON.stringify({
        directory: join(directory, 'data'),
        store: `sqlite:${path}`,
        caches: { users: { table: 'users', key: 'id', expire: 'evict' } },
      }),
    )
    const { code, out } = await run(['serve', '--config', config, '--check'])
    expect(code).toBe(0)
    expect(out).toContain('users:<id> is a row of table users')
    expect(out).toMatch(/name +TEXT +NOT NULL/)
    expect(out).toContain('The configuration is good.')
    expect(database.prepare('SELECT * FROM daybook_checkpoints').all()).toEqual([])
    database.close()
  })

  test('says which columns it leaves out, and why', async () => {
    const directory = temporaryDirectory()
    const path = join(directory, 'shop.db')
    const database = new DatabaseSync(path)
    database.exec(`CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT DEFAULT "new", other TEXT,
      upper TEXT GENERATED ALWAYS AS (upper(name)), at TEXT DEFAULT CURRENT_TIMESTAMP)`)
    database.close()
    const config = join(directory, 'daybook.config.json')
    const all = { table: 'users', key: 'id' }
    const users = { ...all, columns: ['name'] }
    writeFileSync(
      config,
      JSON.stringify({ directory, store: `sqlite:${path}`, caches: { users, all } }),
    )
    const { code, out } = await run(['serve', '--config', config, '--check'])
    expect(code).toBe(0)
    const [ofUsers, ofAll] = out.split('all:<id>')
    expect(ofUsers).toMatch(/other +TEXT +left out: not listed in `columns`/)
    for (const part of [ofUsers, ofAll]) {
      expect(part).toMatch(/upper +TEXT +left out: the database computes it/)
      expect(part).toMatch(
        /at +TEXT +left out: the database fills it; list it in `columns` to have it/,
      )
    }
    expect(ofAll).toMatch(/other +TEXT +may be NULL/)
  })

  test('reads the files of TLS', async () => {
    const directory = temporaryDirectory()
    const config = join(directory, 'daybook.config.json')
    const tls = { cert: join(directory, 'none.pem'), key: join(directory, 'none.key') }
    const check = async (redis: object): Promise<{ code: number; err: string }> => {
      writeFileSync(config, JSON.stringify({ directory: join(directory, 'data'), redis }))
      return run(['serve', '--config', config, '--check'])
    }
    expect(await check({ tls })).toMatchObject({ code: 2 })
    expect((await check({ tls })).err).toMatch(/redis\.tls\.cert.*none\.pem/s)
    writeFileSync(tls.cert, 'no certificate')
    writeFileSync(tls.key, 'no key')
    expect((await check({ tls })).err).toContain('The files of redis.tls cannot be used')
    expect(await check({ tls, enabled: false })).toMatchObject({ code: 0 })
  })

  test('leaves nothing behind where nothing has been started yet', async () => {
    const directory = join(temporaryDirectory(), 'data')
    const { code, out } = await run(['serve', '--directory', directory, '--check'])
    expect(out).toContain('The configuration is good.')
    expect(code).toBe(0)
    expect(existsSync(directory)).toBe(false)
  })

  test('says what is wrong with a table, and ends with an error', async () => {
    const directory = temporaryDirectory()
    const config = join(directory, 'daybook.config.json')
    writeFileSync(
      config,
      JSON.stringify({
        directory,
        store: `sqlite:${join(directory, 'empty.db')}`,
        caches: { users: { table: 'users', key: 'id' } },
      }),
    )
    const { code, err } = await run(['serve', '--config', config, '--check'])
    expect(code).toBe(1)
    expect(err).toContain('There is no table "users"')
  })
})
