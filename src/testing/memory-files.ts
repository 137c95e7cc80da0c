/**
 * The Files port in memory, with the faults of real disks: for tests and simulation.
 *
 * What was not synced can be lost. A crash ends every call and handle of the old process, frees its locks, and decides
 * by the given chance which unsynced writes reached the disk, whole, in sectors or as garbage, and up to where each
 * directory's creations, renames and removals did. What was synced stays.
 */

import type { File, Files, Lock } from '../base/files.ts'
import type { Random } from '../base/random.ts'

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

/** What a step fails with. */
export interface Fault {
  /** Node's code: 'ENOSPC', 'EIO', 'EROFS', … */
  readonly code: string
  /** How many bytes of a write take effect before it fails. Default 0. */
  readonly partialBytes?: number
}

/** Decides over each step: let it be, make it fail, or hold it back by a promise. */
export type FaultPlan = (step: FileStep) => Fault | undefined | Promise<Fault | undefined>

const sectorBytes = 512

interface UnsyncedWrite {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** A file's content: what a reader sees, and what a crash falls back to. */
class Content {
  current: Uint8Array = new Uint8Array(0)
  durable: Uint8Array = new Uint8Array(0)
  unsynced: UnsyncedWrite[] = []

  write(offset: number, bytes: Uint8Array): void {
    this.current = withWrite(this.current, offset, bytes)
    this.unsynced.push({ offset, bytes: bytes.slice() })
  }

  /** Metadata: taken to be durable at once, although journals of file systems may delay it. */
  truncate(size: number): void {
    this.sync()
    this.current = resized(this.current, size)
    this.durable = resized(this.durable, size)
  }

  sync(): void {
    for (const { offset, bytes } of this.unsynced) {
      this.durable = withWrite(this.durable, offset, bytes)
    }
    this.unsynced = []
  }

  /** The same content after a crash, all of it durable. Without chance everything reached the disk. */
  survivor(random: Random | undefined): Content {
    let bytes: Uint8Array = this.durable.slice()
    for (const write of this.unsynced) {
      const fate = random?.next() ?? 1
      if (fate < 0.35) continue
      const torn = random !== undefined && fate < 0.7
      bytes = withWrite(bytes, write.offset, torn ? tornWrite(bytes, write, random) : write.bytes)
    }
    return durableContent(bytes)
  }
}

function durableContent(bytes: Uint8Array): Content {
  const content = new Content()
  content.current = bytes
  content.durable = bytes.slice()
  return content
}

type Name = { readonly name: string; readonly content: Content | undefined }

class Directory {
  readonly current = new Map<string, Content>()
  readonly durable = new Map<string, Content>()
  /** Changes since the last sync of the directory, in order; those of one rename are one change. */
  unsynced: (readonly Name[])[] = []

  change(names: readonly Name[]): void {
    applyNames(this.current, names)
    this.unsynced.push(names)
  }

  sync(): void {
    for (const names of this.unsynced) applyNames(this.durable, names)
    this.unsynced = []
  }

  survivor(random: Random | undefined): Directory {
    const survivor = new Directory()
    const kept =
      random === undefined
        ? this.unsynced.length
        : Math.floor(random.next() * (this.unsynced.length + 1))
    const names = new Map(this.durable)
    for (const change of this.unsynced.slice(0, kept)) applyNames(names, change)
    for (const [name, content] of names) {
      const surviving = content.survivor(random)
      survivor.current.set(name, surviving)
      survivor.durable.set(name, surviving)
    }
    return survivor
  }
}

export class MemoryFiles implements Files {
  /** Consulted before every step. */
  plan: FaultPlan = () => undefined
  /** All writes and creations fail with EROFS. */
  readOnly = false
  /** Sum of file sizes beyond which growing fails with ENOSPC, after what still fits. */
  capacityBytes = Infinity

  readonly #directories = new Map<string, Directory>()
  readonly #locks = new Set<string>()
  #dead = false

  /** Bytes that all files take. */
  get usedBytes(): number {
    let bytes = 0
    for (const { current } of this.#directories.values()) {
      for (const content of current.values()) bytes += content.current.byteLength
    }
    return bytes
  }

  /**
   * The process dies, and with `random` the machine too; without it everything written survives. Calls on this object
   * and its files never return any more. What is left is the result, for the next process, without faults.
   */
  crash(random?: Random): MemoryFiles {
    this.#dead = true
    return this.#survivor(random)
  }

