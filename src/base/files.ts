/**
 * Files as a port: what the journal and the dead letters need of a file system, and nothing else.
 *
 * Every durability step is a call of its own, so that a simulated disk can lose what was not synced. Errors are
 * Node's, with `code` (ENOSPC, EIO, EACCES, …). Offsets are explicit: no call depends on a file position.
 */

export interface Files {
  /** Creates the directory and its parents, private to the user. Does nothing where it exists. */
  makeDirectory(path: string): Promise<void>
  /** Names in the directory, unsorted. */
  list(directory: string): Promise<string[]>
  /** Size in bytes, or undefined where there is no such file. */
  size(path: string): Promise<number | undefined>
  /** A whole small file. Refuses one beyond `maxBytes`. undefined where there is none. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  /**
   * `create`: a new file, private to the user, refused where one exists (O_EXCL). `write`: an existing one, to read
   * and write. `read`: an existing one, read only.
   */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<File>
  rename(from: string, to: string): Promise<void>
  /** Removes a file; does nothing where there is none. */
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in the directory durable. A no-op on Windows, which cannot. */
  syncDirectory(directory: string): Promise<void>
  /**
   * An exclusive lock that the kernel frees when the process dies, by whatever cause.
   * Resolves to undefined where another holder has it.
   */
  lock(path: string): Promise<Lock | undefined>
}

export interface Lock {
  release(): Promise<void>
}

/** One open file. Calls on one file are made one at a time. */
export interface File {
  /** Reads up to `length` bytes at `offset`; shorter only at the end of the file. The caller owns the result. */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Writes all of `bytes` at `offset`, or throws; then some prefix may have been written. Not durable. */
  write(bytes: Uint8Array, offset: number): Promise<void>
  /** Makes written bytes and the size durable. A failure leaves unknown what is durable: never retry it. */
  sync(): Promise<void>
  /**
   * `write`, then `sync`, as one trip to the disk's own thread: this is what an acknowledgement waits for.
   * `error.syscall` tells which of the two failed: 'fdatasync' for the sync.
   */
  writeDurably(bytes: Uint8Array, offset: number): Promise<void>
  /** Writes zeros from `offset` for `length` bytes, in slices that leave room for other files' calls. Not durable. */
  zeroFill(offset: number, length: number): Promise<void>
  truncate(size: number): Promise<void>
  close(): Promise<void>
}
