/**
 * One connection to the server, over the `pg` package.
 *
 * Whatever goes wrong with it, it is destroyed and never used again: a wait that took too long or was aborted, an error
 * of the socket, a transaction whose end is not known. Values come as text, undecoded.
 */

import { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { abortedError } from '../../base/deadline.ts'
import { copyRows } from './copy-query.ts'
import type { PostgresDriver, DriverClient, DriverResult } from './driver.ts'

export interface ConnectionOptions {
  /** As `pg` takes them: connectionString, or host, port, user, password, database; ssl. */
  readonly client: object
  readonly connectTimeoutMs: number
  /** The server's own limits; see the store's options. */
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  readonly idleInTransactionTimeoutMs: number
}

/** Prepared under its name where it has one; values are text. */
export interface Statement {
  readonly name?: string | undefined
  readonly text: string
  readonly values: readonly (string | null)[]
}

export type Row = readonly (string | null)[]

export interface StatementResult {
  /** As the server says: INSERT, COMMIT, ROLLBACK … */
  readonly command: string
  readonly rows: readonly Row[]
  readonly rowCount: number
}

/** Beyond the server's own limit, for the way there and back: then the connection is taken for dead. */
const graceMs = 5000

export class Connection {
  readonly #client: DriverClient
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #deadlineMs: number
  #broken = false
  /** Why it was destroyed, where it was this side that did it. */
  #reason: Error | undefined

  private constructor(client: DriverClient, socket: Socket, clock: Clock, deadlineMs: number) {
    this.#client = client
    this.#socket = socket
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    client.on('error', () => {
      this.#broken = true
    })
    client.on('end', () => {
      this.#broken = true
    })
  }

  /** Connects and makes the session's settings. Throws what `classifyPostgresError` knows. */
  static async open(
    driver: PostgresDriver,
    options: ConnectionOptions,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<Connection> {
    // A socket of our own can be destroyed at any moment, whatever state the driver is in.
    const socket = new Socket()
    const client = new driver.Client({
      ...options.client,
      application_name: 'daybook',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      stream: () => socket,
      types: { getTypeParser: () => asText },
    })
    const deadlineMs =
      Math.max(options.statementTimeoutMs, options.connectTimeoutMs, options.lockTimeoutMs) +
      graceMs
    const connection = new Connection(client, socket, clock, deadlineMs)
    try {
      await connection.#within(() => client.connect(), options.connectTimeoutMs, signal)
      await connection.query(sessionSettings(options), signal)
    } catch (error) {
      connection.destroy()
      throw error
    }
    return connection
  }

  /** It must not be used again. */
  get broken(): boolean {
    return this.#broken
  }

  /** Several statements as one message, in one round trip; values can only be literals. One result each. */
  async query(text: string, signal: AbortSignal): Promise<StatementResult[]> {
    const result = await this.#within(
      () => this.#client.query({ text, rowMode: 'array' }),
      this.#deadlineMs,
      signal,
    )
    return (Array.isArray(result) ? result : [result]).map(resultOf)
  }

  async execute(statement: Statement, signal: AbortSignal): Promise<StatementResult> {
    const result = await this.#within(
      () => this.#client.query({ ...statement, rowMode: 'array' }),
      this.#deadlineMs,
      signal,
    )
    return resultOf(Array.isArray(result) ? (result[0] ?? noResult) : result)
  }

  /** `text` has one COPY … FROM STDIN, which gets the rows in its text format. */
  async copy(text: string, rows: string, signal: AbortSignal): Promise<void> {
    await this.#within(() => copyRows(this.#client, text, rows), this.#deadlineMs, signal)
  }

  /** Ends it at once. What the server still does with what it was sent is not known. */
  destroy(reason?: Error): void {
    this.#broken = true
    this.#reason ??= reason
    this.#socket.destroy()
  }

  /** Takes leave of the server, or destroys the connection where that takes long. */
  async close(): Promise<void> {
    const farewell = this.#clock.setTimer(graceMs, () => this.destroy())
    await this.#client.end().catch(ignoreBroken)
    farewell.cancel()
    this.destroy()
  }

  async #within<T>(work: () => Promise<T>, deadlineMs: number, signal: AbortSignal): Promise<T> {
    if (signal.aborted) throw abortedError('A call to PostgreSQL', signal.reason)
    const timer = this.#clock.setTimer(deadlineMs, () => this.destroy(new SilentServerError()))
    const onAbort = (): void => this.destroy(abortedError('A call to PostgreSQL', signal.reason))
    signal.addEventListener('abort', onAbort)
    try {
      return await work()
    } catch (error) {
      throw this.#reason ?? error
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }
}

/** The connection is open, but the server did not answer in time: half-open, or overwhelmed. */
class SilentServerError extends Error {
  override readonly name = 'SilentServerError'
  readonly code = 'ETIMEDOUT'

  constructor() {
    super('PostgreSQL did not answer in time')
  }
}

const asText = (text: string): string => text

const noResult: DriverResult = { command: null, rowCount: 0, rows: [] }

function resultOf(result: DriverResult): StatementResult {
  return {
    command: result.command ?? '',
    rows: result.rows as readonly Row[],
    rowCount: result.rowCount ?? 0,
  }
}

/** A broken connection has nothing left to end. */
const ignoreBroken = (): void => undefined

/**
 * What the rest of the store relies on: READ COMMITTED, so that a lock that was waited for shows the newest row; text
 * forms that are the same everywhere; limits, so that what an abandoned session has locked becomes free; plans
 * that do not depend on the values, which would be planned anew for each batch.
 */
function sessionSettings(options: ConnectionOptions): string {
  const settings: readonly (readonly [string, string])[] = [
    ['default_transaction_isolation', "'read committed'"],
    ['timezone', "'UTC'"],
    ['datestyle', "'ISO, YMD'"],
    ['intervalstyle', "'postgres'"],
    ['bytea_output', "'hex'"],
    ['extra_float_digits', '1'],
    ['standard_conforming_strings', 'on'],
    ['plan_cache_mode', "'force_generic_plan'"],
    ['jit', 'off'],
    ['lock_timeout', String(options.lockTimeoutMs)],
    ['statement_timeout', String(options.statementTimeoutMs)],
    ['idle_in_transaction_session_timeout', String(options.idleInTransactionTimeoutMs)],
  ]
  return settings.map(([name, value]) => `SET ${name} = ${value}`).join('; ')
}
