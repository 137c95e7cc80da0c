/**
 * The replies of one connection, in the order of its commands, each held back until nothing that it tells can be taken back.
 *
 * What a group commit makes durable is let go together: nothing is allocated per reply but its text, and for one that is
 * said again and again (+OK) not even a place in a list. Where a commit failed, the replies that rest on it become errors.
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
  /** All replies but those of the run. */
  text: string
  /** Short replies that are the same, the last ones. */
  run: string
  runLength: number
  replies: number
  settled: boolean
}

/** Longer texts are not compared. */
const maxRunText = 16

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
      put(last, text)
      if (position > last.position) last.position = position
      return
    }
    this.#hold({
      done,
      position,
      text: '',
      run: text,
      runLength: 1,
      replies: 1,
      settled: done === undefined,
    })
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
    this.#heldBytes -= textOf(held).length
    held.text = ''
    held.run = failure(errorLine(error))
    held.runLength = held.replies
    this.#heldBytes += textOf(held).length
    this.#settle(held)
  }

  #release(): void {
    let count = 0
    for (const held of this.#held) {
      if (!held.settled) break
      const text = textOf(held)
      this.#heldBytes -= text.length
      this.#ready += text
      count++
    }
    this.#held.splice(0, count)
    this.#onReady()
  }
}

function put(held: Held, text: string): void {
  held.replies++
  if (text.length <= maxRunText && text === held.run) {
    held.runLength++
    return
  }
  held.text = textOf(held)
  held.run = text
  held.runLength = 1
}

function textOf({ text, run, runLength }: Held): string {
  return text + (runLength === 1 ? run : run.repeat(runLength))
}

/** It can be told as soon as what is held already can be, and not before. */
function belongs(last: Held, done: Promise<unknown> | undefined, position: Position): boolean {
  if (done === undefined) return last.done === undefined
  if (last.settled) return false
  return last.done === done || last.position >= position
}
