/**
 * The Files port of a process that dies by SIGKILL at a chosen call: before it, after it, or, for a write, with half of
 * it done. Nothing of the process runs after that, as if the machine's killer had found this very moment.
 */

import type { File, Files } from '../../src/base/files.ts'

type CallName = Exclude<keyof Files | keyof File, 'read' | 'list' | 'size' | 'lock'>

export interface Death {
  /** Only calls that change the disk count; with `of`, only these. */
  readonly of?: readonly CallName[]
  /** Counted from 1. */
  readonly at: number
  readonly when: 'before' | 'half' | 'after'
}

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL')
  // The signal comes before anything else can.
  return new Promise(() => undefined)
}

export function mortalFiles(files: Files, death: Death): Files {
  let left = death.at
  const perform = async <T>(
    name: CallName,
    call: () => Promise<T>,
    half?: () => Promise<void>,
  ): Promise<T> => {
    const counts = death.of === undefined || death.of.includes(name)
    if (!counts || --left !== 0) return call()
    if (death.when === 'half') await half?.()
    if (death.when === 'after') await call()
    return die()
  }
  const wrap = (file: File): File => {
    const halfOf = (bytes: Uint8Array, offset: number) => (): Promise<void> =>
      file.write(bytes.subarray(0, bytes.length >>> 1), offset)
    return {
      read: (offset, length) => file.read(offset, length),
      write: (bytes, offset) =>
        perform('write', () => file.write(bytes, offset), halfOf(bytes, offset)),
      writeDurably: (bytes, offset) =>
        perform('writeDurably', () => file.writeDurably(bytes, offset), halfOf(bytes, offset)),
      sync: () => perform('sync', () => file.sync()),
      zeroFill: (offset, length) => perform('zeroFill', () => file.zeroFill(offset, length)),
      truncate: (size) => perform('truncate', () => file.truncate(size)),
      close: () => perform('close', () => file.close()),
    }
  }
  return {
    makeDirectory: (path) => perform('makeDirectory', () => files.makeDirectory(path)),
    list: (directory) => files.list(directory),
    size: (path) => files.size(path),
    read: (path, maxBytes) => files.read(path, maxBytes),
    open: async (path, mode) =>
      mode === 'read'
        ? files.open(path, mode)
        : wrap(await perform('open', () => files.open(path, mode))),
    rename: (from, to) => perform('rename', () => files.rename(from, to)),
    remove: (path) => perform('remove', () => files.remove(path)),
    syncDirectory: (directory) => perform('syncDirectory', () => files.syncDirectory(directory)),
    lock: (path) => files.lock(path),
  }
}
