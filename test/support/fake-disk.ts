/**
 * Files in memory that know what is durable: a crash loses the rest, or keeps it, as the test says.
 *
 * Each call that changes something is a step. A test can make a step fail, or crash the machine in it.
 */

import type { File, Files, Lock } from '../../src/base/files.ts'

export type Operation =
  | 'create'
  | 'write'
  | 'sync'
  | 'writeDurably'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'close'
  | 'read'

class Inode {
  bytes = new Uint8Array(0)
  durable = new Uint8Array(0)
}

/** What Node would throw. */
export function fileError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })
}

export class FakeDisk implements Files {
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #steps = 0
  #crashed = false
  /** The step in which the machine crashes, counted from 1. */
  crashAt = Infinity
  /** Throws what the operation is to fail with, before it does anything. */
  fault: (operation: Operation, path: string) => void = () => undefined
  openFiles = 0

  get steps(): number {
    return this.#steps
  }

  /** The disk after a restart. `keep`: what had been written and not synced is there all the same. */
  restarted(keep: boolean): FakeDisk {
    const disk = new FakeDisk()
    for (const [path, inode] of keep ? this.#names : this.#durableNames) {
      disk.put(path, keep ? inode.bytes : inode.durable)
    }
    return disk
  }

  /** Makes a durable file. */
  put(path: string, bytes: Uint8Array): void {
    const inode = new Inode()
    // Not `slice`: a Buffer's shares its bytes.
    inode.bytes = new Uint8Array(bytes)
    inode.durable = new Uint8Array(bytes)
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
  }

  contents(path: string): Uint8Array {
    return this.#inode(path).bytes.slice()
  }

  /** Changes one byte under whoever has the file open. */
  damage(path: string, offset: number): void {
    const { bytes } = this.#inode(path)
    bytes[offset] = ~(bytes[offset] ?? 0) & 0xff
  }

  paths(): string[] {
    return [...this.#names.keys()]
  }

  async makeDirectory(): Promise<void> {}

  async list(directory: string): Promise<string[]> {
    return this.paths()
      .filter((path) => path.startsWith(`${directory}/`))
      .map((path) => path.slice(directory.length + 1))
  }

  async size(path: string): Promise<number | undefined> {
    return this.#names.get(path)?.bytes.length
  }

  async read(path: string): Promise<Uint8Array | undefined> {
    return this.#names.get(path)?.bytes.slice()
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    if (mode === 'create') {
      this.#step('create', path)
      if (this.#names.has(path)) throw fileError('EEXIST', 'open')
      this.#names.set(path, new Inode())
    }
    this.openFiles += 1
    return this.#file(path, this.#inode(path))
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step('rename', from)
    this.#names.set(to, this.#inode(from))
    this.#names.delete(from)
  }

  async remove(path: string): Promise<void> {
    if (!this.#names.has(path)) return
    this.#step('remove', path)
    this.#names.delete(path)
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#step('syncDirectory', directory)
    this.#durableNames = new Map(this.#names)
  }

  async lock(): Promise<Lock | undefined> {
    return { release: async () => undefined }
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw fileError('ENOENT', 'open')
    return inode
  }

  #step(operation: Operation, path: string): void {
    if (this.#crashed) throw new Error('the machine is off')
    this.fault(operation, path)
    this.#steps += 1
    if (this.#steps < this.crashAt) return
    this.#crashed = true
    throw new Error('the machine crashed')
  }

  #file(path: string, inode: Inode): File {
    const write = (bytes: Uint8Array, offset: number): void => {
      const end = offset + bytes.length
      if (end > inode.bytes.length) inode.bytes = grown(inode.bytes, end)
      inode.bytes.set(bytes, offset)
    }
    /** A crash or a full disk in the middle of a write leaves half of it. */
    const partly = (operation: Operation, bytes: Uint8Array, offset: number): void => {
      try {
        this.#step(operation, path)
      } catch (error) {
        write(bytes.subarray(0, bytes.length >>> 1), offset)
        throw error
      }
    }
    return {
      read: async (offset, length) => {
        this.fault('read', path)
        return inode.bytes.slice(offset, offset + length)
      },
      write: async (bytes, offset) => {
        partly('write', bytes, offset)
        write(bytes, offset)
      },
      sync: async () => {
        this.#step('sync', path)
        inode.durable = inode.bytes.slice()
      },
      writeDurably: async (bytes, offset) => {
        partly('writeDurably', bytes, offset)
        write(bytes, offset)
        this.#step('sync', path)
        inode.durable = inode.bytes.slice()
      },
      zeroFill: async (offset, length) => write(new Uint8Array(length), offset),
      truncate: async (size) => {
        this.#step('truncate', path)
        inode.bytes = inode.bytes.slice(0, size)
      },
      close: async () => {
        this.openFiles -= 1
        this.fault('close', path)
      },
    }
  }
}

/** With zeros at the end, and with room behind it, so that appending does not copy the file each time. */
function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (bytes.buffer.byteLength >= length) return new Uint8Array(bytes.buffer, 0, length)
  const buffer = new ArrayBuffer(2 * length)
  new Uint8Array(buffer).set(bytes)
  return new Uint8Array(buffer, 0, length)
}
