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
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { DiskCall, DiskFailure, DiskReply, DiskRequest, DiskThreadData } from './disk-calls.ts'
import { Mailbox, nextCall, type KeptWrite } from './mailbox.ts'

/** No write may spin for ever on a disk that takes nothing. */
class ShortWriteError extends Error {
  readonly code = 'ERR_SHORT_WRITE'
  readonly syscall = 'write'
}

const zeros = new Uint8Array(1 << 20)

function perform(call: DiskCall): unknown {
  switch (call.name) {
    case 'makeDirectory':
      makeDirectory(call.path)
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

/**
 * With its parents. Node's own `recursive` never ends where a directory that is there takes no new one and says ENOENT, as
 * /proc does.
 */
function makeDirectory(path: string): void {
  const isThere = (): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  if (isThere()) return
  const parent = dirname(path)
  if (parent !== path) makeDirectory(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been faster.
    if (!isThere()) throw error
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

function failureOf(error: unknown): DiskFailure {
  const { message, code, syscall } = error as NodeJS.ErrnoException
  return { message, code, syscall }
}

const { memory, port } = workerData as DiskThreadData
const mailbox = new Mailbox(memory)
const kept: SharedArrayBuffer[] = []

function performKept({ durably, fd, kept: index, start, length, offset }: KeptWrite): undefined {
  const buffer = kept[index]
  if (buffer === undefined) throw new Error('The thread was not given the buffer.')
  writeFully(fd, new Uint8Array(buffer, start, length), offset)
  if (durably) fdatasyncSync(fd)
}

function performMessage(): unknown {
  const { call, keep } = receiveMessageOnPort(port)?.message as DiskRequest
  if (keep !== undefined && 'bytes' in call) kept[keep] = call.bytes.buffer as SharedArrayBuffer
  return perform(call)
}

/** True where the answer is a message. */
function reply(result: unknown): boolean {
  if (result === undefined) return false
  const transfer = result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : []
  port.postMessage({ result } satisfies DiskReply, transfer)
  return true
}

/** Until the caller terminates the thread. */
for (let call = 0; ; call = nextCall(call)) {
  const write = mailbox.take(call)
  let isMessage: boolean
  try {
    isMessage = reply(write === undefined ? performMessage() : performKept(write))
  } catch (error) {
    port.postMessage({ failure: failureOf(error) } satisfies DiskReply)
    isMessage = true
  }
  mailbox.answer(call, isMessage)
}
