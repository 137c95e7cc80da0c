/** What all connections of the Redis-protocol server share. */

import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import type { Daybook } from '../../book/daybook.ts'
import type { Turn } from '../../book/turn.ts'
import type { Command } from './command.ts'
import { CommandTimes, Times } from './command-times.ts'
import type { Arrivals } from './arrivals.ts'
import type { Channels } from './channels.ts'
import { allCommands } from './commands/all-commands.ts'
import type { Connection } from './connection.ts'
import { databaseCount, type Databases } from './databases.ts'
import type { KeyspaceEvents } from './keyspace-events.ts'
import { KeyWalks } from './key-walk.ts'
import { whyMissing } from './missing-commands.ts'
import { Monitors } from './monitors.ts'
import { maxNear, Near } from './near.ts'
import type { LiveRedisOptions, RedisOptions } from './options.ts'
import { ForeignProtocol, RedisError } from './redis-error.ts'
import type { ParserLimits } from './request-parser.ts'
import { Scripts } from './scripts/scripts.ts'

/** Since the start, or CONFIG RESETSTAT. */
export interface ServerStats {
  connections: number
  rejectedConnections: number
  /** Connections that were cut off because they did not read their replies. */
  cutOff: number
  commands: number
  inputBytes: number
  outputBytes: number
  /** By the first word of the error. */
  readonly errors: Map<string, number>
}

export interface CommandStats {
  calls: number
  rejected: number
  failed: number
  readonly times: Times
}

/** Input that waits for the end of the turn: as much as stays in the processor's cache. */
const maxDueBytes = 64 * 1024
/** Of one connection: a pipeline like that is worth a sync of its own. */
const maxDueChunkBytes = 8 * 1024

const noCalls = { calls: 0, rejected: 0, failed: 0 }

function noStats(): ServerStats {
  return {
    connections: 0,
    rejectedConnections: 0,
    cutOff: 0,
    commands: 0,
    inputBytes: 0,
    outputBytes: 0,
    errors: new Map(),
  }
}

/** Different first words of errors that are counted. */
const maxErrorKinds = 128

export class Server {
  config: RedisOptions
  readonly book: Daybook
  readonly turn: Turn
  readonly databases: Databases
  readonly keys: KeyWalks
  readonly channels: Channels
  readonly events: KeyspaceEvents
  readonly arrivals: Arrivals
  readonly monitors = new Monitors()
  readonly near = new Near()
  readonly times: CommandTimes
  readonly scripts: Scripts
  readonly clock: Clock
  readonly random: Random
  readonly startedAt: number
  readonly runId: string
  readonly commands: ReadonlyMap<string, Command>
  readonly connections = new Map<number, Connection>()
  stats = noStats()
  /** Keys by database, as they were when INFO counted them. */
  readonly keyCounts = new Map<number, number>()
  operationsPerSecond = 0
  readonly #calls = new Map<string, CommandStats>()
  /** In the order in which they were read; their input does not wait for the end of the turn where it is much. */
  #due: Connection[] = []
  #dueBytes = 0
  /** Monotonic ms as of the last sweep: good enough for idle times, and free. */
  now: number
  port = 0
  #nextId = 1
  #sweptCommands = 0
  #countedUntil = 0

  constructor(parts: {
    readonly config: RedisOptions
    readonly book: Daybook
    readonly turn: Turn
    readonly databases: Databases
    readonly channels: Channels
    readonly events: KeyspaceEvents
    readonly clock: Clock
    readonly random: Random
  }) {
    this.config = parts.config
    this.book = parts.book
    this.turn = parts.turn
    this.databases = parts.databases
    this.arrivals = parts.databases.arrivals
    this.channels = parts.channels
    this.events = parts.events
    this.events.configure(parts.config.notifyKeyspaceEvents)
    this.clock = parts.clock
    this.random = parts.random
    this.times = new CommandTimes(parts.clock)
    this.keys = new KeyWalks(parts.databases, parts.clock, parts.random)
    this.startedAt = parts.clock.now()
    this.now = this.startedAt
    this.scripts = new Scripts(this)
    this.runId = parts.random.uuid().replaceAll('-', '').padEnd(40, '0')
    this.commands = new Map(
      allCommands.flatMap((command): [string, Command][] => [
        [command.name, command],
        [command.name.toUpperCase(), command],
      ]),
    )
  }

