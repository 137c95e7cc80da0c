/** Listens for clients of Redis. */

import { createServer as createPlainServer, type Server as NetServer, type Socket } from 'node:net'
import {
  createServer as createTlsServer,
  Server as TlsServer,
  type SecureContextOptions,
} from 'node:tls'
import type { Clock, Timer } from '../../base/clock.ts'
import { DaybookError, reasonOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Logger } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { Daybook } from '../../book/daybook.ts'
import { Connection } from './connection.ts'
import { Databases, type Mapping } from './databases.ts'
import { liveRedisOptions, type RedisOptions, type TlsFiles } from './options.ts'
import { Server } from './server.ts'

export interface RedisParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly files: Files
  /** Caches that are declared, and whose rows are keys. */
  readonly mappings: readonly Mapping[]
}

export interface Redis {
  readonly host: string
  readonly port: number
  /** Names of the caches that it uses. */
  readonly caches: readonly string[]
  /**
   * Checks the options, and reads the certificate again; returns what takes over what can change while it listens. Throws
   * INVALID_OPTION.
   */
  prepare(options: RedisOptions): Promise<() => void>
  /** Takes no more connections, and ends those that there are; what they were told is true whatever comes. */
  close(): Promise<void>
}

const sweepMs = 1000
const backlog = 1024
const maxPemBytes = 1024 * 1024

export async function startRedis(
  book: Daybook,
  options: RedisOptions,
  parts: RedisParts,
): Promise<Redis> {
  refuseOpenDoor(options)
  const { clock, random, logger } = parts
  const turn = book.turn()
  const databases = new Databases(book, turn, {
    mappings: parts.mappings,
    documents: {
      maxBytes: options.cacheBytes,
      durability: options.durability,
    },
  })
  await databases.open()
  const server = new Server({ config: options, book, turn, databases, clock, random })
  const accept = (socket: Socket): void => {
    if (server.connections.size >= server.config.maxClients) {
      server.stats.rejectedConnections++
      socket.on('error', () => socket.destroy())
      socket.end('-ERR max number of clients reached\r\n')
      socket.destroySoon()
      return
    }
    server.stats.connections++
    const connection = new Connection(socket, server, server.nextId())
    server.connections.set(connection.session.id, connection)
  }
  const listener = await listenerOf(options, parts.files, accept)
  await listen(listener, options)
  listener.on('error', (error) => {
    logger.error({ reason: reasonOf(error) }, 'the Redis port failed')
  })
  const address = listener.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  server.port = port

  let timer: Timer
  const sweep = (): void => {
    server.sweep()
    timer = clock.setTimer(sweepMs, sweep)
  }
  timer = clock.setTimer(sweepMs, sweep)

  let closing: Promise<void> | undefined
  return {
    host: options.host,
    port,
    get caches() {
      return databases.caches
    },
    async prepare(changed) {
      refuseOpenDoor({ host: options.host, password: changed.password })
      const secured =
        options.tls === undefined || changed.tls === undefined
          ? undefined
          : await secureContext(changed.tls, parts.files)
      return () => {
        server.configure(Object.fromEntries(liveRedisOptions.map((name) => [name, changed[name]])))
        if (secured !== undefined && listener instanceof TlsServer)
          listener.setSecureContext(secured)
      }
    },
    close() {
      closing ??= new Promise((resolve) => {
        timer.cancel()
        listener.close(() => resolve())
        for (const connection of server.connections.values()) connection.destroy()
      })
      return closing
    },
  }
}

/** Whoever can reach the port can read and write everything, so beyond this machine there must be a password. */
function refuseOpenDoor({ host, password }: Pick<RedisOptions, 'host' | 'password'>): void {
  if (password !== undefined || isLoopback(host)) return
  throw new DaybookError(
    'INVALID_OPTION',
    `redis.host is ${host}, which others can reach, and there is no password.`,
    {
      details: { path: 'redis.password' },
      hint: 'Set redis.password, or listen on 127.0.0.1.',
    },
  )
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

async function listenerOf(
  options: RedisOptions,
  files: Files,
  accept: (socket: Socket) => void,
): Promise<NetServer> {
  // A client may send its last command and say that it is done: it still gets the reply.
  const shared = { allowHalfOpen: true, keepAlive: true, noDelay: true }
  const { tls } = options
  if (tls === undefined) return createPlainServer(shared, accept)
  const asksClients = tls.ca !== undefined
  return createTlsServer(
    {
      ...shared,
      ...(await secureContext(tls, files)),
      ...(asksClients ? { requestCert: true, rejectUnauthorized: true } : {}),
    },
    accept,
  )
}

async function secureContext(tls: TlsFiles, files: Files): Promise<SecureContextOptions> {
  return {
    cert: await pem(files, 'cert', tls),
    key: await pem(files, 'key', tls),
    ...(tls.ca === undefined ? {} : { ca: await pem(files, 'ca', tls) }),
    minVersion: 'TLSv1.2',
  }
}

async function pem(files: Files, name: 'cert' | 'key' | 'ca', paths: TlsFiles): Promise<Buffer> {
  const path = paths[name]
  const bytes = typeof path === 'string' ? await files.read(path, maxPemBytes) : undefined
  if (bytes !== undefined) return Buffer.from(bytes)
  throw new DaybookError('INVALID_OPTION', `redis.tls.${name} names no file that can be read.`, {
    details: { path: `redis.tls.${name}`, file: path },
    hint: 'Give the path of a file in PEM form.',
  })
}

function listen(listener: NetServer, { host, port }: RedisOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      reject(
        new DaybookError(
          'INVALID_OPTION',
          `Cannot listen on ${host}:${port}: ${reasonOf(error)}.`,
          {
            cause: error,
            details: { path: 'redis.port', code: error.code },
            hint:
              error.code === 'EADDRINUSE'
                ? 'Another server has the port: stop it, or choose another one.'
                : 'Choose another host or port.',
          },
        ),
      )
    }
    listener.once('error', refuse)
    listener.listen({ host, port, backlog }, () => {
      listener.off('error', refuse)
      resolve()
    })
  })
}
