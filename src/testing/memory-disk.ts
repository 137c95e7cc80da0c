/**
 * A disk in memory, twice: as its readers see it, and as it would be found after a loss of power. The operations that
 * make the difference are kept until a sync settles them.
 *
 * Directories themselves are durable at once.
 */

import type {
  ByteFate,
  CrashFates,
  UnsyncedName,
  UnsyncedOperation,
  UnsyncedSize,
  UnsyncedWrite,
  WriteFate,
} from './memory-crash-fates.ts'
import { Image } from './memory-image.ts'

/**
 * What a file system does to a file whose sync failed. In all of them the pages that should have been written are clean
 * afterwards: the next sync succeeds without writing them, and they are on the disk only once they are written again
 * and synced. After Rebello et al., "Can Applications Recover from fsync Failures?" (USENIX ATC 2020), and its CuttleFS.
 */
export type SyncFailureProfile =
  /** Readers go on seeing the new bytes; the disk has the old ones, in a file of the new size. */
  | 'ext4-ordered'
  /** The same. */
  | 'xfs'
  /**
   * The same for readers and the disk, but this sync is answered with success: its data is in the file system's journal.
   * The next sync of the file, by whom ever, reports the failure, and writes nothing itself.
   */
  | 'ext4-data'
  /** Copy on write goes back to what the disk has: readers see the old bytes and the old size. */
  | 'btrfs'

/** A file without its name. */
export class Inode {
  cached = new Image()
  durable = new Image()
  /** The code of a failure that the next sync has to report. */
  lateFailure: string | undefined

  static durable(bytes: Uint8Array): Inode {
    const inode = new Inode()
    inode.durable = Image.of(bytes)
    inode.cached = inode.durable.copy()
    return inode
  }

  copy(): Inode {
    const copy = new Inode()
    copy.cached = this.cached.copy()
    copy.durable = this.durable.copy()
    copy.lateFailure = this.lateFailure
    return copy
  }
}

interface Directory {
  readonly cached: Map<string, Inode>
  readonly durable: Map<string, Inode>
}

/** Without `bytes` it is zeros. */
type WriteOperation = UnsyncedWrite & {
  readonly inode: Inode
  readonly bytes: Uint8Array | undefined
  readonly number: number
}
type SizeOperation = UnsyncedSize & { readonly inode: Inode }
/** `from`: the old name, of a rename. */
type NameOperation = UnsyncedName & { readonly inode: Inode; readonly from?: string }
type Operation = WriteOperation | SizeOperation | NameOperation

export class MemoryDisk {
  #directories = new Map<string, Directory>()
  /** Oldest first. */
  #unsynced: Operation[] = []
  #lastNumber = 0

  get unsynced(): readonly UnsyncedOperation[] {
    return this.#unsynced
  }

  /** Sum of the sizes of all files that have a name. */
  get usedBytes(): number {
    let bytes = 0
    for (const { cached } of this.#directories.values()) {
      for (const inode of cached.values()) bytes += inode.cached.size
    }
    return bytes
  }

  hasDirectory(path: string): boolean {
    return this.#directories.has(path)
  }

  makeDirectory(path: string): void {
    if (this.hasDirectory(path)) return
    this.#directories.set(path, { cached: new Map(), durable: new Map() })
  }

  /** undefined where there is no such directory. */
  names(directory: string): string[] | undefined {
    const found = this.#directories.get(directory)
    return found && [...found.cached.keys()]
  }

  find(path: string): Inode | undefined {
    return this.#directories.get(parentOf(path))?.cached.get(nameOf(path))
  }

  /** Puts a durable file under the name, whatever had it, and leaves everything else as it is. */
  place(path: string, inode: Inode): void {
    const { cached, durable } = this.#directoryOf(path)
    cached.set(nameOf(path), inode)
    durable.set(nameOf(path), inode)
  }

  /** Takes the name away, durably, and leaves everything else as it is. */
  erase(path: string): void {
    const { cached, durable } = this.#directoryOf(path)
    cached.delete(nameOf(path))
    durable.delete(nameOf(path))
  }

