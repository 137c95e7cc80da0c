import { openDaybook, memoryStore } from '../src/index.ts'
import { rmSync } from 'node:fs'
rmSync('/tmp/smoke3', { recursive: true, force: true })
const book = await openDaybook({ directory: '/tmp/smoke3/book', store: memoryStore({ tables: { users: { key: { id: { kind: 'text' } }, columns: { name: { type: { kind: 'text' } }, email: { type: { kind: 'text' } }, visits: { type: { kind: 'integer', bits: 32 } }, bio: { type: { kind: 'text' } } } } } }), pressure: { memoryBytes: Number(process.env.MEM ?? 64) << 20 }, control: false })
const users = book.cache('users', { table: 'users', key: 'id', maxBytes: Number(process.env.TIER ?? 64) << 20 })
await users.ready()
book.pause(); console.log('idle rss', process.memoryUsage().rss >> 20)
const n = 500000
let i = 0
for (let round = 0; round < 6; round++) {
  const end = i + n
  const t = performance.now()
  const writer = async () => { while (i < end) { const k = i++; await users.set('user:' + (k * 7919 % 2000000), { name: 'Name of user ' + k, email: 'user' + k + '@example.com', visits: k, bio: 'some text of a bio of user ' + k + ' that is about eighty bytes long in all, so it is' }) } }
  await Promise.all(Array.from({ length: 1024 }, writer))
  const before = process.memoryUsage()
  globalThis.gc?.()
  const after = process.memoryUsage()
  const s = book.stats()
  console.log(round, Math.round(n / (performance.now() - t) * 1000) + '/s', 'rss', before.rss >> 20, 'heap', before.heapUsed >> 20, 'total', before.heapTotal >> 20, 'ab', before.arrayBuffers >> 20, '| after gc heap', after.heapUsed >> 20, 'rss', after.rss >> 20, 'ext', after.external >> 20, 'pending mem', s.pending.memoryBytes >> 20, 'tier', s.cache.bytes >> 20, s.cache.entries, 'spilled', s.pending.spilledMutations)
}
import('node:fs').then(fs => { const m = fs.readFileSync('/proc/self/smaps','utf8'); const out = []; let head=''; for (const line of m.split('\n')) { if (/^[0-9a-f]+-/.test(line)) head = line; const r = /^Rss: +(\d+)/.exec(line); if (r && +r[1] > 8000) out.push([+r[1] >> 10, head.slice(0, 90)]) } out.sort((a,b)=>b[0]-a[0]); for (const o of out.slice(0,14)) console.log(o.join(' ')); process.exit(0) })
