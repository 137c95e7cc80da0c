/** A server in this process on a port of its own, and a client that sends bytes and reads replies as they are. */

import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { silentLogger } from '../../../src/base/log.ts'
import { nodeFiles } from '../../../src/base/node-files.ts'
import { systemRandom, type Random } from '../../../src/base/random.ts'
import type { Daybook } from '../../../src/book/daybook.ts'
import type { CacheOptions, DaybookOptions } from '../../../src/book/options.ts'
import { openDaybook } from '../../../src/open-daybook.ts'
import type { Mapping } from '../../../src/server/redis/databases.ts'
import { readRedisOptions } from '../../../src/server/redis/options.ts'
import { startRedis, type Redis } from '../../../src/server/redis/redis-server.ts'
import type { RowExpiry } from '../../../src/server/redis/spaces/table-space.ts'
import { sqlite } from '../../../src/store/sqlite/index.ts'

/** A reply as a test compares it: errors are `Failure`, arrays and maps are lists, nil is null. */
export type Reply = string | number | null | boolean | Failure | Reply[]

export class Failure {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

export interface Served {
  readonly directory: string
  readonly book: Daybook
  readonly redis: Redis
  readonly client: () => Promise<RawClient>
  /** Rows of the database, read by someone else. */
  readonly rows: (sql: string) => unknown[]
  readonly stop: () => Promise<void>
}

export interface ServedOptions {
  readonly directory?: string
  readonly redis?: object
  readonly book?: Partial<DaybookOptions>
  readonly caches?: Readonly<
    Record<string, CacheOptions<unknown> & { readonly rowExpiry?: RowExpiry }>
  >
  /** Of the server; else what it picks is another each time. */
  readonly random?: Random
  /** Run before the book opens. */
  readonly schema?: string
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daybook-redis-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function served(options: ServedOptions = {}): Promise<Served> {
  const directory = options.directory ?? temporaryDirectory()
  const path = join(directory, 'store.sqlite')
  if (options.schema !== undefined) {
    const database = new DatabaseSync(path)
    database.exec(options.schema)
    database.close()
  }
  const book = await openDaybook({
    directory,
    store: sqlite({ path }),
    flush: { delayMs: 20 },
    control: false,
    ...options.book,
  })
  const mappings: Mapping[] = []
  for (const [name, { rowExpiry, ...cache }] of Object.entries(options.caches ?? {})) {
    await book.cache(name, cache).ready()
    mappings.push({ cache: name, rowExpiry })
  }
  const redis = await startRedis(book, readRedisOptions({ port: 0, ...options.redis }), {
    clock: systemClock,
    random: options.random ?? systemRandom,
    logger: silentLogger,
    files: nodeFiles,
    mappings,
  })
  const clients: RawClient[] = []
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      for (const client of clients) client.destroy()
      await redis.close()
      await book.close({ drainTimeoutMs: 2000 })
    })()
    return stopped
  }
  onTestFinished(stop)
  return {
    directory,
    book,
    redis,
    stop,
    async client() {
      const client = await RawClient.connect(redis.port)
      clients.push(client)
      return client
    },
    rows(sql) {
      const database = new DatabaseSync(path, { readOnly: true })
      try {
        return database
          .prepare(sql)
          .all()
          .map((row) => ({ ...row }))
      } finally {
        database.close()
      }
    },
  }
}

/** Requests and replies in the protocol, without a library's opinions. Bytes are binary strings. */
export class RawClient {
  readonly socket: Socket
  #received = ''
  #ended = false
  #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#wake()
    })
    const end = (): void => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  static connect(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  destroy(): void {
    this.socket.destroy()
  }

  write(bytes: string): void {
    this.socket.write(bytes, 'latin1')
  }

  send(...args: readonly (string | number)[]): void {
    this.write(requestOf(args))
  }

  /** Sends, and reads one reply. */
  async call(...args: readonly (string | number)[]): Promise<Reply> {
    this.send(...args)
    return this.reply()
  }

  /** Sends all in one go, and reads a reply to each. */
  async pipeline(commands: readonly (readonly string[])[]): Promise<Reply[]> {
    for (const words of commands) this.send(...words)
    const replies: Reply[] = []
    for (let left = commands.length; left > 0; left--) replies.push(await this.reply())
    return replies
  }

  /** The message of an error reply. */
  async failure(...args: readonly (string | number)[]): Promise<string> {
    const reply = await this.call(...args)
    if (reply instanceof Failure) return reply.message
    throw new Error(`${args.join(' ')} was answered with ${JSON.stringify(reply)}.`)
  }

  async reply(): Promise<Reply> {
    for (;;) {
      const parsed = parseReply(this.#received, 0)
      if (parsed !== undefined) {
        this.#received = this.#received.slice(parsed.end)
        return parsed.value
      }
      if (this.#ended) throw new Error('The server ended the connection.')
      await this.#more()
    }
  }

  /** Everything that comes until the server ends the connection. */
  async untilEnd(): Promise<string> {
    while (!this.#ended) await this.#more()
    return this.#received
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

export function requestOf(args: readonly (string | number)[]): string {
  return `*${args.length}\r\n${args.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`
}

interface Parsed {
  readonly value: Reply
  readonly end: number
}

function parseReply(text: string, start: number): Parsed | undefined {
  const lineEnd = text.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const line = text.slice(start + 1, lineEnd)
  const end = lineEnd + 2
  switch (text[start] ?? '') {
    case '+':
    case ',':
    case '(':
      return { value: line, end }
    case '-':
      return { value: new Failure(line), end }
    case ':':
      return { value: Number(line), end }
    case '_':
      return { value: null, end }
    case '#':
      return { value: line === 't', end }
    case '$':
    case '=': {
      const length = Number(line)
      if (length < 0) return { value: null, end }
      if (text.length < end + length + 2) return undefined
      return { value: text.slice(end, end + length), end: end + length + 2 }
    }
    case '*':
    case '~':
    case '>':
    case '%': {
      const count = Number(line) * (text[start] === '%' ? 2 : 1)
      if (count < 0) return { value: null, end }
      const items: Reply[] = []
      let at = end
      for (let index = 0; index < count; index++) {
        const item = parseReply(text, at)
        if (item === undefined) return undefined
        items.push(item.value)
        at = item.end
      }
      return { value: items, end: at }
    }
    default:
      throw new Error(`A reply begins with ${JSON.stringify(text.slice(start, start + 20))}.`)
  }
}