  create(path: string): Inode {
    const inode = new Inode()
    this.#rename({ kind: 'create', directory: parentOf(path), name: nameOf(path), inode })
    return inode
  }

  /** Within one directory. */
  rename(inode: Inode, from: string, to: string): void {
    const names = { directory: parentOf(to), name: nameOf(to), from: nameOf(from) }
    this.#rename({ kind: 'rename', ...names, inode })
  }

  remove(inode: Inode, path: string): void {
    this.#rename({ kind: 'remove', directory: parentOf(path), name: nameOf(path), inode })
  }

  syncDirectory(path: string): void {
    const { durable } = this.#directoryAt(path)
    for (const operation of this.#unsynced) {
      if (isName(operation) && operation.directory === path) applyName(durable, operation)
    }
    // No name stands for them any more: nobody will see what becomes of their bytes.
    const named = new Set(durable.values())
    this.#unsynced = this.#unsynced.filter((operation) =>
      isName(operation)
        ? operation.directory !== path
        : named.has(operation.inode) || parentOf(operation.path) !== path,
    )
  }

  /** Of `bytes`, or zeros. Keeps `bytes`. */
  write(
    inode: Inode,
    { path, offset, length }: Omit<UnsyncedWrite, 'kind'>,
    bytes: Uint8Array | undefined,
  ): void {
    this.#resize(inode, path, Math.max(inode.cached.size, offset + length))
    const number = ++this.#lastNumber
    this.#unsynced.push({ kind: 'write', path, offset, length, inode, bytes, number })
    putBytes(inode.cached, offset, length, bytes)
  }

  truncate(inode: Inode, path: string, size: number): void {
    this.#resize(inode, path, size)
  }

  /** Returns the code of an earlier failure that is reported only now; then nothing was written. */
  sync(inode: Inode): string | undefined {
    const code = inode.lateFailure
    inode.lateFailure = undefined
    if (code !== undefined) return code
    for (const operation of this.#take(inode)) {
      if (operation.kind === 'size') inode.durable.resize(operation.to)
      else putBytes(inode.durable, operation.offset, operation.length, operation.bytes)
    }
    return undefined
  }

  /** Returns the code that this sync has to report. */
  failSync(inode: Inode, code: string, profile: SyncFailureProfile): string | undefined {
    const lost = this.#take(inode)
    if (profile === 'btrfs') {
      inode.cached = inode.durable.copy()
      return code
    }
    for (const operation of lost) if (operation.kind === 'size') inode.durable.resize(operation.to)
    if (profile !== 'ext4-data') return code
    inode.lateFailure = code
    return undefined
  }

  copy(): MemoryDisk {
    const copies = new Map<Inode, Inode>()
    const copyOf = (inode: Inode): Inode => {
      let copy = copies.get(inode)
      if (copy === undefined) copies.set(inode, (copy = inode.copy()))
      return copy
    }
    const copyNames = (names: Map<string, Inode>): Map<string, Inode> => {
      const copied = new Map<string, Inode>()
      for (const [name, inode] of names) copied.set(name, copyOf(inode))
      return copied
    }
    const disk = new MemoryDisk()
    for (const [path, { cached, durable }] of this.#directories) {
      disk.#directories.set(path, { cached: copyNames(cached), durable: copyNames(durable) })
    }
    disk.#unsynced = this.#unsynced.map((operation) => ({
      ...operation,
      inode: copyOf(operation.inode),
    }))
    disk.#lastNumber = this.#lastNumber
    return disk
  }

  /** From here on there is only what was durable, and what the fates add to it: all of it durable. */
  losePower(fates: CrashFates): void {
    for (const operation of this.#unsynced) this.#settle(operation, fates)
    this.#unsynced = []
    for (const { cached, durable } of this.#directories.values()) {
      cached.clear()
      for (const [name, inode] of durable) {
        cached.set(name, inode)
        // Bytes whose size was dropped are not in the file.
        inode.durable.resize(inode.durable.size)
        inode.cached = inode.durable.copy()
        inode.lateFailure = undefined
      }
    }
  }

  #settle(operation: Operation, fates: CrashFates): void {
    if (operation.kind === 'write') return settleWrite(operation, fates.write(operation))
    if (operation.kind === 'size') {
      if (fates.size(operation) === 'kept') operation.inode.durable.resize(operation.to)
    } else if (fates.name(operation) === 'kept') {
      applyName(this.#directoryAt(operation.directory).durable, operation)
    }
  }

  #rename(operation: NameOperation): void {
    applyName(this.#directoryAt(operation.directory).cached, operation)
    this.#unsynced.push(operation)
  }

  #resize(inode: Inode, path: string, size: number): void {
    const from = inode.cached.size
    if (size === from) return
    this.#unsynced.push({ kind: 'size', path, from, to: size, inode })
    inode.cached.resize(size)
  }

  /** What of the file is not synced, which nobody will sync any more. */
  #take(inode: Inode): (WriteOperation | SizeOperation)[] {
    const taken: (WriteOperation | SizeOperation)[] = []
    this.#unsynced = this.#unsynced.filter((operation) => {
      if (isName(operation) || operation.inode !== inode) return true
      taken.push(operation)
      return false
    })
    return taken
  }

  #directoryOf(path: string): Directory {
    return this.#directoryAt(parentOf(path))
  }

  #directoryAt(path: string): Directory {
    const directory = this.#directories.get(path)
    if (directory === undefined) throw new Error(`there is no directory ${path}`)
    return directory
  }
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function isName(operation: Operation): operation is NameOperation {
  return operation.kind !== 'write' && operation.kind !== 'size'
}

