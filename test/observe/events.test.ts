import { expect, expectTypeOf, test } from 'vitest'

import { silentLogger } from '../../src/base/log.ts'
import { Events } from '../../src/observe/events.ts'
import { settled } from '../support/settled.ts'

function setUp() {
  const errors: object[] = []
  const events = new Events({ ...silentLogger, error: (fields) => errors.push(fields) })
  return { events, errors }
}

const rolledForward = { lane: 1, from: 2, to: 3 }

test('listeners get the payload of their event, in the order of their coming', () => {
  const { events } = setUp()
  const calls: unknown[] = []
  events.on('rolledForward', (payload) => {
    expectTypeOf(payload.to).toBeNumber()
    calls.push(['first', payload])
  })
  events.on('rolledForward', (payload) => calls.push(['second', payload]))
  events.on('journalFull', () => calls.push('other'))
  events.emit('rolledForward', rolledForward)
  expect(calls).toEqual([
    ['first', rolledForward],
    ['second', rolledForward],
  ])
})

test('a listener can be taken off, once, without touching the same function added again', () => {
  const { events } = setUp()
  let calls = 0
  const listener = () => {
    calls += 1
  }
  const off = events.on('rolledForward', listener)
  events.on('rolledForward', listener)
  events.emit('rolledForward', rolledForward)
  expect(calls).toBe(2)
  off()
  off()
  events.emit('rolledForward', rolledForward)
  expect(calls).toBe(3)
})

test('listeners may come and go while an event is delivered', () => {
  const { events } = setUp()
  const calls: string[] = []
  const off = events.on('rolledForward', () => {
    calls.push('first')
    off()
    events.on('rolledForward', () => calls.push('late'))
  })
  events.on('rolledForward', () => calls.push('second'))
  events.emit('rolledForward', rolledForward)
  expect(calls).toEqual(['first', 'second'])
  events.emit('rolledForward', rolledForward)
  expect(calls).toEqual(['first', 'second', 'second', 'late'])
})

test('a listener that throws is reported once per event, and the others are called', () => {
  const { events, errors } = setUp()
  let calls = 0
  const broken = () => {
    throw new Error('broken listener')
  }
  for (const name of ['rolledForward', 'journalFull'] as const) {
    events.on(name, broken)
    events.on(name, () => {
      calls += 1
    })
  }
  for (let time = 0; time < 3; time++) {
    events.emit('rolledForward', rolledForward)
    events.emit('journalFull', { reason: 'ENOSPC' })
  }
  expect(calls).toBe(6)
  expect(errors).toEqual([
    { event: 'rolledForward', reason: 'broken listener' },
    { event: 'journalFull', reason: 'broken listener' },
  ])
})

test('an async listener that rejects is reported in the same way', async () => {
  const { events, errors } = setUp()
  const broken = async (): Promise<void> => {
    await Promise.resolve()
    throw new Error('rejected listener')
  }
  events.on('rolledForward', broken)
  events.emit('rolledForward', rolledForward)
  events.emit('rolledForward', rolledForward)
  await settled()
  expect(errors).toEqual([{ event: 'rolledForward', reason: 'rejected listener' }])
})
