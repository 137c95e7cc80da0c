/**
 * The quick start of the README, with a table of your own: write, read, look into the database.
 *
 *     node examples/quick-start.ts
 *
 * In an application, import from 'daybook' and 'daybook/sqlite'.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openDaybook } from '../src/index.ts'
import { sqlite } from '../src/store/sqlite/index.ts'

interface User {
  name: string | null
  visits: number
}

const place = mkdtempSync(join(tmpdir(), 'daybook-example-'))
const path = join(place, 'app.db')

const database = new DatabaseSync(path)
database.exec(
  'CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT, visits INTEGER NOT NULL DEFAULT 0)',
)

const book = await openDaybook({ directory: join(place, 'data'), store: sqlite({ path }) })
const users = book.cache<User>('users', { table: 'users', key: 'id' })

// Each promise resolves when the write is on disk, in the journal.
await users.set('42', { name: 'Ada', visits: 1 })
await users.increment('42', { visits: 1 })
await users.merge('42', { name: 'Ada L.' })
console.log('cache   ', await users.get('42'))

await book.flush()
console.log('database', { ...database.prepare('SELECT * FROM users').get() })

const { coalescing } = book.stats()
console.log(`${coalescing.mutations} mutations became ${coalescing.rows} row`)

await book.close()
database.close()
rmSync(place, { recursive: true })
