/**
 * The Files port on the real file system, by two threads that make synchronous calls (see `disk-thread.ts`).
 *
 * The urgent thread writes and syncs: an acknowledgement waits there for nothing but other acknowledgements. All else
 * (preparing, listing, removing, reading files that are open for reading only) is for the other one. Both start with
 * the first call, do not keep the process alive while nothing is in flight, and end when no file or lock is open.
 */

import { closeSync, openSync } from 'node:fs'
import { DiskCaller, FileError } from './disk-caller.ts'
import type { DiskCall } from './disk-calls.ts'
import type { File, Files, Lock } from './files.ts'

/** How long idle threads are kept for the next open, so that opening a daybook starts them once. */
const lingerMs = 1_000
const zeroSliceBytes = 2 << 20
/** SQLITE_BUSY: another connection, of this process or another one, has the lock. */
const sqliteBusy = 5

/** The sources run as they are; the build renames them. */
const diskThread = new URL(
  import.meta.url.endsWith('.ts') ? './disk-thread.ts' : './disk-thread.js',
  import.meta.url,
)

class NodeFiles implements Files {
  readonly #urgent = new DiskCaller('urgent', diskThread)
  readonly #background = new DiskCaller('background', diskThread)
  /** Open files and locks: while there are any, the threads stay. */
  #users = 0
  #linger: NodeJS.Timeout | undefined

  async makeDirectory(path: string): Promise<void> {
    await this.#call(this.#background, { name: 'makeDirectory', path })
  }

  async list(directory: string): Promise<string[]> {
    return (await this.#call(this.#background, { name: 'list', path: directory })) as string[]
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#call(this.#background, { name: 'size', path })) as number | undefined
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const bytes = await this.size(path)
    if (bytes === undefined) return undefined
    const file = await this.open(path, 'read')
    try {
      // One byte more than allowed tells a file that is too large, also one that grew since.
      const content = await file.read(0, Math.min(maxBytes, bytes) + 1)
      if (content.byteLength <= maxBytes) return content
    } finally {
      await file.close()
    }
    const message = `EFBIG: ${path} is larger than ${maxBytes} bytes`
    throw new FileError({ message, code: 'EFBIG', syscall: 'read' }, path)
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    this.#users++
    try {
      const fd = (await this.#call(this.#background, { name: 'open', path, mode })) as number
      const urgent = mode === 'read' ? this.#background : this.#urgent
      return new NodeFile(path, fd, {
        urgent: (call) => this.#call(urgent, call),
        background: (call) => this.#call(this.#background, call),
        release: () => this.#release(),
      })
    } catch (error) {
      this.#release()
      throw error
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call(this.#background, { name: 'rename', path: from, to })
  }

  async remove(path: string): Promise<void> {
    await this.#call(this.#background, { name: 'remove', path })
  }

  async syncDirectory(directory: string): Promise<void> {
    try {
      await this.#call(this.#background, { name: 'syncDirectory', path: directory })
    } catch (error) {
      // Windows cannot open or sync a directory. Everywhere else a failure is one.
      const code = (error as FileError).code
      if (process.platform === 'win32' && (code === 'EPERM' || code === 'EISDIR')) return
      throw error
    }
  }

  async lock(path: string): Promise<Lock | undefined> {
    const { DatabaseSync } = await import('node:sqlite')
    createLockFile(path)
    const database = new DatabaseSync(path)
    try {
      database.exec(
        'PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE',
      )
    } catch (error) {
      database.close()
      if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined
      throw error
    }
    this.#users++
    let held = true
    return {
      release: async () => {
        if (!held) return
        held = false
        database.close()
        this.#release()
      },
    }
  }

  #call(thread: DiskCaller, call: DiskCall): Promise<unknown> {
    const done = thread.perform(call)
    if (this.#users > 0) return done
    return done.finally(() => this.#stopSoon())
  }

  #release(): void {
    this.#users--
    this.#stopSoon()
  }

  #stopSoon(): void {
    if (this.#users > 0) return
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => {
      if (this.#users > 0 || !this.#urgent.idle || !this.#background.idle) return
      this.#urgent.stop()
      this.#background.stop()
    }, lingerMs)
    this.#linger.unref()
  }
}

interface FileThreads {
  readonly urgent: (call: DiskCall) => Promise<unknown>
  readonly background: (call: DiskCall) => Promise<unknown>
  readonly release: () => void
}

class NodeFile implements File {
  readonly #path: string
  readonly #fd: number
  readonly #threads: FileThreads
  #open = true

  constructor(path: string, fd: number, threads: FileThreads) {
    this.#path = path
    this.#fd = fd
    this.#threads = threads
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#threads.urgent({ name: 'read', ...this.#target, offset, length })
    return bytes as Uint8Array
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#threads.urgent({ name: 'write', ...this.#target, bytes, offset })
  }

  async writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#threads.urgent({ name: 'writeDurably', ...this.#target, bytes, offset })
  }

  async sync(): Promise<void> {
    await this.#threads.background({ name: 'sync', ...this.#target })
  }

  async zeroFill(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += zeroSliceBytes) {
      await this.#threads.background({
        name: 'zeroFill',
        ...this.#target,
        offset: offset + done,
        length: Math.min(zeroSliceBytes, length - done),
      })
    }
  }

  async truncate(size: number): Promise<void> {
    await this.#threads.background({ name: 'truncate', ...this.#target, size })
  }

  async close(): Promise<void> {
    if (!this.#open) return
    const target = this.#target
    this.#open = false
    try {
      await this.#threads.background({ name: 'close', ...target })
    } finally {
      this.#threads.release()
    }
  }

  /** A closed descriptor's number may already be another file's: it must never be used again. */
  get #target(): { fd: number; path: string } {
    if (this.#open) return { fd: this.#fd, path: this.#path }
    const message = `EBADF: ${this.#path} is closed`
    throw new FileError({ message, code: 'EBADF', syscall: undefined }, this.#path)
  }
}

/**
 * Makes the lock file private before SQLite opens it. An existing one must not even be opened here: closing any
 * descriptor of a file drops every record lock that this process holds on it.
 */
function createLockFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** The process's own file system. */
export const nodeFiles: Files = new NodeFiles()
