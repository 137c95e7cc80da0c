/** What a server says of itself when it has started. */

import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { greeting } from '../../src/cli/serve-greeting.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import { readServerConfig } from '../../src/server/config.ts'
import type { Redis } from '../../src/server/redis/redis-server.ts'
import type { Http } from '../../src/server/http/http-server.ts'

const http = { url: 'http://127.0.0.1:6381', token: 'random-token' } as Http
const redis = { host: '127.0.0.1', port: 6380 } as Redis

function greeted(config: object, isTTY: boolean): string {
  const output = { write: () => true, isTTY }
  const terminal = new Terminal({ output, errors: output, environment: {}, now: () => 0 })
  const lines = greeting(readServerConfig(config), { redis, http }, terminal)
  return stripVTControlCharacters(lines.join('\n'))
}

describe('the greeting', () => {
  test('on a terminal of this machine has an address that signs in', () => {
    expect(greeted({}, true)).toMatch(
      /dashboard +http:\/\/127\.0\.0\.1:6381\/#token=random-token$/m,
    )
  })

  test('says the token apart from the address where others reach it', () => {
    const said = greeted({ http: { host: '0.0.0.0' } }, true)
    expect(said).toMatch(/dashboard +http:\/\/127\.0\.0\.1:6381$/m)
    expect(said).toMatch(/token +random-token$/m)
  })

  test('shows no token where it may land in a log, and none that was configured', () => {
    expect(greeted({}, false)).not.toContain('random-token')
    expect(greeted({}, false)).toContain('DAYBOOK_HTTP_TOKEN')
    const token = 'a-token-of-my-own'
    for (const isTTY of [true, false]) {
      const said = greeted({ http: { token } }, isTTY)
      expect(said).not.toContain('token')
    }
  })

  test('has a first command that works with the configuration', () => {
    const users = { users: { table: 'people', key: 'id' } }
    expect(greeted({}, true)).toMatch(/^Try: redis-cli -p 6380 hset users:1 name Ada$/m)
    expect(greeted({ redis: { password: 'sesame' }, caches: users }, true)).toMatch(
      /^Try: redis-cli -p 6380 --askpass hgetall users:1$/m,
    )
    expect(greeted({ redis: { tls: { cert: 'a.pem', key: 'b.pem' } } }, true)).toMatch(
      /^Try: redis-cli -p 6380 --tls hset users:1 name Ada$/m,
    )
  })

  test('says where everything is', () => {
    const said = greeted(
      {
        directory: '/data',
        store: 'postgres://shop:secret@db/shop?password=hidden&x=1',
        caches: { users: { table: 'people', key: 'id' } },
      },
      true,
    )
    expect(said).toMatch(/journal +\/data$/m)
    expect(said).toMatch(/rows +users:… → people$/m)
    expect(said).not.toMatch(/secret|hidden/)
  })
})
