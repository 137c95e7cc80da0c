/**
 * The command line's end of a control socket. One request at a time or many: answers find their request by id.
 */

import { connect, type Socket } from 'node:net'
import { systemClock, type Clock } from '../base/clock.ts'
import { DaybookError, isDaybookError } from '../base/errors.ts'
import { fromTaggedJson, toTaggedJson } from '../mutation/tagged-json.ts'
import { findControlAddress } from './address.ts'
import { LineSplitter } from './lines.ts'
import { errorFromWire, isRecord, maxResponseBytes } from './wire.ts'

/** What the server may take longer than the deadline it was given: its answer is on the way. */
const graceMs = 2_000

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

export class ControlClient {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #lines = new LineSplitter(maxResponseBytes)
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #broken: Error | undefined

  /**
   * Connects to the application that has this directory open. undefined where nobody listens: it is stopped, or its
   * control socket is switched off.
   */
  static async connect(
    directory: string,
    clock: Clock = systemClock,
  ): Promise<ControlClient | undefined> {
    const address = findControlAddress(directory)
    if (address === undefined) return undefined
    const socket = connect(address)
    const timer = clock.setTimer(5_000, () => socket.destroy(new Error('no answer within 5000 ms')))
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve)
        socket.once('error', reject)
      })
    } catch (error) {
      socket.destroy()
      if (isNobodyThere(error)) return undefined
      throw new DaybookError('DIRECTORY_UNUSABLE', 'The control socket cannot be used.', {
        cause: error,
        details: { directory, reason: isSystemError(error) ? error.code : 'unknown' },
        hint: 'Run the command as the user that runs the application.',
      })
    } finally {
      timer.cancel()
    }
    return new ControlClient(socket, clock)
  }

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.once('error', (error) => this.#break(connectionLost(error)))
    socket.once('close', () => this.#break(connectionLost(undefined)))
  }

  /** Throws the DaybookError that the application had, TIMEOUT, or CLOSED where the connection was lost. */
  async request(
    method: string,
    params: Readonly<Record<string, unknown>> = {},
    { timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {},
  ): Promise<unknown> {
    if (this.#broken !== undefined) throw this.#broken
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { resolve, reject })
    const timer = this.#clock.setTimer(timeoutMs + graceMs, () => {
      reject(
        new DaybookError(
          'TIMEOUT',
          `The application did not answer ${method} within ${timeoutMs} ms.`,
        ),
      )
    })
    this.#socket.write(`${toTaggedJson({ id, method, params: { ...params, timeoutMs } })}\n`)
    try {
      return await promise
    } finally {
      timer.cancel()
      this.#waiting.delete(id)
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Uint8Array): void {
    const lines = this.#lines.push(chunk)
    if (lines === undefined)
      return this.#break(new Error('The answer of the application is too long.'))
    for (const line of lines) this.#settle(line)
  }

  #settle(line: string): void {
    let response: unknown
    try {
      response = fromTaggedJson(line)
    } catch (error) {
      return this.#break(
        new Error('The application answered with something that is not JSON.', { cause: error }),
      )
    }
    if (!isRecord(response))
      return this.#break(new Error('The application answered with something odd.'))
    // Without an id the server could not tell which request it refuses, and hangs up.
    if (typeof response.id !== 'number') return this.#break(errorFromWire(response.error))
    const waiting = this.#waiting.get(response.id)
    if (response.error === undefined) waiting?.resolve(response.result)
    else waiting?.reject(errorFromWire(response.error))
  }

  #break(error: Error): void {
    this.#broken ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#broken)
    this.#socket.destroy()
  }
}

function connectionLost(cause: Error | undefined): DaybookError {
  return new DaybookError('CLOSED', 'The application closed the connection before it answered.', {
    ...(cause === undefined ? {} : { cause }),
    hint: 'Look whether it is stopping, and run the command again.',
  })
}

function isNobodyThere(error: unknown): boolean {
  return isSystemError(error) && ['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(error.code)
}

function isSystemError(error: unknown): error is Error & { code: string } {
  return (
    error instanceof Error &&
    !isDaybookError(error) &&
    'code' in error &&
    typeof error.code === 'string'
  )
}
