/** The port that clients of Redis connect to: plain, or TLS. */

import { createServer as createPlainServer, type Server as NetServer, type Socket } from 'node:net'
import {
  createSecureContext,
  createServer as createTlsServer,
  Server as TlsServer,
  type SecureContextOptions,
} from 'node:tls'
import { DaybookError, reasonOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { RedisOptions, TlsFiles } from './options.ts'

const backlog = 1024
/** Connections whose handshake is not complete, beyond those of clients. */
const maxHandshakes = 1024
const maxPemBytes = 1024 * 1024

export class Listener {
  readonly #server: NetServer
  /** Of TLS: all that is connected, with a complete handshake or without. */
  readonly #raw = new Set<Socket>()

  private constructor(server: NetServer) {
    this.#server = server
    if (!(server instanceof TlsServer)) return
    server.on('connection', (socket: Socket) => {
      this.#raw.add(socket)
      socket.once('close', () => this.#raw.delete(socket))
    })
    // A handshake that fails, or takes too long, ends the connection; without this the latter would stay open.
    server.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  /** Reads the certificate and listens. Throws INVALID_OPTION. */
  static async open(
    options: RedisOptions,
    files: Files,
    accept: (socket: Socket) => void,
  ): Promise<Listener> {
    const server = await serverOf(options, files, accept)
    const listener = new Listener(server)
    listener.admit(options.maxClients)
    await listen(server, options)
    return listener
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  onError(listener: (error: Error) => void): void {
    this.#server.on('error', listener)
  }

  /** Those who are one too many are told so, but not those who have not even completed a handshake. */
  admit(maxClients: number): void {
    if (this.#server instanceof TlsServer) this.#server.maxConnections = maxClients + maxHandshakes
  }

  /** Reads a certificate; returns what puts it in force for connections to come. Throws INVALID_OPTION. */
  async renewed(tls: TlsFiles | undefined, files: Files): Promise<() => void> {
    const server = this.#server
    if (tls === undefined || !(server instanceof TlsServer)) return () => undefined
    const context = await secureContext(tls, files)
    return () => server.setSecureContext(context)
  }

  /** Takes no more connections; resolves once those that there were are gone. Handshakes are given up. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#raw) socket.destroy()
    })
  }
}

async function serverOf(
  { tls, authTimeoutMs }: RedisOptions,
  files: Files,
  accept: (socket: Socket) => void,
): Promise<NetServer> {
  // A client may send its last command and say that it is done: it still gets the reply.
  const shared = { allowHalfOpen: true, keepAlive: true, noDelay: true }
  if (tls === undefined) return createPlainServer(shared, accept)
  return createTlsServer(
    {
      ...shared,
      ...(await secureContext(tls, files)),
      ...(tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
      handshakeTimeout: authTimeoutMs,
    },
    accept,
  )
}

/** Throws INVALID_OPTION where the files cannot be read, or used. */
export async function secureContext(tls: TlsFiles, files: Files): Promise<SecureContextOptions> {
  const options: SecureContextOptions = {
    cert: await pem(files, 'cert', tls),
    key: await pem(files, 'key', tls),
    ...(tls.ca === undefined ? {} : { ca: await pem(files, 'ca', tls) }),
    minVersion: 'TLSv1.2',
  }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new DaybookError(
      'INVALID_OPTION',
      `The files of redis.tls cannot be used: ${reasonOf(error)}.`,
      {
        cause: error,
        details: { path: 'redis.tls' },
        hint: 'Give a certificate and the key that belongs to it, in PEM form.',
      },
    )
  }
  return options
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

function listen(server: NetServer, { host, port }: RedisOptions): Promise<void> {
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
    server.once('error', refuse)
    server.listen({ host, port, backlog }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}
