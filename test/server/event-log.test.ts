/** What the log of a server says of a database that is away, and of rows that it refuses. */

import { expect, test } from 'vitest'
import { silentLogger } from '../../src/base/log.ts'
import { Events } from '../../src/observe/events.ts'
import { logEvents } from '../../src/server/event-log.ts'
import { ManualClock } from '../support/manual-clock.ts'

function setUp() {
  const clock = new ManualClock()
  const events = new Events(silentLogger)
  const lines: [string, object][] = []
  const logger = {
    ...silentLogger,
    info: (fields: object, message: string) => void lines.push([`info ${message}`, fields]),
    warn: (fields: object, message: string) => void lines.push([`warn ${message}`, fields]),
  }
  logEvents({ on: events.on.bind(events) }, { clock, logger })
  return { clock, events, lines }
}

test('an outage and its end are a line each', () => {
  const { events, lines } = setUp()
  events.emit('storeDown', {
    failure: { kind: 'outage', code: 'ECONNREFUSED', message: 'connect refused', known: true },
  })
  events.emit('storeUp', { downMs: 1234.5 })
  expect(lines).toEqual([
    [
      'warn the database does not answer; writes go on into the journal',
      { code: 'ECONNREFUSED', reason: 'connect refused' },
    ],
    ['info the database answers again', { downMs: 1235 }],
  ])
})

test('refused rows are a line at once, and those of the next ten seconds another one', async () => {
  const { clock, events, lines } = setUp()
  const message = 'the database refused writes, which are dead letters now'
  const failure = { kind: 'rejected', code: '23505', message: 'duplicate', known: true } as const
  const refuse = (...letters: string[]): void =>
    events.emit('deadLettered', { lane: 0, letters, failure })
  refuse('0-1', '0-2')
  expect(lines).toMatchObject([
    [
      expect.stringContaining(message),
      { letters: 2, first: '0-1', code: '23505', reason: 'duplicate' },
    ],
  ])
  refuse('0-3')
  refuse('0-4', '0-5', '0-6')
  expect(lines).toHaveLength(1)
  await clock.advance(10_000)
  expect(lines.slice(1)).toMatchObject([[expect.stringContaining(message), { letters: 4 }]])
  await clock.advance(10_000)
  expect(lines).toHaveLength(2)
  refuse('0-7')
  expect(lines[2]).toMatchObject([expect.stringContaining(message), { first: '0-7', letters: 1 }])
})
