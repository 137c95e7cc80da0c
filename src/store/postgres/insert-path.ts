/**
 * Whether a batch is likely to hold new rows only. Then COPY writes it in half the time of an upsert; but where it meets
 * a row that exists, its work is undone and done again, so it must rarely be wrong.
 *
 * An upsert that counts says whether all of its rows were new; the next batch is copied then. After each disappointment,
 * twice as many batches go by before the question is asked again.
 */

const maxSkipped = 256

export type InsertPath = 'upsert' | 'counted' | 'copy'

export class InsertPathChooser {
  #copying = false
  #skipped = 1
  #toSkip = 0

  next(): InsertPath {
    if (this.#copying) return 'copy'
    if (this.#toSkip === 0) return 'counted'
    this.#toSkip--
    return 'upsert'
  }

  /** All rows of a batch were new. */
  allNew(): void {
    this.#copying = true
    this.#skipped = Math.max(1, this.#skipped - 1)
  }

  /** Some were there already, or the copy was refused for another reason. */
  notAllNew(): void {
    this.#copying = false
    this.#toSkip = this.#skipped
    this.#skipped = Math.min(2 * this.#skipped, maxSkipped)
  }
}
