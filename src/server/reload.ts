/** What of a configuration can change while the server runs, what cannot, and which of it has changed. */

import { isDeepStrictEqual } from 'node:util'
import { flushTable, pressureTable, type LiveOptions } from '../book/options.ts'
import type { ServerConfig } from './config.ts'
import { httpLimitsTable, liveHttpOptions } from './http/http-options.ts'
import { liveRedisOptions } from './redis/options.ts'

/** Names of options that differ, such as `redis.maxClients`. */
export interface Reloaded {
  readonly takenOver: readonly string[]
  /** They stay as they were until the next start. */
  readonly needRestart: readonly string[]
}

const live = new Set([
  ...Object.keys(flushTable).map((name) => `flush.${name}`),
  ...Object.keys(pressureTable).map((name) => `pressure.${name}`),
  'stallMs',
  'drainTimeoutMs',
  ...liveRedisOptions.map((name) => `redis.${name}`),
  ...liveHttpOptions.map((name) => `http.${name}`),
  ...Object.keys(httpLimitsTable).map((name) => `http.limits.${name}`),
])

export function differences(before: ServerConfig, after: ServerConfig): Reloaded {
  const [old, changed] = [leavesOf(before), leavesOf(after)]
  const names = [...new Set([...old.keys(), ...changed.keys()])].filter(
    (name) => !isDeepStrictEqual(old.get(name), changed.get(name)),
  )
  // The files may have changed although their names have not; whether clients are asked for theirs is settled at the start.
  const [tls, nextTls] = [before.redis.tls, after.redis.tls]
  const rereads = tls !== undefined && nextTls !== undefined && !tls.ca === !nextTls.ca
  const added = new Set([...newCaches(before, after).keys()].map((name) => `caches.${name}`))
  const isTakenOver = (name: string): boolean => live.has(name) || added.has(name)
  const takenOver = names.filter((name) => isTakenOver(name))
  const needRestart = names.filter((name) => !isTakenOver(name) && name !== 'redis.tls')
  if (rereads) takenOver.push('redis.tls')
  else if (names.includes('redis.tls')) needRestart.push('redis.tls')
  return { takenOver: takenOver.sort(), needRestart: needRestart.sort() }
}

/** Those that there were not before: others cannot change while it runs. */
export function newCaches(before: ServerConfig, after: ServerConfig): ServerConfig['caches'] {
  return new Map([...after.caches].filter(([name]) => !before.caches.has(name)))
}

/** Of the book. What the configuration does not say any more has its default again. */
export function liveOptionsOf({ book }: ServerConfig): LiveOptions {
  const { flush, pressure, stallMs, drainTimeoutMs } = book
  const values: Readonly<Record<string, unknown>> = {
    flush: withDefaults(flushTable, flush),
    pressure: withDefaults(pressureTable, pressure),
    stallMs: stallMs ?? null,
    drainTimeoutMs: drainTimeoutMs ?? null,
  }
  // null stands for the default.
  return values
}

function withDefaults(table: object, given: object | undefined): object {
  const nothing = Object.fromEntries(Object.keys(table).map((name) => [name, null]))
  return { ...nothing, ...given }
}

function leavesOf(config: ServerConfig): Map<string, unknown> {
  const { caches, redis, http: allHttp, book, ...top } = config
  const { limits, ...http } = allHttp
  const leaves = new Map<string, unknown>(Object.entries(top))
  for (const [name, cache] of caches) leaves.set(`caches.${name}`, cache)
  const { flush, journal, pressure, ...rest } = book
  for (const [name, value] of Object.entries(rest)) leaves.set(name, value)
  const groups = { redis, http, 'http.limits': limits, flush, journal, pressure }
  for (const [group, options] of Object.entries(groups)) {
    for (const [name, value] of Object.entries(options ?? {})) leaves.set(`${group}.${name}`, value)
  }
  return leaves
}
