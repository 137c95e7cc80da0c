/** What a disk thread is asked to do, and what it answers. How that comes to it and back: see `mailbox.ts`. */

import type { MessagePort } from 'node:worker_threads'
import type { MailboxMemory } from './mailbox.ts'

export type DiskCall =
  | { readonly name: 'makeDirectory'; readonly path: string }
  | { readonly name: 'list'; readonly path: string }
  | { readonly name: 'size'; readonly path: string }
  | { readonly name: 'open'; readonly path: string; readonly mode: 'create' | 'write' | 'read' }
  | { readonly name: 'rename'; readonly path: string; readonly to: string }
  | { readonly name: 'remove'; readonly path: string }
  | { readonly name: 'syncDirectory'; readonly path: string }
  | {
      readonly name: 'read'
      readonly fd: number
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | {
      readonly name: 'write' | 'writeDurably'
      readonly fd: number
      readonly path: string
      readonly offset: number
      /** Over shared memory where the caller's is: then nothing is copied. */
      readonly bytes: Uint8Array
    }
  | {
      readonly name: 'zeroFill'
      readonly fd: number
      readonly path: string
      readonly offset: number
      readonly length: number
    }
  | { readonly name: 'sync' | 'close'; readonly fd: number; readonly path: string }
  | { readonly name: 'truncate'; readonly fd: number; readonly path: string; readonly size: number }

/** A call as a message. */
export interface DiskRequest {
  readonly call: DiskCall
  /** The thread keeps the buffer of its bytes, in place of the one that it kept under this number. */
  readonly keep: number | undefined
}

/** An error's own fields do not survive structured cloning: they travel beside it. */
export interface DiskFailure {
  readonly message: string
  readonly code: string | undefined
  readonly syscall: string | undefined
}

/** An answer as a message. */
export interface DiskReply {
  readonly result?: unknown
  readonly failure?: DiskFailure
}

/** What a disk thread is given. */
export interface DiskThreadData {
  /** Of the mailbox. */
  readonly memory: MailboxMemory
  readonly port: MessagePort
}

/** Buffers that the thread knows by a number, and none larger than that: who keeps them keeps their memory. */
export const maxKept = 32
export const maxKeptBytes = 4 << 20
