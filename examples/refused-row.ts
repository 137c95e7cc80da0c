/**
 * When the database refuses a row: the others go in, the refused one becomes a dead letter, and someone mends it.
 *
 *     node examples/refused-row.ts
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isDaybookError, openDaybook } from '../src/index.ts'
import { sqlite } from '../src/store/sqlite/index.ts'

interface User {
  name: string
  email: string | null
}

const place = mkdtempSync(join(tmpdir(), 'daybook-example-'))
const path = join(place, 'app.db')
const database = new DatabaseSync(path)
database.exec('CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE)')

const book = await openDaybook({ directory: join(place, 'data'), store: sqlite({ path }) })
const users = book.cache<User>('users', { table: 'users', key: 'id' })
book.on('deadLettered', ({ letters, failure }) => {
  console.log(`refused: ${letters.join(', ')}: ${failure?.message}`)
})

// What the table's own definition rules out is refused before it is acknowledged …
try {
  await users.set('1', { email: 'ada@example.org' } as User)
} catch (error) {
  console.log('at once:', isDaybookError(error) ? error.code : error)
}

// … what only the database can know, such as a unique value that another row has, is refused when it is flushed.
await users.set('1', { name: 'Ada', email: 'ada@example.org' })
const second = await users.set('2', { name: 'Grace', email: 'ada@example.org' })
await users.set('3', { name: 'Edsger', email: null })
await book.flush()
console.log('rows:', database.prepare('SELECT count(*) AS count FROM users').get()?.['count'])
console.log('second write:', await book.persisted(second))

const [letter] = (await book.deadLetters.list()).letters
if (letter !== undefined) {
  await book.deadLetters.edit(letter.id, { set: { name: 'Grace', email: 'grace@example.org' } })
  await book.flush()
}
console.log('rows:', database.prepare('SELECT count(*) AS count FROM users').get()?.['count'])
console.log('dead letters:', book.deadLetters.count)

await book.close()
database.close()
rmSync(place, { recursive: true })
