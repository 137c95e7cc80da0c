/** Guessing the token is slow, and locks out nobody but who guesses. */

import { describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/base/log.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { TokenAttempts } from '../../../src/server/http/token-attempts.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { send, serve, token, type Answer } from './http-fixture.ts'

const wrong = 'a-wrong-token-of-a-stranger'

function attempts(maxWrong = 3) {
  const clock = new ManualClock()
  const warnings: object[] = []
  const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields) }
  return { clock, warnings, tries: new TokenAttempts(maxWrong, clock, logger) }
}

function fail(tries: TokenAttempts, address: string, times: number): void {
  for (let time = 0; time < times; time++) {
    tries.check(address)
    tries.failed(address)
  }
}

const isHeld = (tries: TokenAttempts, address: string): boolean => {
  try {
    tries.check(address)
    return false
  } catch (error) {
    expect(error).toMatchObject({ code: 'TOO_MANY_ATTEMPTS' })
    return true
  }
}

describe('an address with too many wrong tokens', () => {
  it('is held off for a minute from the last of them, and is told for how long', async () => {
    const { tries, clock } = attempts()
    fail(tries, '10.0.0.1', 2)
    await clock.advance(50_000)
    fail(tries, '10.0.0.1', 1)
    await clock.advance(20_500)
    expect(() => tries.check('10.0.0.1')).toThrow('Try again in 40 s.')
    await clock.advance(39_499)
    expect(isHeld(tries, '10.0.0.1')).toBe(true)
    await clock.advance(1)
    expect(isHeld(tries, '10.0.0.1')).toBe(false)
    // As many as before, not one more at a time.
    fail(tries, '10.0.0.1', 3)
    expect(isHeld(tries, '10.0.0.1')).toBe(true)
  })

  it('is not held off longer by what it tries meanwhile', async () => {
    const { tries, clock } = attempts()
    fail(tries, '10.0.0.1', 3)
    for (let second = 0; second < 60; second++) {
      expect(isHeld(tries, '10.0.0.1')).toBe(true)
      await clock.advance(1_000)
    }
    expect(isHeld(tries, '10.0.0.1')).toBe(false)
  })

  it('is one with that many within a minute, not over days', async () => {
    const { tries, clock, warnings } = attempts()
    for (let hour = 0; hour < 24; hour++) {
      fail(tries, '10.0.0.1', 2)
      await clock.advance(60_000)
    }
    expect(isHeld(tries, '10.0.0.1')).toBe(false)
    expect(warnings).toEqual([])
  })

  it('is noted once each time it is held off', async () => {
    const { tries, clock, warnings } = attempts()
    fail(tries, '10.0.0.1', 3)
    for (let time = 0; time < 100; time++) isHeld(tries, '10.0.0.1')
    expect(warnings).toEqual([{ address: '10.0.0.1', forMs: 60_000 }])
    await clock.advance(60_000)
    fail(tries, '10.0.0.1', 3)
    expect(warnings).toHaveLength(2)
  })

  it('says nothing of any other', () => {
    const { tries } = attempts()
    fail(tries, '10.0.0.1', 3)
    for (const other of ['10.0.0.2', '', '::1', '::ffff:10.0.0.2']) {
      expect([other, isHeld(tries, other)]).toEqual([other, false])
    }
  })
})

describe('one that counts as the same', () => {
  it.each([
    ['10.0.0.1', '::ffff:10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:DB8:1:2::1', '2001:0db8:0001:0002:a::'],
    ['2001:db8::1', '2001:db8:0:0:5::'],
    ['fe80::1%eth0', 'fe80::2'],
    ['::1', '::2'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ])('%s and %s', (one, other) => {
    const { tries } = attempts()
    fail(tries, one, 2)
    fail(tries, other, 1)
    expect([isHeld(tries, one), isHeld(tries, other)]).toEqual([true, true])
  })

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['2001:db8::1', '2001:db8:0:1::1'],
    ['1::', '::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:5:4:6:7:8'],
  ])('not %s and %s', (one, other) => {
    const { tries } = attempts()
    fail(tries, one, 3)
    expect([isHeld(tries, one), isHeld(tries, other)]).toEqual([true, false])
  })
})

