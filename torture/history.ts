/** What one process has reported of its operations and reads, in order. Nothing in it depends on when it was heard. */

import { lineOf, type Place, type Report } from './reports.ts'
import type { Account } from './workload.ts'

export type Outcome =
  | { readonly kind: 'acknowledged'; readonly at: number; readonly places: readonly Place[] }
  | { readonly kind: 'refused'; readonly code: string }
  /** Nothing was said, or nothing that decides it. */
  | { readonly kind: 'open'; readonly code: string | undefined }

export interface Called {
  readonly number: number
  readonly at: number
  outcome: Outcome
}

export interface Read {
  readonly key: string
  readonly begunAt: number
  readonly answeredAt: number
  readonly account: Account | undefined
}

export class History {
  readonly #called = new Map<number, Called>()
  readonly #begun = new Map<number, { readonly key: string; readonly at: number }>()
  readonly reads: Read[] = []
  readonly failedReads: string[] = []
  readonly #lines: string[] = []

  /** As it was reported, for people. */
  get text(): string {
    return this.#lines.join('')
  }

  /** In the order of the calls. */
  get called(): Iterable<Called> {
    return this.#called.values()
  }

  outcomeOf(number: number): Outcome | undefined {
    return this.#called.get(number)?.outcome
  }

  /** Throws where the process says what makes no sense. */
  add(report: Report): void {
    const at = this.#lines.push(lineOf(report))
    switch (report.kind) {
      case 'intent':
        this.#called.set(report.number, {
          number: report.number,
          at,
          outcome: { kind: 'open', code: undefined },
        })
        return
      case 'acknowledged':
        this.#settle(report.number, { kind: 'acknowledged', at, places: report.places })
        return
      case 'refused':
        this.#settle(report.number, { kind: 'refused', code: report.code })
        return
      case 'unknown':
        this.#settle(report.number, { kind: 'open', code: report.code })
        return
      case 'read-begun':
        this.#begun.set(report.read, { key: report.key, at })
        return
      case 'read': {
        const begun = this.#begun.get(report.read)
        // Its beginning was said to another history, before this process was stopped.
        if (begun === undefined) return
        const { key, at: begunAt } = begun
        this.reads.push({ key, begunAt, answeredAt: at, account: report.account })
        return
      }
      case 'read-failed':
        this.failedReads.push(report.code)
    }
  }

  #settle(number: number, outcome: Outcome): void {
    const called = this.#called.get(number)
    // Its call was said to another history, before this process was stopped.
    if (called === undefined) return
    called.outcome = outcome
  }
}
