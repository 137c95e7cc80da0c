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

/** Runs the program to its end; `open(more)` opens a book whose store is away from the first flush on. */
async function outputOf(program: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-awaited-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const preamble = `
    import { customStore, openDaybook } from ${JSON.stringify(source('index.ts'))}
    import { postgres } from ${JSON.stringify(source('store/postgres/index.ts'))}
    const away = async () => { throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' }) }
    const store = customStore({ name: 'away', load: async (keys) => keys.map(() => undefined), write: away })
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
  expect(said).toBe('TIMEOUT\n{"pending":1}\n')
})

test('a book that is idle, and one that was left open, keep no process alive', async () => {
  const said = await outputOf(`
    const book = await open()
    await book.cache('documents').set('a', { n: 1 })
    say('done')
  `)
  expect(said).toBe('done\n')
})
