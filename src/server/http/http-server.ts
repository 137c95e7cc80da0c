/**
 * The HTTP server of a book: probes, metrics, the admin API and the dashboard.
 *
 * Every request passes, in this order: the Host header, the route, where the request comes from, who sends it, its
 * parameters and body. What changes something is noted in the audit log before it begins. Nothing here is unbounded:
 * connections, headers, bodies, the time that a request may take to come in, and the browsers that follow live figures.
 */

import {
  createServer,
  type IncomingMessage,
  type Server as NodeServer,
  type ServerResponse,
} from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { DaybookError, reasonOf } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Logger } from '../../base/log.ts'
import { nodeFiles } from '../../base/node-files.ts'
import type { Random } from '../../base/random.ts'
import type { Daybook } from '../../book/daybook.ts'
import { toTaggedJson } from '../../mutation/tagged-json.ts'
import { AuditLog } from './audit-log.ts'
import { readDashboard, type DashboardFile } from './dashboard-files.ts'
import { readHttpOptions, type HttpOptions, type ResolvedHttpOptions } from './http-options.ts'
import { KeyLists } from './key-lists.ts'
import { LiveFigures } from './live-figures.ts'
import { checkHost, checkOrigin } from './origin-check.ts'
import { packageVersion } from './package-version.ts'
import { readBody, readParameters } from './parameters.ts'
import { refusalOf, RequestError } from './request-error.ts'
import { findRoute, type Call, type Reply, type Server } from './route.ts'
import { routes } from './routes.ts'
import { addressOf, Sessions } from './sessions.ts'
import { TokenAttempts } from './token-attempts.ts'

export interface HttpParts {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Names of the caches that the API shows; a function where more may come. */
  readonly caches: readonly string[] | (() => readonly string[])
  /** Default: the system's. */
  readonly files?: Files
}

export interface Http {
  /** Such as `http://127.0.0.1:6381`. */
  readonly url: string
  readonly token: string
  /** Checks the options; returns what takes over what can change while it listens. Throws INVALID_OPTION. */
  prepare(given: HttpOptions): () => void
  /** Ends all connections, live ones too. */
  close(): Promise<void>
}

const maxHeaderBytes = 16 * 1024
const maxHeaders = 64
const keepAliveMs = 5_000
/** By Node's code, where the status of what cannot be read is not 400. */
const unreadable: ReadonlyMap<unknown, string> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
])
const requestsPerSocket = 10_000
/** Nothing has moved for longer than any request may wait for the store: who should read has gone. */
const idleMs = 660_000
const maxUrlLength = 8_192

/** Listens. Throws INVALID_OPTION, also where the address cannot be had, and what the audit log throws. */
export async function startHttp(
  book: Daybook,
  given: HttpOptions,
  parts: HttpParts,
): Promise<Http> {
  const options = readHttpOptions(given)
  const { clock, random, logger, caches, files = nodeFiles } = parts
  const dashboard = await readDashboard(files)
  const audit = await AuditLog.open(book.options.directory, { files, clock, logger })
  const node = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: options.limits.headersTimeoutMs,
    requestTimeout: options.limits.requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: 1_000,
    insecureHTTPParser: false,
  })
  node.maxHeadersCount = maxHeaders
  node.maxRequestsPerSocket = requestsPerSocket
  node.timeout = idleMs
  node.maxConnections = options.limits.connections
  try {
    await listen(node, options)
  } catch (error) {
    await audit.close()
    throw new DaybookError(
      'INVALID_OPTION',
      `The HTTP server cannot listen on ${options.host}:${options.port}: ${reasonOf(error)}.`,
      {
        cause: error,
        details: { path: 'http.port' },
        hint: 'Choose another port, or stop what has it.',
      },
    )
  }
  const address = node.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  const { sessionMs, wrongTokens } = options.limits
  const attempts = new TokenAttempts(wrongTokens, clock, logger)
  const sessions = new Sessions({ token: options.token, attempts, clock, random, sessionMs, port })
  const keyLists = new KeyLists(clock, random)
  const live = new LiveFigures(book, clock, options.readyLagMs)
  const server: Server = {
    book,
    clock,
    options,
    caches: typeof caches === 'function' ? caches : () => caches,
    live,
    audit,
    sessions,
    keyLists,
    version: packageVersion(),
    startedAtMs: clock.wallTime(),
  }
  const closing = new AbortController()
  node.on('request', (request, response) => {
    void answer(request, response, { server, dashboard, logger, closing: closing.signal })
  })
  node.on('clientError', (error, socket) => {
    logger.debug({ reason: reasonOf(error) }, 'a request could not be understood')
    const status = unreadable.get('code' in error ? error.code : '') ?? '400 Bad Request'
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
    else socket.destroy()
  })
  node.on('error', (error) => logger.warn({ reason: error.message }, 'the HTTP server failed'))
  let closed: Promise<void> | undefined
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    token: sessions.token,
    prepare(changed) {
      const { hosts, readyLagMs, limits } = readHttpOptions(changed)
      return () => {
        server.options = { ...server.options, hosts, readyLagMs, limits }
        node.headersTimeout = limits.headersTimeoutMs
        node.requestTimeout = limits.requestTimeoutMs
        node.maxConnections = limits.connections
        attempts.maxWrong = limits.wrongTokens
        sessions.sessionMs = limits.sessionMs
        live.readyLagMs = readyLagMs
      }
    },
    close() {
      closed ??= close(node, closing, server)
      return closed
    },
  }
}

