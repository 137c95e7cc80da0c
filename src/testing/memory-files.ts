/**
 * The Files port in memory, with the faults of real disks: for tests and simulation.
 *
 * Each call is one step or two. A plan can hold a step back, or make it fail; and before or after any of them the
 * process can be killed, or the power lost. Then the calls and handles of the old object never return, and a new one
 * has what is left. What was synced is always left: a file by `sync`, its name by `syncDirectory`.
 */

import type { File, Files, Lock } from '../base/files.ts'
import type { CrashFates, UnsyncedOperation } from './memory-crash-fates.ts'
import { Inode, MemoryDisk, parentOf, type SyncFailureProfile } from './memory-disk.ts'

/** One step of a call, before it takes effect. `writeDurably` has two: its write and its sync. */
export interface FileStep {
  readonly kind:
    | 'makeDirectory'
    | 'list'
    | 'size'
    | 'open'
    | 'create'
    | 'rename'
    | 'remove'
    | 'syncDirectory'
    | 'lock'
    | 'read'
    | 'write'
    | 'zeroFill'
    | 'sync'
    | 'truncate'
    | 'close'
  readonly path: string
  /** Of a read, a write or a zero fill. */
  readonly offset?: number
  readonly length?: number
}

interface WriteStep extends FileStep {
  readonly offset: number
  readonly length: number
}

/** What a step fails with. */
export interface Fault {
  /** Node's code: 'ENOSPC', 'EIO', 'EROFS', … */
  readonly code: string
  /** How many bytes of a write take effect before it fails. Default 0. */
  readonly partialBytes?: number
  /** What a failed sync does to the file. Default: nothing; it is as if it had not been asked for. */
  readonly profile?: SyncFailureProfile
}

/** Decides over each step: let it be, make it fail, or hold it back by a promise. */
export type FaultPlan = (step: FileStep) => Fault | undefined | Promise<Fault | undefined>

export class MemoryFiles implements Files {
  /** Consulted before every step. */
  plan: FaultPlan = () => undefined
  /**
   * Called after every step that took effect, wholly or in part, before its caller hears of it. `code`: what a sync that
   * did something to its file fails with.
   */
  done: (step: FileStep, code?: string) => void = () => undefined
  /** All writes and creations fail with EROFS. */
  readOnly = false
  /** Sum of file sizes beyond which growing fails with ENOSPC, after what still fits. */
  capacityBytes = Infinity

  readonly #disk: MemoryDisk
  readonly #locks = new Set<string>()
  #dead = false

  constructor(disk = new MemoryDisk()) {
    this.#disk = disk
  }

  /** Bytes that all files take. */
  get usedBytes(): number {
    return this.#disk.usedBytes
  }

  /** What a loss of power would decide about, oldest first: the order in which fates are asked for. */
  unsynced(): readonly UnsyncedOperation[] {
    return this.#disk.unsynced
  }

  /**
   * The process dies. The next one finds the disk as this one saw it, but what was not synced still is not; its files are
   * not locked, and without faults or limits.
   */
  kill(): MemoryFiles {
    this.#dead = true
    return this.fork()
  }

  /** The machine dies. What was not synced is as the fates say; all that is left is durable. */
  powerLoss(fates: CrashFates): MemoryFiles {
    this.#dead = true
    const disk = this.#disk.copy()
    disk.losePower(fates)
    return new MemoryFiles(disk)
  }

