/**
 * The control socket of a running daybook: what the command line asks when the directory is in use.
 *
 * Whoever may open the directory may control the daybook; nobody else can connect. Nothing here is unbounded: connections,
 * the bytes of a line, the requests that one connection may have waiting, and the time of each request. A request that
 * fails, or is nonsense, is answered with an error and changes nothing.
 */

import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { DaybookError, reasonOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { fromTaggedJson, toTaggedJson } from '../mutation/tagged-json.ts'
import { claimControlAddress, protectControlAddress, releaseControlAddress } from './address.ts'
import { type ControlBook, controlMethods } from './methods.ts'
import { LineSplitter } from './lines.ts'
import {
  errorToWire,
  isRecord,
  maxRequestBytes,
  maxResponseBytes,
  type ControlRequest,
} from './wire.ts'

const maxConnections = 16
const maxWaitingRequests = 32
const defaultDeadlineMs = 30_000
const maxDeadlineMs = 24 * 60 * 60 * 1000

export interface ControlOptions {
  /** The daybook's directory; the caller holds its lock from before this call until after `close`. */
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
}

export interface Control {
  /** The socket's path, or the name of the pipe. */
  readonly address: string
  /** Ends the connections, and with them the waits of their requests, and removes the socket. */
  close(): Promise<void>
}

/** Listens for commands. Throws Node's error where the socket cannot be made: the book works without it. */
export async function startControl(book: ControlBook, options: ControlOptions): Promise<Control> {
  const address = claimControlAddress(options.directory)
  const connections = new Set<Socket>()
  const server = createServer((socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    serve(socket, book, options)
  })
  server.maxConnections = maxConnections
  try {
    await listen(server, address)
    protectControlAddress(address)
  } catch (error) {
    server.close()
    releaseControlAddress(options.directory)
    throw error
  }
  server.on('error', (error) => {
    options.logger.warn(
      { reason: error.message },
      'the control socket failed; commands cannot reach this daybook',
    )
  })
  // The socket never keeps the application alive.
  server.unref()

  const closed = Promise.withResolvers<undefined>()
  let closing = false
  return {
    address,
    async close() {
      if (!closing) {
        closing = true
        server.close(() => closed.resolve(undefined))
        for (const socket of connections) socket.destroy()
      }
      await closed.promise
      releaseControlAddress(options.directory)
    },
  }
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function serve(socket: Socket, book: ControlBook, { clock, logger }: ControlOptions): void {
  const lines = new LineSplitter(maxRequestBytes)
  const gone = new AbortController()
  let waiting = 0
  let queue = Promise.resolve()
  socket.unref()

  const refuse = (message: string): void => {
    const error = errorToWire(new DaybookError('INVALID_OPTION', message))
    socket.end(`${toTaggedJson({ id: null, error })}\n`)
    socket.removeAllListeners('data')
    socket.resume()
  }
  const answer = async (line: string): Promise<void> => {
    if (gone.signal.aborted) return
    const response = await respond(line, book, clock, gone.signal)
    waiting--
    if (!socket.writable || socket.write(response)) return
    await new Promise<void>((resolve) => {
      socket.once('drain', resolve)
      socket.once('close', resolve)
    })
  }
  socket.on('data', (chunk: Buffer) => {
    const complete = lines.push(chunk)
    if (complete === undefined) return refuse(`A request is longer than ${maxRequestBytes} bytes.`)
    waiting += complete.length
    if (waiting > maxWaitingRequests)
      return refuse(`More than ${maxWaitingRequests} requests are waiting.`)
    for (const line of complete) queue = queue.then(() => answer(line))
  })
  socket.on('error', (error) => {
    logger.debug({ reason: reasonOf(error) }, 'a control connection broke')
  })
  socket.once('close', () => gone.abort())
}

/** Total: whatever the line is, there is an answer. */
async function respond(
  line: string,
  book: ControlBook,
  clock: Clock,
  gone: AbortSignal,
): Promise<string> {
  let id: number | null = null
  try {
    const request = parseRequest(line)
    id = request.id
    const result = await withDeadline(request, book, clock, gone)
    const response = toTaggedJson({ id, result })
    if (Buffer.byteLength(response) <= maxResponseBytes) return `${response}\n`
    throw new DaybookError('VALUE_TOO_LARGE', 'The answer is too large for the control socket.', {
      hint: 'Ask for fewer dead letters at once.',
    })
  } catch (error) {
    return `${toTaggedJson({ id, error: errorToWire(error) })}\n`
  }
}

function parseRequest(line: string): ControlRequest {
  let request: unknown
  try {
    request = fromTaggedJson(line)
  } catch {
    throw new DaybookError('INVALID_OPTION', 'A request is not JSON.')
  }
  if (
    !isRecord(request) ||
    !Number.isSafeInteger(request.id) ||
    typeof request.method !== 'string'
  ) {
    throw new DaybookError('INVALID_OPTION', 'A request needs a number as id and a method.')
  }
  const params = request.params ?? {}
  if (!isRecord(params))
    throw new DaybookError('INVALID_OPTION', 'The params of a request are an object.')
  return { id: Number(request.id), method: request.method, params }
}

/** The signal ends with the connection or the deadline; a method that does not heed it is answered for all the same. */
async function withDeadline(
  { method, params }: ControlRequest,
  book: ControlBook,
  clock: Clock,
  gone: AbortSignal,
): Promise<unknown> {
  const run = controlMethods.get(method)
  if (run === undefined) {
    throw new DaybookError(
      'INVALID_OPTION',
      `The running application has no method ‘${method.slice(0, 64)}’.`,
      {
        hint: `Known methods: ${[...controlMethods.keys()].join(', ')}.`,
      },
    )
  }
  const asked = typeof params.timeoutMs === 'number' ? params.timeoutMs : defaultDeadlineMs
  const deadlineMs = Math.min(Math.max(asked, 1), maxDeadlineMs)
  const late = new AbortController()
  const timer = clock.setTimer(deadlineMs, () => {
    late.abort(new DaybookError('TIMEOUT', `${method} took longer than ${deadlineMs} ms.`))
  })
  const signal = AbortSignal.any([late.signal, gone])
  const aborted = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => aborted.reject(signal.reason as Error), { once: true })
  try {
    return await Promise.race([run(book, params, { signal, deadlineMs }), aborted.promise])
  } finally {
    timer.cancel()
    aborted.promise.catch(() => undefined)
  }
}