it('what is remembered is bounded: the address that failed least lately goes', () => {
  const { tries } = attempts()
  fail(tries, '10.0.0.1', 3)
  fail(tries, '10.0.0.2', 3)
  for (let at = 0; at < 998; at++) fail(tries, `2001:db8:0:${at.toString(16)}::1`, 1)
  expect([isHeld(tries, '10.0.0.1'), isHeld(tries, '10.0.0.2')]).toEqual([true, true])
  fail(tries, '10.0.0.3', 1)
  expect([isHeld(tries, '10.0.0.1'), isHeld(tries, '10.0.0.2')]).toEqual([false, true])
  fail(tries, '10.0.0.4', 1)
  expect(isHeld(tries, '10.0.0.2')).toBe(false)
})

describe('over HTTP', () => {
  const json = { 'content-type': 'application/json' }
  const signIn = (url: string, given: string): Promise<Answer> =>
    send(url, '/api/session', {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ token: given }),
    })
  const status = (url: string, headers: Record<string, string>): Promise<Answer> =>
    send(url, '/api/status', { headers })

  it('holds off signing in and Bearer together, with the right token too, but no session', async () => {
    const clock = new ManualClock()
    const logged: string[] = []
    const warn = (fields: object, message: string): void =>
      void logged.push(`${message} ${JSON.stringify(fields)}`)
    const { http } = await serve({ clock, logger: { ...silentLogger, warn } })
    const signedIn = await signIn(http.url, token)
    const cookie = String(signedIn.headers['set-cookie']?.[0]).split(';')[0] ?? ''
    for (let time = 0; time < 5; time++) {
      expect((await signIn(http.url, wrong)).status).toBe(401)
      expect((await status(http.url, { authorization: `Bearer ${wrong}` })).status).toBe(401)
    }
    await clock.advance(17_500)
    for (const given of [wrong, token]) {
      for (const answer of [
        await signIn(http.url, given),
        await status(http.url, { authorization: `Bearer ${given}` }),
        await status(http.url, { authorization: `Bearer ${given}`, cookie }),
      ]) {
        expect([answer.status, answer.headers['retry-after'], answer.json]).toEqual([
          429,
          '43',
          {
            error: {
              code: 'TOO_MANY_ATTEMPTS',
              message: 'Too many wrong tokens came from this address. Try again in 43 s.',
              details: { retryAfterSeconds: 43 },
            },
          },
        ])
        expect(answer.headers['www-authenticate']).toBeUndefined()
      }
    }
    expect((await status(http.url, { cookie })).status).toBe(200)
    expect((await send(http.url, '/healthz')).status).toBe(200)
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('127.0.0.1')
    expect(logged[0]).not.toContain(wrong)
    await clock.advance(42_500)
    expect((await signIn(http.url, token)).status).toBe(204)
    expect((await status(http.url, { authorization: `Bearer ${token}` })).status).toBe(200)
  })

  it('lets as many be wrong as is configured, also where they come at once', async () => {
    const { http } = await serve({ http: { limits: { wrongTokens: 4 } } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => signIn(http.url, wrong)))
    const refusals = answers.map((answer) => answer.status)
    expect(refusals.filter((code) => code === 401)).toHaveLength(4)
    expect(refusals.filter((code) => code === 429)).toHaveLength(16)
  })

  it('counts no request without a token, none on an open route, and none of another site', async () => {
    const { http } = await serve({ http: { limits: { wrongTokens: 1 } } })
    const authorization = `Bearer ${wrong}`
    for (const [path, headers] of [
      ['/api/status', {}],
      ['/api/status', { cookie: 'daybook_session_1=abc' }],
      ['/api/status', { authorization: 'Basic abc' }],
      ['/healthz', { authorization }],
      ['/api/openapi.json', { authorization }],
    ] as [string, Record<string, string>][]) {
      await send(http.url, path, { headers })
    }
    const foreign = await send(http.url, '/api/session', {
      method: 'POST',
      headers: { ...json, origin: 'http://evil.example' },
      body: JSON.stringify({ token: wrong }),
    })
    expect(foreign.status).toBe(403)
    expect((await signIn(http.url, token)).status).toBe(204)
    expect((await signIn(http.url, wrong)).status).toBe(401)
    expect((await signIn(http.url, token)).status).toBe(429)
  })
})
