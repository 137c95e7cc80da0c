/**
 * Goal: what a program awaits ends, though nothing else keeps its process alive; and an idle book keeps none alive.
 * Method: a process of its own that does nothing but await, with a store that is away.
 */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

const run = promisify(execFile)
const source = (path: string): string =>
  pathToFileURL(join(import.meta.dirname, '../../src', path)).href

/**
 * Runs the program to its end; `open(more)` opens a book whose store is away from the first flush on, and `backAfter(n)`
 * is a store that is away for `n` attempts. Rejects where the process ends otherwise than by its last line: with
 * status 13 where an await was left open.
 */
async function outputOf(program: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-awaited-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const preamble = `
    import { customStore, openDaybook } from ${JSON.stringify(source('index.ts'))}
    import { postgres } from ${JSON.stringify(source('store/postgres/index.ts'))}
    const away = async () => { throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' }) }
    const store = customStore({ name: 'away', load: async (keys) => keys.map(() => undefined), write: away })
    const backAfter = (attempts) =>
      customStore({
        name: 'back',
        load: async (keys) => keys.map(() => undefined),
        write: async () => { if (attempts-- > 0) await away() },
      })
    const open = (more) =>
      openDaybook({ directory: ${JSON.stringify(directory)}, store, flush: { delayMs: 5 }, ...more })
    const say = (text) => process.stdout.write(text + '\\n')
  `
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', preamble + program])
  return stdout
}

test('opening in front of a database that is away', async () => {
  const said = await outputOf(`
    const url = 'postgres://nobody@127.0.0.1:1/none'
    await open({ store: postgres({ url }), openTimeoutMs: 1500 }).catch((error) => say(error.code))
  `)
  expect(said).toBe('STORE_UNAVAILABLE\n')
})

test('a flush with a deadline, and closing, while the store is away', async () => {
  const said = await outputOf(`
    const book = await open()
    await book.cache('documents').set('a', { n: 1 })
    await book.flush({ timeoutMs: 1000 }).catch((error) => say(error.code))
    say(JSON.stringify(await book.close({ drainTimeoutMs: 1000 })))
  `)
  expect(said).toBe('TIMEOUT\n{"pending":1,"unsettledLanes":0}\n')
})

test('closing, while the store does not end what it was given; the process ends then', async () => {
  const said = await outputOf(`
    const never = customStore({
      name: 'never',
      load: async (keys) => keys.map(() => undefined),
      write: () => new Promise(() => undefined),
    })
    const book = await open({ store: never })
    await book.cache('documents').set('a', { n: 1 })
    await book.flush({ timeoutMs: 500 }).catch((error) => say(error.code))
    say(JSON.stringify(await book.close({ drainTimeoutMs: 0 })))
    await open({ store: backAfter(0) }).catch((error) => say(error.code))
  `)
  expect(said).toBe('TIMEOUT\n{"pending":1,"unsettledLanes":1}\nJOURNAL_LOCKED\n')
})

test('a book that is idle, and one that was left open, keep no process alive', async () => {
  const said = await outputOf(`
    const book = await open()
    await book.cache('documents').set('a', { n: 1 })
    say('done')
  `)
  expect(said).toBe('done\n')
})

test('a flush without a deadline, until the store is back', async () => {
  const said = await outputOf(`
    const book = await open({ store: backAfter(5) })
    await book.cache('documents').set('a', { n: 1 })
    await book.flush()
    say('flushed')
  `)
  expect(said).toBe('flushed\n')
})

test('the end of a write, until the store is back', async () => {
  const said = await outputOf(`
    const book = await open({ store: backAfter(5) })
    say(await book.persisted(await book.cache('documents').set('a', { n: 1 })))
  `)
  expect(said).toBe('persisted\n')
})

test('a flush with a signal alone, whose timer keeps no process alive', async () => {
  const said = await outputOf(`
    const book = await open()
    await book.cache('documents').set('a', { n: 1 })
    await book.flush({ signal: AbortSignal.timeout(500) }).catch((error) => say(error.code))
  `)
  expect(said).toBe('ABORTED\n')
})

test('a flush while flushing is paused', async () => {
  const said = await outputOf(`
    const book = await open({ store: backAfter(0) })
    book.pause()
    await book.cache('documents').set('a', { n: 1 })
    setTimeout(() => book.resume(), 300).unref()
    await book.flush()
    say('flushed')
  `)
  expect(said).toBe('flushed\n')
})

test('a write that stands in line for room, alone and in a batch', async () => {
  const said = await outputOf(`
    const journal = { segmentBytes: 65_536, maxBytes: 131_072, retainBytes: 0 }
    const book = await open({ journal, pressure: { waitMs: 500 } })
    const documents = book.cache('documents')
    const codeOf = (writing) => writing.then(() => undefined, (error) => error.code)
    const value = { text: 'x'.repeat(20_000) }
    let code
    for (let n = 0; n < 20 && code === undefined; n++) code = await codeOf(documents.set('k' + n, value))
    say(code)
    say(await codeOf(book.batch((writes) => writes.set(documents, 'last', value))))
  `)
  expect(said).toBe('OVERLOADED\nOVERLOADED\n')
})

test('the retry of a dead letter, which waits for what is pending, while the store is away', async () => {
  const said = await outputOf(`
    let refusing = true
    const picky = customStore({
      name: 'picky',
      load: async (keys) => keys.map(() => undefined),
      write: async () => { if (refusing) throw new Error('refused'); await away() },
      classify: (error) => (error.message === 'refused' ? { kind: 'rejected' } : undefined),
    })
    const book = await open({ store: picky })
    const documents = book.cache('documents')
    await documents.set('a', { n: 1 })
    await book.flush()
    refusing = false
    const [letter] = (await book.deadLetters.list()).letters
    await documents.set('b', { n: 1 })
    await book.deadLetters.retry(letter.id, { timeoutMs: 500 }).catch((error) => say(error.code))
  `)
  expect(said).toBe('TIMEOUT\n')
})

test('reads from a store that never answers, and heeds no signal', async () => {
  const said = await outputOf(`
    const never = () => new Promise(() => undefined)
    const mute = customStore({ name: 'mute', load: never, keys: never, write: away })
    const documents = (await open({ store: mute, loadTimeoutMs: 300 })).cache('documents')
    await documents.get('a').catch((error) => say(error.code))
    await documents.update('a', (value) => value).catch((error) => say(error.code))
    await documents.keys().next().catch((error) => say(error.code))
    say((await documents.inspect('a')).stored.failure.code)
  `)
  expect(said).toBe('TIMEOUT\nTIMEOUT\nTIMEOUT\nTIMEOUT\n')
})

test('a value that is being made', async () => {
  const said = await outputOf(`
    const book = await open()
    const make = () => new Promise((resolve) => setTimeout(resolve, 300, { n: 1 }).unref())
    say(JSON.stringify(await book.cache('documents').getOrSet('a', make)))
  `)
  expect(said).toBe('{"n":1}\n')
})
