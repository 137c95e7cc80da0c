/** SLOWLOG: the last commands that took long, shortened, and without passwords. */

import type { Session } from './session.ts'
import { shownArguments } from './shown-arguments.ts'

export interface SlowEntry {
  readonly id: number
  /** Wall time. */
  readonly seconds: number
  readonly tookUs: number
  readonly args: readonly string[]
  readonly address: string
  readonly name: string
}

const maxArguments = 32
const maxCharacters = 128

export class SlowLog {
  /** The newest first. */
  #entries: SlowEntry[] = []
  #maxEntries = 128
  #nextId = 0

  get maxEntries(): number {
    return this.#maxEntries
  }

  set maxEntries(count: number) {
    this.#maxEntries = count
    this.#entries.length = Math.min(this.#entries.length, count)
  }

  get length(): number {
    return this.#entries.length
  }

  /** `more`: commands that were timed together with this one. */
  add(
    session: Session,
    args: readonly string[],
    timed: { readonly tookUs: number; readonly wallTimeMs: number; readonly more: number },
  ): void {
    const shown = shortened(shownArguments(args))
    if (timed.more > 0) shown.push(`... (${timed.more} more commands of the pipeline)`)
    this.#entries.unshift({
      id: this.#nextId++,
      seconds: Math.floor(timed.wallTimeMs / 1000),
      tookUs: Math.round(timed.tookUs),
      args: shown,
      address: session.address,
      name: session.name,
    })
    this.#entries.length = Math.min(this.#entries.length, this.#maxEntries)
  }

  newest(count: number): readonly SlowEntry[] {
    return this.#entries.slice(0, count)
  }

  reset(): void {
    this.#entries = []
  }
}

function shortened(args: readonly string[]): string[] {
  const tooMany = args.length > maxArguments
  const shown = args.slice(0, tooMany ? maxArguments - 1 : maxArguments).map((word) => {
    const more = word.length - maxCharacters
    return more > 0 ? `${word.slice(0, maxCharacters)}... (${more} more bytes)` : word
  })
  if (tooMany) shown.push(`... (${args.length - shown.length} more arguments)`)
  return shown
}