  /** An exact copy of the disk, for another process, while this one goes on. */
  fork(): MemoryFiles {
    return new MemoryFiles(this.#disk.copy())
  }

  /** What a reader sees of the file, until it changes. Not a copy: nobody may write into it. */
  view(path: string): Uint8Array | undefined {
    return this.#disk.find(path)?.cached.view()
  }

  /** A copy of the file's bytes. */
  contentOf(path: string): Uint8Array {
    const view = this.view(path)
    if (view === undefined) throw errorOf({ code: 'ENOENT' }, { kind: 'read', path })
    return new Uint8Array(view)
  }

  /** Puts a whole file there, durable, instead of one that may be there. */
  place(path: string, bytes: Uint8Array): void {
    this.#disk.makeDirectory(parentOf(path))
    this.#disk.place(path, Inode.durable(bytes))
  }

  /** Takes a file away, durably, whoever has it open. */
  erase(path: string): void {
    this.#disk.erase(path)
  }

  /** Of the files in the directory, sorted; none where there is no such directory. */
  paths(directory: string): string[] {
    return (this.#disk.names(directory) ?? []).sort().map((name) => `${directory}/${name}`)
  }

  async makeDirectory(path: string): Promise<void> {
    const step: FileStep = { kind: 'makeDirectory', path }
    await this.#enter(step)
    if (this.readOnly && !this.#disk.hasDirectory(path)) throw errorOf({ code: 'EROFS' }, step)
    this.#disk.makeDirectory(path)
    this.done(step)
  }

  async list(directory: string): Promise<string[]> {
    const step: FileStep = { kind: 'list', path: directory }
    await this.#enter(step)
    const names = this.#disk.names(directory)
    if (names === undefined) throw errorOf({ code: 'ENOENT' }, step)
    this.done(step)
    return names
  }

  async size(path: string): Promise<number | undefined> {
    const step: FileStep = { kind: 'size', path }
    await this.#enter(step)
    this.done(step)
    return this.#disk.find(path)?.cached.size
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const step: FileStep = { kind: 'read', path }
    await this.#enter(step)
    const image = this.#disk.find(path)?.cached
    if (image !== undefined && image.size > maxBytes) throw errorOf({ code: 'EFBIG' }, step)
    this.done(step)
    return image?.read(0, image.size)
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    const step: FileStep = { kind: mode === 'create' ? 'create' : 'open', path }
    await this.#enter(step)
    if (this.readOnly && mode !== 'read') throw errorOf({ code: 'EROFS' }, step)
    let inode = this.#disk.find(path)
    if (mode === 'create') {
      if (inode !== undefined) throw errorOf({ code: 'EEXIST' }, step)
      inode = this.#create(step)
    }
    if (inode === undefined) throw errorOf({ code: 'ENOENT' }, step)
    this.done(step)
    return this.#openFile(path, inode, mode !== 'read')
  }

  async rename(from: string, to: string): Promise<void> {
    const step: FileStep = { kind: 'rename', path: from }
    await this.#enterToWrite(step)
    const inode = this.#disk.find(from)
    if (inode === undefined) throw errorOf({ code: 'ENOENT' }, step)
    if (parentOf(from) !== parentOf(to)) throw errorOf({ code: 'EXDEV' }, step)
    this.#disk.rename(inode, from, to)
    this.done(step)
  }

  async remove(path: string): Promise<void> {
    const step: FileStep = { kind: 'remove', path }
    await this.#enterToWrite(step)
    const inode = this.#disk.find(path)
    if (inode !== undefined) this.#disk.remove(inode, path)
    this.done(step)
  }

  async syncDirectory(directory: string): Promise<void> {
    const step: FileStep = { kind: 'syncDirectory', path: directory }
    await this.#enter(step)
    if (!this.#disk.hasDirectory(directory)) throw errorOf({ code: 'ENOENT' }, step)
    this.#disk.syncDirectory(directory)
    this.done(step)
  }

  async lock(path: string): Promise<Lock | undefined> {
    const step: FileStep = { kind: 'lock', path }
    await this.#enterToWrite(step)
    if (this.#locks.has(path)) return undefined
    if (this.#disk.find(path) === undefined) this.#create(step)
    this.#locks.add(path)
    this.done(step)
    return {
      release: async () => {
        this.#locks.delete(path)
      },
    }
  }

  #openFile(path: string, inode: Inode, writable: boolean): File {
    let open = true
    const enter = async (step: FileStep): Promise<void> => {
      await this.#enter(step)
      if (!open) throw errorOf({ code: 'EBADF' }, step)
    }
    const write = async (step: WriteStep, bytes: Uint8Array | undefined): Promise<void> => {
      if (!open || !writable) throw errorOf({ code: 'EBADF' }, step)
      const fault = await this.#consult(step)
      const fits = fault === undefined ? this.#fitting(inode, step) : (fault.partialBytes ?? 0)
      if (fits > 0) {
        this.#disk.write(inode, { ...step, length: fits }, bytes?.subarray(0, fits))
        this.done(step)
      }
      if (fault !== undefined) throw errorOf(fault, step)
      if (fits < step.length) throw errorOf({ code: 'ENOSPC' }, step)
    }
    const writeBytes = (bytes: Uint8Array, offset: number): Promise<void> =>
      // What the caller does to its buffer while the call is held back must not change what is written.
      write({ kind: 'write', path, offset, length: bytes.byteLength }, new Uint8Array(bytes))
    const sync = async (syscall?: string): Promise<void> => {
      const step: FileStep = { kind: 'sync', path }
      const fault = await this.#consult(step)
      const code = this.#sync(inode, step, fault)
      if (code !== undefined) throw errorOf({ code }, step, syscall)
    }
    return {
      read: async (offset, length) => {
        const step: FileStep = { kind: 'read', path, offset, length }
        await enter(step)
        this.done(step)
        return inode.cached.read(offset, length)
      },
      write: writeBytes,
      sync: () => sync('fsync'),
      writeDurably: async (bytes, offset) => {
        await writeBytes(bytes, offset)
        await sync('fdatasync')
      },
      zeroFill: (offset, length) => write({ kind: 'zeroFill', path, offset, length }, undefined),
      truncate: async (size) => {
        const step: FileStep = { kind: 'truncate', path }
        await enter(step)
        this.#disk.truncate(inode, path, size)
        this.done(step)
      },
      close: async () => {
        const step: FileStep = { kind: 'close', path }
        await this.#enter(step)
        open = false
        this.done(step)
      },
    }
  }

  #create(step: FileStep): Inode {
    if (!this.#disk.hasDirectory(parentOf(step.path))) throw errorOf({ code: 'ENOENT' }, step)
    return this.#disk.create(step.path)
  }

  /** How many bytes of the write a full disk has room for. */
  #fitting(inode: Inode, { offset, length }: WriteStep): number {
    const growth = offset + length - inode.cached.size
    if (growth <= 0 || this.capacityBytes === Infinity) return length
    return length - Math.max(0, growth - Math.max(0, this.capacityBytes - this.usedBytes))
  }

  /** Returns the code that the caller is to get. */
  #sync(inode: Inode, step: FileStep, fault: Fault | undefined): string | undefined {
    if (fault !== undefined && fault.profile === undefined) return fault.code
    const code =
      fault?.profile === undefined
        ? this.#disk.sync(inode)
        : this.#disk.failSync(inode, fault.code, fault.profile)
    this.done(step, code)
    return code
  }

  async #enterToWrite(step: FileStep): Promise<void> {
    await this.#enter(step)
    if (this.readOnly) throw errorOf({ code: 'EROFS' }, step)
  }

  async #enter(step: FileStep): Promise<void> {
    const fault = await this.#consult(step)
    if (fault !== undefined) throw errorOf(fault, step)
  }

  /** Asks the plan. A call of a process that has died never returns. */
  async #consult(step: FileStep): Promise<Fault | undefined> {
    const fault = await this.plan(step)
    if (this.#dead) await new Promise<never>(() => undefined)
    return fault
  }
}

const syscalls: Partial<Record<FileStep['kind'], string>> = { sync: 'fsync', zeroFill: 'write' }

function errorOf(fault: Fault, step: FileStep, syscall?: string): Error {
  return Object.assign(new Error(`${fault.code}: ${step.kind} ${step.path}`), {
    code: fault.code,
    syscall: syscall ?? syscalls[step.kind] ?? step.kind,
    path: step.path,
  })
}
