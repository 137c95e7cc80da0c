/** A book that does nothing but note what it was asked. */

import { DaybookError } from '../../src/base/errors.ts'
import type { ControlBook } from '../../src/control/methods.ts'
import type { DeadLetter } from '../../src/flush/dead-letter.ts'

export const letter: DeadLetter = {
  id: '1-2',
  cache: 'users',
  key: '42',
  lane: 1,
  position: 2,
  mutation: { kind: 'set', fields: { big: 2n ** 63n, bytes: new Uint8Array([1, 2]) } },
  reason: 'rejected',
  failure: { kind: 'rejected', code: '23505', message: 'no' },
  attempts: 1,
  deadAtMs: 1,
}

export class FakeBook implements ControlBook {
  readonly calls: string[] = []
  flushing: Promise<void> = Promise.resolve()
  flushSignal: AbortSignal | undefined
  /** What the next retry or edit comes to. */
  receipts: readonly { lane: number; position: number }[] = []
  skipped: readonly { id: string; reason: string }[] = []
  letters: DeadLetter[] = []
  readonly deadLetters: ControlBook['deadLetters'] = {
    list: async (filter, page) => {
      this.calls.push(`list ${JSON.stringify({ ...filter, ...page })}`)
      return { letters: this.letters }
    },
    groups: () => [{ cache: 'users', code: '23505', message: 'no', count: 2, oldestMs: 1 }],
    show: async (id) => ({ ...letter, id }),
    current: async () => ({ visits: 3 }),
    retry: async (selection, { force }) => {
      this.calls.push(`retry ${JSON.stringify(selection)} ${String(force)}`)
      return { receipts: this.receipts, skipped: this.skipped }
    },
    edit: async (id, edit) => {
      this.calls.push(`edit ${id} ${JSON.stringify(edit)}`)
      return { receipts: this.receipts, skipped: this.skipped }
    },
    discard: async () => {
      throw new DaybookError('DEAD_LETTER_UNKNOWN', 'There is no such letter.', {
        details: { id: '1-1' },
      })
    },
  }

  figures: object = { state: 'open', pending: { mutations: 3 } }

  stats(): object {
    return this.figures
  }

  async flush({ signal }: { signal?: AbortSignal }): Promise<void> {
    this.flushSignal = signal
    await this.flushing
  }

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }
}
