/** What `daybook serve` says once it serves: where everything is, and a first command to try. */

import type { ServerConfig } from '../server/config.ts'
import { isLoopback } from '../server/loopback.ts'
import type { Serving } from '../server/serve.ts'
import { pairs, type Terminal } from './terminal.ts'

export function greeting(
  config: ServerConfig,
  { redis, http }: Pick<Serving, 'redis' | 'http'>,
  terminal: Terminal,
): string[] {
  const mapped = [...config.caches].map(
    ([name, { options }]) => `${name}:… → ${options.table ?? 'documents'}`,
  )
  const rows: [string, string][] = [
    ['journal', config.directory],
    ['database', withoutPassword(config.store)],
  ]
  if (mapped.length > 0) rows.push(['rows', mapped.join(', ')])
  if (redis !== undefined) rows.push(['redis', `${redis.host}:${redis.port}`])
  if (http !== undefined) rows.push(...dashboardRows(config, http, terminal))
  const lines = [terminal.style('bold', 'Daybook is serving.'), ...pairs(terminal, rows)]
  if (redis !== undefined) {
    lines.push('', `Try: redis-cli ${redisFlags(config, redis.port)} ${firstCommand(config)}`)
  }
  return lines
}

function redisFlags({ redis: { password, tls } }: ServerConfig, port: number): string {
  const flags = [`-p ${port}`]
  if (tls !== undefined) flags.push('--tls')
  if (password !== undefined) flags.push('--askpass')
  return flags.join(' ')
}

/** Nobody knows here what columns a table of the user's own has. */
function firstCommand({ caches }: ServerConfig): string {
  const [mapped] = caches.keys()
  return mapped === undefined ? 'hset users:1 name Ada' : `hgetall ${mapped}:1`
}

/**
 * On a terminal of this machine the address signs in by itself: what is behind its `#` is not sent, and the page takes it out
 * of the address. Elsewhere what is printed may land in a log, where no secret belongs.
 */
function dashboardRows(
  { http: options }: ServerConfig,
  { url, token }: { readonly url: string; readonly token: string },
  terminal: Terminal,
): [string, string][] {
  if (options.token !== undefined) return [['dashboard', url]]
  if (!terminal.isTerminal) {
    return [
      ['dashboard', url],
      ['token', 'set http.token (DAYBOOK_HTTP_TOKEN): the random one is shown on a terminal only'],
    ]
  }
  if (isLoopback(options.host ?? '127.0.0.1')) return [['dashboard', `${url}/#token=${token}`]]
  return [
    ['dashboard', url],
    ['token', token],
  ]
}

/** A URL for people: what is secret in it is not shown. */
export function withoutPassword(url: string): string {
  return url
    .replace(/^([a-z]+:\/\/[^/@:]*):[^@/]*@/i, '$1:…@')
    .replace(/([?&]password=)[^&]*/gi, '$1…')
}
