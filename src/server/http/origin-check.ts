/**
 * Which requests are let in at all, before anyone asks who sent them.
 *
 * The Host header must name this server by an address, as `localhost`, or by a configured name: a page of another site
 * whose own name was pointed here (DNS rebinding) sends its own name. What a browser says of where a request comes from
 * (Origin, Sec-Fetch-Site) must be this very server, for all that changes something and for all that shows data.
 */

import type { IncomingMessage } from 'node:http'
import { RequestError } from './request-error.ts'

/** Throws FORBIDDEN. */
export function checkHost(request: IncomingMessage, hosts: readonly string[]): void {
  const name = nameOf(request.headers.host)
  if (name === undefined || !(isAddress(name) || name === 'localhost' || hosts.includes(name))) {
    throw new RequestError('FORBIDDEN', 'The Host header names a server that this is not.')
  }
}

/** Throws FORBIDDEN. `byCookie`: then a browser sent it, and a browser says where what changes something comes from. */
export function checkOrigin(request: IncomingMessage, byCookie: boolean): void {
  const site = request.headers['sec-fetch-site']
  const { origin, host } = request.headers
  const isForeign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && originHost(origin) !== host?.toLowerCase())
  const changes = request.method !== 'GET' && request.method !== 'HEAD'
  if (isForeign || (changes && byCookie && origin === undefined)) {
    throw new RequestError('FORBIDDEN', 'This comes from a page of another site.')
  }
}

/** Without the port; addresses of IPv6 in their brackets. */
function nameOf(host: string | undefined): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(:\d{1,5})?$/i.exec(host ?? '')?.[1]?.toLowerCase()
}

function isAddress(name: string): boolean {
  return name.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}$/.test(name)
}

function originHost(origin: string): string | undefined {
  try {
    return new URL(origin).host.toLowerCase()
  } catch {
    // Such as `null`, of a sandboxed page.
    return undefined
  }
}
