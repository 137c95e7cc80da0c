/**
 * What a loss of power makes of everything that was not synced.
 *
 * Fates are independent of each other, as POSIX allows and no single file system does: of two writes, or of a creation and
 * the rename after it, the later one may be on the disk and the earlier one not.
 */

import type { Random } from '../base/random.ts'

/** Bytes, of a write or of a zero fill. */
export interface UnsyncedWrite {
  readonly kind: 'write'
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** Growth by a write, whose bytes live or die apart from it; or a truncation. */
export interface UnsyncedSize {
  readonly kind: 'size'
  readonly path: string
  readonly from: number
  readonly to: number
}

export interface UnsyncedName {
  readonly kind: 'create' | 'rename' | 'remove'
  readonly directory: string
  /** Of a rename, the new one. */
  readonly name: string
}

export type UnsyncedOperation = UnsyncedWrite | UnsyncedSize | UnsyncedName

/** `garbled`: other bytes than the old and the new ones. They are the same each time. */
export type ByteFate = 'kept' | 'dropped' | 'garbled'

export type WriteFate =
  | ByteFate
  /** Torn. Sectors are aligned in the file; index 0 is the first one that the write touches, maybe in part. */
  | { readonly sectorBytes: 512 | 4096; sector(index: number): ByteFate }

/** Consulted once for each unsynced operation, oldest first. */
export interface CrashFates {
  write(write: UnsyncedWrite): WriteFate
  size(change: UnsyncedSize): 'kept' | 'dropped'
  name(change: UnsyncedName): 'kept' | 'dropped'
}

export const keepsEverything: CrashFates = {
  write: () => 'kept',
  size: () => 'kept',
  name: () => 'kept',
}

export const keepsNothing: CrashFates = {
  write: () => 'dropped',
  size: () => 'dropped',
  name: () => 'dropped',
}

/** Fates by chance, for one crash: some crashes keep nearly everything, some nearly nothing. */
export function randomFates(random: Random): CrashFates {
  const keep = random.next()
  const keptOrDropped = (): 'kept' | 'dropped' => (random.next() < keep ? 'kept' : 'dropped')
  const byteFate = (): ByteFate => (random.next() < 0.1 ? 'garbled' : keptOrDropped())
  return {
    write: () => {
      if (random.next() < 0.6) return byteFate()
      return { sectorBytes: random.next() < 0.5 ? 512 : 4096, sector: byteFate }
    },
    size: keptOrDropped,
    name: keptOrDropped,
  }
}
