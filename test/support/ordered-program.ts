/**
 * What a program that is given orders over IPC has in common with others of its kind: see `ordered-process.ts` for the
 * other end. It ends when its parent does.
 */

import { isDaybookError } from '../../src/index.ts'

export interface Failure {
  readonly code: string
  readonly message: string
}

export type Heard<Said> =
  | { readonly opened: true; readonly pid: number }
  | { readonly failedToOpen: Failure }
  | { readonly id: number; readonly result?: unknown; readonly failure?: Failure }
  | { readonly said: Said }

export function say(said: unknown): void {
  tell({ said })
}

/** The last word: what waits to be sent would be lost with the channel. */
export function leave(said: unknown): void {
  tellAndLeave({ said })
}

/** Calls `open`, and from then on `obey` for each order. */
export async function takeOrders<Order>(
  open: () => Promise<void>,
  obey: (order: Order) => Promise<unknown>,
): Promise<void> {
  process.on('disconnect', orphaned)
  try {
    await open()
  } catch (error) {
    tellAndLeave({ failedToOpen: failureOf(error) })
    return
  }
  process.on('message', ({ id, order }: { id: number; order: Order }) => {
    obey(order).then(
      (result) => tell({ id, result }),
      (error: unknown) => tell({ id, failure: failureOf(error) }),
    )
  })
  tell({ opened: true, pid: process.pid })
}

function tell(message: Heard<unknown>): void {
  // After the last word there is nobody to tell.
  if (process.connected) process.send?.(message)
}

function tellAndLeave(message: Heard<unknown>): void {
  process.off('disconnect', orphaned)
  process.send?.(message, () => process.disconnect())
}

function failureOf(error: unknown): Failure {
  const code = isDaybookError(error) ? error.code : 'UNKNOWN'
  return { code, message: error instanceof Error ? error.message : String(error) }
}

/** A process without a parent must not stay behind. */
function orphaned(): void {
  process.exit(1)
}
