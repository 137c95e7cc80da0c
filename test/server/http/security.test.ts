/** What the server refuses: strangers, pages of other sites, and requests without measure. */

import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { routes } from '../../../src/server/http/routes.ts'
import { user } from '../../support/book-fixture.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { send, serve, token, type Answer } from './http-fixture.ts'

const json = { 'content-type': 'application/json' }
const bearer = { authorization: `Bearer ${token}` }

function codeOf({ json: body }: Answer): unknown {
  return (body.error as { code: string } | undefined)?.code
}

async function cookieOf(url: string): Promise<string> {
  const answer = await send(url, '/api/session', {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ token }),
  })
  expect(answer.status).toBe(204)
  return String(answer.headers['set-cookie']?.[0]).split(';')[0] ?? ''
}

/** Says something raw; resolves with all that came until the server hung up. */
function converse(url: string, say: string): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    let text = ''
    const socket = connect(Number(port), hostname, () => socket.write(say))
    socket.on('data', (part) => (text += part.toString()))
    socket.on('error', () => resolve(text))
    socket.on('close', () => resolve(text))
  })
}

describe('without the token', () => {
  it('nothing but probes, the description, signing in and the dashboard’s files is answered', async () => {
    const { http } = await serve()
    const open = routes.filter((route) => route.open === true).map(({ path }) => path)
    expect(open).toEqual(['/healthz', '/readyz', '/api/session', '/api/openapi.json'])
    for (const { method, path, open: isOpen } of routes) {
      if (isOpen === true) continue
      const asked = path.replace('{cache}', 'users').replace(/\{\w+\}/, '0-1')
      const answer = await send(http.url, asked, { method, headers: json })
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 401, 'UNAUTHORIZED'])
    }
  })

  it.each([
    ['another token', { authorization: 'Bearer another-token-than-ours' }],
    ['the token in another scheme', { authorization: `Basic ${token}` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['a made-up cookie', { cookie: 'daybook_session_1=abc' }],
  ])('%s is refused', async (_, headers) => {
    const { http } = await serve()
    const answer = await send(http.url, '/api/status', { headers })
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toContain('Bearer')
    expect(answer.text).not.toContain(token)
  })

  it('a wrong one beside a good cookie is wrong', async () => {
    const { http } = await serve()
    const cookie = await cookieOf(http.url)
    const headers = { cookie, authorization: 'Bearer another-token-than-ours' }
    expect((await send(http.url, '/api/status', { headers })).status).toBe(401)
  })

  it('it makes one of its own, long and new at each start', async () => {
    const one = await serve({ http: { token: undefined } })
    const other = await serve({ http: { token: undefined } })
    expect(one.http.token).toMatch(/^[0-9a-f]{64}$/)
    expect(other.http.token).not.toBe(one.http.token)
  })

  it('one that is too short is refused at the start', async () => {
    await expect(serve({ http: { token: 'short' } })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      details: { path: 'http.token' },
    })
  })
})

