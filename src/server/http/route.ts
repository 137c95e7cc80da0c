/** What a route is, and which one a request means. */

import type { ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import type { Daybook } from '../../book/daybook.ts'
import type { AuditLog } from './audit-log.ts'
import type { ResolvedHttpOptions } from './http-options.ts'
import type { JsonSchema } from './json-schema.ts'
import type { KeyLists } from './key-lists.ts'
import type { LiveFigures } from './live-figures.ts'
import { RequestError } from './request-error.ts'
import type { Sessions } from './sessions.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query'
  readonly schema: JsonSchema
  readonly description: string
}

/** What a route may use. */
export interface Server {
  readonly book: Daybook
  readonly clock: Clock
  /** Replaced as a whole where some of it changes while it listens. */
  options: ResolvedHttpOptions
  readonly caches: () => readonly string[]
  readonly live: LiveFigures
  readonly audit: AuditLog
  readonly sessions: Sessions
  readonly keyLists: KeyLists
  /** Of the package. */
  readonly version: string
  /** Wall clock, ms. */
  readonly startedAtMs: number
}

export interface Call {
  readonly server: Server
  /** Path and query parameters by name, checked and converted. */
  readonly parameters: Readonly<Record<string, unknown>>
  /** Checked against the route's schema; an empty object where the route has none. */
  readonly body: Readonly<Record<string, unknown>>
  /** The session's id of a browser that is signed in. */
  readonly session: string | undefined
  /** Where the request came from. */
  readonly address: string
  /** Ends with the connection. */
  readonly signal: AbortSignal
}

export type Reply =
  | { readonly json: unknown; readonly status?: number; readonly cookie?: string }
  | { readonly status: 204; readonly cookie?: string }
  | { readonly text: string; readonly type: string }
  /** Writes head and body by itself, until the signal or its own end. */
  | { readonly stream: (response: ServerResponse) => Promise<void> }

export interface Route {
  readonly method: Method
  /** Such as `/api/dead-letters/{id}`. */
  readonly path: string
  /** Works without the token. */
  readonly open?: true
  readonly tag: string
  readonly summary: string
  readonly parameters?: readonly Parameter[]
  readonly body?: JsonSchema
  readonly result: {
    readonly description: string
    /** Default application/json. */
    readonly type?: string
    /** undefined: there is no content. */
    readonly schema?: JsonSchema
    /** A status beside 200 that has the same content: of a probe that says no. */
    readonly otherStatus?: number
  }
  /** What goes into the audit log beside the action; undefined for what changes nothing. */
  readonly audit?: (call: Call) => Readonly<Record<string, unknown>>
  readonly handle: (call: Call) => Promise<Reply> | Reply
}

export interface Found {
  readonly route: Route
  readonly path: ReadonlyMap<string, string>
}

/** Throws NOT_FOUND and METHOD_NOT_ALLOWED. HEAD is answered as GET. */
export function findRoute(routes: readonly Route[], method: string, pathname: string): Found {
  const segments = pathname.split('/')
  const wanted = method === 'HEAD' ? 'GET' : method
  const allowed = new Set<string>()
  for (const route of routes) {
    const path = matched(route.path.split('/'), segments)
    if (path === undefined) continue
    if (route.method === wanted) return { route, path }
    allowed.add(route.method)
  }
  if (allowed.size === 0) throw new RequestError('NOT_FOUND', 'There is nothing at this path.')
  throw new RequestError('METHOD_NOT_ALLOWED', `This path takes ${[...allowed].join(', ')}.`, {
    allow: [...allowed],
  })
}

function matched(
  pattern: readonly string[],
  segments: readonly string[],
): ReadonlyMap<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const path = new Map<string, string>()
  for (const [at, part] of pattern.entries()) {
    const segment = segments[at] ?? ''
    const name = /^\{(\w+)\}$/.exec(part)?.[1]
    if (name === undefined) {
      if (part !== segment) return undefined
    } else if (segment === '') return undefined
    else path.set(name, decoded(segment))
  }
  return path
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new RequestError('BAD_REQUEST', 'The path is not properly percent-encoded.')
  }
}
