/** Closing ends, whatever the store does; and what the store does late harms nobody who opens the directory next. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { Deferred } from '../../src/base/deadline.ts'
import { isDaybookError } from '../../src/base/errors.ts'
import { silentLogger, type Logger } from '../../src/base/log.ts'
import type { Daybook } from '../../src/book/daybook.ts'
import { openDaybook } from '../../src/open-daybook.ts'
import { customStore, type CustomMutation } from '../../src/store/custom-store.ts'
import type { Store } from '../../src/store/store.ts'

/** Timers fire a hundred times sooner: the deadlines of closing are seconds. */
const hasty: Clock = {
  ...systemClock,
  setTimer: (delayMs, fire, awaited) => systemClock.setTimer(delayMs / 100, fire, awaited),
}

function place(logger: Logger = silentLogger): (store: Store) => Promise<Daybook> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-closing-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return (store) =>
    openDaybook({ directory, store, logger, flush: { delayMs: 0 } }, { clock: hasty })
}

function storeOf(
  rows: Map<string, unknown>,
  write: (mutations: readonly CustomMutation[]) => Promise<void>,
): Store {
  return customStore({
    name: 'slow',
    load: async (keys) => keys.map((key) => rows.get(key) as object | undefined),
    async write(mutations) {
      await write(mutations)
      for (const { key, ...mutation } of mutations) {
        if (mutation.kind === 'set') rows.set(key, { value: mutation.fields.value })
      }
    },
  })
}

/** Nothing tells when the lock is free: it is asked for until it is. */
async function onceUnlocked(open: () => Promise<Daybook>): Promise<Daybook> {
  for (;;) {
    try {
      return await open()
    } catch (error) {
      if (!isDaybookError(error, 'JOURNAL_LOCKED')) throw error
    }
  }
}

test('closing ends while a store does not, and nobody else has the directory until it has', async () => {
  const open = place()
  const rows = new Map<string, unknown>()
  const begun = new Deferred<void>()
  const answered = new Deferred<void>()
  const book = await open(
    storeOf(rows, () => {
      begun.resolve()
      return answered.promise
    }),
  )
  const documents = book.cache<object>('documents')
  const through = documents.set('a', { n: 1 }, { durability: 'store', timeoutMs: 1e8 })
  const told = through.catch((error: unknown) => error)
  await begun.promise
  await documents.set('a', { n: 2 })
  expect(await book.close({ drainTimeoutMs: 0 })).toEqual({ pending: 2, unsettledLanes: 1 })
  expect(book.stats().state).toBe('closed')
  expect(await told).toMatchObject({ code: 'CLOSED', details: { outcome: 'pending' } })
  await expect(open(storeOf(rows, async () => undefined))).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
  })
  expect(rows).toEqual(new Map())

  answered.resolve()
  const reopened = await onceUnlocked(() => open(storeOf(rows, async () => undefined)))
  await reopened.flush()
  expect(rows).toEqual(new Map([['a', { value: { n: 2 } }]]))
  await reopened.close()
})

test('what fails after the close is logged, for nobody waits for it any more', async () => {
  const failed = new Deferred<object>()
  const error: Logger['error'] = (details, message) => {
    if (message.startsWith('letting go failed')) failed.resolve(details)
  }
  const open = place({ ...silentLogger, error })
  const [begun, answered] = [new Deferred<void>(), new Deferred<void>()]
  const store = storeOf(new Map(), () => {
    begun.resolve()
    return answered.promise
  })
  const close = (): Promise<void> => Promise.reject(new Error('it has no end'))
  const book = await open(Object.assign(store, { close }))
  await book.cache<object>('documents').set('a', { n: 1 })
  await begun.promise
  expect(await book.close({ drainTimeoutMs: 0 })).toMatchObject({ unsettledLanes: 1 })
  answered.resolve()
  expect(await failed.promise).toEqual({ reason: 'it has no end' })
})

test('a store that does not close keeps nobody waiting', async () => {
  const open = place()
  const store = storeOf(new Map(), async () => undefined)
  const book = await open(Object.assign(store, { close: () => new Promise<void>(() => undefined) }))
  await book.cache<object>('documents').set('a', { n: 1 })
  expect(await book.close()).toEqual({ pending: 0, unsettledLanes: 0 })
  const next = await open(storeOf(new Map(), async () => undefined))
  await next.close()
})
