/**
 * What the two threads say to each other, by kinds of frames. Each is about one connection; `detail` is the count of bytes
 * that the kernel has taken so far from what the server sent, modulo 2^32, where it says so.
 *
 * What is about the port (listening, a new certificate, the end) are messages instead: they are rare.
 */

import type { TlsSecrets } from './tls-secrets.ts'

/** From the sockets' thread. Kind 0 is the ring's own. */
export const fromSockets = {
  /** The bytes are `OpenedFrame` as JSON. */
  opened: 1,
  /** Bytes of the client, and the count. */
  received: 2,
  /** The count. */
  taken: 3,
  ended: 4,
  /** The last one of a connection. */
  closed: 5,
} as const

export interface OpenedFrame {
  readonly remoteAddress: string
  readonly localAddress: string
}

/** From the server's. What is about a connection that has closed meanwhile is for nobody. */
export const fromServer = {
  /** Bytes for the client. */
  send: 1,
  pause: 2,
  resume: 3,
  finish: 4,
  destroy: 5,
} as const

export type MessageToSockets =
  | { readonly name: 'admit'; readonly maxClients: number }
  | { readonly name: 'renew'; readonly secrets: TlsSecrets }
  | { readonly name: 'close' }

export type MessageFromSockets =
  | { readonly name: 'listening'; readonly port: number }
  /** It does not listen, and ends. */
  | { readonly name: 'refused'; readonly message: string; readonly code: string | undefined }
  /** Of an error of the port; it goes on. */
  | { readonly name: 'failed'; readonly message: string }
  | { readonly name: 'closed' }
