/**
 * Goal: ten thousand clients that are connected and say nothing cost little, and nobody else waits because of them.
 * Method: a server in a process of its own, and the connections in another one, for a process may have only so many open files.
 */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ServeProcess } from '../serve-process.ts'
import { RawClient, temporaryDirectory } from './redis-fixture.ts'

const count = 10_000
const warmUp = 2000
/** Measured: 4.0 to 4.4 KiB of the process's memory, between the 2,000th and the 10,000th. */
const maxBytesEach = 16 * 1024
/** For what else a process has open. */
const otherFiles = 500

function tooFewFiles(): string | undefined {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
  return limit === 'unlimited' || Number(limit) >= count + otherFiles
    ? undefined
    : `a process may have ${limit} open files, and ${count + otherFiles} are needed`
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1])
}

/** Opens so many more, and returns the process that holds them. */
async function opened(port: number, more: number, observer: RawClient): Promise<ChildProcess> {
  const before = await connectedNow(observer)
  const opener = spawn(
    process.execPath,
    [join(import.meta.dirname, 'open-connections.ts'), String(port), String(more)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  onTestFinished(() => void opener.kill('SIGKILL'))
  expect(String((await once(opener.stdout, 'data'))[0])).toBe('open\n')
  await connected(observer, before + more)
  return opener
}

async function connectedNow(observer: RawClient): Promise<number> {
  const info = (await observer.call('INFO', 'clients')) as string
  return Number(/connected_clients:(\d+)/.exec(info)?.[1])
}

async function connected(observer: RawClient, expected: number): Promise<void> {
  await expect.poll(() => connectedNow(observer), { timeout: 60_000 }).toBe(expected)
}

test('ten thousand idle connections', { timeout: 180_000 }, async (context) => {
  const reason = process.platform === 'linux' ? tooFewFiles() : 'memory is read from /proc'
  if (reason !== undefined) process.stderr.write(`skipped: ${reason}\n`)
  context.skip(reason !== undefined, reason)

  const directory = temporaryDirectory()
  const config = join(directory, 'daybook.config.json')
  writeFileSync(
    config,
    JSON.stringify({
      directory: join(directory, 'data'),
      redis: { port: 0, maxClients: count + 2 },
      http: { enabled: false },
    }),
  )
  const server = new ServeProcess(['--config', config])
  const port = Number(await server.says(/redis-cli -p (\d+)/))
  const busy = await RawClient.connect(port)
  onTestFinished(() => busy.destroy())
  for (let n = 0; n < 1000; n++) expect(await busy.call('SET', `k${n}`, n)).toBe('OK')

  // With the first ones the process finds its size.
  const first = await opened(port, warmUp, busy)
  const before = residentBytes(server.child.pid ?? 0)
  const rest = await opened(port, count - warmUp, busy)
  const each = (residentBytes(server.child.pid ?? 0) - before) / (count - warmUp)
  await context.annotate(`${(each / 1024).toFixed(1)} KiB for each connection`)
  expect(each).toBeLessThan(maxBytesEach)

  // Beside them every reply comes at once, over seconds in which they are swept.
  const waits: number[] = []
  for (const endAt = performance.now() + 2500; performance.now() < endAt;) {
    const startedAt = performance.now()
    expect(await busy.call('GET', 'k1')).toBe('1')
    waits.push(performance.now() - startedAt)
  }
  const [median = Infinity] = waits.sort((a, b) => a - b).slice(Math.floor(waits.length / 2))
  expect(median).toBeLessThan(50)
  expect(Math.max(...waits)).toBeLessThan(1000)

  // All at once they go, and their places are free.
  first.stdin?.end()
  rest.stdin?.end()
  await connected(busy, 1)
  server.child.kill('SIGTERM')
  expect(await server.ends()).toBe(0)
})