/** By entry, not by file: a removal takes whatever the name stands for, where what gave it the name was dropped. */
function applyName(names: Map<string, Inode>, operation: NameOperation): void {
  if (operation.from !== undefined) names.delete(operation.from)
  if (operation.kind === 'remove') names.delete(operation.name)
  else names.set(operation.name, operation.inode)
}

function putBytes(
  image: Image,
  offset: number,
  length: number,
  bytes: Uint8Array | undefined,
): void {
  if (bytes === undefined) image.putZeros(offset, length)
  else image.put(offset, bytes)
}

/** Only in the range of the write: what it shares a sector with, and was synced, stays. */
function settleWrite(operation: WriteOperation, fate: WriteFate): void {
  const { offset, length } = operation
  if (typeof fate === 'string') return settleRange(operation, 0, length, fate)
  const { sectorBytes } = fate
  let start = 0
  for (let index = 0; start < length; index++) {
    const end = Math.min(length, sectorBytes - ((offset + start) % sectorBytes) + start)
    settleRange(operation, start, end, fate.sector(index))
    start = end
  }
}

function settleRange(operation: WriteOperation, start: number, end: number, fate: ByteFate): void {
  const { inode, offset, bytes, number } = operation
  if (fate === 'dropped') return
  if (fate === 'garbled') inode.durable.put(offset + start, garbage(number, start, end))
  else putBytes(inode.durable, offset + start, end - start, bytes?.subarray(start, end))
}

/** Not a multiple of a sector, so that no two sectors of a write are alike. */
const noiseBytes = 4099
const noise = makeNoise()

function makeNoise(): Uint8Array {
  const bytes = new Uint8Array(noiseBytes)
  let state = 1
  for (let index = 0; index < noiseBytes; index++) {
    // The 32-bit generator of Numerical Recipes: the high bits are good enough to look like nothing in particular.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[index] = state >>> 24
  }
  return bytes
}

/** Different for each write and each place in it, and the same in every copy of the disk. */
function garbage(number: number, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start)
  let from = (number * 97 + start) % noiseBytes
  for (let at = 0; at < bytes.length; from = 0) {
    const part = noise.subarray(from, from + bytes.length - at)
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
