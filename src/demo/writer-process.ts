/**
 * The parent's end of a writer process: it starts it, hears its acknowledgements, and kills it.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../base/clock.ts'
import type { Assignment, FromWriter } from './messages.ts'

/** It tells its figures ten times a second. */
const maxSilenceMs = 60_000

/** The last words of a process that failed. */
const maxErrorBytes = 4_096

export class WriterProcess {
  /**
   * Resolves to whether it finished by itself, false where it was killed, and only after every message that it had
   * sent was heard. Rejects where it failed.
   */
  readonly finished: Promise<boolean>
  readonly #child: ChildProcess

  /** `hear` gets every message, in order. */
  constructor(assignment: Assignment, hear: (message: FromWriter) => void) {
    const entry = new URL(`./writer${extname(import.meta.filename)}`, import.meta.url)
    this.#child = fork(fileURLToPath(entry), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let words = ''
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-maxErrorBytes)
    })
    let failure: string | undefined
    const giveUp = (): void => {
      failure = `it said nothing for ${maxSilenceMs} ms`
      this.#child.kill('SIGTERM')
    }
    let silence = systemClock.setTimer(maxSilenceMs, giveUp)
    this.#child.on('message', (message: FromWriter) => {
      silence.cancel()
      silence = systemClock.setTimer(maxSilenceMs, giveUp)
      if (message.type === 'failed') failure = message.message
      else hear(message)
    })
    this.finished = this.#end().then((code) => {
      silence.cancel()
      if (code === 'SIGKILL') return false
      if (code === 0 && failure === undefined) return true
      throw new Error(
        `The writer process failed: ${failure ?? (words.trim() || `it ended with ${code}`)}`,
      )
    })
    // Whoever waits for it hears of a failure; nobody may be waiting yet.
    this.finished.catch(() => undefined)
    this.#child.send(assignment)
  }

  /** SIGKILL: it can neither notice nor finish anything. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Its exit code, once it is gone and its channel has been read to the end. */
  async #end(): Promise<number | string> {
    const [code] = await Promise.all([
      new Promise<number | string>((resolve, reject) => {
        this.#child.once('exit', (code, signal) => resolve(code ?? signal ?? 'no exit code'))
        this.#child.once('error', reject)
      }),
      new Promise<void>((resolve) => this.#child.once('disconnect', resolve)),
    ])
    return code
  }
}