describe('a session', () => {
  it('begins with the token, in a cookie that scripts and other sites cannot use', async () => {
    const { http } = await serve()
    const answer = await send(http.url, '/api/session', {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ token }),
    })
    const [cookie] = answer.headers['set-cookie'] ?? []
    expect(cookie).toMatch(
      /^daybook_session_\d+=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; /,
    )
    const status = await send(http.url, '/api/status', {
      headers: { cookie: String(cookie).split(';')[0] ?? '' },
    })
    expect(status.status).toBe(200)
  })

  it('does not begin with another token, and that is not noted as done', async () => {
    const { http, api } = await serve()
    const body = JSON.stringify({ token: 'guessed-guessed-guessed' })
    const answer = await send(http.url, '/api/session', { method: 'POST', headers: json, body })
    expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHORIZED'])
    expect((await api('GET', '/api/audit')).json.entries).toEqual([])
  })

  it('ends when it is signed out', async () => {
    const { http } = await serve()
    const cookie = await cookieOf(http.url)
    const headers = { cookie, origin: http.url }
    const answer = await send(http.url, '/api/session', { method: 'DELETE', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers['set-cookie']?.[0]).toContain('Max-Age=0')
    expect((await send(http.url, '/api/status', { headers: { cookie } })).status).toBe(401)
  })

  it('ends after a time without requests', async () => {
    const clock = new ManualClock()
    const { http } = await serve({ clock, http: { limits: { sessionMs: 60_000 } } })
    const cookie = await cookieOf(http.url)
    const status = async (): Promise<number> =>
      (await send(http.url, '/api/status', { headers: { cookie } })).status
    await clock.advance(50_000)
    expect(await status()).toBe(200)
    await clock.advance(50_000)
    expect(await status()).toBe(200)
    await clock.advance(60_000)
    expect(await status()).toBe(401)
  })

  it('that was used least lately goes where there are too many', async () => {
    const { http } = await serve()
    const first = await cookieOf(http.url)
    for (let at = 0; at < 100; at++) await cookieOf(http.url)
    expect((await send(http.url, '/api/status', { headers: { cookie: first } })).status).toBe(401)
  })
})

describe('a page of another site', () => {
  it.each([
    'evil.example',
    'evil.example:6381',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'user@127.0.0.1',
  ])('that has its name %j pointed here gets nothing', async (host) => {
    const { http } = await serve()
    for (const path of ['/', '/healthz', '/api/status', '/dashboard/main.js']) {
      const answer = await send(http.url, path, { headers: { ...bearer, host } })
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 403, 'FORBIDDEN'])
    }
  })

  it.each(['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'GET / HTTP/1.0\r\n\r\n'])(
    'is what a request without a name could come from: %j',
    async (text) => {
      const { http } = await serve()
      expect(await converse(http.url, text)).toContain(' 403 ')
    },
  )

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:99', '10.1.2.3', '[::1]:6381'])(
    'is told from a Host of %j',
    async (host) => {
      const { http } = await serve()
      expect((await send(http.url, '/healthz', { headers: { host } })).status).toBe(200)
    },
  )

  it('is told from a name that was configured', async () => {
    const { http } = await serve({ http: { hosts: ['daybook.internal'] } })
    const headers = { host: 'daybook.internal' }
    expect((await send(http.url, '/healthz', { headers })).status).toBe(200)
  })

  it.each([
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[])('cannot read or change anything: %o', async (headers) => {
    const { http, book } = await serve()
    const cookie = await cookieOf(http.url)
    for (const [method, path] of [
      ['POST', '/api/pause'],
      ['GET', '/api/live'],
      ['GET', '/api/status'],
      ['GET', '/metrics'],
      ['DELETE', '/api/session'],
    ] as const) {
      const answer = await send(http.url, path, {
        method,
        headers: { ...json, cookie, ...headers },
      })
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 403, 'FORBIDDEN'])
    }
    expect(book.stats().state).toBe('open')
  })

  it('is one where a browser does not say where a change comes from', async () => {
    const { http, book } = await serve()
    const cookie = await cookieOf(http.url)
    const headers = { ...json, cookie }
    expect((await send(http.url, '/api/pause', { method: 'POST', headers })).status).toBe(403)
    const own = { ...headers, origin: http.url, 'sec-fetch-site': 'same-origin' }
    expect((await send(http.url, '/api/pause', { method: 'POST', headers: own })).status).toBe(200)
    expect(book.stats().state).toBe('paused')
  })

  it('is asked for no leave: there is no CORS', async () => {
    const { http } = await serve()
    const headers = { origin: 'http://evil.example', 'access-control-request-method': 'POST' }
    const answer = await send(http.url, '/api/pause', { method: 'OPTIONS', headers })
    expect(answer.status).toBe(405)
    for (const name of Object.keys(answer.headers)) expect(name).not.toContain('access-control')
  })
})

