/** Options of the HTTP server: where it listens, who may use it, and its bounds. */

import { invalidOption, readOptions, type OptionTable } from '../../base/options.ts'

export interface HttpOptions {
  /** Address to listen on. Default '127.0.0.1'. Beyond loopback it is reachable by others, with the token only. */
  readonly host?: string | undefined
  /** 0 takes a free one. Default 6381. */
  readonly port?: number | undefined
  /** What `Authorization: Bearer` and the login take; at least 16 characters. Default: a new random one at each start. */
  readonly token?: string | undefined
  /** Names that a Host header may have besides `localhost` and addresses, such as that of a proxy. Default: none. */
  readonly hosts?: readonly string[] | undefined
  /** `/readyz` says no where the lag is more than this. Default 60,000. */
  readonly readyLagMs?: number | undefined
  readonly limits?: HttpLimits | undefined
}

export interface HttpLimits {
  /** Connections at once; beyond it new ones are closed. Default 128. */
  readonly connections?: number | undefined
  /** Browsers that follow the live figures at once. Default 16. */
  readonly liveClients?: number | undefined
  /** Of a request's body. Default 1 MiB. */
  readonly bodyBytes?: number | undefined
  /** Until a request's headers are complete. Default 10,000. */
  readonly headersTimeoutMs?: number | undefined
  /** Until a request is complete. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined
  /** Until a session of a browser ends, counted from its last request. Default 12 hours. */
  readonly sessionMs?: number | undefined
  /** Wrong tokens from one address within a minute; then tokens from there are refused for a minute. Default 10. */
  readonly wrongTokens?: number | undefined
}

const hourMs = 3_600_000

export const httpTable = {
  host: { type: 'string', default: '127.0.0.1', doc: 'Address to listen on.' },
  port: { type: 'number', default: 6381, min: 0, max: 65_535, doc: 'Port to listen on.' },
  token: { type: 'string', default: undefined, doc: 'The secret of those who may use it.' },
  hosts: { type: 'strings', default: undefined, doc: 'Further names in a Host header.' },
  readyLagMs: {
    type: 'number',
    default: 60_000,
    min: 1,
    max: 86_400_000,
    unit: 'ms',
    doc: 'The greatest lag of a daybook that is ready.',
  },
  limits: { type: 'object', default: undefined, doc: 'Bounds.' },
} as const satisfies OptionTable

export const httpLimitsTable = {
  connections: { type: 'number', default: 128, min: 1, max: 10_000, doc: 'Connections at once.' },
  liveClients: { type: 'number', default: 16, min: 0, max: 1_000, doc: 'Live clients at once.' },
  bodyBytes: {
    type: 'number',
    default: 1024 * 1024,
    min: 1024,
    max: 64 * 1024 * 1024,
    unit: 'bytes',
    doc: 'Of one body.',
  },
  headersTimeoutMs: {
    type: 'number',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'For the headers of a request.',
  },
  requestTimeoutMs: {
    type: 'number',
    default: 30_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    doc: 'For a whole request.',
  },
  sessionMs: {
    type: 'number',
    default: 12 * hourMs,
    min: 1_000,
    max: 30 * 24 * hourMs,
    unit: 'ms',
    doc: 'Of a session without requests.',
  },
  wrongTokens: { type: 'number', default: 10, min: 1, max: 1_000_000, doc: 'From one address.' },
} as const satisfies OptionTable

const minTokenLength = 16

export function readHttpOptions(given: HttpOptions) {
  const { limits, ...options } = readOptions('http', given, httpTable)
  if (options.token !== undefined && options.token.length < minTokenLength) {
    throw invalidOption('http.token', `at least ${minTokenLength} characters long`, options.token)
  }
  return { ...options, limits: readOptions('http.limits', limits, httpLimitsTable) }
}

/** What can change while it listens, besides all limits. */
export const liveHttpOptions = [
  'hosts',
  'readyLagMs',
] as const satisfies readonly (keyof typeof httpTable)[]

export type ResolvedHttpOptions = ReturnType<typeof readHttpOptions>