async function close(
  node: NodeServer,
  closing: AbortController,
  { live, keyLists, audit }: Server,
): Promise<void> {
  live.close()
  keyLists.close()
  closing.abort()
  await new Promise<void>((resolve) => {
    node.close(() => resolve())
    node.closeAllConnections()
  })
  await audit.close()
}

function listen(node: NodeServer, { host, port }: ResolvedHttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    node.once('error', reject)
    node.listen(port, host, () => {
      node.off('error', reject)
      resolve()
    })
  })
}

interface Around {
  readonly server: Server
  readonly dashboard: ReadonlyMap<string, DashboardFile>
  readonly logger: Logger
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
}

/** Total: whatever the request is, it is answered or its connection is gone. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  around: Around,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.on('error', (error) => {
    around.logger.debug({ reason: reasonOf(error) }, 'an HTTP connection broke')
  })
  for (const [name, value] of securityHeaders) response.setHeader(name, value)
  try {
    const signal = AbortSignal.any([gone.signal, around.closing])
    await send(request, response, await replyTo(request, around, signal))
  } catch (error) {
    // Nobody is there to be told.
    if (gone.signal.aborted) return
    const { status, error: wire } = refusalOf(error)
    if (status >= 500) {
      around.logger.warn(
        { path: request.url?.split('?')[0], reason: reasonOf(error) },
        'a request failed',
      )
    }
    if (response.headersSent) {
      response.destroy()
      return
    }
    if (error instanceof RequestError && error.code === 'METHOD_NOT_ALLOWED') {
      response.setHeader('Allow', (error.details?.allow as string[]).join(', '))
    }
    if (error instanceof RequestError && error.code === 'TOO_MANY_ATTEMPTS') {
      response.setHeader('Retry-After', String(error.details?.retryAfterSeconds))
    }
    if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="daybook"')
    // What is left of the body is not read.
    if (!request.complete) response.setHeader('Connection', 'close')
    sendText(request, response, status, toTaggedJson({ error: wire }), jsonType)
  }
}

type Content = Reply | { readonly file: DashboardFile }

async function replyTo(
  request: IncomingMessage,
  { server, dashboard }: Around,
  signal: AbortSignal,
): Promise<Content> {
  checkHost(request, server.options.hosts ?? [])
  const { pathname, searchParams } = urlOf(request)
  const file = dashboard.get(pathname)
  if (file !== undefined) {
    if (request.method === 'GET' || request.method === 'HEAD') return { file }
    throw new RequestError('METHOD_NOT_ALLOWED', 'This path takes GET.', { allow: ['GET'] })
  }
  const { route, path } = findRoute(routes, request.method ?? 'GET', pathname)
  // An open route asks nobody, so no token can be tried on it either.
  const identity = route.open === true ? undefined : server.sessions.identify(request)
  checkOrigin(request, identity?.session !== undefined)
  if (identity === undefined && route.open !== true) {
    throw new RequestError('UNAUTHORIZED', 'This needs the token that the server was started with.')
  }
  const parameters = readParameters(route.parameters ?? [], path, searchParams)
  const changes = route.method !== 'GET'
  const body = changes ? await readBody(request, route.body, server.options.limits.bodyBytes) : {}
  const address = addressOf(request)
  const call: Call = { server, parameters, body, session: identity?.session, address, signal }
  if (route.audit === undefined) return route.handle(call)
  const by = identity?.session === undefined ? 'token' : 'session'
  const action = `${route.method} ${route.path}`
  return server.audit.around(
    { action, by, address, details: route.audit(call) },
    async () => route.handle(call),
    (error) => refusalOf(error).error.code,
  )
}

function urlOf(request: IncomingMessage): URL {
  const text = request.url ?? '/'
  // A full URL, as a proxy is asked, names a host of its own.
  if (text.length <= maxUrlLength && text.startsWith('/')) {
    try {
      return new URL(`http://localhost${text}`)
    } catch {
      // It is answered like any other that cannot be read.
    }
  }
  throw new RequestError('BAD_REQUEST', 'The URL cannot be read.')
}

const jsonType = 'application/json; charset=utf-8'

/** Nothing is loaded from elsewhere, no script or style is inline, and no page of others may show or read this one. */
const securityHeaders: readonly (readonly [string, string])[] = [
  [
    'Content-Security-Policy',
    [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join('; '),
  ],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Cache-Control', 'no-store'],
]

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  content: Content,
): Promise<void> {
  if ('file' in content) return sendFile(request, response, content.file)
  if ('cookie' in content && content.cookie !== undefined) {
    response.setHeader('Set-Cookie', content.cookie)
  }
  if ('stream' in content) {
    if (request.method !== 'HEAD') return content.stream(response)
    response.writeHead(200).end()
    return
  }
  if ('text' in content) return sendText(request, response, 200, content.text, content.type)
  if ('json' in content) {
    return sendText(request, response, content.status ?? 200, toTaggedJson(content.json), jsonType)
  }
  response.writeHead(content.status).end()
}

function sendText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  type: string,
): void {
  const bytes = Buffer.from(text)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  { content, type, etag }: DashboardFile,
): void {
  response.setHeader('Cache-Control', 'no-cache')
  response.setHeader('ETag', etag)
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304).end()
    return
  }
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': content.byteLength })
  response.end(request.method === 'HEAD' ? undefined : content)
}
