/**
 * A bounded set of connections, for one kind of work. First come, first served; a wait ends with its signal, or after the
 * time that a connection may take. A broken connection is never handed out.
 */

import type { Clock } from '../../base/clock.ts'
import { abortedError } from '../../base/deadline.ts'
import { DaybookError } from '../../base/errors.ts'
import type { Connection } from './connection.ts'

export class ConnectionPool {
  readonly #size: number
  readonly #waitMs: number
  readonly #clock: Clock
  readonly #open: (signal: AbortSignal) => Promise<Connection>
  readonly #idle: Connection[] = []
  readonly #busy = new Set<Connection>()
  readonly #waiting = new Set<() => void>()
  /** Being opened, and handed out. */
  #taken = 0
  #closed = false

  constructor(
    size: number,
    waitMs: number,
    clock: Clock,
    open: (signal: AbortSignal) => Promise<Connection>,
  ) {
    this.#size = size
    this.#waitMs = waitMs
    this.#clock = clock
    this.#open = open
  }

  async acquire(signal: AbortSignal): Promise<Connection> {
    while (this.#taken >= this.#size) await this.#turn(signal)
    this.#refuseClosed()
    this.#taken++
    try {
      const connection = this.#takeIdle() ?? (await this.#open(signal))
      this.#busy.add(connection)
      if (this.#closed) connection.destroy()
      return connection
    } catch (error) {
      this.#free()
      throw error
    }
  }

  /** Every connection comes back once, a destroyed one too. */
  release(connection: Connection): void {
    if (!this.#busy.delete(connection)) return
    if (this.#closed) connection.destroy()
    else if (!connection.broken) this.#idle.push(connection)
    this.#free()
  }

  /** `work` with a connection of its own, which is destroyed when the work fails. */
  async use<T>(signal: AbortSignal, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.acquire(signal)
    try {
      return await work(connection)
    } catch (error) {
      connection.destroy()
      throw error
    } finally {
      this.release(connection)
    }
  }

  /** Idle connections take their leave; those in use are destroyed. */
  async close(): Promise<void> {
    this.#closed = true
    for (const end of [...this.#waiting]) end()
    for (const connection of this.#busy) connection.destroy()
    await Promise.all(this.#idle.splice(0).map((connection) => connection.close()))
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      // The one used last: the others may have grown cold.
      const connection = this.#idle.pop()
      if (connection === undefined || !connection.broken) return connection
    }
  }

  #free(): void {
    this.#taken--
    const [next] = this.#waiting
    next?.()
  }

  #refuseClosed(): void {
    if (this.#closed) throw new DaybookError('CLOSED', 'The PostgreSQL store is closed.')
  }

  #turn(signal: AbortSignal): Promise<void> {
    this.#refuseClosed()
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', abort)
        this.#waiting.delete(wake)
      }
      const wake = (): void => {
        end()
        resolve()
      }
      const abort = (): void => {
        end()
        reject(abortedError('Waiting for a connection to PostgreSQL', signal.reason))
      }
      const timer = this.#clock.setTimer(this.#waitMs, () => {
        end()
        reject(
          new DaybookError(
            'STORE_UNAVAILABLE',
            `No connection to PostgreSQL became free within ${this.#waitMs} ms.`,
          ),
        )
      })
      signal.addEventListener('abort', abort)
      this.#waiting.add(wake)
      if (signal.aborted) abort()
    })
  }
}
