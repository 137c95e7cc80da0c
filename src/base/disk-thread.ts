/**
 * What runs on a disk thread: file calls in their synchronous form, one at a time, in the order of the messages.
 *
 * Synchronous calls on a thread of their own never wait in libuv's pool, which is shared with dns, crypto and whatever
 * else the application does there.
 */

import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { parentPort } from 'node:worker_threads'

export type DiskCall =
  | { readonly name: 'makeDirectory'; readonly path: string }
  | { readonly name: 'list'; readonly path: string }
  | { readonly name: 'size'; readonly path: string }
  | { readonly name: 'open'; readonly path: string; readonly mode: 'create' | 'write' | 'read' }
  | { readonly name: 'rename'; readonly path: string; readonly to: string }
  | { readonly name: 'remove'; readonly path: string }
  | { readonly name: 'syncDirectory'; readonly path: string }
  | {
      readonly name: 'read'
      readonly fd: number
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | {
      readonly name: 'write' | 'writeDurably'
      readonly fd: number
      readonly path: string
      readonly offset: number
      /** Over shared memory where the caller's is: then nothing is copied. */
      readonly bytes: Uint8Array
    }
  | {
      readonly name: 'zeroFill'
      readonly fd: number
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | { readonly name: 'sync' | 'close'; readonly fd: number; readonly path: string }
  | { readonly name: 'truncate'; readonly fd: number; readonly path: string; readonly size: number }

export interface DiskRequest {
  readonly id: number
  readonly call: DiskCall
}

/** An error's own fields do not survive structured cloning: they travel beside it. */
export interface DiskFailure {
  readonly message: string
  readonly code: string | undefined
  readonly syscall: string | undefined
  readonly path: string
}

export interface DiskReply {
  readonly id: number
  readonly result?: unknown
  readonly failure?: DiskFailure
}

/** No write may spin for ever on a disk that takes nothing. */
class ShortWriteError extends Error {
  readonly code = 'ERR_SHORT_WRITE'
  readonly syscall = 'write'
}

const zeros = new Uint8Array(1 << 20)

function perform(call: DiskCall): unknown {
  switch (call.name) {
    case 'makeDirectory':
      mkdirSync(call.path, { recursive: true, mode: 0o700 })
      return undefined
    case 'list':
      return readdirSync(call.path)
    case 'size':
      return lstatSync(call.path, { throwIfNoEntry: false })?.size
    case 'open':
      return openSync(call.path, openFlags(call.mode), 0o600)
    case 'rename':
      renameSync(call.path, call.to)
      return undefined
    case 'remove':
      rmSync(call.path, { force: true })
      return undefined
    case 'syncDirectory':
      syncDirectory(call.path)
      return undefined
    case 'read':
      return readFully(call.fd, call.offset, call.length)
    case 'write':
      writeFully(call.fd, call.bytes, call.offset)
      return undefined
    case 'writeDurably':
      writeFully(call.fd, call.bytes, call.offset)
      fdatasyncSync(call.fd)
      return undefined
    case 'zeroFill':
      zeroFill(call.fd, call.offset, call.length)
      return undefined
    case 'sync':
      fsyncSync(call.fd)
      return undefined
    case 'truncate':
      ftruncateSync(call.fd, call.size)
      return undefined
    case 'close':
      closeSync(call.fd)
      return undefined
  }
}

function openFlags(mode: 'create' | 'write' | 'read'): number {
  const { O_CREAT, O_EXCL, O_RDWR, O_RDONLY } = constants
  // Windows has no O_NOFOLLOW. Elsewhere a link planted in the directory must not lead a write out of it.
  const noFollow = (constants as Partial<typeof constants>).O_NOFOLLOW ?? 0
  if (mode === 'create') return O_CREAT | O_EXCL | O_RDWR | noFollow
  return (mode === 'write' ? O_RDWR : O_RDONLY) | noFollow
}

function readFully(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

/** A write may be short without an error; the next one then says why. */
function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  let done = 0
  while (done < bytes.byteLength) {
    const count = writeSync(fd, bytes, done, bytes.byteLength - done, offset + done)
    if (count === 0) throw new ShortWriteError('The disk took none of the bytes.')
    done += count
  }
}

/** Each slice is synced, so that no other file's sync has to wait for a large backlog of zeros. */
function zeroFill(fd: number, offset: number, length: number): void {
  for (let done = 0; done < length; done += zeros.byteLength) {
    const slice = zeros.subarray(0, Math.min(zeros.byteLength, length - done))
    writeFully(fd, slice, offset + done)
  }
  fdatasyncSync(fd)
}

function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function failureOf(error: unknown, path: string): DiskFailure {
  const { message, code, syscall } = error as NodeJS.ErrnoException
  return { message, code, syscall, path }
}

parentPort?.on('message', ({ id, call }: DiskRequest) => {
  let reply: DiskReply
  try {
    reply = { id, result: perform(call) }
  } catch (error) {
    reply = { id, failure: failureOf(error, call.path) }
  }
  const transfer = reply.result instanceof Uint8Array ? [reply.result.buffer as ArrayBuffer] : []
  parentPort?.postMessage(reply, transfer)
})
