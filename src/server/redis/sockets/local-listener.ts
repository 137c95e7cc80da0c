/** Listens in this thread: plain, or TLS. */

import { createServer as createPlainServer, type Server as NetServer, type Socket } from 'node:net'
import { createServer as createTlsServer, Server as TlsServer, type TLSSocket } from 'node:tls'
import { cannotListen, type Listener, type ListenerOptions } from './listener.ts'
import { contextOptions, type TlsSecrets } from './tls-secrets.ts'

const backlog = 1024
/** Connections whose handshake is not complete, beyond those of clients. */
const maxHandshakes = 1024

export interface LocalListenerEvents {
  /** What goes wrong with the socket ends it, and nothing else. */
  accept(socket: Socket): void
  failed(error: Error): void
}

export class LocalListener implements Listener {
  readonly #server: NetServer
  /** All that is connected, with a complete handshake or without. */
  readonly #sockets = new Set<Socket>()

  private constructor(server: NetServer) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    // A handshake that fails, or takes too long, ends the connection; without this the latter would stay open.
    server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
  }

  /** Throws INVALID_OPTION. */
  static async open(options: ListenerOptions, events: LocalListenerEvents): Promise<LocalListener> {
    const server = serverOf(options, (socket) => {
      socket.on('error', () => socket.destroy())
      events.accept(socket)
    })
    const listener = new LocalListener(server)
    listener.admit(options.maxClients)
    await listen(server, options)
    server.on('error', (error) => events.failed(error))
    return listener
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  admit(maxClients: number): void {
    if (this.#server instanceof TlsServer) this.#server.maxConnections = maxClients + maxHandshakes
  }

  renew(secrets: TlsSecrets): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(contextOptions(secrets))
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      for (const socket of this.#sockets) socket.destroy()
    })
  }
}

function serverOf(
  { secrets, authTimeoutMs }: ListenerOptions,
  accept: (socket: Socket) => void,
): NetServer {
  // A client may send its last command and say that it is done: it still gets the reply.
  const shared = { allowHalfOpen: true, keepAlive: true, noDelay: true }
  if (secrets === undefined) return createPlainServer(shared, accept)
  return createTlsServer(
    {
      ...shared,
      ...contextOptions(secrets),
      ...(secrets.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
      handshakeTimeout: authTimeoutMs,
    },
    accept,
  )
}

function listen(server: NetServer, options: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(cannotListen(options, error))
    server.once('error', refuse)
    server.listen({ host: options.host, port: options.port, backlog }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}