  /** A copy of everything as it is now, durable, without locks, faults or open files. */
  clone(): MemoryFiles {
    return this.#survivor(undefined)
  }

  #survivor(random: Random | undefined): MemoryFiles {
    const survivor = new MemoryFiles()
    for (const [path, directory] of this.#directories) {
      survivor.#directories.set(path, directory.survivor(random))
    }
    return survivor
  }

  /** A copy of the file's bytes. */
  contentOf(path: string): Uint8Array {
    const content = this.#find(path)
    if (content === undefined) throw errorOf({ code: 'ENOENT' }, { kind: 'read', path })
    return content.current.slice()
  }

  /** Puts a whole file there, durable, instead of one that may be there. */
  place(path: string, bytes: Uint8Array): void {
    this.#makeDirectory(parentOf(path))
    const directory = this.#directory({ kind: 'create', path })
    directory.change([{ name: nameOf(path), content: durableContent(bytes.slice()) }])
    directory.sync()
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#step({ kind: 'makeDirectory', path })
    if (this.readOnly && !this.#directories.has(path)) {
      throw errorOf({ code: 'EROFS' }, { kind: 'makeDirectory', path })
    }
    this.#makeDirectory(path)
  }

  async list(directory: string): Promise<string[]> {
    const step: FileStep = { kind: 'list', path: directory }
    await this.#step(step)
    const found = this.#directories.get(directory)
    if (found === undefined) throw errorOf({ code: 'ENOENT' }, step)
    return [...found.current.keys()]
  }

  async size(path: string): Promise<number | undefined> {
    await this.#step({ kind: 'size', path })
    return this.#find(path)?.current.byteLength
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const step: FileStep = { kind: 'read', path }
    await this.#step(step)
    const content = this.#find(path)
    if (content === undefined) return undefined
    if (content.current.byteLength > maxBytes) throw errorOf({ code: 'EFBIG' }, step)
    return content.current.slice()
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    const step: FileStep = { kind: mode === 'create' ? 'create' : 'open', path }
    await this.#step(step)
    if (this.readOnly && mode !== 'read') throw errorOf({ code: 'EROFS' }, step)
    let content = this.#find(path)
    if (mode === 'create') {
      if (content !== undefined) throw errorOf({ code: 'EEXIST' }, step)
      content = new Content()
      this.#directory(step).change([{ name: nameOf(path), content }])
    }
    if (content === undefined) throw errorOf({ code: 'ENOENT' }, step)
    return this.#openFile(path, content, mode !== 'read')
  }

