/** What one connection has told the server so far: who it is, its database, its transaction, what it watches. */

import type { Command } from './command.ts'
import { resp2, type Protocol } from './reply.ts'
import type { Target } from './spaces/space.ts'
import type { Position } from '../../mutation/mutation.ts'

export interface Queued {
  readonly command: Command
  readonly args: readonly string[]
  readonly plain: boolean
}

export interface Transaction {
  readonly queue: Queued[]
  /** Of the arguments that wait. */
  bytes: number
  /** A command was refused: EXEC will be, too. */
  refused: boolean
}

export interface Watched {
  readonly target: Target
  readonly database: number
  readonly plain: boolean
  /** It had a value. */
  readonly isLive: boolean
  /** Of the newest mutation in it. */
  readonly position: Position
}

export class Session {
  readonly id: number
  readonly address: string
  readonly localAddress: string
  readonly connectedAt: number
  /** Monotonic ms of the last command. */
  usedAt: number
  name = ''
  libraryName = ''
  libraryVersion = ''
  database = 0
  protocol: Protocol = resp2
  authenticated: boolean
  lastCommand = 'NULL'
  noEvict = false
  noTouch = false
  /** CLIENT REPLY. */
  replies: 'on' | 'off' | 'skip' | 'skip next' = 'on'
  transaction: Transaction | undefined = undefined
  watched: readonly Watched[] = []
  /** The newest mutation that this connection wrote: what WAIT and WAITAOF wait for. */
  position: Position = 0
  /** QUIT, or a protocol error: nothing more is read. */
  closing = false
  /** Ends the wait for an item, where it waits for one: as if its time was over, or with an error. */
  unblock: ((how: 'timeout' | 'error') => void) | undefined = undefined
  /** Tears the connection down. */
  readonly kill: () => void
  /** Aborted when the client sends nothing more, or the connection is gone: nobody waits for a list then. */
  readonly gone: AbortSignal
  /** Sends something that is no reply. */
  readonly push: (text: string) => void
  /** Channels, patterns and shard channels that are subscribed to. */
  readonly channels = new Set<string>()
  readonly patterns = new Set<string>()
  readonly shards = new Set<string>()
  monitoring = false

  constructor(given: {
    readonly id: number
    readonly address: string
    readonly localAddress: string
    readonly now: number
    readonly authenticated: boolean
    readonly kill: () => void
    readonly gone: AbortSignal
    readonly push: (text: string) => void
  }) {
    this.id = given.id
    this.address = given.address
    this.localAddress = given.localAddress
    this.connectedAt = given.now
    this.usedAt = given.now
    this.authenticated = given.authenticated
    this.kill = given.kill
    this.gone = given.gone
    this.push = given.push
  }

  get subscriptions(): number {
    return this.channels.size + this.patterns.size + this.shards.size
  }

  beginTransaction(): void {
    this.transaction = { queue: [], bytes: 0, refused: false }
  }

  endTransaction(): void {
    this.transaction = undefined
    this.watched = []
  }

  watch(watched: Watched): void {
    const known = this.watched.some(
      ({ target }) =>
        target.keyspace === watched.target.keyspace && target.key === watched.target.key,
    )
    if (!known) this.watched = [...this.watched, watched]
  }

  unwatch(): void {
    this.watched = []
  }

  /** RESET: as it was when it connected, but for the address. */
  reset(authenticated: boolean): void {
    this.endTransaction()
    this.database = 0
    this.protocol = resp2
    this.name = ''
    this.authenticated = authenticated
    this.replies = 'on'
    this.noEvict = false
    this.noTouch = false
    this.monitoring = false
    this.channels.clear()
    this.patterns.clear()
    this.shards.clear()
  }
}
