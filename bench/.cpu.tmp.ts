import { openDaybook, memoryStore } from '../src/index.ts'
import { rmSync } from 'node:fs'
rmSync('/tmp/smoke2', { recursive: true, force: true })
const book = await openDaybook({ directory: '/tmp/smoke2/book', store: memoryStore({ tables: { users: { key: { id: { kind: 'text' } }, columns: { name: { type: { kind: 'text' } }, email: { type: { kind: 'text' } }, visits: { type: { kind: 'integer', bits: 32 } }, bio: { type: { kind: 'text' } } } } } }), pressure: { memoryBytes: Number(process.env.MEM ?? 64) << 20 }, control: false })
const users = book.cache('users', { table: 'users', key: 'id' })
await users.ready()
book.pause()
const n = 400000
const keys = Number(process.env.KEYS ?? 100000)
const rows = Array.from({length: 1000}, (_, k) => ({ name: 'Name of user ' + k, email: 'user' + k + '@example.com', visits: k, bio: 'x'.repeat(80) }))
for (let round = 0; round < 4; round++) {
  const t = performance.now(), c = process.threadCpuUsage(), c2 = process.cpuUsage()
  let i = 0
  const writer = async () => { while (i < n) { const k = i++; await users.set('user:' + (k % keys), rows[k % 1000]) } }
  await Promise.all(Array.from({ length: 1024 }, writer))
  const ms = performance.now() - t, cpu = process.threadCpuUsage(c), cpu2 = process.cpuUsage(c2)
  console.log('set', Math.round(n / ms * 1000), '/s; main thread', ((cpu.user + cpu.system) / n).toFixed(2), 'us/set; all', ((cpu2.user + cpu2.system) / n).toFixed(2), 'rss', Math.round(process.memoryUsage.rss()/1e6), JSON.stringify(book.stats().journal.syncMs))
}
{ const t = process.threadCpuUsage(); for (let k = 0; k < 1000000; k++) await users.get('user:' + (k % 1000)); const c = process.threadCpuUsage(t); console.log('get', ((c.user + c.system) / 1e6).toFixed(3), 'us') }
process.exit(0)
