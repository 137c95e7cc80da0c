/** Programs of Redis that tests compare with, where they are installed. In CI they must be. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { RawClient } from './redis-fixture.ts'

const found = new Map<string, string | undefined>()

/** Why a program cannot be used; undefined where it can. Throws in CI. */
export function toolUnavailable(
  name: string,
  args: readonly string[] = ['--version'],
): string | undefined {
  if (!found.has(name)) {
    const missing = spawnSync(name, args).error !== undefined
    const packaged = name.startsWith('redis') ? 'redis' : name
    found.set(name, missing ? `${name} is not installed (apt-get install ${packaged})` : undefined)
  }
  const reason = found.get(name)
  if (reason !== undefined && process.env.CI !== undefined) throw new Error(reason)
  return reason
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address === 'object' && address !== null) return address.port
  throw new Error('A server that listens has an address.')
}

/** A real Redis that keeps nothing, until the test has finished. Its SORT compares bytes, whatever the language of the machine. */
export async function realRedis(): Promise<RawClient> {
  const port = await freePort()
  const server: ChildProcess = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: 'ignore', env: { ...process.env, LC_ALL: 'C' } },
  )
  onTestFinished(() => void server.kill('SIGKILL'))
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await RawClient.connect(port)
      onTestFinished(() => client.destroy())
      return client
    } catch (error) {
      if (attempt === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
