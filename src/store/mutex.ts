/** One holder at a time, first come, first served. A wait ends with its signal. */

export class Mutex {
  #held = false
  readonly #waiting = new Set<() => void>()

  /** Resolves to the release, which does nothing the second time. Rejects with the signal's reason. */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    if (this.#held) await this.#turn(signal)
    this.#held = true
    let released = false
    return () => {
      if (released) return
      released = true
      this.#release()
    }
  }

  /** The lock is handed over without being free in between, so nobody can barge in. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const abort = (): void => {
        this.#waiting.delete(take)
        reject(signal?.reason as Error)
      }
      this.#waiting.add(take)
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  #release(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#held = false
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
