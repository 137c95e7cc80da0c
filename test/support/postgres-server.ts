/**
 * A private PostgreSQL server with its ordinary, safe settings, in a temporary directory and on a free port of
 * 127.0.0.1. It is stopped and removed by `stop`, or when this process exits.
 *
 * PostgreSQL refuses to run as root: there it runs as `postgres` or `nobody`.
 */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'

export interface PostgresServer {
  readonly port: number
  /** Of the database `postgres`, as the superuser `daybook`. */
  readonly url: string
  /** The same server by another port (a proxy's), user or database. */
  urlOf(parts: { port?: number; user?: string; database?: string }): string
  /** Settings for the next `start`, added to those given before. */
  configure(settings: Readonly<Record<string, string>>): void
  start(): Promise<void>
  /** Ends the server as an administrator would: open transactions are rolled back. It can be started again. */
  shutDown(): Promise<void>
  /** SIGKILL to the server and all of its processes. It can be started again, and then recovers. */
  kill(): Promise<void>
  /** Ends the server and removes its directory. */
  stop(): Promise<void>
}

interface Account {
  readonly uid: number
  readonly gid: number
}

const startTimeoutMs = 60_000

/** Why no server can be had here, or undefined where one can. In CI that is an error, never a skip. */
export function postgresUnavailable(): string | undefined {
  const reason = whyUnavailable()
  if (reason !== undefined && process.env['CI'] !== undefined && process.env['CI'] !== '') {
    throw new Error(`PostgreSQL tests must not be skipped in CI: ${reason}`)
  }
  return reason
}

function whyUnavailable(): string | undefined {
  if (process.platform === 'win32') return 'private PostgreSQL servers are not started on Windows'
  if (binaries() === undefined) {
    return 'no PostgreSQL server found in PATH or /usr/lib/postgresql (Debian: apt-get install postgresql)'
  }
  if (process.getuid?.() === 0 && unprivilegedAccount() === undefined) {
    return 'running as root, and there is neither a user postgres nor nobody to run PostgreSQL as'
  }
  return undefined
}

export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const server = new PrivateServer(settings)
  await server.start()
  return server
}

/** Runs SQL on a connection of its own. Resolves to the rows of the last statement. */
export async function administer(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  // A server that is killed meanwhile fails the query too.
  client.on('error', () => undefined)
  await client.connect()
  try {
    const result: unknown = await client.query(sql)
    const last: unknown = Array.isArray(result) ? result.at(-1) : result
    return (last as pg.QueryResult<Record<string, unknown>>).rows
  } finally {
    await client.end()
  }
}

class PrivateServer implements PostgresServer {
  port = 0
  readonly #directory: string
  readonly #binaries: string
  readonly #account: Account | undefined
  readonly #settings = new Map<string, string>()
  readonly #removeAtExit: () => void
  #process: ChildProcess | undefined

  constructor(settings: Readonly<Record<string, string>>) {
    const found = binaries()
    if (found === undefined) throw new Error(whyUnavailable())
    this.#binaries = found
    this.#account = process.getuid?.() === 0 ? unprivilegedAccount() : undefined
    this.#directory = mkdtempSync(join(tmpdir(), 'daybook-postgres-'))
    this.configure(settings)
    this.#removeAtExit = () => {
      // An immediate shutdown: nothing asynchronous runs any more, and the data is thrown away.
      this.#process?.kill('SIGQUIT')
      rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    }
    process.once('exit', this.#removeAtExit)
    if (this.#account !== undefined) {
      chownSync(this.#directory, this.#account.uid, this.#account.gid)
    }
    execFileSync(
      join(this.#binaries, 'initdb'),
      // prettier-ignore
      ['-D', join(this.#directory, 'data'), '-U', 'daybook', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      { ...this.#account, cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] },
    )
  }

  get url(): string {
    return this.urlOf({})
  }

  urlOf({ port = this.port, user = 'daybook', database = 'postgres' }): string {
    return `postgres://${user}@127.0.0.1:${port}/${database}`
  }

  configure(settings: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(settings)) this.#settings.set(name, value)
  }

  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error('the PostgreSQL server is already running')
    const deadline = performance.now() + startTimeoutMs
    for (;;) {
      const failure = await this.#tryStart()
      if (failure === undefined) return
      // Processes of a killed server may hold its shared memory for a moment, and a free port may be taken.
      const mayPass = /shared memory block|lock file|Address already in use/.test(failure)
      if (!mayPass || performance.now() > deadline) {
        throw new Error(`PostgreSQL did not start: ${failure}`)
      }
      if (failure.includes('Address already in use')) this.port = 0
      await delay(20)
    }
  }

  /** Resolves to what the server said where it ended instead. */
  async #tryStart(): Promise<string | undefined> {
    if (this.port === 0) this.port = await freePort()
    const options = [...this.#settings].flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(
      join(this.#binaries, 'postgres'),
      // prettier-ignore
      ['-D', join(this.#directory, 'data'), '-p', String(this.port), '-k', this.#directory,
       '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=50', '-c', 'lc_messages=C', ...options],
      { ...this.#account, cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let output = ''
    const failure = await new Promise<string | undefined>((resolve) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        // The end of it: clients that wait for it fill a log with their attempts.
        output = (output + text).slice(-10_000)
        if (output.includes('ready to accept')) resolve(undefined)
      })
      child.once('error', (error) => resolve(error.message))
      child.once('exit', () => resolve(output))
    })
    if (failure === undefined) this.#process = child
    return failure
  }

  async shutDown(): Promise<void> {
    await this.#end('SIGINT')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGQUIT')
    process.off('exit', this.#removeAtExit)
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  async #end(signal: 'SIGINT' | 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    const backends = signal === 'SIGKILL' && child.pid !== undefined ? childrenOf(child.pid) : []
    child.kill(signal)
    for (const pid of backends) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended by itself, for its server is gone.
      }
    }
    await ended
  }
}

function binaries(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian) : []
  const candidates = [
    ...versions
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(debian, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ]
  return candidates.find(
    (path) => existsSync(join(path, 'postgres')) && existsSync(join(path, 'initdb')),
  )
}

function unprivilegedAccount(): Account | undefined {
  const accounts = new Map(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]),
  )
  return accounts.get('postgres') ?? accounts.get('nobody')
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split(' ')
    .filter((text) => text.trim() !== '')
    .map(Number)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