  get commandStats(): [string, CommandStats][] {
    return [...this.#calls]
  }

  /** The same object for as long as the server runs. */
  statsOf({ name }: Command): CommandStats {
    let stats = this.#calls.get(name)
    if (stats === undefined) {
      stats = { ...noCalls, times: new Times() }
      this.#calls.set(name, stats)
    }
    return stats
  }

  resetStats(): void {
    this.stats = noStats()
    this.events.ended = 0
    for (const stats of this.#calls.values()) {
      Object.assign(stats, noCalls)
      stats.times.reset()
    }
    this.#sweptCommands = 0
  }

  /** Walks over the databases that are in use, unless that was done a moment ago. */
  async countKeys(): Promise<void> {
    const now = this.clock.now()
    if (now < this.#countedUntil) return
    for (let database = 0; database < databaseCount; database++) {
      if (!this.databases.has(database)) continue
      this.keyCounts.set(database, await this.keys.count(database))
    }
    // At most a tenth of the time goes into counting.
    const tookMs = this.clock.now() - now
    this.#countedUntil = this.clock.now() + 9 * tookMs
  }

  /** Two databases change places. */
  async swap(first: number, second: number): Promise<void> {
    await this.databases.swap(first, second)
    this.keys.forget([first, second])
    this.keyCounts.clear()
    this.#countedUntil = 0
    this.arrivals.announceAll()
  }

  /** Once a second. */
  sweep(): void {
    const now = this.clock.now()
    const elapsedMs = now - this.now
    this.now = now
    this.operationsPerSecond = Math.round(
      ((this.stats.commands - this.#sweptCommands) * 1000) / Math.max(1, elapsedMs),
    )
    this.#sweptCommands = this.stats.commands
    this.times.sweep()
    for (const connection of [...this.connections.values()]) connection.sweep(now)
  }

  /** For connections to come; and, where it is no bound of a request, for those that there are. */
  configure(changes: Partial<LiveRedisOptions>): void {
    this.config = { ...this.config, ...changes }
    this.events.configure(this.config.notifyKeyspaceEvents)
  }

  get parserLimits(): ParserLimits {
    return this.config
  }

  /**
   * The connection has input. All that has some in this turn of the loop are run together at its end: their writes share
   * a group commit. Run as each of them is read, the first one's write would get a sync of its own, and all others would
   * wait for it.
   */
  due(connection: Connection, bytes: number): void {
    if (this.#due.push(connection) === 1) this.clock.defer(() => this.#runDue())
    this.#dueBytes += bytes
    if (bytes >= maxDueChunkBytes || this.#dueBytes >= maxDueBytes) this.#runDue()
  }

  #runDue(): void {
    const due = this.#due
    this.#due = []
    this.#dueBytes = 0
    // In groups: what is brought near must still be there when it is needed.
    let next = 0
    for (const [at, connection] of due.entries()) {
      connection.readTogether(this.near)
      if (this.near.keys < maxNear && at < due.length - 1) continue
      this.near.bring()
      while (next <= at) due[next++]?.runDue()
    }
  }

  nextId(): number {
    return this.#nextId++
  }

  left(connection: Connection): void {
    this.connections.delete(connection.session.id)
    this.channels.leave(connection.session)
    this.monitors.leave(connection.session)
  }

  /** Throws what Redis says of a command that is none. */
  commandOf(args: readonly string[]): Command {
    const name = args[0] ?? ''
    const command = this.commands.get(name) ?? this.commands.get(name.toLowerCase())
    if (command === undefined) throw unknownCommand(name, args)
    if (command.variant !== undefined) return command.variant(args) ?? command
    if (command.subcommands === undefined || args.length < 2) return command
    const subcommand = command.subcommands.get((args[1] ?? '').toLowerCase())
    if (subcommand !== undefined) return subcommand
    throw new RedisError(
      `ERR unknown subcommand '${shortened(args[1] ?? '')}'. Try ${command.name.toUpperCase()} HELP.`,
    )
  }

  /** Counts an error reply. */
  failed(line: string, error: unknown): void {
    const kind = error instanceof RedisError ? (line.split(' ', 1)[0] ?? 'ERR') : 'ERR'
    const { errors } = this.stats
    if (errors.has(kind) || errors.size < maxErrorKinds) {
      errors.set(kind, (errors.get(kind) ?? 0) + 1)
    }
  }
}

function unknownCommand(name: string, args: readonly string[]): Error {
  const lower = name.toLowerCase()
  if (lower === 'post' || lower === 'host:') return new ForeignProtocol()
  let shown = ''
  for (const word of args.slice(1)) {
    if (shown.length >= 128) break
    shown += `'${word.slice(0, 128 - shown.length)}' `
  }
  const why = whyMissing(name)
  return new RedisError(
    `ERR unknown command '${shortened(name)}', with args beginning with: ${shown}${why === undefined ? '' : `(${why})`}`,
  )
}

function shortened(text: string): string {
  return text.slice(0, 128)
}
