/** Commands on a real book over SQLite: beside the running application, and after it has stopped. */

import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Daybook } from '../../src/book/daybook.ts'
import { openDaybook } from '../../src/open-daybook.ts'
import { sqlite } from '../../src/store/sqlite/index.ts'
import { run } from './run.ts'

let folder = ''
let directory = ''
let path = ''
let book: Daybook | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'daybook-test-'))
  directory = join(folder, 'data')
  path = join(folder, 'shop.sqlite')
  const database = new DatabaseSync(path)
  database.exec(
    `create table users (id integer primary key, email text unique, visits integer not null default 0 check (visits >= 0))`,
  )
  database.close()
  await open()
})

afterEach(async () => {
  await book?.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(): Promise<void> {
  book = await openDaybook({ directory, store: sqlite({ path }), flush: { delayMs: 5 } })
}

function users() {
  if (book === undefined) throw new Error('the book is not open')
  return book.cache<{ email?: string | null; visits?: number }>('users', {
    table: 'users',
    key: 'id',
  })
}

function rows(): unknown[] {
  const database = new DatabaseSync(path)
  const found = database.prepare('select id, email, visits from users order by id').all()
  database.close()
  return found.map((row) => ({ ...row }))
}

/** Two users with one address: the second is refused, and a later merge of it is parked behind it. */
async function makeDeadLetters(): Promise<string> {
  await users().set('1', { email: 'ada@example.org', visits: 1 })
  await book?.flush()
  await users().set('2', { email: 'ada@example.org', visits: 2 })
  await book?.flush()
  const { json } = await run(['dead-letters', 'list', directory, '--json'])
  const { letters } = json() as { letters: { id: string }[] }
  expect(letters).toHaveLength(1)
  return letters[0]?.id ?? ''
}

const closeBook = async (): Promise<void> => {
  await book?.close()
  book = undefined
}

describe('beside the running application', () => {
  it('status, flush and dead letters work through its socket', async () => {
    const id = await makeDeadLetters()
    const status = await run(['status', directory, '--json'])
    expect(status.code).toBe(1)
    expect(status.json()).toMatchObject({ state: 'open', deadLetters: { count: 1 } })
    expect(await run(['flush', directory])).toMatchObject({ code: 0 })
    const shown = await run(['dead-letters', 'show', directory, id])
    expect(shown.out).toContain('UNIQUE')
    expect(shown.out).toContain('ada@example.org')
    expect(rows()).toEqual([{ id: 1, email: 'ada@example.org', visits: 1 }])
  })

  it('a retry that is refused again is told, an edited one lands', async () => {
    const id = await makeDeadLetters()
    const again = await run(['dead-letters', 'retry', directory, id, '--json'])
    expect(again.code).toBe(1)
    const { refusedAgain } = again.json() as { refusedAgain: { id: string }[] }
    expect(refusedAgain).toHaveLength(1)
    const edited = await run([
      ...['dead-letters', 'edit', directory, refusedAgain[0]?.id ?? ''],
      ...['--set', 'email=grace@example.org'],
    ])
    expect(edited).toMatchObject({ code: 0, err: '' })
    expect(rows()[1]).toEqual({ id: 2, email: 'grace@example.org', visits: 2 })
    expect(await run(['status', directory])).toMatchObject({ code: 0 })
  })

  it('bad content is refused before anything is written', async () => {
    const id = await makeDeadLetters()
    const edited = await run(['dead-letters', 'edit', directory, id, '--set', 'visits=many'])
    expect(edited).toMatchObject({
      code: 1,
      err: expect.stringContaining('INVALID_VALUE') as string,
    })
    expect(await run(['dead-letters', 'show', directory, id])).toMatchObject({ code: 0 })
  })

  it('a discarded letter is gone', async () => {
    const id = await makeDeadLetters()
    expect(await run(['dead-letters', 'discard', directory, id, '--yes'])).toMatchObject({
      code: 0,
    })
    expect(await run(['dead-letters', 'list', directory])).toMatchObject({
      out: 'No dead letters.\n',
    })
  })

  it('leaves no socket behind when it closes', async () => {
    expect(existsSync(join(directory, 'control.sock'))).toBe(true)
    await closeBook()
    expect(existsSync(join(directory, 'control.sock'))).toBe(false)
  })
})

describe('after it has stopped', () => {
  it('looking changes nothing and leaves nothing', async () => {
    const id = await makeDeadLetters()
    await closeBook()
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('daybook-read-'))
    expect(await run(['status', directory])).toMatchObject({ code: 1 })
    expect(await run(['dead-letters', 'show', directory, id])).toMatchObject({ code: 0 })
    expect(await run(['dead-letters', 'export', directory])).toMatchObject({ code: 0 })
    const after = readdirSync(tmpdir()).filter((name) => name.startsWith('daybook-read-'))
    expect(after).toEqual(before)
  })

  it('what it left pending is flushed without it', async () => {
    book?.pause()
    await users().set('1', { email: 'ada@example.org', visits: 1 })
    await book?.close({ drainTimeoutMs: 0 })
    book = undefined
    expect(rows()).toEqual([])
    const flushed = await run(['flush', directory, '--store', `sqlite:${path}`])
    expect(flushed).toMatchObject({
      code: 0,
      out: 'Flushed 1 mutation. Everything is in the database.\n',
    })
    expect(rows()).toHaveLength(1)
  })

  it('dead letters are retried, edited and shown with the store', async () => {
    const id = await makeDeadLetters()
    await closeBook()
    const environment = { DAYBOOK_STORE: `sqlite:${path}` }
    const shown = await run(['dead-letters', 'show', directory, id], { environment })
    expect(shown.out).toContain('(no value)')
    expect(await run(['dead-letters', 'retry', directory, '--all'], { environment })).toMatchObject(
      { code: 1 },
    )
    const list = await run(['dead-letters', 'list', directory, '--json'])
    const { letters } = list.json() as { letters: { id: string; attempts: number }[] }
    expect(letters).toMatchObject([{ attempts: 2 }])
    const args = [
      'dead-letters',
      'edit',
      directory,
      letters[0]?.id ?? '',
      '--json-patch',
      '{"email":"g@example.org"}',
    ]
    expect(await run(args, { environment })).toMatchObject({ code: 0 })
    expect(rows()[1]).toEqual({ id: 2, email: 'g@example.org', visits: 2 })
  })

  it('a wrong store is refused', async () => {
    await makeDeadLetters()
    await closeBook()
    writeFileSync(
      join(folder, 'notes.txt'),
      'This is not a database, however long one looks at it.'.repeat(100),
    )
    const wrong = await run(['flush', directory, '--store', `sqlite:${join(folder, 'notes.txt')}`])
    expect(wrong.code).not.toBe(0)
    expect(wrong.err).not.toContain(' at ')
  })

  it('a store whose path is misspelt is refused, and not made', async () => {
    await makeDeadLetters()
    await closeBook()
    const misspelt = join(folder, 'shpo.db')
    const { code, err } = await run(['flush', directory, '--store', `sqlite:${misspelt}`])
    expect(code).toBe(1)
    expect(err).toContain(`There is no SQLite database ${misspelt}.`)
    expect(readdirSync(folder)).not.toContain('shpo.db')
  })
})
