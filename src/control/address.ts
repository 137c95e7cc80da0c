/**
 * Where the control socket of a directory is.
 *
 * It is `control.sock` in the directory itself, so that whoever may read the directory, and nobody else, finds it. A
 * path that the kernel's 104 bytes cannot hold goes to a private directory of the system's temporary one, and
 * `control.json` says where. On Windows it is a named pipe with a name made from the directory's path.
 */

import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { isRecord } from './wire.ts'

/** macOS has 104 bytes with the final NUL, Linux 108. */
const maxSocketPathBytes = 103

const socketName = 'control.sock'
const pointerName = 'control.json'

/** Where to connect to; undefined where nobody can be listening. The socket need not exist. */
export function findControlAddress(directory: string): string | undefined {
  if (process.platform === 'win32') return pipeName(directory)
  const socket = join(resolve(directory), socketName)
  return fits(socket) ? socket : readPointer(directory)
}

/**
 * Where to listen. The caller holds the directory's lock, so what is left there is from a process that is gone, and
 * is removed.
 */
export function claimControlAddress(directory: string): string {
  if (process.platform === 'win32') return pipeName(directory)
  releaseControlAddress(directory)
  const socket = join(resolve(directory), socketName)
  if (fits(socket)) return socket
  const short = join(mkdtempSync(join(tmpdir(), 'daybook-')), socketName)
  writeFileSync(join(directory, pointerName), `${JSON.stringify({ socket: short })}\n`, {
    mode: 0o600,
  })
  return short
}

/** Only the user may connect. */
export function protectControlAddress(address: string): void {
  if (process.platform !== 'win32') chmodSync(address, 0o600)
}

/** Removes the socket and what points to it. The caller holds the directory's lock. */
export function releaseControlAddress(directory: string): void {
  if (process.platform === 'win32') return
  const pointed = readPointer(directory)
  if (pointed !== undefined) rmSync(dirname(pointed), { recursive: true, force: true })
  rmSync(join(directory, pointerName), { force: true })
  rmSync(join(directory, socketName), { force: true })
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= maxSocketPathBytes
}

/** undefined where there is none, or where it names something that this file would not have made. */
function readPointer(directory: string): string | undefined {
  try {
    const pointer: unknown = JSON.parse(readFileSync(join(directory, pointerName), 'utf8'))
    if (!isRecord(pointer) || typeof pointer.socket !== 'string') return undefined
    const home = dirname(pointer.socket)
    const ours =
      dirname(home) === resolve(tmpdir()) && home.startsWith(join(resolve(tmpdir()), 'daybook-'))
    return ours && pointer.socket === join(home, socketName) ? pointer.socket : undefined
  } catch {
    // Missing, or cut off by a crash while it was written: then nobody can be listening there for us.
    return undefined
  }
}

function pipeName(directory: string): string {
  const path = realpathSync(resolve(directory)).toLowerCase()
  return `\\\\.\\pipe\\daybook-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`
}
