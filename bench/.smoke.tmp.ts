import { openDaybook } from '../src/index.ts'
import { sqlite } from '../src/store/sqlite/index.ts'
import { DatabaseSync } from 'node:sqlite'
import { rmSync, mkdirSync } from 'node:fs'
rmSync('/tmp/smoke', { recursive: true, force: true }); mkdirSync('/tmp/smoke')
const db = new DatabaseSync('/tmp/smoke/app.db')
db.exec('create table users (id text primary key, name text, email text, visits integer not null default 0, bio text)')
const book = await openDaybook({ directory: '/tmp/smoke/book', store: sqlite({ path: '/tmp/smoke/app.db' }), pressure: { memoryBytes: Number(process.env.MEM ?? 64) << 20 } })
const users = book.cache('users', { table: 'users', key: 'id' })
await users.ready()
if (process.env.PAUSE) book.pause()
const n = 300000
for (let round = 0; round < 4; round++) {
  const t = performance.now()
  let i = 0
  const writer = async () => { while (i < n) { const k = i++; await users.set('user:' + (k % 100000), { name: 'Name of user ' + k, email: 'user' + k + '@example.com', visits: k, bio: 'x'.repeat(80) }) } }
  await Promise.all(Array.from({ length: 1024 }, writer))
  const ms = performance.now() - t
  console.log('set', Math.round(n / ms * 1000), '/s', JSON.stringify(book.stats().journal), 'rss', Math.round(process.memoryUsage.rss()/1e6))
}
const t = performance.now()
book.resume()
await book.flush()
console.log('flush', performance.now() - t, JSON.stringify(book.stats().coalescing), JSON.stringify(book.stats().batches))
console.log(db.prepare('select count(*) c, sum(visits) s from users').get())
console.log(await book.close())