describe('every answer', () => {
  it('forbids the browser whatever is not needed', async () => {
    const { http } = await serve()
    for (const path of ['/', '/dashboard/main.js', '/healthz', '/api/status', '/nowhere']) {
      const { headers } = await send(http.url, path)
      const policy = String(headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self';")
      expect(policy).not.toContain('unsafe')
      expect(policy).toContain("frame-ancestors 'none'")
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
      })
    }
  })

  it('to a HEAD is as to a GET, without the body', async () => {
    const { http } = await serve()
    for (const path of ['/', '/healthz']) {
      const answer = await send(http.url, path, { method: 'HEAD' })
      expect([answer.status, answer.text]).toEqual([200, ''])
      expect(Number(answer.headers['content-length'])).toBeGreaterThan(10)
    }
    // What would not end by itself does.
    const live = await send(http.url, '/api/live', { method: 'HEAD', headers: bearer })
    expect([live.status, live.text]).toEqual([200, ''])
  })

  it('says nothing of what nobody foresaw', async () => {
    const { http, book, api } = await serve()
    book.stats = () => {
      throw new Error('postgres://admin:secret@db')
    }
    const answer = await api('GET', '/api/lanes')
    expect([answer.status, codeOf(answer)]).toEqual([500, 'INTERNAL'])
    expect(answer.text).not.toContain('secret')
    expect(http.token).toBe(token)
  })
})

