/** Listens for clients of Redis. */

import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../base/clock.ts'
import { reasonOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Logger } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { Daybook } from '../../book/daybook.ts'
import { Channels } from './channels.ts'
import { Connection } from './connection.ts'
import { Databases, type Mapping } from './databases.ts'
import { KeyspaceEvents } from './keyspace-events.ts'
import { Listener } from './listener.ts'
import { liveRedisOptions, refuseOpenDoor, type RedisOptions } from './options.ts'
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
  /** See `Databases.map`. */
  map(mapping: Mapping): Promise<void>
  /** Takes no more connections, and ends those that there are; what they were told is true whatever comes. */
  close(): Promise<void>
}

const sweepMs = 1000

export async function startRedis(
  book: Daybook,
  config: RedisOptions,
  parts: RedisParts,
): Promise<Redis> {
  refuseOpenDoor(config)
  const { clock, random, logger } = parts
  const turn = book.turn()
  const channels = new Channels()
  const events = new KeyspaceEvents(turn, channels)
  const databases = new Databases(book, turn, events, {
    mappings: parts.mappings,
    documents: {
      maxBytes: config.cacheBytes,
      durability: config.durability,
    },
  })
  await databases.open()
  const server = new Server({ config, book, turn, databases, channels, events, clock, random })
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
  const listener = await Listener.open(config, parts.files, accept)
  listener.onError((error) => {
    logger.error({ reason: reasonOf(error) }, 'the Redis port failed')
  })
  const { port } = listener
  server.port = port

  let timer: Timer
  const sweep = (): void => {
    server.sweep()
    timer = clock.setTimer(sweepMs, sweep)
  }
  timer = clock.setTimer(sweepMs, sweep)

  let closing: Promise<void> | undefined
  return {
    host: config.host,
    port,
    get caches() {
      return databases.caches
    },
    async prepare(changed) {
      refuseOpenDoor({ host: config.host, password: changed.password })
      const renew = await listener.renewed(changed.tls, parts.files)
      return () => {
        renew()
        server.configure(Object.fromEntries(liveRedisOptions.map((name) => [name, changed[name]])))
        listener.admit(changed.maxClients)
      }
    },
    map: (mapping) => databases.map(mapping),
    close() {
      if (closing === undefined) {
        timer.cancel()
        server.keys.close()
        closing = listener.close()
        for (const connection of server.connections.values()) connection.destroy()
      }
      return closing
    },
  }
}