  async rename(from: string, to: string): Promise<void> {
    const step: FileStep = { kind: 'rename', path: from }
    await this.#writingStep(step)
    const content = this.#find(from)
    if (content === undefined) throw errorOf({ code: 'ENOENT' }, step)
    if (parentOf(from) !== parentOf(to)) throw errorOf({ code: 'EXDEV' }, step)
    this.#directory(step).change([
      { name: nameOf(from), content: undefined },
      { name: nameOf(to), content },
    ])
  }

  async remove(path: string): Promise<void> {
    await this.#writingStep({ kind: 'remove', path })
    if (this.#find(path) === undefined) return
    this.#directory({ kind: 'remove', path }).change([{ name: nameOf(path), content: undefined }])
  }

  async syncDirectory(directory: string): Promise<void> {
    const step: FileStep = { kind: 'syncDirectory', path: directory }
    await this.#step(step)
    const found = this.#directories.get(directory)
    if (found === undefined) throw errorOf({ code: 'ENOENT' }, step)
    found.sync()
  }

  async lock(path: string): Promise<Lock | undefined> {
    await this.#writingStep({ kind: 'lock', path })
    if (this.#locks.has(path)) return undefined
    if (this.#find(path) === undefined) this.place(path, new Uint8Array(0))
    this.#locks.add(path)
    return {
      release: async () => {
        this.#locks.delete(path)
      },
    }
  }

  #openFile(path: string, content: Content, writable: boolean): File {
    let open = true
    const enter = async (step: FileStep): Promise<void> => {
      await this.#step(step)
      if (!open) throw errorOf({ code: 'EBADF' }, step)
    }
    const write = async (kind: 'write' | 'zeroFill', bytes: Uint8Array, offset: number) => {
      const step: FileStep = { kind, path, offset, length: bytes.byteLength }
      // What the caller does to its buffer while the call is held back must not change what is written.
      const image = bytes.slice()
      if (!open || !writable) throw errorOf({ code: 'EBADF' }, step)
      const fault = await this.#consult(step)
      if (fault !== undefined) {
        if (fault.partialBytes) content.write(offset, image.subarray(0, fault.partialBytes))
        throw errorOf(fault, step)
      }
      this.#grow(content, step, image, offset)
    }
    const sync = async (syscall?: string): Promise<void> => {
      const step: FileStep = { kind: 'sync', path }
      const fault = await this.#consult(step)
      if (fault !== undefined) throw errorOf(fault, step, syscall)
      content.sync()
    }
    return {
      read: async (offset, length) => {
        await enter({ kind: 'read', path, offset, length })
        return content.current.slice(offset, offset + length)
      },
      write: (bytes, offset) => write('write', bytes, offset),
      sync: () => sync('fsync'),
      writeDurably: async (bytes, offset) => {
        await write('write', bytes, offset)
        await sync('fdatasync')
      },
      zeroFill: (offset, length) => write('zeroFill', new Uint8Array(length), offset),
      truncate: async (size) => {
        await enter({ kind: 'truncate', path })
        content.truncate(size)
      },
      close: async () => {
        await this.#step({ kind: 'close', path })
        open = false
      },
    }
  }

  /** Writes as much as fits, as a full disk does. */
  #grow(content: Content, step: FileStep, bytes: Uint8Array, offset: number): void {
    const growth = Math.max(0, offset + bytes.byteLength - content.current.byteLength)
    const room = Math.max(0, this.capacityBytes - this.usedBytes)
    if (growth <= room) return content.write(offset, bytes)
    const fits = bytes.byteLength - (growth - room)
    if (fits > 0) content.write(offset, bytes.subarray(0, fits))
    throw errorOf({ code: 'ENOSPC' }, step)
  }

  async #writingStep(step: FileStep): Promise<void> {
    await this.#step(step)
    if (this.readOnly) throw errorOf({ code: 'EROFS' }, step)
  }

  async #step(step: FileStep): Promise<void> {
    const fault = await this.#consult(step)
    if (fault !== undefined) throw errorOf(fault, step)
  }

  /** Asks the plan. A call of a process that has died never returns. */
  async #consult(step: FileStep): Promise<Fault | undefined> {
    const fault = await this.plan(step)
    if (this.#dead) await new Promise<never>(() => undefined)
    return fault
  }

  #makeDirectory(path: string): void {
    if (!this.#directories.has(path)) this.#directories.set(path, new Directory())
  }

  #directory(step: FileStep): Directory {
    const directory = this.#directories.get(parentOf(step.path))
    if (directory === undefined) throw errorOf({ code: 'ENOENT' }, step)
    return directory
  }

  #find(path: string): Content | undefined {
    return this.#directories.get(parentOf(path))?.current.get(nameOf(path))
  }
}

function applyNames(names: Map<string, Content>, changes: readonly Name[]): void {
  for (const { name, content } of changes) {
    if (content === undefined) names.delete(name)
    else names.set(name, content)
  }
}

/** Each sector of the write is there, is not, or holds garbage. */
function tornWrite(
  content: Uint8Array,
  { offset, bytes }: UnsyncedWrite,
  random: Random,
): Uint8Array {
  const torn = bytes.slice()
  for (let at = 0; at < torn.byteLength; at += sectorBytes) {
    const end = Math.min(torn.byteLength, at + sectorBytes)
    const fate = random.next()
    if (fate < 0.4) {
      torn.fill(0, at, end)
      torn.set(content.subarray(offset + at, offset + end), at)
    } else if (fate < 0.5) {
      for (let index = at; index < end; index++) torn[index] = Math.floor(random.next() * 256)
    }
  }
  return torn
}

function withWrite(content: Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
  const end = offset + bytes.byteLength
  const grown = end > content.byteLength ? resized(content, end) : content
  grown.set(bytes, offset)
  return grown
}

function resized(content: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(size)
  copy.set(content.subarray(0, size))
  return copy
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

const syscalls: Partial<Record<FileStep['kind'], string>> = { sync: 'fsync', zeroFill: 'write' }

function errorOf(fault: Fault, step: FileStep, syscall?: string): Error {
  return Object.assign(new Error(`${fault.code}: ${step.kind} ${step.path}`), {
    code: fault.code,
    syscall: syscall ?? syscalls[step.kind] ?? step.kind,
    path: step.path,
  })
}
