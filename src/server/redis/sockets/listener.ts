/** The port that clients of Redis connect to. */

import { DaybookError, reasonOf } from '../../../base/errors.ts'
import type { ClientSocket } from './client-socket.ts'
import type { TlsSecrets } from './tls-secrets.ts'

export interface Listener {
  readonly port: number
  /** Those who are one too many are told so, but not those who have not even completed a handshake. */
  admit(maxClients: number): void
  /** For connections to come; nothing where it listens without TLS. */
  renew(secrets: TlsSecrets): void
  /** Takes no more connections, and ends those that there are, handshakes too. */
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly maxClients: number
  /** Of a handshake. */
  readonly authTimeoutMs: number
  /** undefined: plain. */
  readonly secrets: TlsSecrets | undefined
}

export interface ListenerEvents {
  accept(socket: ClientSocket): void
  /** A connection could not be accepted, or the like; it goes on listening. */
  failed(error: Error): void
}

export function cannotListen(
  { host, port }: Pick<ListenerOptions, 'host' | 'port'>,
  error: NodeJS.ErrnoException,
): DaybookError {
  return new DaybookError(
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
  )
}
