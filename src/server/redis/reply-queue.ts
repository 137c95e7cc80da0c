/**
 * The replies of one connection, in the order of its commands, each held back until nothing that it tells can be taken back.
 *
 * What a group commit makes durable is let go together: nothing is allocated per reply but its text. Where a commit failed,
 * the replies that rest on it become errors.
 *
 *     held: [ commit 7: +OK +OK $3… ] [ free: +PONG ] [ commit 8: +OK ]      ready: what may be sent now
 */

import type { Position } from '../../mutation/mutation.ts'
import { errorLine } from './redis-error.ts'
import { failure } from './reply.ts'

interface Held {
  /** undefined: these replies tell of nothing that could be taken back. */
  readonly done: Promise<unknown> | undefined
  /** What is durable once it is done. */
  position: Position
  texts: string[]
  settled: boolean
}

export class ReplyQueue {
  readonly #onReady: () => void
  readonly #held: Held[] = []
  #ready = ''
  #heldBytes = 0

  constructor(onReady: () => void) {
    this.#onReady = onReady
  }

  /** Bytes that wait for a commit, or to be taken. */
  get bytes(): number {
    return this.#heldBytes + this.#ready.length
  }

  get isEmpty(): boolean {
    return this.#held.length === 0 && this.#ready === ''
  }

  /** `done`: see Acknowledgement. */
  add(text: string, done: Promise<unknown> | undefined, position: Position): void {
    const last = this.#held.at(-1)
    if (done === undefined && last === undefined) {
      this.#ready += text
      return
    }
    this.#heldBytes += text.length
    if (last !== undefined && belongs(last, done, position)) {
      last.texts.push(text)
      if (position > last.position) last.position = position
      return
    }
    this.#hold({ done, position, texts: [text], settled: done === undefined })
  }

  /** What may be sent; it is not given again. */
  take(): string {
    const ready = this.#ready
    this.#ready = ''
    return ready
  }

  /** Apart from `add`, which would make room for these functions at each call. */
  #hold(held: Held): void {
    this.#held.push(held)
    held.done?.then(
      () => this.#settle(held),
      (error: unknown) => this.#fail(held, error),
    )
  }

  #settle(held: Held): void {
    held.settled = true
    if (this.#held[0] === held) this.#release()
  }

  #fail(held: Held, error: unknown): void {
    const text = failure(errorLine(error))
    for (const reply of held.texts) this.#heldBytes += text.length - reply.length
    held.texts = held.texts.map(() => text)
    this.#settle(held)
  }

  #release(): void {
    let count = 0
    for (const { settled, texts } of this.#held) {
      if (!settled) break
      const text = texts.length === 1 ? (texts[0] ?? '') : texts.join('')
      this.#heldBytes -= text.length
      this.#ready += text
      count++
    }
    this.#held.splice(0, count)
    this.#onReady()
  }
}

/** It can be told as soon as what is held already can be, and not before. */
function belongs(last: Held, done: Promise<unknown> | undefined, position: Position): boolean {
  if (done === undefined) return last.done === undefined
  if (last.settled) return false
  return last.done === done || last.position >= position
}
