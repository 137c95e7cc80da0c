/**
 * Calls to the API of the server that this page came from. The browser's cookie says who asks; no token is kept here.
 *
 * @typedef {Record<string, unknown>} Fields
 * @typedef {{kind: 'set' | 'delete' | 'patch', fields?: Fields, amounts?: Fields, removed?: Fields}} Mutation
 * @typedef {{code: string, message: string}} Problem
 * @typedef {{count: number, p50: number, p90: number, p99: number, max: number, mean: number}} Summary
 * @typedef {{lane: number, state: string, lagMs: number, pending: number, checkpoint: number, position: number}} Lane
 * @typedef {object} Stats
 * @property {string} state
 * @property {number} acknowledged
 * @property {{mutations: number, keys: number, bytes: number, memoryBytes: number, spilledMutations: number}} pending
 * @property {number} lagMs
 * @property {Lane[]} lanes
 * @property {number} [drainEstimateMs]
 * @property {{mutations: number, rows: number, ratio: number}} coalescing
 * @property {{count: number, keys: Summary, tookMs: Summary}} batches
 * @property {{state: string, budgetUsedUp: boolean, segments: number, bytes: number, undurableBytes: number, commits: number, syncMs: {p50: number, p99: number, max: number, sum: number}}} journal
 * @property {number} retries
 * @property {{state: string, failures: number, since?: number, nextProbeInMs?: number, lastFailure?: {kind: string, code: string, message: string}}} breaker
 * @property {{state: 'none' | 'spilling' | 'limit', waitingWrites: number}} pressure
 * @property {{count: number, bytes: number}} deadLetters
 * @property {{memoryBytes: number, journalBytes: number, deadLetterBytes: number}} limits
 * @property {{hits: number, misses: number, ratio: number, entries: number, bytes: number, loads: number, readFailure?: {cache: string, code: string, message: string}}} cache
 * @typedef {object} Sample
 * @property {number} atMs
 * @property {number} lagMs
 * @property {number} pending
 * @property {number} writesPerSecond
 * @property {number} flushedPerSecond
 * @property {number} rowsPerSecond
 * @property {number | null} flushMs
 * @property {number | null} flushMaxMs
 * @property {number} syncP50Ms
 * @property {number} syncP99Ms
 * @property {number} memoryBytes
 * @property {number} journalBytes
 * @property {number} deadLetters
 * @property {boolean} storeUp
 * @typedef {{stats: Stats, problems: Problem[], sample: Sample}} Figures
 * @typedef {{atMs: number, name: string, message: string}} Happening
 * @typedef {{samples: Sample[], coarse: Sample[], happenings: Happening[]}} History
 * @typedef {{cache: string, table?: string, entries?: number, bytes?: number, hits?: number, misses?: number, loads?: number, error?: Problem}} CacheStatus
 * @typedef {{lane: number, position: number, cache: string, key: string, mutation: Mutation, bytes: number}} PendingMutation
 * @typedef {object} DeadLetter
 * @property {string} id
 * @property {string} cache
 * @property {string} key
 * @property {number} lane
 * @property {number} position
 * @property {Mutation} mutation
 * @property {'rejected' | 'parked'} reason
 * @property {string} [behind]
 * @property {{kind: string, code: string, message: string}} failure
 * @property {number} attempts
 * @property {number} [writtenAtMs]
 * @property {number} deadAtMs
 * @property {string} [retryOf]
 * @property {string} [group]
 * @property {boolean} [superseded]
 * @typedef {{cache: string, code: string, message: string, count: number, oldestMs: number}} LetterGroup
 * @typedef {{retried: number, applied: number, refusedAgain: {cache: string, key: string}[], skipped: {id: string, reason: string}[], pending: boolean}} RetryOutcome
 * @typedef {{id: number, atMs: number, action: string, by: string, address: string, details: Fields, outcome?: string}} AuditEntry
 * @typedef {object} Inspection
 * @property {string} cache
 * @property {string} key
 * @property {number} lane
 * @property {{value: unknown, position: number} | null} cached
 * @property {{position: number, mutation: Mutation} | null} pending
 * @property {{value?: unknown, error?: Problem}} stored
 * @property {string[]} deadLetters
 */

export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{code: string, message: string, hint?: string, details?: Fields}} error
   */
  constructor(status, error) {
    super(error.hint === undefined ? error.message : `${error.message} ${error.hint}`)
    this.status = status
    this.code = error.code
    this.details = error.details
  }
}

/** Called when the session has ended. @type {() => void} */
let onSignedOut = () => undefined

/** @param {() => void} listener */
export function whenSignedOut(listener) {
  onSignedOut = listener
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>} What the server answered; undefined where that is nothing.
 */
async function call(method, path, body) {
  let response
  try {
    response = await fetch(path, {
      method,
      ...(method === 'GET' || method === 'DELETE'
        ? {}
        : {
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify(body ?? {}),
          }),
    })
  } catch {
    throw new ApiError(0, { code: 'UNREACHABLE', message: 'The server does not answer.' })
  }
  if (response.status === 204) return undefined
  const text = await response.text()
  let answer
  try {
    answer = JSON.parse(text)
  } catch {
    answer = { error: { code: 'UNREADABLE', message: `The server answered ${response.status}.` } }
  }
  if (response.ok) return answer
  if (response.status === 401) onSignedOut()
  throw new ApiError(response.status, answer.error ?? { code: 'UNKNOWN', message: 'It failed.' })
}

/** @param {string} path @param {Record<string, string | number | undefined>} [query] */
export function get(path, query = {}) {
  return call('GET', withQuery(path, query))
}

/** @param {string} path @param {unknown} [body] */
export function post(path, body) {
  return call('POST', path, body)
}

/** @param {string} path @param {unknown} body */
export function patch(path, body) {
  return call('PATCH', path, body)
}

/** @param {string} path */
export function remove(path) {
  return call('DELETE', path)
}

/** @param {string} path @param {Record<string, string | number | undefined>} query */
export function withQuery(path, query) {
  const parts = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parts.set(name, String(value))
  }
  const text = parts.toString()
  return text === '' ? path : `${path}?${text}`
}

/** @param {string} cache @param {string} key */
export function keyPath(cache, key) {
  return `/api/caches/${encodeURIComponent(cache)}/keys/${encodeURIComponent(key)}`
}
