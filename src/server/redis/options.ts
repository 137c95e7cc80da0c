/** Options of the Redis-protocol server, in one table. Everything is finite. */

import { DaybookError } from '../../base/errors.ts'
import { invalidOption, readOptions, type OptionTable, type Options } from '../../base/options.ts'
import { isLoopback } from '../loopback.ts'
import { canonicalEvents, eventLetters } from './keyspace-events.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
const gibibyte = 1024 * mebibyte
const dayMs = 86_400_000

export const redisTable = {
  enabled: { type: 'boolean', default: true, doc: 'Listen for clients of Redis.' },
  host: {
    type: 'string',
    default: '127.0.0.1',
    doc: 'Address to listen on. Beyond loopback a password is required.',
  },
  port: { type: 'number', default: 6380, min: 0, max: 65_535, doc: 'Port; 0 takes a free one.' },
  password: {
    type: 'string',
    default: undefined,
    doc: 'What AUTH and HELLO must give. Default: none is asked for.',
  },
  tls: {
    type: 'object',
    default: undefined,
    doc: 'Files of a certificate: `cert`, `key` and, to ask clients for theirs, `ca`.',
  },
  durability: {
    type: ['memory', 'journal', 'store'],
    default: 'journal',
    doc: 'Of keys without a mapping: how far a write is when it is answered.',
  },
  cacheBytes: {
    type: 'number',
    default: 256 * mebibyte,
    min: mebibyte,
    max: 256 * gibibyte,
    unit: 'bytes',
    doc: 'Cached values of keys without a mapping.',
  },
  maxClients: {
    type: 'number',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Connections at a time; further ones get an error.',
  },
  maxBulkBytes: {
    type: 'number',
    default: 8 * mebibyte,
    min: kibibyte,
    max: 512 * mebibyte,
    unit: 'bytes',
    doc: 'One argument of a command, and one string value.',
  },
  maxRequestBytes: {
    type: 'number',
    default: 16 * mebibyte,
    min: kibibyte,
    max: gibibyte,
    unit: 'bytes',
    doc: 'All arguments of one command, and of the commands that wait for EXEC.',
  },
  maxArguments: {
    type: 'number',
    default: 1024 * 1024,
    min: 16,
    max: 1024 * 1024,
    doc: 'Arguments of one command, and keys that KEYS lists.',
  },
  maxOutputBytes: {
    type: 'number',
    default: 16 * mebibyte,
    min: 64 * kibibyte,
    max: gibibyte,
    unit: 'bytes',
    doc: 'Replies that a client has not read. From a quarter of it on its commands wait; beyond it the connection ends.',
  },
  maxScriptMs: {
    type: 'number',
    default: 1000,
    min: 1,
    max: 60_000,
    unit: 'ms',
    doc: 'How long one Lua script may run. Nobody else is served meanwhile. One that is stopped has written nothing.',
  },
  idleTimeoutMs: {
    type: 'number',
    default: 0,
    min: 0,
    max: 365 * dayMs,
    unit: 'ms',
    doc: 'Ends connections that send nothing for this long; 0: never.',
  },
  requestTimeoutMs: {
    type: 'number',
    default: 60_000,
    min: 100,
    max: dayMs,
    unit: 'ms',
    doc: 'Ends connections whose request stays incomplete, or whose replies stay unread, for this long.',
  },
  notifyKeyspaceEvents: {
    type: 'string',
    default: '',
    doc: 'Which events of keys are published: the letters of Redis, such as `Ex`. Default: none.',
  },
  authTimeoutMs: {
    type: 'number',
    default: 5_000,
    min: 100,
    max: dayMs,
    unit: 'ms',
    doc: 'Ends connections that have not authenticated within this time, where a password is asked for.',
  },
} as const satisfies OptionTable

/** What can change while it listens. Requests of connections that there are keep the bounds that they had. */
export const liveRedisOptions = [
  'password',
  'maxClients',
  'maxBulkBytes',
  'maxRequestBytes',
  'maxArguments',
  'maxOutputBytes',
  'maxScriptMs',
  'idleTimeoutMs',
  'requestTimeoutMs',
  'authTimeoutMs',
  'notifyKeyspaceEvents',
] as const satisfies readonly (keyof typeof redisTable)[]

export type LiveRedisOptions = Pick<RedisOptions, (typeof liveRedisOptions)[number]>

/** Paths of files in PEM form. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

export interface RedisOptionsInput {
  readonly [name: string]: unknown
  readonly tls?: TlsFiles | undefined
}

export type RedisOptions = Options<typeof redisTable, { tls: TlsFiles }>

export function readRedisOptions(given: object | undefined): RedisOptions {
  const options = readOptions('redis', given, redisTable) as RedisOptions
  const events = canonicalEvents(options.notifyKeyspaceEvents)
  if (events === undefined) {
    const path = 'redis.notifyKeyspaceEvents'
    throw invalidOption(path, `letters of ${eventLetters}`, options.notifyKeyspaceEvents)
  }
  return { ...options, notifyKeyspaceEvents: events }
}

/** Whoever can reach the port can read and write everything, so beyond this machine there must be a password. */
export function refuseOpenDoor({ host, password }: Pick<RedisOptions, 'host' | 'password'>): void {
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