describe('a request', () => {
  it.each([
    ['GET', '/api', 404, 'NOT_FOUND'],
    ['GET', '/dashboard/../http/http-server.ts', 404, 'NOT_FOUND'],
    ['GET', '/dashboard/tsconfig.json', 404, 'NOT_FOUND'],
    ['GET', '/dashboard/%2e%2e%2fhttp%2fhttp-server.ts', 404, 'NOT_FOUND'],
    ['GET', '/api/caches/%zz/keys/1', 400, 'BAD_REQUEST'],
    ['GET', `/${'x'.repeat(9_000)}`, 400, 'BAD_REQUEST'],
    ['GET', '/api/pending?lane=-1', 400, 'BAD_REQUEST'],
    ['GET', '/api/pending?limit=many', 400, 'BAD_REQUEST'],
    ['GET', '/api/pending?fliter=x', 400, 'BAD_REQUEST'],
    ['GET', '/api/pending?limit=1&limit=2', 400, 'BAD_REQUEST'],
    ['GET', '/api/dead-letters?reason=bad+luck', 400, 'BAD_REQUEST'],
    ['GET', '/api/dead-letters?__proto__=x', 400, 'BAD_REQUEST'],
    ['GET', '/api/pending?after=nonsense', 400, 'INVALID_OPTION'],
    ['GET', '/api/caches/nobody/keys/1', 404, 'NOT_FOUND'],
    ['GET', '/api/caches/__proto__/keys/1', 404, 'NOT_FOUND'],
    ['GET', '/api/dead-letters/0-1', 404, 'DEAD_LETTER_UNKNOWN'],
    ['POST', '/', 405, 'METHOD_NOT_ALLOWED'],
    ['PUT', '/api/options', 405, 'METHOD_NOT_ALLOWED'],
    ['GET', '/api/pause', 405, 'METHOD_NOT_ALLOWED'],
  ])('%s %s is answered with %i %s', async (method, path, status, code) => {
    const { api } = await serve()
    const answer = await api(method, path)
    expect([answer.status, codeOf(answer)]).toEqual([status, code])
  })

  it('for a method that a path does not take is told which it does', async () => {
    const { api } = await serve()
    const { headers } = await api('PUT', '/api/options')
    expect(headers.allow).toBe('GET, PATCH')
  })

  it.each([
    ['text/plain', '{}', 415],
    ['application/x-www-form-urlencoded', 'a=b', 415],
    ['application/json', '{', 400],
    ['application/json', '[1]', 400],
    ['application/json', '{"timeoutMs": "soon"}', 400],
    ['application/json', '{"timeoutMs": 0}', 400],
    ['application/json', '{"__proto__": {"timeoutMs": 5}}', 400],
    ['application/json; charset=utf-8', '', 200],
    ['application/json', '{"timeoutMs": 5000}', 200],
  ])('with %s and a body of %j gets %i', async (type, body, status) => {
    const { http } = await serve()
    const headers = { ...bearer, 'content-type': type }
    const answer = await send(http.url, '/api/flush', { method: 'POST', headers, body })
    expect(answer.status).toBe(status)
  })

  it('with a body that is not UTF-8 is refused, and not taken for other characters', async () => {
    const { http } = await serve()
    const text = '{"filter": {"text": "caf\u00e9"}}'
    const retry = async (encoding: 'latin1' | 'utf8'): Promise<number> => {
      const body = Buffer.from(text, encoding)
      const headers = { ...bearer, ...json }
      return (await send(http.url, '/api/dead-letters/retry', { method: 'POST', headers, body }))
        .status
    }
    expect([await retry('utf8'), await retry('latin1')]).toEqual([200, 400])
  })

  it('with a large body is refused, whatever it declares', async () => {
    const { http } = await serve({ http: { limits: { bodyBytes: 1024 } } })
    const body = Buffer.alloc(2048, 0x20)
    const declared = await send(http.url, '/api/flush', {
      method: 'POST',
      headers: { ...bearer, ...json, 'content-length': '2048' },
      body,
    })
    expect(declared.status).toBe(413)
    const chunked = await send(http.url, '/api/flush', {
      method: 'POST',
      headers: { ...bearer, ...json, 'transfer-encoding': 'chunked' },
      body,
    })
    expect(chunked.status).toBe(413)
  })

  it('that is not HTTP, or has headers beyond measure, ends its connection', async () => {
    const { http } = await serve()
    expect(await converse(http.url, 'SET a b\r\n\r\n')).toContain('400 Bad Request')
    const large = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await converse(http.url, large)).toContain(' 431 ')
    expect((await send(http.url, '/healthz')).status).toBe(200)
  })

  it('that never ends is not waited for', async () => {
    const limits = { headersTimeoutMs: 100, requestTimeoutMs: 100 }
    const { http } = await serve({ http: { limits } })
    expect(await converse(http.url, 'GET / HTTP/1.1\r\nHost: localh')).toContain(' 408 ')
  })

  it('is one of few at once', async () => {
    const { http } = await serve({ http: { limits: { connections: 1 } } })
    const { hostname, port } = new URL(http.url)
    const idle = connect(Number(port), hostname)
    await new Promise<void>((resolve) => idle.once('connect', () => resolve()))
    await expect(send(http.url, '/healthz')).rejects.toThrow()
    idle.destroy()
  })
})

it('a GET changes nothing', async () => {
  const { api, users, book } = await serve()
  await users.set('1', user('Ada'))
  await book.flush()
  const before = { options: book.options, count: book.stats().acknowledged }
  for (const { method, path } of routes) {
    if (method !== 'GET' || path === '/api/live') continue
    await api('GET', path.replace('{cache}', 'users').replace(/\{\w+\}/, '1'))
  }
  expect({ options: book.options, count: book.stats().acknowledged }).toEqual(before)
  expect(book.stats().state).toBe('open')
  expect((await api('GET', '/api/audit')).json.entries).toEqual([])
})

it('keys with names of objects’ own members are keys like any other', async () => {
  const { api, users, book } = await serve()
  for (const key of ['__proto__', 'constructor', 'toString', 'a/b?c#d', '<script>']) {
    await users.set(key, user('Ada'))
    await book.flush()
    const { status, json: seen } = await api(
      'GET',
      `/api/caches/users/keys/${encodeURIComponent(key)}`,
    )
    expect([status, seen.key]).toEqual([200, key])
    expect(seen.stored).toEqual({ value: user('Ada') })
  }
  expect(({} as Record<string, unknown>).name).toBeUndefined()
})
