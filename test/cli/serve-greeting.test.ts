/** What a server says of itself when it has started. */

import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { greeting } from '../../src/cli/serve-greeting.ts'
import { Terminal } from '../../src/cli/terminal.ts'
import { readServerConfig } from '../../src/server/config.ts'
import type { Http } from '../../src/server/http/http-server.ts'

const http = { url: 'http://127.0.0.1:6381', token: 'random-token' } as Http

function greeted(config: object, isTTY: boolean): string {
  const output = { write: () => true, isTTY }
  const terminal = new Terminal({ output, errors: output, environment: {}, now: () => 0 })
  const lines = greeting(readServerConfig(config), { redis: undefined, http }, terminal)
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
