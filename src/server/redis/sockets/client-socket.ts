/** A client's socket, wherever it is read and written: in this thread, or in one that does nothing else. */

export interface SocketEvents {
  /** The bytes are the receiver's own. */
  received(bytes: Buffer): void
  /** After a `send` that was false: most of it is out. */
  drained(): void
  /** The client sends nothing more; it may still read. */
  ended(): void
  /** The last event. */
  closed(): void
}

/** What goes wrong with a socket ends it, and nothing else. */
export interface ClientSocket {
  /** `host:port`. */
  readonly remoteAddress: string
  readonly localAddress: string
  readonly isDestroyed: boolean
  readonly isPaused: boolean
  /** Bytes that were sent, and that the kernel has not taken yet; up to 4 KiB too many. */
  readonly unsentBytes: number
  /** Once, and at once: what comes before it is lost. */
  listen(events: SocketEvents): void
  /** A binary string. False where much is unsent: `drained` tells when that is over. */
  send(text: string): boolean
  /** What is under way still comes. */
  pause(): void
  resume(): void
  /** Ends both directions once what was sent is out. */
  finish(): void
  destroy(): void
}
