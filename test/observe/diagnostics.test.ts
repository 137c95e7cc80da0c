import { subscribe, unsubscribe } from 'node:diagnostics_channel'

import { expect, onTestFinished, test } from 'vitest'

import { diagnostics, type DiagnosticsMap } from '../../src/observe/diagnostics.ts'

function listen(name: keyof DiagnosticsMap): unknown[] {
  const seen: unknown[] = []
  const listener = (payload: unknown): void => void seen.push(payload)
  subscribe(name, listener)
  onTestFinished(() => void unsubscribe(name, listener))
  return seen
}

const write: DiagnosticsMap['daybook:write'] = {
  cache: 'users',
  kind: 'set',
  mutations: 1,
  position: 7,
}

test('where nobody listens, the payload is not even made', () => {
  expect(diagnostics.write.watched).toBe(false)
  diagnostics.write.publish(() => {
    throw new Error('made for nobody')
  })
})

test('a subscriber of the channel gets the payload, and only of that channel', () => {
  const writes = listen('daybook:write')
  const loads = listen('daybook:load')
  expect(diagnostics.write.watched).toBe(true)
  diagnostics.write.publish(() => write)
  expect(writes).toEqual([write])
  expect(loads).toEqual([])
})

test('every channel has the name that its payload is documented under', () => {
  const names = [
    'daybook:write',
    'daybook:load',
    'daybook:commit',
    'daybook:flush',
    'daybook:dead-letter',
  ] as const
  const seen = names.map((name) => listen(name))
  diagnostics.write.publish(() => write)
  diagnostics.load.publish(() => ({ cache: 'users', keys: 2, found: 1, tookMs: 1 }))
  diagnostics.commit.publish(() => ({ mutations: 1, bytes: 2, position: 3 }))
  diagnostics.flush.publish(() => ({ lane: 0, from: 1, to: 2, mutations: 1, rows: 1, tookMs: 1 }))
  diagnostics.deadLetter.publish(() => ({
    id: '0-1',
    cache: 'users',
    key: 'a',
    code: '23505',
    reason: 'rejected',
  }))
  expect(seen.map((payloads) => payloads.length)).toEqual([1, 1, 1, 1, 1])
})
