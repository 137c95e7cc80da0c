/**
 * CONFIG GET and CONFIG SET: what tools ask of a Redis, as far as it means anything here. Nothing that is set reaches a file,
 * and no path can be set.
 */

import { canonicalEvents, eventLetters } from './keyspace-events.ts'
import { safeIntegerOf } from './numbers.ts'
import { redisTable } from './options.ts'
import { RedisError } from './redis-error.ts'
import type { Server } from './server.ts'

interface Parameter {
  readonly get: (server: Server) => string
  /** undefined: it is fixed by the server's own configuration. Returns what is wrong with the value. */
  readonly set?: (server: Server, value: string) => string | undefined
}

const fixed = (value: string): Parameter => ({ get: () => value })

/** Taken and given back, without an effect: encodings and scripts are of Redis's own making. */
const harmless = (initial: string): Parameter => {
  const values = new WeakMap<Server, string>()
  return {
    get: (server) => values.get(server) ?? initial,
    set(server, value) {
      if (value.length > 64) return 'argument is too long'
      values.set(server, value)
      return undefined
    },
  }
}

/** A whole number that the server keeps by itself. */
const whole = (
  [min, max]: readonly [number, number],
  get: (server: Server) => number,
  set: (server: Server, value: number) => void,
): Parameter => ({
  get: (server) => String(get(server)),
  set(server, text) {
    const value = safeIntegerOf(text)
    if (value === undefined) return "argument couldn't be parsed into an integer"
    if (value < min || value > max) return `argument must be between ${min} and ${max} inclusive`
    set(server, value)
    return undefined
  },
})

const hourMs = 3_600_000

/** An option of the server that can change while it runs, as a whole number of `unit`s. */
const live = (
  name: 'maxClients' | 'idleTimeoutMs',
  { unit, min }: { readonly unit: number; readonly min: number },
): Parameter => {
  return whole(
    [min, Math.floor(redisTable[name].max / unit)],
    ({ config }) => Math.floor(config[name] / unit),
    (server, value) => server.configure({ [name]: value * unit }),
  )
}

/** In microseconds; -1: nothing is. */
const slowerThan = whole(
  [-1, hourMs * 1000],
  ({ times }) => times.slowerThanUs,
  ({ times }, us) => {
    times.slowerThanUs = us
  },
)

const slowLogLength = whole(
  [0, 10_000],
  ({ times }) => times.slowLog.maxEntries,
  ({ times }, count) => {
    times.slowLog.maxEntries = count
  },
)

const latencyThreshold = whole(
  [0, hourMs],
  ({ times }) => times.latency.thresholdMs,
  ({ times }, ms) => {
    times.latency.thresholdMs = ms
  },
)

const streamNodeEntries = whole(
  [0, 2 ** 31 - 1],
  ({ databases }) => databases.streamNodes.maxEntries,
  ({ databases }, count) => {
    databases.streamNodes.maxEntries = count
  },
)

const keyspaceEvents: Parameter = {
  get: ({ config }) => config.notifyKeyspaceEvents,
  set(server, text) {
    const notifyKeyspaceEvents = canonicalEvents(text)
    if (notifyKeyspaceEvents === undefined) {
      return `Invalid event class character. Use '${eventLetters}'.`
    }
    server.configure({ notifyKeyspaceEvents })
    return undefined
  },
}

const parameters = new Map<string, Parameter>([
  ['maxmemory', fixed('0')],
  ['maxmemory-policy', fixed('noeviction')],
  ['appendonly', fixed('yes')],
  ['appendfsync', fixed('always')],
  ['save', harmless('')],
  ['databases', fixed('16')],
  ['daemonize', fixed('no')],
  ['dir', fixed('.')],
  ['bind', { get: ({ config }) => config.host }],
  ['port', { get: ({ port }) => String(port) }],
  ['maxclients', live('maxClients', { unit: 1, min: 1 })],
  ['timeout', live('idleTimeoutMs', { unit: 1000, min: 0 })],
  ['proto-max-bulk-len', { get: ({ config }) => String(config.maxBulkBytes) }],
  ['client-query-buffer-limit', { get: ({ config }) => String(config.maxRequestBytes) }],
  ['requirepass', fixed('')],
  ['replica-read-only', fixed('yes')],
  ['slave-read-only', fixed('yes')],
  ['cluster-enabled', fixed('no')],
  ['tls-port', fixed('0')],
  ['io-threads', fixed('1')],
  ['notify-keyspace-events', keyspaceEvents],
  ['lua-time-limit', harmless('5000')],
  ['busy-reply-threshold', harmless('5000')],
  ['slowlog-log-slower-than', slowerThan],
  ['slowlog-max-len', slowLogLength],
  ['latency-monitor-threshold', latencyThreshold],
  ['latency-tracking', harmless('yes')],
  ['set-max-intset-entries', harmless('512')],
  ['set-max-listpack-entries', harmless('128')],
  ['hash-max-listpack-entries', harmless('128')],
  ['hash-max-ziplist-entries', harmless('128')],
  ['hash-max-listpack-value', harmless('64')],
  ['hash-max-ziplist-value', harmless('64')],
  ['list-max-listpack-size', harmless('-2')],
  ['list-max-ziplist-size', harmless('-2')],
  ['list-compress-depth', harmless('0')],
  ['zset-max-listpack-entries', harmless('128')],
  ['zset-max-ziplist-entries', harmless('128')],
  ['zset-max-listpack-value', harmless('64')],
  ['zset-max-ziplist-value', harmless('64')],
  ['stream-node-max-bytes', harmless('4096')],
  ['stream-node-max-entries', streamNodeEntries],
  ['hz', harmless('10')],
  ['activerehashing', harmless('yes')],
  ['lazyfree-lazy-user-del', harmless('no')],
  ['lazyfree-lazy-expire', harmless('no')],
  ['key-load-delay', harmless('0')],
  ['maxmemory-clients', harmless('0')],
  ['close-on-oom', harmless('yes')],
])

export function parameterNames(): string[] {
  return [...parameters.keys()]
}

export function parameter(server: Server, name: string): string {
  return parameters.get(name)?.get(server) ?? ''
}

/** All or none. Names and values, alternating. */
export function setParameters(server: Server, pairs: readonly string[]): void {
  const names = pairs.filter((_pair, at) => at % 2 === 0).map((name) => name.toLowerCase())
  for (const [at, name] of names.entries()) {
    const known = parameters.get(name)
    if (known === undefined) {
      throw new RedisError(
        `ERR Unknown option or number of arguments for CONFIG SET - '${pairs[2 * at] ?? ''}'`,
      )
    }
    if (names.lastIndexOf(name) !== at) {
      throw new RedisError(
        `ERR CONFIG SET failed (possibly related to argument '${name}') - duplicate parameter`,
      )
    }
    if (known.set !== undefined || known.get(server) === pairs[2 * at + 1]) continue
    throw new RedisError(
      `ERR CONFIG SET failed (possibly related to argument '${name}') - can't set immutable config`,
    )
  }
  for (const [at, name] of names.entries()) {
    const problem = parameters.get(name)?.set?.(server, pairs[2 * at + 1] ?? '')
    if (problem === undefined) continue
    throw new RedisError(
      `ERR CONFIG SET failed (possibly related to argument '${name}') - ${problem}`,
    )
  }
}
